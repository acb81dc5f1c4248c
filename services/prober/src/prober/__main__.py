"""`python -m prober`: read the settings, run."""

from chassis.process import run

from prober.app import service
from prober.settings import Settings


def main() -> None:
    run(service, Settings)


if __name__ == "__main__":
    main()
