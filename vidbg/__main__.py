"""`python -m vidbg` is the command line."""

from vidbg.cli.app import main

main()
