"""What can go wrong when programs are started here; each message says what to do."""

from pathlib import Path

from embedded.hints import p2p


class EmbeddedError(Exception):
    """Shown to the person at the command line as it is."""


class PortTakenError(EmbeddedError):
    def __init__(self, port: int, wanted_for: str, holder: str, remedy: str) -> None:
        super().__init__(f"port {port}, wanted for {wanted_for}, is taken by {holder}; {remedy}")


class EndedEarlyError(EmbeddedError):
    """A program ended before it was ready."""

    def __init__(self, name: str, how: str, last_words: str) -> None:
        super().__init__(f"{name} {how} before it was ready: {last_words or 'it said nothing'}")
        self.last_words = last_words


class NotReadyError(EmbeddedError):
    """A program runs, but was not ready in time."""

    def __init__(self, name: str, within_s: float, last_words: str) -> None:
        super().__init__(f"{name} was not ready within {within_s:g} s; its last line: {last_words or 'none'}")


class StillRunningError(EmbeddedError):
    def __init__(self, data_dir: Path, why: str) -> None:
        super().__init__(f"a suite runs on {data_dir} still: {why}")


class JetStreamUnavailableError(EmbeddedError):
    def __init__(self, store: Path, why: str) -> None:
        super().__init__(
            f"NATS can't have JetStream, which keeps the suite's events, in {store}: {why}; "
            "make room and write access there, or choose another --data-dir"
        )


class DataDirError(EmbeddedError):
    """The data directory, or a file in it, is not what a suite can use."""

    def __init__(self, path: Path, what: str, error: OSError) -> None:
        super().__init__(f"{path} {what}: {error.strerror}; choose another --data-dir")


class AlreadyRunningError(EmbeddedError):
    def __init__(self, data_dir: Path) -> None:
        super().__init__(
            f"a suite already runs on {data_dir}; see it with `{p2p('status', data_dir=data_dir)}`, "
            f"stop it with `{p2p('down', data_dir=data_dir)}`, or choose another --data-dir"
        )
