"""What every test of the tree may ask for: testkit's fixtures; and what holds for all of them, its time limit."""

import os

from embedded import ports

pytest_plugins = ["testkit.fixtures", "testkit.time_limit"]

# Two workers that choose the same free port before either listens would break each other's servers.
if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    number, workers = int(worker.removeprefix("gw")), int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    ports.FREE_RANGE = ports.FREE_RANGE[number::workers]
