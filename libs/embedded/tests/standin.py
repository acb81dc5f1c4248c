"""A service of the tests' own: as a real one it reads its environment, says when it is ready, and stops on SIGTERM."""

import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Health(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        """Keep the log to what a test looks for."""


if "fail" in sys.argv:
    print("no setting ZONE_MANAGR_X; did you mean ZONE_MANAGER_X?", flush=True)
    sys.exit(3)

server = ThreadingHTTPServer((os.environ["HTTP_HOST"], int(os.environ["HTTP_PORT"])), Health)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
TOLD = ("INSTANCE", "NATS_URL", "POSTGRES_URL", "REDIS_URL", "OTLP_ENDPOINT", "COLOUR", "OTEL_EXPORTER_OTLP_HEADERS")
for name in TOLD:
    print(f"{name}={os.environ.get(name)}", flush=True)
server.serve_forever(poll_interval=0.01)
print("drained", flush=True)
