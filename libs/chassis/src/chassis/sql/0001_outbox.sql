-- Facts that are committed and not yet published; the relay deletes a row when JetStream has acknowledged it.
CREATE TABLE outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id uuid NOT NULL,
    subject text NOT NULL,
    payload jsonb NOT NULL,
    traceparent text,
    written_at timestamptz NOT NULL DEFAULT now()
);
-- The table is nearly always empty and churns: vacuum it by count of dead rows, not by a share of the live ones.
ALTER TABLE outbox SET (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 50000
);
