"""An AI service that speaks only HTTP, and its Redis: read by the leader and said on NATS, as an AI server would."""
