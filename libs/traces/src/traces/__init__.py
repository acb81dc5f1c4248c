"""The last hours of spans, kept and told: an OTLP/HTTP receiver on SQLite."""
