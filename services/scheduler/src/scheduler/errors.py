"""The refusals scheduler gives."""

from chassis.refusals import ServiceError, UnavailableError
from contracts.jobs import JobName
from contracts.refusals import Code


class JobNotFoundError(ServiceError):
    """No such job in the calendar."""

    code = Code.JOB_NOT_FOUND

    def __init__(self, job: str) -> None:
        super().__init__(f"There is no job {job}.", fields={"job": job, "jobs": list(JobName)})


class NobodyLeadsError(UnavailableError):
    """No scheduler holds the lease at this moment."""

    def __init__(self) -> None:
        super().__init__("No scheduler leads at the moment; one will within a lease.")
