-- A session that leaves its host for another is `migrating` meanwhile, as hostless as one in fallback.
COMMENT ON COLUMN sessions.fell_back_at IS 'Since when it has no host, while it is migrating or in fallback.';
COMMENT ON COLUMN sessions.fell_back_for IS 'The reason, while it has no host: its seats then are on no host, and host_id names the last one.';

-- Until when an instance is looking for a host for it; past that another may.
ALTER TABLE sessions ADD COLUMN claimed_until timestamptz;
CREATE INDEX migrating_sessions ON sessions (id) WHERE status = 'migrating';
