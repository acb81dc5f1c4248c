-- Events whose effect is in this database already, for consumers that can't tell by a revision.
CREATE TABLE consumed (
    consumer text NOT NULL,
    event_id uuid NOT NULL,
    consumed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer, event_id)
);
CREATE INDEX consumed_by_age ON consumed (consumed_at);
