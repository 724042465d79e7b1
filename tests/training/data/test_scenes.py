"""Training scenes: objects behind, in front of and in hands, motion blur, contrast, sampling."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data.contrast import backlight, camouflage
from training.data.degradations import blur_motion
from training.data.image_sets import ImageSet, find_sets
from training.data.objects import Box, Place, person_box, place_object
from training.data.scene_sources import SceneSources
from training.data.scenes import AugmentConfig, Layer, Role, Scene, SceneMaker
from vidbg.errors import ConfigError

IDENTITY = np.eye(2, 3)
HEIGHT, WIDTH = 64, 96


def layer(level: int, columns: slice, role: Role) -> Layer:
    """Return a flat image that is visible in some columns."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[:, columns] = 255
    image = np.full((HEIGHT, WIDTH, 3), level, np.uint8)
    return Layer(image, mask, IDENTITY, role=role)


def masks(*pasted: Layer) -> np.ndarray:
    empty = Layer(
        np.zeros((HEIGHT, WIDTH, 3), np.uint8), np.zeros((HEIGHT, WIDTH), np.uint8), IDENTITY
    )
    scene = Scene(HEIGHT, WIDTH, empty, pasted, mirrored=False, degradation=1)
    return scene.render(np.random.default_rng(0))[1]


PERSON = layer(200, slice(20, 60), Role.PERSON)


def test_an_object_hides_the_person_behind_it() -> None:
    mask = masks(PERSON, layer(90, slice(50, 90), Role.OBJECT))
    assert mask[:, 22:48].min() == 255
    assert mask[:, 52:].max() == 0


def test_an_object_behind_the_person_changes_no_mask() -> None:
    np.testing.assert_array_equal(
        masks(layer(90, slice(0, 90), Role.OBJECT), PERSON), masks(PERSON)
    )


def test_what_is_held_belongs_to_the_person() -> None:
    mask = masks(PERSON, layer(90, slice(50, 70), Role.HELD))
    assert mask[:, 22:68].min() == 255
    assert mask[:, 72:].max() == 0


@pytest.mark.parametrize("place", list(Place))
def test_objects_are_placed_to_the_persons_scale(place: Place) -> None:
    box = Box(100, 40, 220, 240)
    for seed in range(30):
        matrix = place_object(np.random.default_rng(seed), place, (200, 150), box)
        scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
        x, y = matrix @ (75, 100, 1)
        assert 0.05 * box.width < 150 * scale < 4 * box.width
        assert -box.width < x - box.right < 2 * box.width or x < box.right
        if place is Place.HELD:
            assert box.left < x < box.right
            assert box.top < y < box.bottom
        if place is Place.IN_FRONT:
            assert y > box.top + box.height / 2


def test_a_box_is_what_is_seen_of_the_person() -> None:
    mask = np.zeros((50, 50), np.uint8)
    mask[10:50, 20:40] = 255
    shifted = np.array([[2.0, 0, 0], [0, 2.0, 0]])
    assert person_box(mask, shifted, 80, 70) == Box(40, 20, 70, 80)
    assert person_box(mask * 0, shifted, 80, 70) is None


def test_motion_blur_moves_mask_and_colour_together() -> None:
    picture = np.zeros((96, 128, 3), np.uint8)
    picture[...] = (10, 20, 30)
    mask = np.zeros((96, 128), np.uint8)
    cv2.rectangle(mask, (40, 20), (80, 95), 255, cv2.FILLED)
    picture[mask > 0] = (200, 100, 50)
    image, alpha = blur_motion(np.random.default_rng(2), picture, mask)
    assert ((alpha > 20) & (alpha < 235)).sum() > ((mask > 20) & (mask < 235)).sum() + 50
    outside = (alpha > 30) & (mask == 0)
    assert outside.any()
    # The blurred arm has the arm's colour, not a mixture with what was behind it in its image
    assert np.abs(image[outside].astype(int) - (200, 100, 50)).max() < 40
    assert alpha.max() == 255
    untouched, still = blur_motion(np.random.default_rng(2), picture, mask * 0)
    assert untouched is picture
    assert not still.any()


def test_camouflage_moves_the_backgrounds_colour_to_the_clothes() -> None:
    background = np.full((80, 80, 3), 40, np.uint8)
    person = np.full((80, 80, 3), 210, np.uint8)
    mask = np.zeros((80, 80), np.uint8)
    mask[10:, 20:60] = 255
    out = camouflage(np.random.default_rng(1), background, person, mask)
    assert 120 < out.mean() <= 211
    assert camouflage(np.random.default_rng(1), background, person, mask * 0) is background


def test_backlight_lifts_the_background_and_darkens_people() -> None:
    background = np.full((8, 8, 3), 100, np.uint8)
    out, factor = backlight(np.random.default_rng(1), background)
    assert out.mean() > 130
    assert factor < 0.85


@pytest.fixture
def objects(tmp_path: Path) -> ImageSet:
    folder = tmp_path / "objects" / "images"
    folder.mkdir(parents=True)
    picture = np.full((40, 30, 4), 255, np.uint8)
    picture[..., :3] = (30, 160, 30)
    for index in range(2):
        assert cv2.imwrite(str(folder / f"{index}.png"), picture)
    return find_sets(tmp_path / "objects")[0]


def scene_maker(sets: Path, objects: ImageSet, config: AugmentConfig) -> SceneMaker:
    usual = SceneSources.of(find_sets(sets))
    sources = replace(usual, objects=objects, coarse=["people"], plain=["cutouts"])
    return SceneMaker(sources, config)


def test_scenes_have_objects_as_often_as_configured(sets: Path, objects: ImageSet) -> None:
    config = AugmentConfig(objects=1.0, held=0.0)
    maker = scene_maker(sets, objects, config)
    for seed in range(12):
        scene = maker.make(np.random.default_rng(seed), 64, 96)
        assert any(part.role is Role.OBJECT for part in scene.pasted)
    never = scene_maker(sets, objects, replace(config, objects=0.0))
    for seed in range(12):
        scene = never.make(np.random.default_rng(seed), 64, 96)
        assert all(part.role is Role.PERSON for part in scene.pasted)


def test_rooms_with_objects_still_show_nobody(sets: Path, objects: ImageSet) -> None:
    maker = scene_maker(sets, objects, AugmentConfig(nobody=1.0, objects=1.0))
    assert not maker.pair(np.random.default_rng(0), 64, 96)[1].any()


def test_coarse_sets_stay_on_their_own_background(sets: Path, objects: ImageSet) -> None:
    maker = scene_maker(sets, objects, AugmentConfig(nobody=0.0, composite=1.0))
    scenes = [maker.make(np.random.default_rng(seed), 64, 96) for seed in range(30)]
    people = [[part for part in s.pasted if part.role is Role.PERSON] for s in scenes]
    assert {s.coarse for s in scenes} == {True, False}
    assert all(not pasted for s, pasted in zip(scenes, people, strict=True) if s.coarse)


def test_pictures_are_drawn_by_person(sets: Path) -> None:
    names = [f"{index}.jpg,{'often' if index < 9 else 'once'}" for index in range(10)]
    (sets / "people/persons.csv").write_text("name,person\n" + "\n".join(names))
    people = next(s for s in find_sets(sets) if s.name == "people")
    rng = np.random.default_rng(0)
    drawn = [people.draw(rng).image.stem for _ in range(200)]
    assert 70 < drawn.count("9") < 130


def test_a_picture_whose_person_is_not_listed_is_refused(sets: Path) -> None:
    (sets / "people/persons.csv").write_text("name,person\n0.jpg,anna\n")
    with pytest.raises(ConfigError, match="lacks 9 images"):
        find_sets(sets)


def test_a_sets_edge_is_moved_in_its_scenes(sets: Path) -> None:
    people = [s for s in find_sets(sets) if s.name == "people"]
    config = AugmentConfig(nobody=0.0, composite=0.0)
    wider = [replace(s, edge=3.0) for s in people]
    areas = [
        SceneMaker(SceneSources.of(part), config).pair(np.random.default_rng(1), 64, 96)[1].mean()
        for part in (people, wider)
    ]
    assert areas[1] > areas[0] + 1
