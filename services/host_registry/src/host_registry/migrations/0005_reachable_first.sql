-- Placement: of those with room, the ones that players' offers reach, and of these the most certain good ones first.
DROP INDEX standings_by_merit;
CREATE INDEX standings_by_merit ON standings (connected DESC, (-(score * confidence)), (-score), no) WHERE standing = 'open';
