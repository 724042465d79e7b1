"""Networks and input sizes as one ladder of steps, in order of measured quality.

The light network is for processors that are too slow for ResNet-50. Where both keep up with the
frame rate, ResNet-50's masks are better: docs/masks.md has the scores of every step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from vidbg.config import MattingConfig
from vidbg.matting.engines import NetworkName
from vidbg.matting.preprocess import plan_geometry
from vidbg.util.choices import Quality

T = TypeVar("T")

USUAL_PIXELS = 224 * 384

RELATIVE_COST: dict[NetworkName, float] = {"light": 1.0, "resnet50": 6.0}
"""Relative time per input pixel, INT8 on a CPU."""


@dataclass(frozen=True, slots=True)
class Step:
    """A network at an input size.

    Attributes:
        pixels: height x width of the network's input; the frame's aspect determines the sides.
    """

    network: NetworkName
    pixels: int

    @property
    def cost(self) -> float:
        """Time of the network relative to the light network at the usual size."""
        return RELATIVE_COST[self.network] * self.pixels / USUAL_PIXELS

    def cost_for(self, frame_size: tuple[int, int]) -> float:
        """Like `cost`, at the size that frames of this height and width get.

        It is smaller for small frames, which are not enlarged, and for some shapes.
        """
        plan = plan_geometry(*frame_size, self.pixels)
        return RELATIVE_COST[self.network] * plan.height * plan.width / USUAL_PIXELS

    def __str__(self) -> str:
        return f"{self.network} at {self.pixels} pixels"


LADDER = (
    Step("light", 49152),
    Step("light", USUAL_PIXELS),
    Step("light", 147456),
    Step("resnet50", USUAL_PIXELS),
    Step("resnet50", 147456),
    Step("resnet50", 262144),
)

_BEST: dict[NetworkName, dict[Quality, Step]] = {
    "light": {"fast": LADDER[1], "balanced": LADDER[2], "best": Step("light", 262144)},
    "resnet50": {"fast": LADDER[3], "balanced": LADDER[4], "best": LADDER[5]},
}
"""Largest size of each network for each quality."""

_LIVE: dict[Quality, Step] = {"fast": LADDER[1], "balanced": LADDER[4], "best": LADDER[5]}
"""Best step that a live run can reach."""

_FILES: dict[Quality, Step] = {"fast": LADDER[2], "balanced": LADDER[3], "best": LADDER[5]}
"""Steps for work without a frame rate to keep up with."""


def file_step(config: MattingConfig) -> Step:
    """Choose network and size for the best quality: for files, still images and the Python API."""
    if config.network_pixels is not None:  # auto starts from the network of the quality
        named = config.network
        network = _FILES[config.quality].network if named == "auto" else named
        return Step(network, config.network_pixels)
    if config.network == "auto":
        return _FILES[config.quality]
    return _BEST[config.network][config.quality]


def live_steps(config: MattingConfig, frame_size: tuple[int, int]) -> tuple[Step, ...]:
    """Return the steps that a live run may use, from the cheapest to the best; at least one.

    Args:
        frame_size: height and width in pixels. Frames that are too small for the larger steps have
            fewer steps, because they are not enlarged for the network. Each step costs more than
            the one before it.
    """
    allowed = tuple(step for step in LADDER if config.network in ("auto", step.network))
    if config.network_pixels is not None:
        top = file_step(config)
        below = (s for s in allowed if s.pixels < top.pixels and s.cost < top.cost)
        steps: tuple[Step, ...] = (*below, top)
    else:
        top = _LIVE[config.quality] if config.network == "auto" else file_step(config)
        steps = allowed[: allowed.index(top) + 1] if top in allowed else (*allowed, top)
    # Of the steps that come to the same size for such frames, keep the smallest
    smallest = {
        (step.network, plan_geometry(*frame_size, step.pixels)): step for step in reversed(steps)
    }
    best_first = ever_cheaper(smallest.values(), lambda step: step.cost_for(frame_size))
    return tuple(reversed(best_first))


def ever_cheaper(items: Iterable[T], cost: Callable[[T], float]) -> list[T]:
    """Leave out what does not cost less than the last item that is kept."""
    kept: list[T] = []
    for item in items:
        if not kept or cost(item) < cost(kept[-1]):
            kept.append(item)
    return kept
