"""Laying the person over another background."""

from vidbg.compositing.composite import composite
from vidbg.compositing.foreground import estimate_foreground

__all__ = ["composite", "estimate_foreground"]
