"""What a token costs a gateway to sign and to verify, by each algorithm, and what the library for it costs at a start.

`.venv/bin/python bench/signing.py`: rounds of both, one after the other, in processor time; the best of each.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from contracts.access import Role
from signaling_gateway.access.identity import Identity
from signaling_gateway.access.signing import Algorithm
from signaling_gateway.access.tokens import Tokens

SECRET = "k3Zq9vXw2LmPpR7tYb4NcD8sFh1JgA6uE0iOQ5Wx"
UUID = "0199f3a1-5c1e-7d52-9a37-3f1c2d6b8e01"
ANN = Identity(Role.PLAYER, "player-67890", peer_id="player-67890", key_id="k-0123456789ab", family_id=UUID)

ROUNDS = 15
TIMES = 400

IMPORTS = {
    "PyJWT, PyNaCl": "sys.modules['cryptography'] = None; import jwt, nacl.signing",
    "PyJWT, cryptography": "import jwt; from cryptography.hazmat.primitives.asymmetric import ed25519",
    "PyJWT alone": "sys.modules['cryptography'] = None; import jwt",
}

IN_A_PROCESS = """
import sys, time
import asyncio, hashlib, hmac, json
before = int(open("/proc/self/statm").read().split()[1])
began = time.process_time()
{imports}
took = time.process_time() - began
pages = int(open("/proc/self/statm").read().split()[1]) - before
print(took * 1000, pages * 4)
"""


def main() -> None:
    now = datetime.now(UTC)
    best: dict[tuple[Algorithm, str], float] = {}
    tokens = {algorithm: Tokens([SECRET], timedelta(hours=1), algorithm) for algorithm in Algorithm}
    written = {algorithm: made.access(ANN, now, UUID) for algorithm, made in tokens.items()}
    for _ in range(ROUNDS):
        for algorithm, made in tokens.items():
            work: dict[str, Callable[[], object]] = {
                "sign": lambda made=made: made.access(ANN, now, UUID),  # type: ignore[misc]
                "verify": lambda made=made, token=written[algorithm]: made.read(token, now),  # type: ignore[misc]
            }
            for what, do in work.items():
                best[algorithm, what] = min(_each(do), best.get((algorithm, what), 1.0))
    for (algorithm, what), took in best.items():
        print(f"{algorithm:6} {what:6} {took * 1e6:6.1f} us, a token has {len(written[algorithm])} characters")
    for libraries, imports in IMPORTS.items():
        runs = [_imported(imports) for _ in range(7)]
        print(f"{libraries}: {min(took for took, _ in runs):.0f} ms, {min(kib for _, kib in runs) / 1024:.1f} MiB")


def _each(do: Callable[[], object]) -> float:
    began = time.process_time()
    for _ in range(TIMES):
        do()
    return (time.process_time() - began) / TIMES


def _imported(imports: str) -> tuple[float, float]:
    script = IN_A_PROCESS.replace("{imports}", imports)
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    took, kib = said.split()
    return float(took), float(kib)


if __name__ == "__main__":
    main()
