"""Errors that vidbg raises on purpose.

::

    VidbgError
      ConfigError        what the user asked for cannot be (an option, a background, a size)
      SourceError        a camera, file or pipe cannot be read
        CameraBlocked    a camera is there, but gives nothing while another one is open
        SourceIncomplete it was read, but broke off early or has damaged places
      SinkError          a file, virtual camera or window cannot be written
      BackendError       the network cannot be run
        EngineMismatch   a file in engines/ or the cache is not what its card says

A message says what happened, the value seen, what is allowed and the next step. The command line
prints that one message and exits 1.
"""

from __future__ import annotations


class VidbgError(Exception):
    """Base class of vidbg's own errors."""


class ConfigError(VidbgError, ValueError):
    """A setting that cannot be used; the message names it and what is allowed."""


class SourceError(VidbgError):
    """A source cannot be opened or read."""


class CameraBlocked(SourceError):
    """A camera is there, but does not open or gives no picture, and no program is seen to hold it.

    Another camera that is open may be the reason: two on one USB bus may exceed its bandwidth.
    """


class SourceIncomplete(SourceError):
    """A source broke off early or has damaged places; raised after its last frame.

    Every frame that it yielded is good, so the output is worth keeping (close the sink, do not
    abort it), and the user is told.
    """


class SinkError(VidbgError):
    """A sink cannot be opened or written."""


class BackendError(VidbgError):
    """A backend cannot be loaded or failed while running."""


class EngineMismatch(BackendError):
    """A weights, network or engine file does not match its card."""
