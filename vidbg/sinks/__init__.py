"""Where frames go: one interface, one module per kind, one factory."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from vidbg.frame import Frame


class Sink(Protocol):
    """Takes frames in order of time.

    close() completes what was written; abort() throws away what is incomplete. Both may be called
    more than once, and the first of them decides. Leaving a `with` block by an exception aborts,
    otherwise closes. A failure raises SinkError.

    watched() tells at once whether anybody looks at what is written: True, False, or None where
    that cannot be told. Only False is a reason to stop working.
    """

    def write(self, frame: Frame) -> None: ...

    def watched(self) -> bool | None: ...

    def close(self) -> None: ...

    def abort(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
