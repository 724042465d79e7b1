"""The contract of background kinds, run over every member of the table.

A failure says what a kind lacks. `BackgroundSpec` in vidbg/compositing/backgrounds/base.py says how
to add one.
"""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
import pytest

from vidbg.cli.options import help_text
from vidbg.compositing import backgrounds
from vidbg.compositing.backgrounds import (
    BACKGROUNDS,
    BackgroundSpec,
    FileSpec,
    FrameStream,
    PassthroughSpec,
    SlidesSpec,
    background_usage,
    check_background,
    open_background,
    parse_background,
)
from vidbg.errors import ConfigError, SourceError
from vidbg.frame import Alpha, Frame
from vidbg.option_table import BACKGROUND

KINDS = pytest.mark.parametrize("kind", BACKGROUNDS.values(), ids=list(BACKGROUNDS))
Ask = Callable[[type[BackgroundSpec]], list[BackgroundSpec]]


def lacks(kind: type[BackgroundSpec]) -> list[str]:
    """Say what a kind must still define; its attributes are checked when it is imported."""
    documented = "__doc__" in vars(kind) and not str(kind.__doc__).startswith(f"{kind.__name__}(")
    abstract = [f"{name}()" for name in sorted(kind.__abstractmethods__)]
    return abstract + ([] if documented else ["a docstring"])


@KINDS
def test_it_is_complete(kind: type[BackgroundSpec]) -> None:
    missing = lacks(kind)
    assert not missing, f"{kind.__name__} lacks {', '.join(missing)}: see BackgroundSpec"


def test_what_a_kind_lacks_is_named() -> None:
    with pytest.raises(TypeError, match="Bare lacks usage, examples, made_of_frame; see Back"):

        class Bare(BackgroundSpec):
            name = "bare"

    @dataclass(frozen=True)
    class Half(BackgroundSpec):
        name = "half"
        usage = "half"
        examples = ("half",)
        made_of_frame = False

        @classmethod
        def parse(cls, text: str) -> Self | None:
            return cls() if text == "half" else None

    half: Any = Half  # abstract, so it is no type[BackgroundSpec]
    assert lacks(half) == ["__str__()", "open()", "a docstring"]


def test_every_kind_that_is_defined_is_in_the_table() -> None:
    modules = [
        import_module(f"{backgrounds.__name__}.{path.stem}")
        for path in Path(backgrounds.__path__[0]).glob("*.py")
    ]
    kinds = {
        name
        for module in modules
        for name, kind in vars(module).items()
        if inspect.isclass(kind) and issubclass(kind, BackgroundSpec)
        if kind.__module__ == module.__name__ and kind is not BackgroundSpec
    }
    assert kinds == {kind.__name__ for kind in BACKGROUNDS.values()}, "add it to BACKGROUNDS"


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Parse a kind's examples; for files, give a path."""
    picture = tmp_path / "room.png"
    cv2.imwrite(str(picture), np.full((9, 16, 3), 77, np.uint8))

    def parse(kind: type[BackgroundSpec]) -> list[BackgroundSpec]:
        of_files = {FileSpec: (str(picture),), SlidesSpec: (f"slides:{tmp_path}:5",)}
        texts = of_files.get(kind, kind.examples)
        assert texts, f"{kind.__name__}.examples is empty: give one complete text at least"
        return [parse_background(text) for text in texts]

    return parse


@KINDS
def test_it_reads_its_examples_and_prints_what_it_reads(
    kind: type[BackgroundSpec], ask: Ask
) -> None:
    for spec in ask(kind):
        assert type(spec) is kind, f"{spec} is read by {type(spec).__name__}: see its parse()"
        text = str(spec) if spec.files else f" {spec} "
        assert parse_background(text) == spec, f"parse() must read {text!r} as {spec}"
        assert hash(parse_background(str(spec))) == hash(spec)


@KINDS
def test_it_cannot_be_changed(kind: type[BackgroundSpec], ask: Ask) -> None:
    for spec in ask(kind):
        assert is_dataclass(spec), f"{kind.__name__} is not a dataclass"
        for field in fields(spec):
            with pytest.raises(FrozenInstanceError):
                setattr(spec, field.name, getattr(spec, field.name))


@KINDS
@pytest.mark.parametrize("text", ["beach.jpg", "./blur", "C:/rooms/a.png", "blurry", "nonesuch"])
def test_it_leaves_other_texts_to_the_files(kind: type[BackgroundSpec], text: str) -> None:
    assert kind is FileSpec or kind.parse(text) is None


@KINDS
def test_help_and_errors_say_how_to_write_it(kind: type[BackgroundSpec]) -> None:
    assert kind.usage in background_usage()
    assert (kind.usage in background_usage(live=True)) is not kind.transparent
    with pytest.raises(ConfigError) as refused:
        parse_background("")
    assert kind.usage in str(refused.value)
    assert kind.usage in help_text(BACKGROUND, "process")


@KINDS
def test_its_page_describes_it(kind: type[BackgroundSpec]) -> None:
    page = Path(__file__).parents[2] / "docs" / "backgrounds.md"
    first = re.split(r"[ ,]", kind.usage)[0]
    assert kind is FileSpec or f"`{first}" in page.read_text(encoding="utf-8"), (
        f"docs/backgrounds.md says nothing of {first}"
    )


@KINDS
def test_a_misspelt_example_is_suggested(kind: type[BackgroundSpec], tmp_path: Path) -> None:
    for example in kind.examples:
        with pytest.raises(ConfigError, match=f"did you mean '{example}'"):
            check_background(FileSpec(tmp_path / f"{example[:1]}{example}"))


def no_video(path: Path, /, *, again: bool = False) -> FrameStream:  # noqa: ARG001
    raise SourceError("no video")


@KINDS
def test_it_opens_and_gives_images_of_the_frames_size(kind: type[BackgroundSpec], ask: Ask) -> None:
    for spec in ask(kind):
        background = open_background(spec, open_frames=no_video)
        nothing_to_lay = spec.transparent or spec.shows_room
        assert (background is None) == nothing_to_lay, (
            f"{kind.__name__}.open() and its flags differ"
        )
        if background is None:
            continue
        for height, width in ((90, 160), (48, 33), (1, 1)):
            frame, alpha = room(height, width, 0)
            before = frame.image.copy()
            image = background.at(frame, alpha)
            assert image.shape == (height, width, 3)
            assert image.dtype == np.uint8
            assert image.flags.c_contiguous
            np.testing.assert_array_equal(frame.image, before)
        background.close()
        background.close()


@KINDS
def test_it_is_made_of_the_frame_if_it_says_so(kind: type[BackgroundSpec], ask: Ask) -> None:
    for spec in ask(kind):
        background = open_background(spec, open_frames=no_video)
        if background is None:
            continue
        first, second = (background.at(*room(90, 160, seed)).copy() for seed in (0, 1))
        made_of_frame = not np.array_equal(first, second)
        assert spec.made_of_frame == made_of_frame, f"{kind.__name__}.made_of_frame is wrong"
        background.close()


def room(height: int, width: int, seed: int) -> tuple[Frame, Alpha]:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Frame(image, 0.0, 0), np.zeros((height, width), np.float32)


def test_only_none_shows_the_room() -> None:
    assert [kind for kind in BACKGROUNDS.values() if kind.shows_room] == [PassthroughSpec]
    assert PassthroughSpec.panel_label is None, "the panel must not be able to show the room"


@KINDS
def test_the_panel_can_adjust_what_it_offers(kind: type[BackgroundSpec]) -> None:
    setting = kind.panel_setting
    if setting is None:
        return
    assert kind.panel_label, f"{kind.__name__} has a panel_setting, but no panel_label"
    edges = [setting.default] if setting.limits is None else [setting.default, *setting.limits]
    for value in edges:
        spec = kind.parse(f"{kind.name}:{value}")
        assert spec is not None, f"{kind.__name__} does not read {kind.name}:{value}"
        assert str(spec).startswith(f"{kind.name}:"), f"{spec} must be {kind.name}:VALUE"
        assert kind.parse(str(spec)) == spec


def test_names_on_the_panel_differ() -> None:
    taken = ["background", "mirror", "fit", "offset_px", "feather_px", "light_wrap"]
    taken += [kind.panel_setting.name for kind in BACKGROUNDS.values() if kind.panel_setting]
    assert len(set(taken)) == len(taken)


def test_the_table_is_read_without_loading_numpy() -> None:
    code = "import sys, vidbg.compositing.backgrounds; print({'numpy', 'cv2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()", "import NumPy and OpenCV inside open()"


@KINDS
def test_opening_it_imports_nothing_after_the_compositor(
    kind: type[BackgroundSpec], ask: Ask
) -> None:
    """Late imports slow every frame down: see PRELOADED in compositor.py."""
    code = (
        "import sys\n"
        "from vidbg.compositing import Compositor, CompositingConfig, parse_background\n"
        "from vidbg.sources import open_frames\n"
        "before = set(sys.modules)\n"
        "Compositor(CompositingConfig(parse_background(sys.argv[1])), open_frames)\n"
        "print(*sorted(m for m in set(sys.modules) - before if m.startswith('vidbg.')))"
    )
    for spec in ask(kind):
        done = subprocess.run(
            [sys.executable, "-c", code, str(spec)], capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == [], "add it to PRELOADED in compositor.py"
