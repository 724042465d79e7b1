"""Evaluation from files to tables, JSON and contact sheets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from typer.testing import CliRunner

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

from training.data.image_sets import find_sets  # noqa: E402
from training.evaluate import clip_scores, score_tables  # noqa: E402
from training.evaluate.image_scores import mean_by_set, score_images  # noqa: E402
from training.evaluate.predict import Remembering, bare, served  # noqa: E402
from training.evaluate.worst_cases import SHEET_WIDTH, worst_cases, worst_sheet  # noqa: E402
from training.model.checkpoint import save_weights  # noqa: E402
from vidbg.matting.backends.constant import ConstantBackend  # noqa: E402
from vidbg.matting.network import MattingNetwork  # noqa: E402

PIXELS = 128 * 128
PERSON_SCORES = {"iou", "precision", "recall", "f1", "boundary_f", "mad", "grey"} | {
    "mse",
    "grad",
    "conn",
}
CLIP_SCORES = {"iou", "boundary_f", "mad", "mse", "dtssd", "flicker"}


@pytest.fixture
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three frames, 64 x 48, of a disk that moves."""
    root = tmp_path_factory.mktemp("clips")
    for kind in ("images", "masks"):
        (root / "disk" / kind).mkdir(parents=True)
    for index in range(3):
        mask = cv2.circle(np.zeros((48, 64), np.uint8), (20 + 4 * index, 24), 12, 255, -1)
        cv2.imwrite(str(root / f"disk/masks/{index}.png"), mask)
        cv2.imwrite(str(root / f"disk/images/{index}.png"), cv2.merge([mask, mask, mask]))
    return root


def run(*words: object) -> str:
    app = typer.Typer()
    app.command()(score_tables.main)
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.output


def overall_of_rows(result: dict[str, Any]) -> dict[str, float]:
    rows = [row for row in result["rows"] if "iou" in row]
    return {name: float(np.mean([row[name] for row in rows])) for name in PERSON_SCORES}


def bright(batch: NDArray[np.float32]) -> NDArray[np.float32]:
    """Take whatever is red for the person."""
    return np.asarray(batch[0, 0] > 0, np.float32)


def test_pictures_and_clips_become_tables_json_and_sheets(
    sets: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score_tables, "load_backend", lambda *_: ConstantBackend(bright))
    out = tmp_path / "scores"
    words = ["--data", sets, "--clips", clip, "--engine", "cpu:int8", "--out", out, "--worst", 5]
    shown = run(*words, "--pixels", PIXELS, "--pixels", 2 * PIXELS)
    record = json.loads((out / "scores.json").read_text(encoding="utf-8"))
    ways = [(r["engine"], r["pixels"], r["alpha"]) for r in record["images"]]
    sizes = (PIXELS, 2 * PIXELS)
    assert ways == [("cpu:int8", size, alpha) for size in sizes for alpha in ("bare", "served")]
    for result in record["images"]:
        assert set(result["scores"]) == {"people", "cutouts", "rooms", "overall"}
        assert set(result["scores"]["rooms"]) == {"false_person", "person_share"}
        assert result["scores"]["overall"] == pytest.approx(overall_of_rows(result))
        assert [row["set"] for row in result["rows"]].count("cutouts") == 4
    assert [r["alpha"] for r in record["clips"]] == list(clip_scores.STATES) * 2
    assert set(record["clips"][0]["scores"]["disk"]) == CLIP_SCORES
    table = (out / "scores.md").read_text(encoding="utf-8")
    assert table in shown
    assert table.count("| overall |") == len(ways) + len(record["clips"])
    for name in ("worst", "worst-people", "worst-cutouts", "worst-rooms"):
        sheet = cv2.imread(str(out / f"{name}.png"))
        assert sheet is not None
        assert sheet.shape[1] == SHEET_WIDTH


def test_trained_weights_are_scored_in_place_of_engines(sets: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    weights, out = tmp_path / "net.safetensors", tmp_path / "scores"
    save_weights(MattingNetwork(), weights)
    words = ["--data", sets / "cutouts", "--weights", weights, "--pixels", PIXELS]
    run(*words, "--out", out, "--worst", 0)
    record = json.loads((out / "scores.json").read_text(encoding="utf-8"))
    assert [r["engine"] for r in record["images"]] == [str(weights)] * 2
    assert set(record["images"][0]["scores"]) == {"cutouts", "overall"}
    assert {path.name for path in out.iterdir()} == {"scores.json", "scores.md"}


def test_score_engine_gives_every_set_and_all(sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = ConstantBackend(1.0)
    monkeypatch.setattr(score_tables, "load_backend", lambda *_: backend)
    scores = score_tables.score_engine("cpu:int8", find_sets(sets), PIXELS)
    assert set(scores["overall"]) == PERSON_SCORES
    assert scores["overall"]["recall"] == 1
    assert scores["rooms"] == {"false_person": 1.0, "person_share": 1.0}


def test_overall_counts_pictures_with_people_alike(sets: Path) -> None:
    means = mean_by_set(score_images(bare(ConstantBackend(0.7), PIXELS), find_sets(sets)))
    expected = (10 * means["people"]["iou"] + 4 * means["cutouts"]["iou"]) / 14
    assert means["overall"]["iou"] == pytest.approx(expected)


def test_no_people_no_overall(sets: Path) -> None:
    rooms = [s for s in find_sets(sets) if not s.people]
    assert set(mean_by_set(score_images(bare(ConstantBackend(0.7), PIXELS), rooms))) == {"rooms"}


def test_bare_alpha_is_the_networks_and_served_alpha_the_programs() -> None:
    image, backend = np.zeros((90, 120, 3), np.uint8), ConstantBackend(0.98)
    np.testing.assert_allclose(bare(backend, PIXELS)(image), 0.98, atol=1e-6)
    serve = served(backend, PIXELS)
    np.testing.assert_array_equal(serve(image), 1)  # settled
    np.testing.assert_array_equal(serve(image), serve(image + 9))  # nothing carried over


def test_each_input_is_computed_once() -> None:
    asked = []

    def answer(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        asked.append(batch.shape)
        return np.full(batch.shape[2:], 0.98, np.float32)

    backend = Remembering(ConstantBackend(answer))
    wide, high = np.zeros((90, 120, 3), np.uint8), np.zeros((120, 90, 3), np.uint8)
    for predict in (bare(backend, PIXELS), served(backend, PIXELS)) * 2:
        assert predict(wide).shape == (90, 120)
        assert predict(high).shape == (120, 90)
    assert len(asked) == 2
    np.testing.assert_allclose(bare(backend, PIXELS)(wide), 0.98, atol=1e-6)


def test_the_worst_come_first_and_the_faultless_not_at_all(sets: Path) -> None:
    image_sets = find_sets(sets)
    predict = bare(ConstantBackend(1.0), PIXELS)
    people = score_images(predict, [s for s in image_sets if s.name == "people"])
    assert [row.sample.image.stem for row in worst_cases(people, 3)] == [
        "0",
        "1",
        "2",
    ]  # small disks
    empty = bare(ConstantBackend(0.0), PIXELS)
    assert worst_cases(score_images(empty, [s for s in image_sets if not s.people]), 3) == []


def test_errors_are_red_where_background_is_kept_and_blue_where_the_person_is_missing(
    sets: Path,
) -> None:
    image_sets = [s for s in find_sets(sets) if s.name == "people"]
    for value, channel in ((1.0, 2), (0.0, 0)):
        predict = bare(ConstantBackend(value), PIXELS)
        rows = worst_cases(score_images(predict, image_sets), 2)
        colours = worst_sheet(predict, rows, "a title").astype(np.int16)
        others = np.delete(colours, [1, channel], axis=2)[..., 0]
        assert np.count_nonzero(colours[..., channel] - others > 150) > 1000


def test_a_sheet_without_images_is_labelled() -> None:
    sheet = worst_sheet(bare(ConstantBackend(0.0), PIXELS), [], "The worst 0 of 50 images")
    assert sheet.shape[1] == SHEET_WIDTH
    assert sheet.max() > 200
