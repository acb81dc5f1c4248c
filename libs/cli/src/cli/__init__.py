"""The p2p command."""
