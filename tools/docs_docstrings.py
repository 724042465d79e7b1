"""Docstrings for the site: a blank line before each section, which griffe's parser asks for."""

from __future__ import annotations

import re
from typing import Any

import griffe

_SECTION = re.compile(r"(?<!\n)\n(?=(?:Args|Attributes|Raises|Returns|Yields):\n)")


class BlankLineBeforeSections(griffe.Extension):
    """Ours stand without one: `Args:`, its lines, then `Returns:` at once."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Put the blank lines in."""
        if obj.docstring is not None:
            obj.docstring.value = _SECTION.sub("\n\n", obj.docstring.value)
