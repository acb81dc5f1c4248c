"""`python -m signaling_gateway`."""

from chassis.process import run

from signaling_gateway.app import service
from signaling_gateway.settings import Settings


def main() -> None:
    run(service, Settings)


if __name__ == "__main__":
    main()
