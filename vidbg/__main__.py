"""`python -m vidbg` is the command line."""

try:
    from vidbg.cli.start import main
except KeyboardInterrupt:
    raise SystemExit(130) from None

main()
