"""The trainings on the GPU machine: their order and their options for `training.train`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tools.gpu.pack import LIGHT

BATCH = 64
"""Pictures of 86016 pixels; other sizes in proportion."""

RESNET_SHARE = 0.7
"""Of the minutes; the light network gets the others."""

SET_WEIGHTS = ("portraits=60", "street=50")
"""Others are drawn by the square root of their size; see training/README.md."""

ROUGH, BACKDROPS = "voc_pets", "keyed"
"""The sets for `--coarse` and `--plain`, used where they were carried (LOG 26)."""

LIGHT_SCENES = (
    *("nobody=0.28", "composite=0.4", "objects=0.15", "motion_blur=0.06", "held=0.06"),
    *("camouflage=0.04", "backlight=0.04"),
)
"""Shares for `--augment` of the recipe that made the light network's weights (LOG 30)."""

MADE_BY_NETWORKS = "pseudo=0.6"
"""`--trust` in the teacher over masks that another network made."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """One network's training.

    Attributes:
        words: options of `training.train`, none of which a shell would split.
    """

    name: str
    words: tuple[str, ...]


def lessons(state: Path, engines: Path, minutes: float, *, rehearsal: bool) -> list[Lesson]:
    """ResNet-50, then the light network, taught by ResNet-50, where its weights were carried.

    Peak rates are those of LOG 24 (2e-5 for batches of 16 pictures of 50176 pixels, on from whole
    weights) times the square root of how much larger the batches are, 2.6. The light network's is
    half the rate its weights were made with (LOG 26), by the same rule.
    """
    light = engines / LIGHT
    share = RESNET_SHARE if light.is_file() else 1.0
    result = [
        _lesson(state, "resnet50", engines / "vidbg-r50.safetensors", minutes * share, "5e-5", "6")
    ]
    if light.is_file():
        lesson = _lesson(state, "light", light, minutes * (1 - share), "2.5e-4", "5")
        result.append(_taught(lesson, engines / "vidbg-r50.safetensors", state / "data"))
    return [_small(lesson) if rehearsal else lesson for lesson in result]


def _taught(lesson: Lesson, teacher: Path, data: Path) -> Lesson:
    """Return the same with ResNet-50 as the teacher, and with images that only it can label."""
    words = ["--teacher", str(teacher), "--teacher-pixels", "147456"]
    words += [word for share in LIGHT_SCENES for word in ("--augment", share)]
    if (data / "train" / "pseudo").is_dir():
        words += ["--trust", MADE_BY_NETWORKS]
    unlabelled = data / "unlabelled"
    if unlabelled.is_dir():
        words += ["--unlabelled", str(unlabelled)]
    return Lesson(lesson.name, (*lesson.words, *words))


def _lesson(
    state: Path, network: str, init: Path, minutes: float, rate: str, factor: str
) -> Lesson:
    options = {
        "--network": network,
        "--data": state / "data" / "train",
        "--val": state / "data" / "val",
        "--init": init,
        "--out": state / "runs" / network,
        "--minutes": f"{minutes:.2f}",
        "--device": "cuda",
        "--devices": 1,
        "--precision": "bf16-mixed",
        "--workers": 16,
        "--batch-pixels": BATCH * 86016,
        "--lr": rate,
        "--decoder-factor": factor,
        "--warmup": 100,
        "--epoch-steps": 600,
        "--patience": 1000,
    }
    words = [str(word) for pair in options.items() for word in pair]
    weights = [word for weight in SET_WEIGHTS for word in ("--set-weight", weight)]
    extras = _extras(state / "data")
    return Lesson(network, (*words, *weights, *extras, "--train-stem", "--in-memory"))


def _extras(data: Path) -> list[str]:
    """Options for the sets that not every packed folder has."""
    marked = [("--coarse", ROUGH), ("--plain", BACKDROPS)]
    words = [word for pair in marked if (data / "train" / pair[1]).is_dir() for word in pair]
    objects = data / "objects"
    return [*words, "--objects", str(objects)] if objects.is_dir() else words


SMALL = {
    "--device": "cpu",
    "--workers": "2",
    "--batch-pixels": str(2 * 64 * 64),
    "--warmup": "1",
    "--epoch-steps": "2",
    "--teacher-pixels": str(96 * 96),
}


def _small(lesson: Lesson) -> Lesson:
    """Return the same lesson in three steps on a CPU."""
    words = list(lesson.words)
    for option, value in SMALL.items():
        if option in words:
            words[words.index(option) + 1] = value
    at = words.index("--minutes")
    words[at : at + 2] = ["--steps", "3"]
    return Lesson(lesson.name, (*words, "--size", "64x64", "--val-pixels", str(128 * 128)))
