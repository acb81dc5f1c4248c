-- Hosts to which a player could not connect lately. By name: of a host that registers anew it is as true as before.
CREATE TABLE unreached_hosts (
    player_id text NOT NULL,
    host_id text NOT NULL,
    told_at timestamptz NOT NULL,
    PRIMARY KEY (player_id, host_id)
);
