"""The processes of a suite over HTTP: each ready or what it waits for, its clock, and the ICE servers it names."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import aiohttp
from sdk.errors import words_of

from cli.doctor.clocks import clock
from cli.doctor.findings import Check, Finding, failed, ok, warning
from cli.gateway import API
from cli.reach import KEY_VARIABLE

PATIENCE = aiohttp.ClientTimeout(total=5)

CLOCK_STEP = timedelta(seconds=2)
"""HTTP's Date has no fractions, and uvicorn reads the clock for it once a second."""


async def ready(name: str, url: str, *, and_clock: bool = False) -> list[Finding]:
    """One process: whether it is ready, and how its machine's clock goes."""
    try:
        async with aiohttp.ClientSession(timeout=PATIENCE) as http:
            asked = datetime.now(UTC)
            async with http.get(f"{url.rstrip('/')}/health/ready") as response:
                heard = datetime.now(UTC)
                said: Any = await response.json()
                date = response.headers.get("Date")
    except aiohttp.ContentTypeError:
        return [failed(Check.SERVICES, name, f"another program answers at {url}", "give the address of a gateway")]
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        remedy = "`p2p status` and its log say why; a suite that was started starts it again"
        cause = words_of(error) if isinstance(error, aiohttp.ClientError) else "no answer within 5 s"
        return [failed(Check.SERVICES, name, f"{url} does not answer: {cause}", remedy)]
    findings = [_readiness(name, url, response.status, said)]
    if and_clock and date is not None:
        findings.append(clock(name, parsedate_to_datetime(date), asked, heard, CLOCK_STEP))
    return findings


def _readiness(name: str, url: str, status: int, said: Any) -> Finding:
    if status == HTTPStatus.OK:
        return ok(Check.SERVICES, name, f"ready at {url}")
    away = said.get("away") if isinstance(said, dict) else None
    waits = f"away: {', '.join(map(str, away))}" if away else f"HTTP {status}"
    return failed(Check.SERVICES, name, f"not ready, {waits}", "bring back what is away: it recovers by itself")


async def ice_servers(url: str, key: str | None) -> tuple[list[dict[str, Any]], list[Finding]]:
    """What players are given to find a way to their host, or why that is not known."""
    headers = {"X-API-Key": key} if key else {}
    try:
        async with (
            aiohttp.ClientSession(timeout=PATIENCE, headers=headers) as http,
            http.get(f"{url.rstrip('/')}{API}/signaling/ice-servers") as response,
        ):
            said: Any = await response.json()
            if response.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
                remedy = f"name a server's or an operator's key with --key or {KEY_VARIABLE}"
                return [], [warning(Check.TURN, "ICE servers", "the gateway tells them only to whom it knows", remedy)]
            servers: list[dict[str, Any]] = said["ice_servers"]
    except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError) as error:
        cause = words_of(error) if isinstance(error, aiohttp.ClientError) else str(error) or "no answer in time"
        remedy = "see what is said of the gateway above"
        return [], [failed(Check.TURN, "ICE servers", f"{url} does not tell them: {cause}", remedy)]
    if not servers:
        remedy = "name yours in STUN_SERVER and TURN_SERVER (with TURN_SECRET) of the gateway"
        return [], [warning(Check.TURN, "ICE servers", "none: players and hosts meet on a local network only", remedy)]
    return servers, []
