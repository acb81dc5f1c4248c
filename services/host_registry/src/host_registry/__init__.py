"""Hosts, their zone slots, beats and measured quality."""
