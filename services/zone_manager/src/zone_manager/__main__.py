"""`python -m zone_manager`: read the settings, run."""

from chassis.process import run

from zone_manager.app import service
from zone_manager.settings import Settings


def main() -> None:
    run(service, Settings)


if __name__ == "__main__":
    main()
