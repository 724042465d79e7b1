"""Old names of options, which still work."""

from __future__ import annotations

RENAMED = {"whole-frame": "full-frame"}
"""Current names by old ones."""


def current_name(name: str) -> str:
    """Return an option's current name without leading dashes; a "no-" prefix is allowed."""
    prefix = "no-" if name.startswith("no-") else ""
    return prefix + RENAMED.get(name.removeprefix("no-"), name.removeprefix("no-"))
