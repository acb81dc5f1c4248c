-- What holds a number that is infinite to some reader is refused now: one such host broke every page that it stood on.
-- Nobody but its host knows what it means, and that registers it anew.
UPDATE hosts SET metadata = NULL
WHERE jsonb_path_exists(metadata::jsonb, 'strict $.** ? (@.type() == "number" && (@ > 1.7e308 || @ < -1.7e308))');
