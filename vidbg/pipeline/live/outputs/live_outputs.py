"""Checks of a live run's outputs."""

from __future__ import annotations

from collections.abc import Sequence

from vidbg.compositing import CompositingConfig
from vidbg.compositing.backgrounds import check_background
from vidbg.errors import ConfigError
from vidbg.sinks import FIRST_FREE, NO_OUTPUT, PIPE, find_output
from vidbg.util.urls import public_name


def check_live(compositing: CompositingConfig) -> None:
    """Refuse backgrounds that a live run cannot show, before anything is opened.

    Raises:
        ConfigError: the background is transparent, or a file that does not exist.
    """
    check_background(compositing.background, live=True)
    if compositing.background.transparent:
        raise ConfigError("a camera cannot be transparent; give a background such as green or blur")


def check_outputs(outputs: Sequence[str | None], *, preview: bool) -> None:
    """Refuse invalid outputs, and a run with neither output nor preview.

    Raises:
        ConfigError: no such output, a malformed address, or neither output nor preview.
    """
    for output in outputs:
        find_output(output)
    if not preview and all(output == NO_OUTPUT for output in outputs):
        raise ConfigError(
            "nothing would be shown; give an output, or --show or --panel for a preview"
        )


def output_name(output: str | None) -> str:
    """Return an output's name for people and logs, without the secrets in a URL."""
    if output is None or output == FIRST_FREE:
        return "virtual camera"
    return public_name(output) if "://" in output else output


def reopens(output: str | None) -> bool:
    """Return whether a failed output may work when reopened. A pipe does not."""
    return output != PIPE
