"""Distillation: the teacher's input, its share of the target, and a training that follows it."""

from __future__ import annotations

import json
import signal
from contextlib import nullcontext
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

import typer  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from torch import Tensor  # noqa: E402
from typer.testing import CliRunner, Result  # noqa: E402

from training import train  # noqa: E402
from training.data.batches import Batches, render_with_view, to_input  # noqa: E402
from training.data.image_sets import find_sets, find_unlabelled  # noqa: E402
from training.data.scene_sources import SceneSources  # noqa: E402
from training.data.scenes import AugmentConfig, Layer, Scene, SceneMaker  # noqa: E402
from training.data.trust import COARSE_TRUST, TRUST, trust_by_set  # noqa: E402
from training.losses.distillation import mix_targets, shrink_alpha  # noqa: E402
from training.model import teacher as teacher_module  # noqa: E402
from training.model.checkpoint import save_weights  # noqa: E402
from training.model.teacher import Teacher  # noqa: E402
from vidbg.errors import ConfigError  # noqa: E402
from vidbg.matting.backends.constant import ConstantBackend  # noqa: E402
from vidbg.matting.backends.pytorch import PyTorchBackend  # noqa: E402
from vidbg.matting.light_network import LightNetwork  # noqa: E402


@pytest.fixture
def unlabelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("unlabelled")
    folder = root / "webcam" / "images"
    folder.mkdir(parents=True)
    for index in range(3):
        assert cv2.imwrite(str(folder / f"{index}.png"), np.full((80, 96, 3), 90, np.uint8))
    return root


def half_person() -> Tensor:
    truth = torch.zeros(1, 1, 100, 100)
    truth[..., 50:] = 1
    return cast(Tensor, truth)


def test_the_teacher_softens_an_edge_by_its_share() -> None:
    truth, taught = half_person(), half_person()
    taught[..., 50] = 0.6
    mixed = mix_targets(truth, taught, torch.tensor([0.5]))
    assert mixed[0, 0, :, 50].tolist() == pytest.approx([0.8] * 100)
    mixed[..., 50] = truth[..., 50]
    assert torch.equal(mixed, truth)


def test_truth_decides_inside_and_about_entire_regions() -> None:
    truth, taught = half_person(), half_person()
    taught[..., 80] = 0.6  # a grey streak far from any edge
    taught[:, :, 20:40, 35:65] = 0  # an arm that the teacher does not see, and something beside it
    taught[:, :, 60:80, 30:50] = 0.9
    assert torch.equal(mix_targets(truth, taught, torch.tensor([0.9])), truth)


def test_without_truth_the_teacher_is_the_target() -> None:
    taught = torch.rand(2, 1, 40, 60)
    mixed = mix_targets(torch.zeros(2, 1, 40, 60), taught, torch.tensor([1.0, 0.0]))
    assert torch.equal(mixed[0], taught[0])
    assert not mixed[1].any()


def test_alpha_comes_back_without_the_padding() -> None:
    alpha = torch.zeros(1, 1, 96, 128)
    alpha[..., :90, :120] = 1
    assert shrink_alpha(alpha, (90, 120), (45, 60)).min() > 0.999


def test_trust_follows_the_kind_of_set(sets: Path, unlabelled: Path) -> None:
    (sets / "rough" / "pets").mkdir(parents=True)
    for part in ("images", "masks"):
        (sets / "rough" / "pets" / part).symlink_to(sets / "people" / part)
    labelled = [s for s in find_sets(sets) if s.people]
    people = [*labelled, *find_unlabelled(unlabelled)]
    assert trust_by_set(people, {}, ["rough/pets"], []) == {
        "composites": 0, "people": TRUST, "cutouts": 0, "rough/pets": COARSE_TRUST, "webcam": 1,
    }  # fmt: skip
    given = trust_by_set(people, {"rough": 0.2, "composites": 0.3}, ["rough/pets"], ["people"])
    assert given["rough/pets"] == 0.2
    assert given["composites"] == 0.3
    assert given["people"] == 0
    with pytest.raises(ConfigError, match=r"no set named \['peo'\]"):
        trust_by_set(people, {"peo": 0.2}, [], [])
    with pytest.raises(ConfigError, match="from 0 to 1"):
        trust_by_set(people, {"people": 1.2}, [], [])
    with pytest.raises(ConfigError, match="has no masks"):
        trust_by_set(people, {"webcam": 0.5}, [], [])


def test_sets_with_masks_are_not_unlabelled(sets: Path) -> None:
    with pytest.raises(ConfigError, match="have masks"):
        find_unlabelled(sets / "people")


def test_the_view_shows_the_same_scene_larger_and_clean() -> None:
    rng = np.random.default_rng(3)
    noise = rng.integers(0, 255, (300, 300, 3), np.uint8)
    photo = np.asarray(cv2.GaussianBlur(noise, (0, 0), 6), np.uint8)
    mask = np.zeros((300, 300), np.uint8)
    cv2.circle(mask, (140, 150), 80, 255, -1)
    matrix = np.array([[0.3, 0.05, 2.0], [-0.05, 0.3, 12.0]])
    scene = Scene(64, 96, Layer(photo, mask, matrix), (), mirrored=False, degradation=5)
    image, view_mask, view = render_with_view(scene, np.random.default_rng(0), 4 * 64 * 96)
    assert view.shape == (128, 192, 3)
    plain, plain_mask = scene.compose()
    small = cv2.resize(view, (96, 64), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - plain).mean() < 1.5
    assert np.abs(small.astype(int) - image).mean() > 3  # degradation is the student's alone
    # half a pixel's shift at the circle's outline would be 1.2 levels in the mean
    assert np.abs(view_mask.astype(int) - plain_mask).mean() < 0.4


def batches(sets: Path, unlabelled: Path, teacher_pixels: int | None) -> Batches:
    labelled = [s for s in find_sets(sets) if s.people]
    people = [*labelled, *find_unlabelled(unlabelled)]
    rooms = [s for s in find_sets(sets) if s.name == "rooms"]
    trust = trust_by_set(people, {}, [], [])
    maker = SceneMaker(SceneSources.of([*people, *rooms], trust), AugmentConfig())
    return Batches(maker, 8 * 64 * 96, 1, 10, sizes=((64, 96),), teacher_pixels=teacher_pixels)


def test_a_batch_brings_views_of_the_scenes_with_trust(sets: Path, unlabelled: Path) -> None:
    untrusted = 0
    for index in range(6):
        batch = batches(sets, unlabelled, 3 * 64 * 96)[index]
        assert batch.views is not None
        rows, images, (height, width), trust = batch.views
        assert images.shape == (len(rows), 128, 192, 3)
        assert (height, width) == (111, 166)
        assert set(trust.tolist()) <= {TRUST, 1.0}
        assert not batch.masks[rows[trust == 1]].any()
        np.testing.assert_array_equal(
            images[:, height:, :width], images[:, [height - 1], :width].repeat(17, 1)
        )
        untrusted += len(batch.images) - len(rows)
    assert untrusted
    assert batches(sets, unlabelled, None)[0].views is None


@pytest.fixture
def light_weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_weights(LightNetwork(), tmp_path / "light.safetensors")
    return tmp_path / "light.safetensors"


def test_own_weights_teach_what_they_predict(light_weights: Path) -> None:
    images = torch.randint(0, 255, (3, 64, 96, 3), dtype=torch.uint8)
    teacher = Teacher(str(light_weights), torch.device("cpu"), nullcontext)
    answers = teacher(images)
    backend = PyTorchBackend("cpu", "fp32", weights=light_weights)
    inputs = to_input(images)
    for one, answer in zip(inputs, answers, strict=True):
        expected = backend(one[None].contiguous().numpy())
        np.testing.assert_allclose(answer[0].numpy(), expected, atol=1e-3)


def run_training(sets: Path, out: Path, *options: object) -> Result:
    app = typer.Typer()
    app.command()(train.main)
    words = ["--data", sets, "--out", out, "--device", "cpu", "--workers", 0, "--network", "light"]
    words += ["--batch-pixels", 2 * 64 * 64, "--val-pixels", 128 * 128, "--size", "64x64", *options]
    return CliRunner().invoke(app, [str(word) for word in words])


def trained_alpha(folder: Path) -> float:
    """Mean alpha that a training's last weights give the unlabelled grey image."""
    network = LightNetwork()
    network.load_weights(load_file(folder / "last.safetensors"))
    grey = torch.full((1, 64, 64, 3), 90, dtype=torch.uint8)
    with torch.inference_mode():
        return float(network.eval().logits(to_input(grey)).sigmoid().mean())


@pytest.mark.timeout(300)
def test_training_follows_the_teacher_where_there_are_no_masks(
    sets: Path, unlabelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    alphas = {}
    for says in (0.0, 1.0):
        answers = ConstantBackend(says)
        monkeypatch.setattr(teacher_module, "load_backend", lambda *_, a=answers, **__: a)
        out = tmp_path / f"run{says}"
        result = run_training(
            sets, out, "--steps", 8, "--lr", 1e-3, "--warmup", 1, "--ema", 0.5,
            "--teacher", "shipped", "--teacher-pixels", 4096, "--unlabelled", unlabelled,
            "--set-weight", "people=0", "--set-weight", "cutouts=0",
            "--augment", "nobody=0", "--epoch-steps", 8, "--precision", "32-true",
        )  # fmt: skip
        assert result.exit_code == 0, result.output
        alphas[says] = trained_alpha(out)
    assert alphas[1.0] > alphas[0.0] + 0.1
    recipe = json.loads((tmp_path / "run1.0" / "recipe.json").read_text())
    assert recipe["teacher"]["file"] == "vidbg-r50.safetensors"
    assert recipe["trust"]["webcam"] == 1
    assert recipe["augmentation"]["nobody"] == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--trust", "people=0.5"), "need --teacher"),
        (("--unlabelled", "."), "need --teacher"),
        (("--teacher", "none.safetensors"), "no such file"),
        (("--teacher", "shipped", "--trust", "nobody=1"), "no set named"),
        (("--edge", "nobody=1"), "no set named"),
        (("--edge", "people=9"), "from -4.0 to 4.0"),
        (("--augment", "fog=0.1"), "choose from"),
        (("--augment", "objects=1.5"), "from 0 to 1"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    sets: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    result = run_training(sets, tmp_path / "run", "--steps", 1, *options)
    assert result.exit_code != 0
    assert message in result.output + str(result.exception)
    assert not (tmp_path / "run").exists()
