"""The commands for the GPU machine, in order, and their steps.

Both sides use this: `prepare` here, and `tools.gpu.there` on the machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tools.gpu.limits import CALL_S, START_S

CARRY = ".gpu/carry"
"""Below the checkout: the parts, a folder each. Ignored by git, and carried by name."""

ENGINES, TENSORRT, DATA = "engines", "tensorrt", "data"
"""What parts hold, and how their names begin."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something done on the machine; `seconds` is its budget, and ends it."""

    name: str
    seconds: int


@dataclass(frozen=True, slots=True)
class Call:
    """One command for the machine.

    Attributes:
        parts: folders of CARRY that it takes along.
        optional: only for time that is left over, and not counted.
    """

    name: str
    parts: tuple[str, ...]
    steps: tuple[Step, ...]
    optional: bool = False

    @property
    def timeout_s(self) -> int:
        """Its steps' budgets, and what taking in the parts and sending results may last."""
        return sum(step.seconds for step in self.steps) + 45

    def command(self, minutes: float) -> str:
        """Return the command line to run.

        Args:
            minutes: of training, where the call starts it; later calls ignore it.
        """
        words = ["python3 -m tools.gpu.there", self.name, f"--minutes {minutes:g}"]
        words += [f"--part {CARRY}/{part}" for part in self.parts]
        words += [f"--step {step.name}={step.seconds}" for step in self.steps]
        return f'export PYTHONUNBUFFERED=1; {" ".join(words)} --out "$OUT"'


ENVIRONMENT, PYTORCH = Step("environment", 40), Step("pytorch", 75)
PROFILES = Step("profiles", 30)
PEERS, TESTS = Step("peers", 25), Step("tests", 50)
AFTERWARDS = (Step("tensorrt", 60), Step("tests", 20))
"""Once training is over."""

STARTUP_S = 30
"""Of training: two networks' imports and decoding, which --minutes does not count."""


def full_plan(parts: Sequence[str]) -> list[Call]:
    """Measure first, while the data arrive; then train, while TensorRT arrives; then ask it.

    Args:
        parts: names of the folders that were packed.
    """
    data = [part for part in parts if part.startswith(DATA)]
    tensorrt = [part for part in parts if part.startswith(TENSORRT)]
    meanwhile = [[PEERS], [TESTS]]
    calls = [Call("measure", (ENGINES,), (ENVIRONMENT, PYTORCH))]
    for number, part in enumerate(data):
        last = number == len(data) - 1
        steps = meanwhile.pop(0) if meanwhile and not last else []
        if last:
            steps += [step for left in meanwhile for step in left]
            steps += [Step("train", 10), Step("follow", 60)]
        calls.append(Call(f"data-{number}", (part,), tuple(steps)))
    for number, part in enumerate(tensorrt):
        calls.append(Call(f"follow-{number}", (part,), (Step("follow", 120),)))
    end = AFTERWARDS if tensorrt else ()
    calls.append(Call("end", (), (Step("finish", 240), *end)))
    left_over = (PROFILES, Step("pytorch", 60), *[step for step in AFTERWARDS[:1] if tensorrt])
    calls.append(Call("more", (), left_over, optional=True))
    return calls


def training_plan(parts: Sequence[str]) -> list[Call]:
    """Nothing but training, and before it where a frame and a training step take their time."""
    data = [part for part in parts if part.startswith(DATA)]
    calls = [Call("engines", (ENGINES,), (Step("environment", 15), PROFILES))]
    calls += [Call(f"data-{n}", (part,), ()) for n, part in enumerate(data[:-1])]
    calls.append(
        Call(f"data-{len(data) - 1}", (data[-1],), (Step("train", 10), Step("follow", 240)))
    )
    calls.append(Call("follow-0", (), (Step("follow", 240),)))
    calls.append(Call("end", (), (Step("finish", 240),)))
    return calls


PLANS = {"full": full_plan, "train": training_plan}


def seconds_before_training(calls: Sequence[Call], *, started: bool = False) -> int:
    """From asking for the machine until training runs, if every step takes its whole budget.

    Args:
        started: only from the command that trains.
    """
    total = START_S
    for call in calls:
        trains = any(step.name == "train" for step in call.steps)
        total = (0 if started and trains else total) + CALL_S
        for step in call.steps:
            total += step.seconds
            if step.name == "train":
                return total + STARTUP_S
    raise ValueError("no call of this plan trains")


def seconds_after_training(calls: Sequence[Call]) -> int:
    """From the end of training until the machine is given back."""
    total = CALL_S
    trained = False
    for call in calls:
        if call.optional:
            continue
        for step in call.steps:
            total += step.seconds if trained else 0
            trained = trained or step.name == "finish"
    return total
