"""A larger network's alpha in the targets: knowledge distillation.

A scene made by pasting people on a new background has an exact mask. Elsewhere masks are hand-made,
coarse, made by another network, or missing. There the teacher's alpha is mixed into the target
along the edges, by how far it is trusted over that set's masks; without a mask it is the target.
The teacher sees the scene larger than the student does and before degradation, so that it is right
where the student has to guess.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from training.data.batches import to_input
from training.data.picture_sets import PictureSet
from training.data.scenes import COMPOSITES
from vidbg.errors import ConfigError
from vidbg.matting.backends import load_backend
from vidbg.matting.engines import CARDS, engine_file
from vidbg.matting.networks import NETWORKS, network_name

SHIPPED = "shipped"
"""In place of a file: ResNet-50 as it ships, on a CPU in INT8 by OpenVINO."""

TRUST = 0.5
"""Default trust along the edges of hand-made masks."""

COARSE_TRUST = 0.9
"""Default trust along the edges of coarse masks."""

BAND = 0.02
"""Half the width of the band along an edge in which the teacher counts, of the image's height."""

_CHUNK = 16
"""Views a forward pass, so that a batch of 64 at a large size fits a GPU beside the training."""


def trust_by_set(
    sets: Sequence[PictureSet],
    given: Mapping[str, float],
    coarse: Sequence[str],
    plain: Sequence[str],
) -> dict[str, float]:
    """Set name to the teacher's share of the target, in [0, 1], with COMPOSITES among the names.

    Args:
        given: shares by name; a name covers the set itself and all sets in the folder of that name.
            A closer name wins. By default it is 1 for sets without labels, which take no other,
            COARSE_TRUST for sets with coarse masks, 0 for composites, cut-outs and sets before
            plain backdrops, which always become composites, and TRUST for the rest.
        coarse, plain: names of those sets.
    Raises:
        ConfigError: a name covers no set, or a share is outside [0, 1].
    """
    names = [s.name for s in sets]
    if bad := {n: v for n, v in given.items() if not 0 <= v <= 1}:
        raise ConfigError(f"--trust {bad}: a share must be from 0 to 1")
    covered = [
        n for n in given if n == COMPOSITES or any(f"{s}/".startswith(f"{n}/") for s in names)
    ]
    if unknown := set(given) - set(covered):
        raise ConfigError(
            f"--trust: no set named {sorted(unknown)}; there are {[COMPOSITES, *names]}"
        )
    trust = {COMPOSITES: given.get(COMPOSITES, 0.0)}
    for pictures in sets:
        usual = TRUST
        if not pictures.labelled:
            usual = 1.0
        elif pictures.name in coarse:
            usual = COARSE_TRUST
        elif pictures.cutouts or pictures.name in plain:
            usual = 0.0
        above = [n for n in given if f"{pictures.name}/".startswith(f"{n}/")]
        share = given[max(above, key=len)] if above else usual
        if share < 1 and not pictures.labelled:
            raise ConfigError(
                f"--trust {pictures.name}={share}: it has no masks, so only 1 will do"
            )
        trust[pictures.name] = share
    return trust


class Teacher:
    """The network that teaches, in inference.

    Args:
        weights: weights of the whole network, or SHIPPED.
        device: where training runs.
        autocast: enters the precision of the training.
    Raises:
        ConfigError: the file does not hold weights of a network of vidbg's.
    """

    def __init__(
        self,
        weights: str,
        device: torch.device,
        autocast: Callable[[], AbstractContextManager[Any]],
    ) -> None:
        self._autocast = autocast
        self._backend = None
        if weights == SHIPPED and device.type == "cpu":
            self._backend = load_backend("cpu", network="resnet50")
            return
        state = load_file(teacher_file(weights))
        self._network = NETWORKS[network_name(state)]()
        self._network.load_weights(state)
        self._network.requires_grad_(False).eval()
        self._network.to(device).to(memory_format=torch.channels_last)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Alpha, float (M, 1, H, W) in [0, 1], of uint8 (M, H, W, 3) images, BGR."""
        inputs = to_input(images)
        if self._backend is not None:
            alphas = [self._backend(one[None].contiguous().numpy()) for one in inputs]
            return torch.from_numpy(np.stack(alphas)).unsqueeze(1)
        with self._autocast():
            logits = [self._network.logits(part) for part in torch.split(inputs, _CHUNK)]
        return torch.cat(logits).float().sigmoid()


def teacher_file(weights: str) -> Path:
    """The weights file behind the option's value."""
    return (
        engine_file(CARDS["resnet50"].weights, ".safetensors")
        if weights == SHIPPED
        else Path(weights)
    )


def mix_targets(truth: Tensor, taught: Tensor, trust: Tensor) -> Tensor:
    """Targets between true and taught alpha.

    With a trust of 1 there is no truth, and the target is the teacher's. Below it, truth decides
    what is person: the teacher has its share only in a band along the mask's edge, where masks are
    hard, or rough. It has none around regions that the two see differently, such as an object that
    was put before a person, for a mean would teach half-transparent people there.

    Args:
        truth, taught: float (M, 1, H, W) in [0, 1].
        trust: float (M,) in [0, 1].
    Returns:
        float (M, 1, H, W); a new tensor.
    """
    side = 2 * round(BAND * truth.shape[2]) + 1
    band = (_widest(truth, side) + _widest(-truth, side)) > 0.5
    apart = ((taught - truth).abs() > 0.5).to(truth.dtype)
    regions = _widest(-_widest(-apart, 3), side + 2) > 0.5  # thinner than 3 pixels: an edge's place
    share = trust[:, None, None, None]
    return torch.lerp(truth, taught, torch.where(share < 1, share * (band & ~regions), share))


def _widest(values: Tensor, side: int) -> Tensor:
    return functional.max_pool2d(values, side, stride=1, padding=side // 2)


def shrink_alpha(alpha: Tensor, content: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Crop (M, 1, H, W) to its content, and resize that to (height, width) by area."""
    height, width = content
    visible = alpha[:, :, :height, :width]
    if tuple(visible.shape[2:]) == size:
        return visible
    return functional.interpolate(
        visible, size, mode="bilinear", align_corners=False, antialias=True
    )
