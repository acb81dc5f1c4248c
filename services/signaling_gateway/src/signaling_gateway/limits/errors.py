"""The refusal of limits."""

from typing import ClassVar

from chassis.refusals import ServiceError
from contracts.refusals import Code


class TooManyRequestsError(ServiceError):
    """Somebody has used up what they may ask for; `retry_after_s` says when there is more."""

    code: ClassVar[Code] = Code.TOO_MANY_REQUESTS
