-- The last run of each job that anyone has told of.
CREATE TABLE job_runs (
    job text PRIMARY KEY,
    due_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    outcome text NOT NULL,
    duration_ms double precision NOT NULL,
    detail text
);
