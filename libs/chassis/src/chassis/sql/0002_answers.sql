-- The first answer to each idempotency key, so that a repeated command gets it again.
CREATE TABLE idempotency (
    caller text NOT NULL,
    subject text NOT NULL,
    key text NOT NULL,
    question_hash bytea NOT NULL,
    answer bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (caller, subject, key)
);
CREATE INDEX idempotency_by_age ON idempotency (created_at);
