"""NATS, PostgreSQL and Redis from wheels, and a supervisor for the suite."""
