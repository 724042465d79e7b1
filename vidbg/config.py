"""Settings, built once and never changed."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Literal, get_args

from vidbg.choices import check_choice
from vidbg.limits import SMOOTHING_S, THREADS

People = Literal["all", "main"]
Network = Literal["auto", "resnet50", "light"]
Quality = Literal["fast", "balanced", "best"]


@dataclass(frozen=True, slots=True)
class MattingConfig:
    """How alpha is computed.

    Attributes:
        device: one of `vidbg.matting.backends.Device`.
        precision: one of `vidbg.matting.backends.Precision`.
        threads: CPU threads of the network; None for one per physical core.
        network: the light network, ResNet-50, or whichever suits `quality` and the machine.
        quality: how far speed gives way to quality; see `vidbg.matting.ladder`.
        network_pixels: pixels of the network's input, shared between the sides by the frame's
            aspect; more is sharper and slower. None: by `quality`.
        smoothing_s: how long a still pixel's alpha remembers, in seconds; 0 is off.
        prior: show the network its alpha of the frame before.
        refine: follow the frame's own edges when alpha is brought to the frame's size.
        reuse: let the network rest while the picture stands still; never done with `prior`, where
            each answer leads on to the next.
        full_frame: on an NVIDIA GPU, run matting and compositing there in one. Other settings of
            `refine`, `people` and some compositing options rule it out.
        people: who is kept: everybody, or the largest person alone, see `vidbg.matting.people`.
    """

    device: str = "auto"
    precision: str = "auto"
    _: KW_ONLY
    threads: int | None = None
    network: Network = "auto"
    quality: Quality = "balanced"
    network_pixels: int | None = None
    smoothing_s: float = 0.15
    prior: bool = False
    refine: bool = True
    reuse: bool = True
    full_frame: bool = True
    people: People = "all"

    @property
    def allows_full_frame(self) -> bool:
        """Whether these settings ask for the full frame on a GPU and it can do what they say."""
        return self.full_frame and self.refine and self.people == "all"

    def __post_init__(self) -> None:
        SMOOTHING_S.check("smoothing_s", self.smoothing_s)
        if self.threads is not None:
            THREADS.check("threads", self.threads)
        check_choice("value of people", self.people, get_args(People))
        check_choice("network", self.network, get_args(Network))
        check_choice("quality", self.quality, get_args(Quality))
