"""The overlay: its position, blending and errors, in files and live."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
import pytest
from clips import write_clip
from live_rig import BEHIND, HEIGHT, WIDTH, Rig
from numpy.typing import NDArray
from PIL import Image as Pillow

import vidbg
from vidbg.compositing import CompositingConfig, Compositor
from vidbg.compositing.backgrounds import BlurSpec, ColourSpec, PassthroughSpec, TransparentSpec
from vidbg.compositing.foreground_layer import ForegroundLayer, Placement
from vidbg.errors import ConfigError
from vidbg.frame import Frame, Image
from vidbg.pipeline.live.outputs.fallback import card, fallback_image
from vidbg.sources import open_frames
from vidbg.util.choices import Position

RED, GREEN = (0, 0, 255), (0, 255, 0)


def picture(path: Path, height: int, width: int, alpha: int | NDArray[Any] = 255) -> Path:
    """Save a red image in the format of the path's suffix."""
    pixels = np.zeros((height, width, 4), np.uint8)
    pixels[..., 2], pixels[..., 3] = 255, alpha
    cv2.imwrite(str(path), pixels if path.suffix != ".jpg" else pixels[..., :3])
    return path


@pytest.fixture
def logo(tmp_path: Path) -> Path:
    return picture(tmp_path / "logo.png", 20, 40)


def drawn(path: Path, position: Position, size: float, margin: float = 0.0) -> Image:
    grey = Frame(np.full((90, 160, 3), 100, np.uint8), 0.0, 0)
    return ForegroundLayer(path).draw(grey, Placement(position, size, margin)).image


def box(image: Image) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of what is red."""
    rows, columns = np.nonzero((image == RED).all(axis=2))
    return rows.min(), rows.max() + 1, columns.min(), columns.max() + 1


TOPS = {"top": 9, "": 35, "bottom": 61}
LEFTS = {"left": 9, "": 60, "right": 111}


@pytest.mark.parametrize(("down", "across"), list(product(TOPS, LEFTS)))
def test_nine_places(logo: Path, down: str, across: str) -> None:
    name: Any = "-".join(filter(None, (down, across))) or "center"
    assert name in get_args(Position)
    top, left = TOPS[down], LEFTS[across]
    assert box(drawn(logo, name, 0.25, 0.1)) == (top, top + 20, left, left + 40)


@pytest.mark.parametrize(("size", "wanted"), [(0.5, (40, 80)), (1, (80, 160)), (0.01, (1, 2))])
def test_size_is_a_share_of_the_frames_width(
    logo: Path, size: float, wanted: tuple[int, int]
) -> None:
    top, bottom, left, right = box(drawn(logo, "center", size))
    assert (bottom - top, right - left) == wanted


def test_a_tall_picture_fits_in(tmp_path: Path) -> None:
    tall = picture(tmp_path / "tall.png", 300, 30)
    assert box(drawn(tall, "top-left", 0.5, 0.1)) == (9, 81, 9, 16)


def test_half_transparent_parts_are_blended_and_clear_ones_leave_no_fringe(tmp_path: Path) -> None:
    alpha = np.zeros((40, 80), np.uint8)
    alpha[:, 40:] = 128
    grey = drawn(picture(tmp_path / "a.png", 40, 80, alpha), "top-left", 1)
    assert (grey[:80, :76] == 100).all()
    np.testing.assert_allclose(grey[20, 120], (50, 50, 178), atol=1)
    black = np.zeros((40, 80, 4), np.uint8)
    black[:, 40:] = 255  # white beside clear black
    cv2.imwrite(str(tmp_path / "b.png"), black)
    assert drawn(tmp_path / "b.png", "center", 0.3).min() >= 100


def test_a_jpeg_covers_wholly_and_webp_has_alpha(tmp_path: Path) -> None:
    shown = drawn(picture(tmp_path / "a.jpg", 20, 40), "center", 0.25)
    assert (np.abs(shown[45, 80].astype(int) - RED) < 3).all()
    Pillow.new("RGBA", (40, 20), (255, 0, 0, 128)).save(tmp_path / "b.webp", lossless=True)
    np.testing.assert_allclose(
        drawn(tmp_path / "b.webp", "center", 1)[45, 80], (50, 50, 178), atol=1
    )


def test_it_does_not_write_into_the_frame(logo: Path) -> None:
    frame = Frame(np.full((90, 160, 3), 100, np.uint8), 0.0, 0)
    ForegroundLayer(logo).draw(frame, Placement("center", 1, 0))
    assert (frame.image == 100).all()


def test_a_file_that_changes_is_not_read_again_unless_it_is_set_again(logo: Path) -> None:
    config = CompositingConfig(ColourSpec(GREEN), overlay=logo, overlay_size=1)
    compositor = Compositor(config, open_frames)
    frame = Frame(np.zeros((90, 160, 3), np.uint8), 0.0, 0)
    nobody = np.zeros((90, 160), np.float32)
    assert (compositor(frame, nobody).image[45, 80] == RED).all()
    logo.unlink()
    compositor.change(replace(config, overlay_size=0.5))
    shown = compositor(frame, nobody).image
    assert box(shown) == (49 - 2, 90 - 3, 160 - 80 - 3, 160 - 3)
    with pytest.raises(ConfigError, match="does not exist"):
        compositor.change(replace(config, overlay=Path(logo)))
    np.testing.assert_array_equal(compositor(frame, nobody).image, shown)
    compositor.change(replace(config, overlay=None))
    assert (compositor(frame, nobody).image == GREEN).all()


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "does not exist"), (b"", "is empty"), (b"hello", "is not a picture, or is damaged")],
)
def test_unreadable_files_are_refused(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "logo.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"overlay .*logo.png' {reason}; give a picture"):
        ForegroundLayer(path)
    with pytest.raises(ConfigError, match="is a folder"):
        ForegroundLayer(tmp_path)


def test_every_background_has_it(logo: Path) -> None:
    frame = Frame(np.full((90, 160, 3), 100, np.uint8), 0.0, 0)
    alpha = np.zeros((90, 160), np.float32)
    alpha[:, :80] = 1
    for spec in (ColourSpec(GREEN), BlurSpec(), PassthroughSpec(), TransparentSpec()):
        config = CompositingConfig(spec, overlay=logo, overlay_size=0.25, overlay_margin=0)
        assert not config.plain
        done = Compositor(config, open_frames)(frame, alpha)
        assert (done.image[70:, 120:] == RED).all()
        assert (done.image[45, 40] == 100).all()
        if spec == TransparentSpec():
            assert done.alpha is not None
            assert (done.alpha[70:, 120:] == 1).all()
            assert done.alpha[:60, 90:].max() == 0


def test_the_matte_of_an_alpha_video_is_the_persons_alone(logo: Path) -> None:
    config = CompositingConfig(ColourSpec(GREEN), overlay=logo, overlay_size=1, keep_alpha=True)
    frame = Frame(np.full((90, 160, 3), 100, np.uint8), 0.0, 0)
    done = Compositor(config, open_frames)(frame, np.zeros((90, 160), np.float32))
    assert done.alpha is not None
    assert done.alpha.max() == 0
    assert (done.image[45, 80] == RED).all()


def test_a_half_transparent_layer_over_a_half_transparent_person(tmp_path: Path) -> None:
    """As Porter and Duff (1984): alpha 0.75, two thirds of the colour the layer's."""
    layer = ForegroundLayer(picture(tmp_path / "a.png", 90, 160, 128))
    frame = Frame(
        np.full((90, 160, 3), (90, 90, 0), np.uint8), 0.0, 0, np.full((90, 160), 0.5, np.float32)
    )
    done = layer.draw(frame, Placement("center", 1, 0))
    assert done.alpha is not None
    assert done.alpha[45, 80] == pytest.approx(0.75, abs=0.003)
    np.testing.assert_allclose(done.image[45, 80], (30, 30, 170), atol=2)


def test_files_get_it_and_it_is_not_overwritten(tmp_path: Path, logo: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", size=(160, 96))
    config = CompositingConfig(PassthroughSpec(), overlay=logo, overlay_size=0.5)
    (out,) = vidbg.process(clip, tmp_path / "b.mp4", background=config)
    with open_frames(out) as frames:
        count = 0
        for frame in frames:
            blue, _, red = frame.image[70, 120].astype(int)
            assert red > 200 > 60 > blue
            count += 1
    assert count == 12
    cv2.imwrite(str(tmp_path / "in.png"), np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(ConfigError, match="is the overlay; give another name"):
        vidbg.process(tmp_path / "in.png", logo, background=config)


def test_the_fallback_frame_has_it(logo: Path) -> None:
    for spec in (ColourSpec(BEHIND), BlurSpec()):
        plain = CompositingConfig(spec)
        with_logo = replace(plain, overlay=logo, overlay_size=0.25, overlay_margin=0)
        shown = fallback_image(with_logo, WIDTH, HEIGHT)
        assert (shown[-16:, -32:] == RED).all()
        np.testing.assert_array_equal(shown[:-16], fallback_image(plain, WIDTH, HEIGHT)[:-16])
    np.testing.assert_array_equal(
        fallback_image(CompositingConfig(BlurSpec()), 64, 48), card(64, 48)
    )


def test_an_overlay_is_added_and_removed_during_a_run(logo: Path) -> None:
    with Rig() as rig:
        rig.wait_live()
        look = rig.supervisor.look
        count = len(rig.seen)
        for _ in range(3):
            for overlay in (logo, None):
                changed = replace(look.compositing, overlay=overlay)
                rig.supervisor.change(replace(look, compositing=changed))
                time.sleep(0.1)
        assert all(observed.person for observed in rig.seen[count:])
        broken = replace(look.compositing, overlay=logo.with_name("none.png"))
        before = rig.supervisor.look
        with pytest.raises(ConfigError, match="does not exist"):
            rig.supervisor.change(replace(look, compositing=broken))
        assert rig.supervisor.look is before
        assert not rig.leaked
