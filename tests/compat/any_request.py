"""What schemathesis holds each answer to; it imports this by the name in SCHEMATHESIS_HOOKS."""

from typing import Any

import schemathesis
from testkit.clients import AWAY

DEFECTS = 500


@schemathesis.check
def no_defect(_context: Any, response: Any, _case: Any) -> None:
    """Refuse every 5xx but the word of a crowded machine that it was too late, and when to ask again."""
    too_late = response.status_code in AWAY and "retry-after" in response.headers
    assert response.status_code < DEFECTS or too_late, f"{response.status_code}: {response.text}"
