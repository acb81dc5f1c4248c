"""REST and WebSocket: sockets, presence, signaling."""
