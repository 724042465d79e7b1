"""Base of backends that let another one compute."""

from __future__ import annotations

from abc import ABC
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidbg.matting.backends import Backend


class DelegatingBackend(ABC):
    """Backend that passes what it is asked on to `chosen`.

    A subclass adds `__call__` and `close`.

    Attributes:
        chosen: the backend that computes, which may change.
    """

    chosen: Backend

    @property
    def name(self) -> str:
        return self.chosen.name

    @property
    def precision(self) -> str:
        return self.chosen.precision

    def ready(self, height: int, width: int) -> bool:
        return self.chosen.ready(height, width)

    def prepare(self, height: int, width: int) -> None:
        self.chosen.prepare(height, width)
