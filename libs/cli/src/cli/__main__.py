"""`python -m cli` is `p2p`; a detached suite is started so, whatever the PATH."""

from cli.main import main

main()
