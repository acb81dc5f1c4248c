-- What has more than 32 levels is refused now; no reader of a page, a placement or a fact could take 190 of them.
-- Nobody but its host knows what it means, and that registers it anew.
UPDATE hosts SET metadata = NULL
WHERE jsonb_path_exists(metadata::jsonb, 'strict $.**{32} ? (@.type() == "array" || @.type() == "object")');
