"""Reload of the settings on SIGHUP while `vidbg run` is running."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from vidbg.cli import options, settings
from vidbg.cli.early_signals import has_terminal, hung_up
from vidbg.option_table import LIVE_OPTIONS

logger = logging.getLogger(__name__)

PATIENCE_S = 3.0
"""How long the end of a run waits for a reload in progress."""


@contextmanager
def reloading(
    context: typer.Context,
    apply: Callable[[typer.Context], None],
    refused: Callable[[], None],
) -> Iterator[None]:
    """Reload the settings on SIGHUP inside the `with` block.

    At a terminal SIGHUP still ends the run, because there it means that the terminal was closed.

    Args:
        context: context of the running command.
        apply: called with the new values of LIVE_OPTIONS; if it raises, nothing has changed.
        refused: called if nothing has changed because the settings cannot be used.
    """
    number = getattr(signal, "SIGHUP", None)
    if number is None or has_terminal():
        yield
        return
    from vidbg.pipeline.live.threads.background_tasks import BackgroundTasks

    current, tasks = context, BackgroundTasks()

    def reload() -> None:
        nonlocal current
        try:
            new = settings.run_context(context, context.meta[settings.ARGUMENTS], context.command)
            apply(new)
        except Exception as error:
            logger.warning("the settings are not reloaded: %s", error)
            refused()
            return
        log_changes(current.params, new.params)
        current = new

    def on_signal(*_: object) -> None:  # in a thread: the interrupted code may hold locks
        tasks.start("reload", reload)

    before = signal.signal(number, on_signal)
    if hung_up.is_set():  # before there was anything to change
        on_signal()
    try:
        yield
    finally:
        signal.signal(number, before)
        tasks.close(PATIENCE_S)


def log_changes(before: options.Params, after: options.Params) -> None:
    """Log which settings have changed, and which of them need a restart."""
    changed = {name for name, value in after.items() if value != before[name]}
    live = {option.name for option in LIVE_OPTIONS}
    logger.info("settings reloaded: %s", ", ".join(sorted(changed & live)) or "nothing new")
    waiting = ", ".join(sorted(changed - live))
    if waiting:
        logger.warning("settings that need a restart: %s", waiting)
