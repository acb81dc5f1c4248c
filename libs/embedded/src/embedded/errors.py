"""What can go wrong when programs are started here; each message says what to do."""

from pathlib import Path


class EmbeddedError(Exception):
    """Shown to the person at the command line as it is."""


class PortTakenError(EmbeddedError):
    def __init__(self, port: int, wanted_for: str, holder: str, remedy: str) -> None:
        super().__init__(f"port {port}, wanted for {wanted_for}, is taken by {holder}; {remedy}")
        self.port = port


class EndedEarlyError(EmbeddedError):
    """A program ended before it was ready."""

    def __init__(self, name: str, how: str, last_words: str) -> None:
        super().__init__(f"{name} {how} before it was ready: {last_words or 'it said nothing'}")
        self.name = name


class NotReadyError(EmbeddedError):
    """A program runs, but was not ready in time."""

    def __init__(self, name: str, within_s: float, last_words: str) -> None:
        super().__init__(f"{name} was not ready within {within_s:g} s; its last line: {last_words or 'none'}")
        self.name = name


class JetStreamUnavailableError(EmbeddedError):
    def __init__(self, url: str, store: Path) -> None:
        super().__init__(
            f"the NATS server at {url} runs without JetStream, which the suite keeps its events in; "
            f"look for 'JetStream' in its log, and make room and write access at {store}"
        )


class AlreadyRunningError(EmbeddedError):
    def __init__(self, data_dir: Path) -> None:
        super().__init__(
            f"a suite already runs on {data_dir}; see it with `p2p status --data-dir {data_dir}`, "
            f"stop it with `p2p down --data-dir {data_dir}`, or choose another --data-dir"
        )
