ALTER TABLE zones ADD COLUMN standby boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN zones.standby IS 'Whether each of its sessions with players has a second host in reserve.';
