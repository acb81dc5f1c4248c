-- Why a session was given its host: contracts' `Grounds`, with each event that gave it one.
ALTER TABLE session_events ADD COLUMN grounds jsonb;
