"""The decorator of checks, and helpers that several of them use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vm.cache import VERSIONS
from vm.guest.devices import until
from vm.guest.programs import Seen, Vidbg, require, summary


@dataclass(frozen=True, slots=True)
class Check:
    """What to do, and for which versions of v4l2loopback.

    Attributes:
        run: returns what it measured, for people; raises CheckFailed with what it saw instead.
    """

    run: Callable[[], str]
    versions: tuple[str, ...]


def check(*versions: str) -> Callable[[Callable[[], str]], Check]:
    """Make a function a check for some versions of v4l2loopback, or for all if none is given."""
    return lambda run: Check(run, versions or VERSIONS)


def require_no_room(frames: Sequence[Seen]) -> None:
    """Check that the camera's image never appeared where alpha is 0."""
    require(all(one.right != "camera" for one in frames), f"the room was seen: {summary(frames)}")


def line_with(vidbg: Vidbg, *words: str) -> str:
    """Return the last line of vidbg's with all these words, once there is one."""

    def matching() -> list[str]:
        lines = vidbg.log.splitlines()
        return [line for line in lines if all(word in line for word in words)]

    until(lambda: matching() or not vidbg.running)
    require(matching(), f"no line with {words}; vidbg says: {vidbg.log[-600:]}")
    return matching()[-1]


def rate(frames: Sequence[Seen]) -> float:
    return (len(frames) - 1) / (frames[-1].at - frames[0].at)
