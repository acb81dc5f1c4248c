"""Zones, their requirements and tallying, and placement."""
