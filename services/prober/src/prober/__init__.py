"""Measures the way to players' machines: round trip, jitter, loss, upload."""
