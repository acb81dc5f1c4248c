-- Consumers tell by revisions; nobody has ever kept events by id.
DROP TABLE consumed;
