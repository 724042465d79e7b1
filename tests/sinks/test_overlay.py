"""What the preview draws over its picture, checked by pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from vidbg.frame import Image
from vidbg.sinks.preview.overlay import PreviewStatus, View, draw_view

LIVE = PreviewStatus("live", 29.97, 26.4)
NOTE = "The camera is gone; the background is shown until it is back. Plug it in again."
EVERYTHING = View(
    PreviewStatus("degraded", 12.0, 90.0, NOTE), figures=True, room_visible=True, answer_s=4.2
)
SIZES = [(640, 360), (640, 480), (360, 640), (1280, 720), (1920, 1080)]


def plain(level: int, width: int = 640, height: int = 360) -> Image:
    return np.full((height, width, 3), level, np.uint8)


def changed(view: View, image: Image) -> tuple[int, int, int, int]:
    """First and last row, first and last column that a view changes; zeros for none."""
    rows, columns = np.nonzero((draw_view(image, view) != image).any(axis=2))
    if not rows.size:
        return 0, 0, 0, 0
    return int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())


def test_the_frame_itself_stays_as_it_is() -> None:
    image = np.random.default_rng(0).integers(0, 255, (90, 160, 3), np.uint8)
    kept = image.copy()
    drawn = draw_view(image, EVERYTHING)
    assert np.array_equal(image, kept)
    assert not np.array_equal(drawn, kept)
    assert not np.shares_memory(draw_view(image, View()), image)


def test_the_picture_is_mirrored_and_text_is_not() -> None:
    image = np.random.default_rng(0).integers(0, 255, (90, 160, 3), np.uint8)
    assert np.array_equal(draw_view(image, View()), image)
    assert np.array_equal(draw_view(image, View(mirror=True)), image[:, ::-1])
    text = View(LIVE, figures=True), View(LIVE, figures=True, mirror=True)
    assert np.array_equal(draw_view(plain(90), text[0]), draw_view(plain(90), text[1]))


@pytest.mark.parametrize("level", [0, 128, 255])
@pytest.mark.parametrize("size", [(640, 360), (360, 640)])
@pytest.mark.parametrize(
    "view",
    [
        *[View(LIVE, figures=True), View(answer_s=5.0), View(help=True), View(hint=True)],
        *[View(PreviewStatus("live", note=NOTE)), View(room_visible=True)],
    ],
)
def test_text_is_white_on_a_dark_or_red_ground(
    view: View, size: tuple[int, int], level: int
) -> None:
    image = plain(level, *size)
    drawn = draw_view(image, view)
    ground = drawn[(drawn != image).any(axis=2) & (drawn.max(axis=2) < 230)]
    if level:
        typical = np.median(ground, axis=0)
        assert typical.max() <= 80 or tuple(typical) == (30, 30, 215)
    letters = (drawn > 200).all(axis=2)
    rows, _ = np.nonzero(letters if level < 255 else letters & _inside(drawn))
    assert rows.size > 20
    assert (rows.max() - rows.min()) / min(size) > 0.02


def _inside(drawn: Image) -> NDArray[np.bool_]:
    """Where a panel is on a white picture: between its first and last dark pixel of a row."""
    edge = int(min(drawn.shape[:2]) * 0.02)  # the border of a visible room is no panel
    dark = np.zeros(drawn.shape[:2], np.bool_)
    dark[edge:-edge, edge:-edge] = (drawn[edge:-edge, edge:-edge] < 230).any(axis=2)
    after = np.maximum.accumulate(dark, axis=1)
    return np.logical_and(after, np.maximum.accumulate(dark[:, ::-1], axis=1)[:, ::-1])


@pytest.mark.parametrize("size", SIZES)
def test_sizes_go_with_the_pictures(size: tuple[int, int]) -> None:
    """A line of text is 5 to 9 % of the shorter side, from 640 x 360 on."""
    top, bottom, _, _ = changed(View(hint=True), plain(255, *size))
    assert 0.05 < (bottom - top) / min(size) < 0.09


@pytest.mark.parametrize("size", SIZES)
def test_all_stays_inside_the_picture(size: tuple[int, int]) -> None:
    width, height = size
    views = [View(PreviewStatus("live", note=NOTE * 3)), View(answer_s=5.0), View(help=True)]
    for view in views:
        top, bottom, left, right = changed(view, plain(255, *size))
        assert min(top, left, height - 1 - bottom, width - 1 - right) >= 5


def test_a_visible_room_has_a_red_border_and_label() -> None:
    drawn = draw_view(plain(255), View(room_visible=True))
    red = (drawn == (30, 30, 215)).all(axis=2)
    assert red[:4].all() and red[-4:].all() and red[:, :4].all() and red[:, -4:].all()
    assert red[12:40, 220:420].mean() > 0.5
    assert not (draw_view(plain(255), View(LIVE, figures=True)) == (30, 30, 215)).all(axis=2).any()


def test_figures_are_shown_where_wanted_and_other_states_always() -> None:
    assert changed(View(LIVE), plain(255)) == (0, 0, 0, 0)
    assert changed(View(LIVE, figures=True), plain(255))[:3:2] == (11, 11)
    assert changed(View(PreviewStatus("starting")), plain(255))[:3:2] == (11, 11)
    without = changed(View(PreviewStatus("live"), figures=True), plain(255))
    assert without[3] < changed(View(LIVE, figures=True), plain(255))[3]


def test_the_label_and_the_figures_do_not_overlap() -> None:
    label = draw_view(plain(255, 360, 640), View(room_visible=True))
    both = draw_view(plain(255, 360, 640), View(LIVE, figures=True, room_visible=True))
    rows = np.nonzero((label != both).any(axis=(1, 2)))[0]
    red = (label[:, 180] == (30, 30, 215)).all(axis=1)
    assert rows.min() > np.nonzero(red[:320])[0].max()


def test_a_question_precedes_help_and_a_note_precedes_the_hint() -> None:
    asked = draw_view(plain(255), View(answer_s=3.0))
    assert np.array_equal(draw_view(plain(255), View(answer_s=3.0, help=True)), asked)
    noted = (
        View(PreviewStatus("live", note="no camera")),
        View(PreviewStatus("live", note="no camera"), hint=True),
    )
    assert np.array_equal(draw_view(plain(255), noted[0]), draw_view(plain(255), noted[1]))


def test_letters_that_the_font_lacks() -> None:
    """Each becomes one question mark, not a row of them, and stops nothing."""
    odd, plain_text = View(PreviewStatus("é")), View(PreviewStatus("?"))
    assert np.array_equal(draw_view(plain(255), odd), draw_view(plain(255), plain_text))


@given(st.integers(1, 200), st.integers(1, 200), st.booleans())
def test_every_size_can_be_drawn_on(width: int, height: int, helping: bool) -> None:
    image = plain(255, width, height)
    view = View(LIVE, figures=True, help=True, hint=True) if helping else EVERYTHING
    assert draw_view(image, view).shape == image.shape
