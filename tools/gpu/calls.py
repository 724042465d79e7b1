"""The commands of a plan, checked against the machine's limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tools.gpu.lean import folder_bytes, tree_bytes
from tools.gpu.limits import (
    CARRIED_BYTES,
    CARRIED_FOLDERS,
    COMMAND_CHARACTERS,
    COMMAND_S,
    LEASE_S,
    TRAINING_S,
)
from tools.gpu.plan import CARRY, PLANS, Call, seconds_after_training, seconds_before_training
from vidbg.errors import ConfigError


def planned(plan: str, carry: Path) -> list[Call]:
    """Return the plan's calls for the parts that were packed.

    Raises:
        ConfigError: no such plan, or nothing was packed.
    """
    if plan not in PLANS:
        raise ConfigError(f"no plan {plan!r}; there are {[*PLANS]}")
    parts = sorted(path.name for path in carry.glob("*"))
    if not parts:
        raise ConfigError(f"{carry} is empty; `python -m tools.gpu pack` fills it")
    return PLANS[plan](parts)


def minutes_of(calls: list[Call], left_s: float | None = None) -> float:
    """Of training, so that the plan ends with the lease if every step takes its whole budget.

    Args:
        left_s: of the lease just before the command that trains; None: what the plan leaves.
    Raises:
        ConfigError: too little is left: seven minutes in a plan, one on the machine.
    """
    after = seconds_after_training(calls)
    if left_s is None:
        seconds: float = LEASE_S - seconds_before_training(calls) - after
        if seconds < TRAINING_S:
            raise ConfigError(
                f"this plan leaves {seconds} s of training; it must be {TRAINING_S}. Pack less "
                "data, or take `--plan train`"
            )
    else:
        seconds = left_s - seconds_before_training(calls, started=True) - after
        if seconds < 60:
            raise ConfigError(
                f"{left_s:g} s leave {seconds:g} s of training; it must be 60. `--plan train` does "
                "nothing after it"
            )
    return int(seconds / 6) / 10


def as_call(call: Call, minutes: float, root: Path, carry: Path) -> dict[str, Any]:
    """Return the command for the machine, what it carries, and its share of the limits.

    Args:
        root: the checkout.
        carry: where the parts are now.
    Raises:
        ConfigError: it is beyond a limit.
    """
    command = call.command(minutes)
    folders = [f"{CARRY}/{part}" for part in call.parts]
    tree = tree_bytes(root, lean=True)
    carried = sum(folder_bytes(carry / part) for part in call.parts)
    limits = {
        "characters": (len(command), COMMAND_CHARACTERS),
        "seconds": (call.timeout_s, COMMAND_S),
        "folders": (len(folders), CARRIED_FOLDERS),
        "bytes": (tree + carried, CARRIED_BYTES),
    }
    for what, (value, limit) in limits.items():
        if value > limit:
            raise ConfigError(f"{call.name} takes {value} {what}; allowed are {limit}")
    facts = {what: f"{value} of {limit}" for what, (value, limit) in limits.items()}
    return {"command": command, "carry": folders, "timeout_s": call.timeout_s, "uses": facts}
