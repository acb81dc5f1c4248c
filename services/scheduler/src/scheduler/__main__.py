"""`python -m scheduler`: read the settings, run."""

from chassis.process import run

from scheduler.app import service
from scheduler.settings import Settings


def main() -> None:
    run(service, Settings)


if __name__ == "__main__":
    main()
