-- What beats do not write is apart, so that the row they write stays narrow: each source's newest figures.
-- measures.py says which of them count; those are in `standings`.
CREATE TABLE measurements (
    host_id text COLLATE "C" PRIMARY KEY REFERENCES standings (host_id) ON DELETE CASCADE,
    probe_latency_ms double precision,
    probe_packet_loss_percent double precision,
    probed_at timestamptz,
    players_latency_ms double precision,
    players_packet_loss_percent double precision,
    players_at timestamptz,
    weigh_at timestamptz -- when they are new, or age alone changes what they are worth; null: never again
);
CREATE INDEX measurements_by_weighing ON measurements (weigh_at) WHERE weigh_at IS NOT NULL;

ALTER TABLE standings
    ADD COLUMN accepts_probes boolean NOT NULL DEFAULT false,
    ADD COLUMN probe_due_at timestamptz NOT NULL DEFAULT '-infinity', -- a newcomer is due at once
    ADD COLUMN upload_due_at timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN probe_misses smallint NOT NULL DEFAULT 0, -- in a row
    ADD COLUMN probe_reported_at timestamptz,
    ADD COLUMN jitter_ms double precision,
    ADD COLUMN upload_mbps double precision,
    ADD COLUMN measured_at timestamptz,
    ADD COLUMN certainty double precision NOT NULL DEFAULT 1, -- of what was measured, by its age
    ADD COLUMN failed_share double precision NOT NULL DEFAULT 0, -- of players' connections, the newest weighing most

    -- A probe sends 1 MiB at most and shares its process with others: half a second of 20 Mbit/s is told from noise,
    -- of more not. Beyond it the claim stands: no zone must fail at its 100 Mbit/s for the prober's limits.
    ADD COLUMN speed_mbps double precision GENERATED ALWAYS AS (
        CASE WHEN upload_mbps < 20 THEN upload_mbps ELSE coalesce(network_speed_mbps, upload_mbps) END
    ) STORED,

    ALTER COLUMN score SET EXPRESSION AS (
        floor(100 * (
            greatest(0, (300 - coalesce(measured_latency_ms, latency_ms, 150)) / 10)
            + greatest(0, 20 - 2 * coalesce(measured_packet_loss_percent, packet_loss_percent, 5))
            + greatest(0, 25 * (1 - current_players::double precision / max_players))
            + least(10, 10 * coalesce(cpu_cores, 0)::double precision / 4)
            + least(10, 10 * coalesce(memory_mb, 0)::double precision / 8192)
            + (5 - greatest(0, (100 - coalesce( -- speed_mbps: one generated column may not look at another
                CASE WHEN upload_mbps < 20 THEN upload_mbps ELSE coalesce(network_speed_mbps, upload_mbps) END, 0
            )) / 20)) -- 100 - x, then / 20: the tiniest upload divided first would be an underflow
        ) + 0.5) / 100
    ),

    -- How far the 50 points of latency and loss are known, as before, but by age, and less where players can't connect.
    -- A tenth is left to a host that nobody reached: it has its chance to do better where there is no other.
    ALTER COLUMN confidence SET EXPRESSION AS (
        (
            CASE WHEN measured_latency_ms IS NOT NULL THEN 300 * certainty WHEN latency_ms IS NOT NULL THEN 90 ELSE 0 END
            + CASE
                WHEN measured_packet_loss_percent IS NOT NULL THEN 200 * certainty
                WHEN packet_loss_percent IS NOT NULL THEN 60
                ELSE 0
            END
        ) / 500 * greatest(0.1, 1 - failed_share)
    );

-- What players told before its time was kept counts as told when the host changed last.
INSERT INTO measurements (host_id, players_latency_ms, players_packet_loss_percent, players_at, weigh_at)
SELECT host_id, measured_latency_ms, measured_packet_loss_percent, updated_at, '-infinity' FROM standings
WHERE measured_latency_ms IS NOT NULL OR measured_packet_loss_percent IS NOT NULL;

-- Those to probe next, however many others there are.
CREATE INDEX standings_by_probe ON standings (probe_due_at)
WHERE accepts_probes AND connected AND standing IN ('open', 'online', 'suspect');

ALTER TABLE slots
    -- One that its session left may be taken by it again; of a session that is over none is.
    ADD COLUMN over boolean NOT NULL DEFAULT false,
    -- What the session told last: each of its facts repeats its averages, which are not measured anew by that.
    ADD COLUMN latency_ms double precision,
    ADD COLUMN packet_loss_percent double precision;
UPDATE slots SET over = true WHERE NOT held;
