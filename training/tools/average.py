"""Score mixtures of two weights: `python -m training.tools.average A B --data DATA/val`.

Mixtures of weights and those fine-tuned from them are often better than both (Wortsman et al.,
Robust fine-tuning of zero-shot models, CVPR 2022). The statistics of batch norms are mixed, not
measured again, so both trainings should have kept them fixed.
"""

from __future__ import annotations

import logging
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Annotated

import torch
import typer
from safetensors.torch import load_file, save_file
from torch import Tensor

from training.command_line import run as run_command
from training.data.image_sets import find_sets
from training.evaluate.quick_scores import Scores, score_set, summary
from training.provenance import write_mixture
from training.training_log import one_line
from vidbg.errors import ConfigError
from vidbg.matting.backends.pytorch import PyTorchBackend

logger = logging.getLogger(__name__)

USUAL_SHARES = [0.0, 0.25, 0.5, 0.75, 1.0]


def mix(one: dict[str, Tensor], other: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """Mix weights in fp32: `share` of the other, the rest of the one.

    Raises:
        ConfigError: the weights are of different networks.
    """
    if one.keys() != other.keys():
        odd = ", ".join(sorted(one.keys() ^ other.keys())[:3])
        raise ConfigError(f"the weights are of different networks: only one has {odd}")
    return {
        name: torch.lerp(value.float(), other[name].float(), share).to(value.dtype)
        for name, value in one.items()
    }


def scores_of(weights: Path, data: Path, pixels: int) -> dict[str, Scores]:
    """Score weights on each set of a folder, with PyTorch in bf16."""
    with closing(PyTorchBackend("cpu", "bf16", weights=weights)) as backend:
        return {part.name: score_set(backend, part, pixels) for part in find_sets(data)}


def main(
    one: Annotated[Path, typer.Argument(exists=True, help="Weights.")],
    other: Annotated[Path, typer.Argument(exists=True, help="Weights trained on from them.")],
    data: Annotated[Path, typer.Option(exists=True, help="Folder with held-out sets.")],
    share: Annotated[
        list[float] | None, typer.Option(help=f"Of the other; repeatable. {USUAL_SHARES}")
    ] = None,
    pixels: Annotated[int, typer.Option(help="Of the network's input.")] = 86016,
    out: Annotated[Path | None, typer.Option(help="Write the best mixture and its card.")] = None,
) -> None:
    """Score mixtures of two weights, and write the best."""
    ends = load_file(one), load_file(other)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)  # before minutes of scoring, not after
    mean_scores: dict[float, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        mixture = Path(folder) / "mixture.safetensors"
        for part in share or USUAL_SHARES:
            save_file(mix(*ends, part), mixture)
            scores = scores_of(mixture, data, pixels)
            mean_scores[part] = summary(scores)
            logger.info("%.2f: %.4f; %s", part, mean_scores[part], one_line(scores))
    best = max(mean_scores, key=lambda part: mean_scores[part])
    typer.echo(f"best: {best:g} of {other}")
    if out is not None:
        save_file(mix(*ends, best), out)
        write_mixture(out, {one: 1 - best, other: best})


if __name__ == "__main__":
    run_command(main)
