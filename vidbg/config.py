"""Immutable settings."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from vidbg.option_table import (
    DEVICE,
    FULL_FRAME,
    NETWORK,
    PEOPLE,
    PRECISION,
    QUALITY,
    REFINE,
    SMOOTHING,
    THREADS,
    check_config,
)
from vidbg.util.choices import Device, Network, People, Precision, Quality
from vidbg.util.limits import MAX_PIXELS, MIN_PIXELS, Limits


@dataclass(frozen=True, slots=True)
class MattingConfig:
    """Settings for computing alpha.

    Attributes:
        device: what the network runs on.
        precision: number format of the network; "auto" is the fastest that the device is good at.
        threads: CPU threads of the network, 1 to 1024; None for one per physical core.
        network: the light network, ResNet-50, or whichever suits `quality` and the machine.
        quality: how much quality is traded for speed; see `vidbg.matting.ladder`.
        network_pixels: pixels of the network's input, 16384 to 4194304, which keeps the frame's
            aspect; more is sharper and slower. None: by `quality`.
        smoothing_s: time constant of the temporal smoothing in seconds, 0 to 10; 0 disables it.
        prior: give the network its own alpha of the previous frame.
        refine: align alpha with the edges in the frame when it is scaled to the frame's size.
        reuse: skip the network while the input does not change; never done with `prior`, where
            each result depends on the one before.
        full_frame: do matting and compositing together on a device that is faster that way (an
            NVIDIA GPU), if `refine`, `people` and the compositing are at their defaults.
        people: keep everybody, or only the largest person; see `vidbg.matting.people`.

    Raises:
        ConfigError: a value is out of range or no choice.
    """

    device: Device = DEVICE.default
    precision: Precision = PRECISION.default
    _: KW_ONLY
    threads: int | None = THREADS.default
    network: Network = NETWORK.default
    quality: Quality = QUALITY.default
    network_pixels: int | None = None
    smoothing_s: float = SMOOTHING.default
    prior: bool = False
    refine: bool = REFINE.default
    reuse: bool = True
    full_frame: bool = FULL_FRAME.default
    people: People = PEOPLE.default

    @property
    def allows_full_frame(self) -> bool:
        """Return whether full frames are wanted on the GPU and its graph supports this config."""
        return self.full_frame and self.refine and self.people == "all"

    def __post_init__(self) -> None:
        check_config(self, "matting")
        if self.network_pixels is not None:
            Limits(MIN_PIXELS, MAX_PIXELS).check("network_pixels", self.network_pixels)
