"""The group `vidbg ctl` with all its commands, in the order of its help."""

from vidbg.cli.ctl import act, change, show
from vidbg.cli.ctl.group import ctl

__all__ = ["act", "change", "ctl", "show"]
