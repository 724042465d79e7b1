"""SIGHUP: read the settings anew while `vidbg run` goes on."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer

from vidbg.cli import settings

logger = logging.getLogger(__name__)

LIVE = ("background", "fit", "offset", "feather", "light_wrap", "mirror")
"""Options that may change while a run goes on."""

PATIENCE_S = 3.0
"""How long the end waits for a reload that is under way."""


@contextmanager
def reloading(context: typer.Context, apply: Callable[[Sequence[Any]], None]) -> Iterator[None]:
    """Let SIGHUP read the settings anew, inside.

    At a terminal SIGHUP goes on ending the run: there it means that the terminal was closed.

    Args:
        context: of the command that runs.
        apply: is given the values of LIVE; it may raise, and all stays as it was.
    """
    number = getattr(signal, "SIGHUP", None)
    if number is None or _has_terminal():
        yield
        return
    from vidbg.pipeline.live.helpers import Helpers

    present, helpers = [context], Helpers()

    def reload() -> None:
        try:
            new = settings.run_context(context, context.meta[settings.ARGUMENTS])
            apply([new.params[name] for name in LIVE])
        except Exception as error:
            logger.warning("the settings are not reloaded: %s", error)
            return
        _tell(present[0], new)
        present[0] = new

    def on_signal(*_: object) -> None:  # in a thread: what is interrupted here may hold locks
        helpers.start("reload", reload)

    before = signal.signal(number, on_signal)
    try:
        yield
    finally:
        signal.signal(number, before)
        helpers.close(PATIENCE_S)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _tell(before: typer.Context, after: typer.Context) -> None:
    changed = {name for name, value in after.params.items() if value != before.params[name]}
    logger.info("settings reloaded: %s", ", ".join(sorted(changed & set(LIVE))) or "nothing new")
    waiting = ", ".join(sorted(changed - set(LIVE)))
    if waiting:
        logger.warning("settings that take a restart: %s", waiting)
