-- What each decision came from, in figures, beside its code.
ALTER TABLE session_events ADD COLUMN figures jsonb NOT NULL DEFAULT '{}';

-- Latency and loss as health looks at them: what a host or server says speaks for the session, what a player says for
-- that player's seat. sessions.measured_at is read by the release before only.
ALTER TABLE sessions
    ADD COLUMN said_latency_ms double precision,
    ADD COLUMN latency_said_at timestamptz,
    ADD COLUMN said_loss_percent double precision,
    ADD COLUMN loss_said_at timestamptz;
ALTER TABLE seats
    ADD COLUMN said_latency_ms double precision,
    ADD COLUMN latency_said_at timestamptz,
    ADD COLUMN said_loss_percent double precision,
    ADD COLUMN loss_said_at timestamptz;

-- Why no host may serve the zone at present; null: hosts may.
ALTER TABLE zone_policies ADD COLUMN closed_for text;

-- Hosts that a session has left, how often in a row, and when it did so last.
CREATE TABLE left_hosts (
    session bigint NOT NULL,
    host_id text NOT NULL,
    times integer NOT NULL,
    left_at timestamptz NOT NULL,
    PRIMARY KEY (session, host_id)
);
CREATE INDEX left_hosts_by_time ON left_hosts (left_at);
