"""One connection: what it says, what that means, and how it is written to. No Redis, no NATS."""
