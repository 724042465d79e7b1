"""Data sets, augmentation, losses and a whole training in small."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

import typer  # noqa: E402
from torch import Tensor  # noqa: E402
from typer.testing import CliRunner, Result  # noqa: E402

from training.data.batches import Batches  # noqa: E402
from training.data.framing import Framing, Window, frame_person, placing  # noqa: E402
from training.data.picture_sets import (  # noqa: E402
    find_sets,
    keep_decoded,
    read_sample,
    sampling_weights,
    split_by_names,
    split_set,
)
from training.data.priors import NONE_SHARE, OWN_SHARE, disturbed, own_priors  # noqa: E402
from training.data.scenes import AugmentConfig, Layer, Scene, SceneMaker  # noqa: E402
from training.evaluate.quick_scores import summary  # noqa: E402
from training.losses.matting_loss import (  # noqa: E402
    WEIGHTS,
    gradient_loss,
    laplacian_loss,
    matting_loss,
    soft_jaccard_loss,
    temporal_loss,
)
from training.schedule import FLOOR, Plateau, cosine, warmup  # noqa: E402
from training.tools import ensemble as training_ensemble  # noqa: E402
from training.tools.ensemble import ensemble, keep_agreeing, mend, read_agreement  # noqa: E402
from training.trainer import warm_ema  # noqa: E402
from vidbg.errors import ConfigError  # noqa: E402
from vidbg.matting.backends.constant import ConstantBackend  # noqa: E402


def test_sets_are_found_with_their_kinds(sets: Path) -> None:
    found = {s.name: (len(s.samples), s.people, s.cutouts) for s in find_sets(sets)}
    assert found == {
        "people": (10, True, False),
        "cutouts": (4, True, True),
        "rooms": (3, False, False),
    }


def test_masks_take_the_pictures_size(sets: Path) -> None:
    for pictures in find_sets(sets):
        image, mask = read_sample(pictures.samples[0])
        assert image.shape == (80, 96, 3)
        assert mask.shape == (80, 96)
        assert bool(mask.any()) == pictures.people


def test_decoded_pictures_are_kept_and_the_same(
    sets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.data import picture_sets as data

    monkeypatch.setattr(data, "_decoded", {})
    found = find_sets(sets)
    fresh = [read_sample(sample) for pictures in found for sample in pictures.samples]
    size = keep_decoded(found, 4)
    assert size == sum(image.nbytes + mask.nbytes for image, mask in fresh)
    for path in sets.rglob("*.*"):
        path.unlink()
    kept = [read_sample(sample) for pictures in found for sample in pictures.samples]
    for pair, expected in zip(kept, fresh, strict=True):
        for array, wanted in zip(pair, expected, strict=True):
            np.testing.assert_array_equal(array, wanted)
            assert not array.flags.writeable
    assert keep_decoded(found, 4) == size


def test_a_missing_mask_is_named(sets: Path) -> None:
    (sets / "people/masks/3.png").unlink()
    with pytest.raises(ConfigError, match=r"1 pictures .* first 3\.jpg"):
        find_sets(sets)


def test_no_data_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="images"):
        find_sets(tmp_path)


def test_split_is_80_to_20_disjoint_and_fixed(sets: Path) -> None:
    people = next(s for s in find_sets(sets) if s.name == "people")
    training, held_out = split_set(people, 0.2, seed=3)
    assert held_out is not None
    assert (len(training.samples), len(held_out.samples)) == (8, 2)
    assert set(training.samples).isdisjoint(held_out.samples)
    assert split_set(people, 0.2, seed=3) == (training, held_out)
    _, listed = split_by_names(people, ["1", "7"])
    assert listed is not None
    assert [s.image.stem for s in listed.samples] == ["1", "7"]


def test_weights_sum_to_one_and_unknown_names_are_refused(sets: Path) -> None:
    found = find_sets(sets)
    weights = sampling_weights(found, {"people": 30.0})
    assert weights.sum() == pytest.approx(1)
    with pytest.raises(ConfigError, match="nobody"):
        sampling_weights(found, {"nobody": 1.0})


def maker(sets: Path, **shares: float) -> SceneMaker:
    found = find_sets(sets)
    people = [s for s in found if s.people]
    rooms = [s for s in found if not s.people]
    return SceneMaker(people, sampling_weights(people, {}), rooms, AugmentConfig(**shares))


def test_batches_are_a_function_of_seed_and_step(sets: Path) -> None:
    batches = Batches(maker(sets), 4 * 224 * 224, seed=5, length=10, priors=True, clips=1.0)
    first, again, other = batches[4], batches[4], batches[5]
    for part, same in zip(first[:3], again[:3], strict=True):
        np.testing.assert_array_equal(part, same)
    assert first.images.shape[:3] == first.masks.shape == first.priors.shape
    assert first.images.shape != other.images.shape or (first.images != other.images).any()


def test_a_clip_has_earlier_frames_that_nearly_show_the_same(sets: Path) -> None:
    batch = Batches(maker(sets, nobody=0.0), 6 * 64 * 64, 1, 2, sizes=((64, 64),), clips=1.0)[0]
    assert batch.earlier is not None
    images, masks = batch.earlier
    assert images.shape == batch.images.shape
    moved = np.abs(masks.astype(int) - batch.masks).mean(axis=(1, 2)) / 255
    assert 0 < moved.max() < 0.2
    assert not batch.priors.any()


def test_stills_have_no_earlier_frames(sets: Path) -> None:
    assert Batches(maker(sets), 64 * 64, 1, 2, sizes=((64, 64),))[0].earlier is None


def test_a_scene_that_does_not_move_differs_in_noise_alone(sets: Path) -> None:
    scene = maker(sets, nobody=0.0).make(np.random.default_rng(3), 64, 96)
    rng = np.random.default_rng(0)
    _, mask = scene.render(np.random.default_rng(1))
    _, again = scene.render(np.random.default_rng(2), scene.motions(rng, still=1.0))
    np.testing.assert_array_equal(mask, again)


def test_a_picture_of_nobody_has_an_empty_mask(sets: Path) -> None:
    image, mask = maker(sets, nobody=1.0).pair(np.random.default_rng(0), 64, 96)
    assert image.shape == (64, 96, 3)
    assert not mask.any()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), inside=st.booleans(), framing=st.sampled_from(Framing))
def test_windows_never_open_a_side_where_the_person_is_cut(
    seed: int, inside: bool, framing: Framing
) -> None:
    mask = np.zeros((80, 60), np.uint8)
    mask[30:, 20:50] = 255  # cut by the lower side
    window = frame_person(np.random.default_rng(seed), mask, 4 / 3, framing, inside=inside)
    assert window.y + window.height <= 80 + 1e-6
    assert window.width / window.height == pytest.approx(4 / 3)
    if inside:
        assert window.x >= -1e-6
        assert window.y >= -1e-6
        assert window.x + window.width <= 60 + 1e-6


def test_a_scene_shows_its_window() -> None:
    image = np.tile(np.arange(100, dtype=np.uint8)[None, :, None], (100, 1, 3))
    mask = image[..., 0].copy()
    upright = _Upright()
    matrix = placing(upright, Window(20, 10, 40, 40), 40, 40)  # type: ignore[arg-type]
    scene = Scene(40, 40, Layer(image, mask, matrix), (), mirrored=False, damage=0)
    _, alpha = scene.render(np.random.default_rng(0))
    np.testing.assert_array_equal(alpha, mask[10:50, 20:60])


class _Upright:
    """A generator that never rotates."""

    def random(self) -> float:
        return 0.99


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_previous_alphas_are_masks_of_the_same_size(seed: int) -> None:
    mask = np.zeros((48, 64), np.uint8)
    cv2.circle(mask, (30, 24), 14, 255, -1)
    prior = disturbed(np.random.default_rng(seed), mask)
    assert prior.dtype == np.uint8
    assert prior.shape == mask.shape


def test_previous_alphas_are_none_right_and_wrong_in_their_shares() -> None:
    mask = np.zeros((48, 64), np.uint8)
    cv2.circle(mask, (30, 24), 14, 255, -1)
    rng = np.random.default_rng(0)
    priors = [disturbed(rng, mask) for _ in range(600)]
    errors = np.array([np.abs(p.astype(int) - mask).mean() / 255 for p in priors])
    empty = np.mean([not p.any() for p in priors])
    assert NONE_SHARE - 0.06 < empty < NONE_SHARE + 0.1
    assert (errors < 0.05).mean() > 0.3  # mostly near the truth
    assert (errors > 0.25).mean() > 0.05  # and at times far from it


def test_own_priors_are_a_function_of_their_generator() -> None:
    first, again = (own_priors(np.random.default_rng((1, 2)), 1000) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert OWN_SHARE - 0.05 < first.mean() < OWN_SHARE + 0.05
    assert (first != own_priors(np.random.default_rng((1, 3)), 1000)).any()


def test_losses_vanish_at_the_truth_and_grow_with_error() -> None:
    target = torch.zeros(2, 1, 32, 32)
    target[:, :, 8:24, 8:24] = 1
    right, wrong = (target * 2 - 1) * 20, (0.5 - target) * 4
    good = sum(float(v) for v in matting_loss(right, target).values())
    bad = sum(float(v) for v in matting_loss(wrong, target).values())
    assert good < 1e-3 < bad
    soft = target * 0.5
    assert float(soft_jaccard_loss(soft, soft)) == 0
    assert float(laplacian_loss(soft - soft)) == 0
    assert float(gradient_loss(soft - soft)) == 0


def test_a_term_of_weight_zero_is_left_out() -> None:
    terms = matting_loss(torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8), WEIGHTS | {"l1": 0.0})
    assert set(terms) == {"bce", "region", "edge"}


@pytest.mark.parametrize("loss", [laplacian_loss, gradient_loss])
def test_the_edge_losses_see_edges_and_not_levels(
    loss: Callable[[Tensor], Tensor],
) -> None:
    level, edge = torch.full((1, 1, 32, 32), 0.5), torch.zeros(1, 1, 32, 32)
    edge[..., 16:] = 1
    assert float(loss(level)) == pytest.approx(0, abs=1e-6)
    assert float(loss(edge)) > 0.02


def test_coarse_masks_do_not_count_at_edges() -> None:
    target = torch.zeros(2, 1, 32, 32)
    target[..., 16:] = 1
    only_edge = WEIGHTS | {"bce": 0.0, "l1": 0.0, "region": 0.0}
    flat = torch.zeros(2, 1, 32, 32)
    both = float(matting_loss(flat, target, only_edge)["edge"])
    one = float(matting_loss(flat, target, only_edge, torch.tensor([True, False]))["edge"])
    assert one == pytest.approx(both / 2)


def test_the_temporal_loss_forgives_what_truth_does() -> None:
    first, second = torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4)
    assert float(temporal_loss(second, first, second, first)) == 0
    assert float(temporal_loss(second, first, first, first)) == 1


def test_the_average_starts_short_and_ends_as_long_as_asked() -> None:
    update = warm_ema(0.99)
    averaged = [torch.zeros(())]
    lags = {}
    for count in range(1001):
        update(averaged, [torch.tensor(float(count))], count)
        lags[count] = count - float(averaged[0])
    assert lags[1] < 1
    assert lags[100] == pytest.approx(100 / 4, rel=0.05)
    assert lags[1000] == pytest.approx(0.99 / 0.01, rel=0.05)


def test_schedules() -> None:
    assert [warmup(0, 4), warmup(3, 4), warmup(9, 4)] == [0.25, 1, 1]
    assert (cosine(0), cosine(1), cosine(2)) == pytest.approx((1, FLOOR, FLOOR))
    plateau = Plateau(wait=2)
    for gained in (True, False, False, False, True, False):
        plateau.update(gained)
    assert plateau.factor == 0.5


def test_weights_are_chosen_by_mattes_first_and_false_persons_second() -> None:
    good = {"people": {"iou": 0.97, "boundary_f": 0.93}, "rooms": {"false_person": 0.0}}
    worse = {"people": {"iou": 0.96, "boundary_f": 0.92}, "rooms": {"false_person": 0.0}}
    false = {"people": {"iou": 0.97, "boundary_f": 0.93}, "rooms": {"false_person": 0.3}}
    assert summary(good) > summary(worse) > summary(false)
    assert summary({"rooms": {"false_person": 0.0}}) == 0


def test_the_ensemble_is_the_mean_of_its_passes(sets: Path) -> None:
    image, _ = read_sample(find_sets(sets)[0].samples[0])
    levels = iter((0.2, 0.4, 0.6, 0.8))

    def infer(batch: np.ndarray) -> np.ndarray:
        return np.full(batch.shape[2:], next(levels), np.float32)

    mean, spread = ensemble(infer, image, sizes=(128 * 128, 160 * 160))
    assert mean.shape == image.shape[:2]
    np.testing.assert_allclose(mean, 0.5, atol=1e-6)
    np.testing.assert_allclose(spread, np.std([0.2, 0.4, 0.6, 0.8]), atol=1e-6)


@pytest.fixture
def sure(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ensemble that takes the upper half of every picture for the person."""

    def upper(batch: np.ndarray) -> np.ndarray:
        alpha = np.zeros(batch[0, 0].shape, np.float32)
        alpha[: alpha.shape[0] // 2] = 1
        return alpha

    monkeypatch.setattr(training_ensemble, "load_backend", lambda *_: ConstantBackend(upper))


@pytest.mark.usefixtures("sure")
def test_every_mask_is_judged(sets: Path, tmp_path: Path) -> None:
    training_ensemble.judge(sets, tmp_path / "agreement.csv")
    agreement = read_agreement(tmp_path / "agreement.csv")
    assert set(agreement) == {("people", str(index)) for index in range(10)}
    assert all(0 < iou < 0.6 for iou in agreement.values())


@pytest.mark.usefixtures("sure")
def test_pictures_without_masks_become_a_set(sets: Path, tmp_path: Path) -> None:
    training_ensemble.label(sets / "rooms/images", tmp_path / "made/own", most=0.2)
    (made,) = find_sets(tmp_path / "made")
    assert made.people
    assert len(made.samples) == 3
    _, mask = read_sample(made.samples[0])
    assert mask[:30].min() == 255
    assert mask[-30:].max() == 0
    training_ensemble.label(sets / "rooms/images", tmp_path / "none/own", most=0.0)
    assert not list((tmp_path / "none/own/images").iterdir())
    with pytest.raises(ConfigError, match="no pictures"):
        training_ensemble.label(tmp_path / "made", tmp_path / "other")


def test_a_mended_mask_gets_regions_and_keeps_its_edges() -> None:
    mask, other = np.zeros((200, 100), np.float32), np.zeros((200, 100), np.float32)
    mask[20:180, 30:60] = 1
    other[20:180, 29:62] = 1  # an edge that lies elsewhere
    other[100:130, 62:85] = 1  # a bag
    mended = mend(mask, other)
    assert mended[102:128, 30:83].min() > 0.99
    assert mended[:90].tolist() == mask[:90].tolist()
    assert mended[140:].tolist() == mask[140:].tolist()


@pytest.mark.usefixtures("sure")
def test_masks_are_mended_where_the_ensemble_differs(sets: Path, tmp_path: Path) -> None:
    images, masks = sets / "people/images", sets / "people/masks"
    training_ensemble.label(images, tmp_path / "made/own", most=0.2, mend_masks=masks)
    (made,) = find_sets(tmp_path / "made")
    assert len(made.samples) == 10
    for sample in made.samples:
        _, mended = read_sample(sample)
        half = len(mended) // 2
        assert mended[: half - 9].mean() > 250
        assert mended[half + 9 :].mean() < 40
    with pytest.raises(ConfigError, match="is not a picture"):
        training_ensemble.label(images, tmp_path / "no", most=0.2, mend_masks=tmp_path)


def test_pictures_whose_masks_disagree_are_left_out(sets: Path) -> None:
    people = next(s for s in find_sets(sets) if s.name == "people")
    kept = keep_agreeing(people, {("people", "3"): 0.5, ("people", "4"): 0.9}, 0.8)
    assert [s.image.stem for s in kept.samples] == [str(i) for i in range(10) if i != 3]


def run_training(sets: Path, out: Path, *options: object) -> Result:
    from training import train

    app = typer.Typer()
    app.command()(train.main)
    words = ["--data", sets, "--out", out, "--epoch-steps", 2, "--device", "cpu", "--workers", 0]
    words += ["--batch-pixels", 2 * 64 * 64, "--val-pixels", 128 * 128, *options]
    return CliRunner().invoke(app, [str(word) for word in words])


SMALL = ("--size", "64x64", "--size", "32x64")


@pytest.mark.timeout(300)
def test_one_command_trains_logs_and_resumes(
    sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training import train
    from training.data import picture_sets as data

    monkeypatch.setattr(train, "signal", _NoSignals())
    monkeypatch.setattr(data, "_decoded", {})
    out = tmp_path / "run"
    how = (*SMALL, "--priors", "--clips", 0.5, "--train-stem", "--in-memory")
    result = run_training(sets, out, "--steps", 2, *how)
    assert result.exit_code == 0, result.output
    assert (out / "best.safetensors").exists()
    assert (out / "last.safetensors").exists()
    assert (out / "curves.png").exists()
    recipe = json.loads((out / "recipe.json").read_text())
    assert recipe["people"]["people"]["pictures"] == 8
    assert recipe["rooms"] == {"rooms": 2}
    result = run_training(sets, out, "--steps", 4, *how)
    assert result.exit_code == 0, result.output
    with (out / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["step"]) for row in rows] == [2, 4]
    assert 0 < float(rows[0]["minutes"]) < float(rows[1]["minutes"])
    for name in ("loss/bce", "people/iou", "people/precision", "people/recall", "people/f1"):
        assert np.isfinite(float(rows[-1][name]))
    assert list((out / "tensorboard").iterdir())


@pytest.mark.timeout(300)
def test_a_score_of_nothing_keeps_the_first_weights(
    sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training import train, trainer

    monkeypatch.setattr(train, "signal", _NoSignals())
    monkeypatch.setattr(trainer, "summary", lambda _: 0.0)
    result = run_training(sets, tmp_path / "run", "--steps", 2, "--network", "light", *SMALL)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "run" / "best.safetensors").exists()


@pytest.mark.timeout(300)
def test_the_seed_network_trains_by_its_own_recipe(
    sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training import train

    monkeypatch.setattr(train, "signal", _NoSignals())
    losses = [f"{name}=0" for name in WEIGHTS if name != "bce"]
    options = [word for item in losses for word in ("--loss", item)]
    result = run_training(
        sets, tmp_path / "seed", "--steps", 2, "--size", "64x64", "--network", "seed",
        "--schedule", "plateau", "--weight-decay", 0, *options,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    with (tmp_path / "seed/log.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert "loss/bce" in row
    assert "loss/l1" not in row


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "--steps or --minutes"),
        (("--steps", 1, "--network", "other"), "no network 'other'"),
        (("--steps", 1, "--schedule", "linear"), "no schedule 'linear'"),
        (("--steps", 1, "--loss", "dice=1"), "no term"),
        (("--steps", 1, "--loss", "bce"), "NAME=NUMBER"),
        (("--steps", 1, "--framing", "near=1"), "no framing"),
        (("--steps", 1, "--framing", "webcam=0.9"), "shares of a whole"),
        (("--steps", 1, "--size", "100x64"), "multiples of 32"),
        (("--steps", 1, "--size", "big"), "HEIGHTxWIDTH"),
        (("--steps", 1, "--without", "nobody"), "no set named"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    sets: Path, tmp_path: Path, options: tuple[object, ...], message: str
) -> None:
    result = run_training(sets, tmp_path / "run", *options)
    assert result.exit_code != 0
    assert message in result.output + str(result.exception)
    assert not (tmp_path / "run").exists()


class _NoSignals:
    """Stands in for the signal module: a test must not take over Ctrl-C."""

    SIGINT, SIGTERM = 2, 15

    def signal(self, *_: object) -> None:
        return None
