"""Clients for other people's programs: host agent, game server, AI server."""
