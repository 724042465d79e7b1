"""Values of the options of `training.train`, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import torch

from training.data.batches import SIZES
from training.data.image_sets import ImageSet
from training.data.mask_edges import MAX_SHIFT
from training.data.scenes import AugmentConfig
from training.losses.matting_loss import WEIGHTS
from vidbg.errors import ConfigError

_FRAMINGS = ("webcam", "close", "whole")


def fast_precision(device: str) -> str:
    """Return mixed bf16 if the device computes in it, else fp32.

    A CPU without AMX or AVX-512 bf16 emulates bf16: a step takes four times as long as in fp32.
    """
    if device == "cuda" or (device == "auto" and torch.cuda.is_available()):
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"
    if device == "mps" or (device == "auto" and torch.backends.mps.is_available()):
        return "32-true"
    # PyTorch has only private functions for CPU features
    capable = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return "bf16-mixed" if capable else "32-true"


def numbers(option: str, items: list[str] | None) -> dict[str, float]:
    """Parse NAME=NUMBER items."""
    try:
        return {name: float(value) for name, value in (item.split("=") for item in items or [])}
    except ValueError:
        raise ConfigError(f"{option} {items}: each must be NAME=NUMBER") from None


def loss_weights(items: list[str] | None) -> dict[str, float]:
    """Parse `--loss`: all terms with their weights."""
    given = numbers("--loss", items)
    if unknown := set(given) - set(WEIGHTS):
        raise ConfigError(f"--loss: unknown term {sorted(unknown)}; choose from {[*WEIGHTS]}")
    return WEIGHTS | given


def framings(items: list[str] | None) -> dict[str, float]:
    """Parse `--framing`: fields of AugmentConfig."""
    shares = {name: getattr(AugmentConfig(), f"{name}_framing") for name in _FRAMINGS}
    given = numbers("--framing", items)
    if unknown := set(given) - set(shares):
        raise ConfigError(f"--framing: unknown framing {sorted(unknown)}; choose from {[*shares]}")
    shares |= given
    if min(shares.values()) < 0 or sum(shares.values()) > 1:
        raise ConfigError(f"--framing {items}: shares must sum to at most 1")
    return {f"{name}_framing": share for name, share in shares.items()}


def scene_shares(items: list[str] | None) -> dict[str, float]:
    """Parse `--augment`: fields of AugmentConfig."""
    given = numbers("--augment", items)
    known = {f.name for f in fields(AugmentConfig)} - {f"{name}_framing" for name in _FRAMINGS}
    if unknown := set(given) - known:
        raise ConfigError(
            f"--augment: unknown share {sorted(unknown)}; choose from {sorted(known)}"
        )
    if bad := {name: share for name, share in given.items() if not 0 <= share <= 1}:
        raise ConfigError(f"--augment {bad}: a share must be from 0 to 1")
    return given


def sizes(items: list[str] | None) -> tuple[tuple[int, int], ...]:
    """Parse `--size`: heights and widths; SIZES if none are given."""
    try:
        pairs = [tuple(int(side) for side in item.split("x")) for item in items or []]
        given = [(height, width) for height, width in pairs]
    except ValueError:
        raise ConfigError(f"--size {items}: each must be HEIGHTxWIDTH") from None
    if bad := [size for size in given if min(size) < 32 or size[0] % 32 or size[1] % 32]:
        raise ConfigError(f"--size {bad}: sides must be multiples of 32")
    return tuple(given) or SIZES


def check_names(option: str, names: Sequence[str], sets: Sequence[ImageSet]) -> None:
    """Refuse names that no set has."""
    if unknown := set(names) - {s.name for s in sets}:
        known = [s.name for s in sets]
        raise ConfigError(f"{option}: no set named {sorted(unknown)}; choose from {known}")


def edge_shifts(items: list[str] | None, sets: Sequence[ImageSet]) -> dict[str, float]:
    """Parse `--edge`: set name to pixels."""
    shifts = numbers("--edge", items)
    check_names("--edge", [*shifts], sets)
    if bad := {name: value for name, value in shifts.items() if not abs(value) <= MAX_SHIFT}:
        raise ConfigError(f"--edge {bad}: a shift must be from {-MAX_SHIFT} to {MAX_SHIFT} pixels")
    return shifts
