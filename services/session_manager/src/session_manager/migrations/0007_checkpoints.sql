-- The newest whole checkpoint of each live session; its bytes are in JetStream, under the name of the object.
-- No foreign key: its check would cost each create; `drop_checkpoint` removes the row with the session's end.
CREATE TABLE checkpoints (
    session bigint PRIMARY KEY,
    epoch integer NOT NULL,
    sequence bigint NOT NULL,
    object uuid NOT NULL UNIQUE,
    size integer NOT NULL,
    sha256 text NOT NULL,
    stored_at timestamptz NOT NULL
);

CREATE TABLE discarded_checkpoints (
    object uuid PRIMARY KEY,
    size integer NOT NULL
);
COMMENT ON TABLE discarded_checkpoints IS 'Objects whose bytes are still to be removed: their row went, or names another.';

CREATE FUNCTION discard_checkpoint() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO discarded_checkpoints (object, size) VALUES (OLD.object, OLD.size);
    RETURN NULL;
END
$$;
CREATE TRIGGER discard_removed AFTER DELETE ON checkpoints FOR EACH ROW EXECUTE FUNCTION discard_checkpoint();
CREATE TRIGGER discard_replaced AFTER UPDATE ON checkpoints
    FOR EACH ROW WHEN (OLD.object <> NEW.object) EXECUTE FUNCTION discard_checkpoint();

CREATE FUNCTION drop_checkpoint() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM checkpoints WHERE session = NEW.id;
    RETURN NULL;
END
$$;
CREATE TRIGGER drop_checkpoint AFTER UPDATE ON sessions
    FOR EACH ROW WHEN (OLD.live AND NOT NEW.live) EXECUTE FUNCTION drop_checkpoint();
