-- What players last said of their channels to a host; kept for seconds only, so that a crash may take it.
CREATE UNLOGGED TABLE words (
    host_id text COLLATE "C" NOT NULL REFERENCES hosts (host_id) ON DELETE CASCADE,
    player_id text COLLATE "C" NOT NULL,
    lost boolean NOT NULL, -- otherwise it stands
    told_at timestamptz NOT NULL,
    PRIMARY KEY (host_id, player_id)
);
