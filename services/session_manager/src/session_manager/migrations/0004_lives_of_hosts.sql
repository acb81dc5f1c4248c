-- A host that is deleted and registers again is another one under the same name: host_registry numbers them, and what is
-- said of one says nothing of the next.
ALTER TABLE sessions ADD COLUMN host_number bigint;
COMMENT ON COLUMN sessions.host_number IS 'Host.id of its present host; null: it was placed before that was kept.';

ALTER TABLE lost_hosts ADD COLUMN number bigint NOT NULL DEFAULT 0;
ALTER TABLE lost_hosts DROP CONSTRAINT lost_hosts_pkey, ADD PRIMARY KEY (host_id, number);
