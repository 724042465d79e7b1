"""Which network runs at which input size: one ladder, in the order of measured quality.

The light network is for processors that ResNet-50 is too slow for. Where both hold the frame rate,
ResNet-50's masks are better: docs/masks.md has the scores of every step.
"""

from __future__ import annotations

from dataclasses import dataclass

from vidbg.config import MattingConfig
from vidbg.matting.engines import NetworkName
from vidbg.util.choices import Quality

USUAL_PIXELS = 224 * 384

RELATIVE_COST: dict[NetworkName, float] = {"light": 1.0, "resnet50": 6.0}
"""Time for a pixel of the input, INT8 on a CPU."""


@dataclass(frozen=True, slots=True)
class Step:
    """A network at an input size.

    Attributes:
        pixels: of the network's input, shared between the sides by the frame's aspect.
    """

    network: NetworkName
    pixels: int

    @property
    def cost(self) -> float:
        """The network's time, in units of the light network's at the usual size."""
        return RELATIVE_COST[self.network] * self.pixels / USUAL_PIXELS

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
"""The largest size that each quality asks of a network."""

_LIVE: dict[Quality, Step] = {"fast": LADDER[1], "balanced": LADDER[4], "best": LADDER[5]}
"""The best step that a live run climbs to."""

_FILES: dict[Quality, Step] = {"fast": LADDER[2], "balanced": LADDER[3], "best": LADDER[5]}
"""What is used where no frame rate has to be held."""


def file_step(config: MattingConfig) -> Step:
    """The network and its size where quality leads: files, pictures, the Python API."""
    if config.network_pixels is not None:
        return Step(_named(config), config.network_pixels)
    if config.network == "auto":
        return _FILES[config.quality]
    return _BEST[config.network][config.quality]


def live_steps(config: MattingConfig) -> tuple[Step, ...]:
    """The steps that a live run may take, from the cheapest to the best; at least one."""
    if config.network_pixels is not None:
        top = Step(_named(config), config.network_pixels)
        return (*(s for s in _of(config) if s.pixels < top.pixels and s.cost < top.cost), top)
    top = _LIVE[config.quality] if config.network == "auto" else file_step(config)
    steps = _of(config)
    return steps[: steps.index(top) + 1] if top in steps else (*steps, top)


def _named(config: MattingConfig) -> NetworkName:
    """The network for a size that is given: auto takes the one that its quality starts from."""
    return _FILES[config.quality].network if config.network == "auto" else config.network


def _of(config: MattingConfig) -> tuple[Step, ...]:
    return tuple(s for s in LADDER if config.network in ("auto", s.network))
