-- Since when the host of this name is this one: what was said of one before says nothing of it.
ALTER TABLE standings ADD COLUMN born_at timestamptz NOT NULL DEFAULT '-infinity';

-- Which run of the host's program registered it: one that was replaced does not send its successor away.
ALTER TABLE hosts ADD COLUMN run_id text;
