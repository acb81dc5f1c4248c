"""`python -m host_registry`: read the settings, run."""

from chassis.process import run

from host_registry.app import service
from host_registry.settings import Settings


def main() -> None:
    run(service, Settings)


if __name__ == "__main__":
    main()
