CREATE TABLE api_keys (
    key_id text PRIMARY KEY,
    role text NOT NULL,
    name text NOT NULL,
    -- Of 256 random bits: nothing to guess, so nothing slower than SHA-256 is needed.
    fingerprint bytea NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    revoked_at timestamptz
);

-- What one issued token has become by refreshing: one good refresh token at a time, that of the present generation.
CREATE TABLE families (
    family_id text PRIMARY KEY,
    role text NOT NULL,
    peer_id text NOT NULL,
    host_id text,
    key_id text,
    generation integer NOT NULL DEFAULT 1,
    advanced_at timestamptz NOT NULL,
    -- By exchanging an access token, which may be repeated for a while, else by a refresh token.
    by_exchange boolean NOT NULL DEFAULT false,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE INDEX keyed_families ON families (peer_id) WHERE key_id IS NOT NULL AND revoked_at IS NULL;
CREATE INDEX families_by_end ON families (expires_at);
CREATE INDEX revoked_families ON families (family_id) WHERE revoked_at IS NOT NULL;

CREATE TABLE kicks (
    peer_id text PRIMARY KEY,
    until timestamptz NOT NULL,
    reason text NOT NULL,
    kicked_by text NOT NULL,
    kicked_at timestamptz NOT NULL
);

-- Raised in the transaction of whatever gateways hold in memory, so that they see by one number whether to read again.
CREATE TABLE access_revision (
    is_the_one boolean PRIMARY KEY DEFAULT true CHECK (is_the_one),
    revision bigint NOT NULL
);
INSERT INTO access_revision (revision) VALUES (1);

-- What gateways sign with while nobody has given them a secret, which only open mode allows.
CREATE TABLE signing_secret (
    is_the_one boolean PRIMARY KEY DEFAULT true CHECK (is_the_one),
    secret text NOT NULL
);
