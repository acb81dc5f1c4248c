"""`python -m session_manager`."""

from chassis.process import run

from session_manager.app import service
from session_manager.settings import Settings


def main() -> None:
    run(service, Settings)


if __name__ == "__main__":
    main()
