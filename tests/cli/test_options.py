"""Every option is in the table once, and everything generated from the table is complete."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import typer.main

import vidbg
from vidbg import option_table
from vidbg.cli.app import app
from vidbg.cli.config_command import example
from vidbg.cli.options import help_text
from vidbg.compositing import CompositingConfig, parse_background
from vidbg.errors import ConfigError
from vidbg.option import TARGETS, Command, Kind, Option, Target
from vidbg.option_table import LIVE_OPTIONS, OPTIONS, options_for, options_of
from vidbg.pipeline.live.live_config import CHANGEABLE_FIELDS
from vidbg.util.choices import Fit

Vidbg = Callable[..., tuple[int, str, str]]

PACKAGE = Path(vidbg.__file__).parent

IN_PYTHON_ALONE = {
    "matting": {"prior", "reuse"},
    "compositing": {"bars", "keep_alpha"},
    "picture": set(),
    "live": {"matting", "background", "picture", "config_file"},
    "output": {"encoding", "overwrite"},
    "encoding": {"threads"},
    "benchmark": {"path", "width", "height"},
}
"""Fields of the configs that are no option, or are filled from several."""

FULL_FRAME_KNOWS = {
    *{"background", "fit", "rotate", "zoom", "pan_x", "pan_y"},
    *{"overlay_position", "overlay_size", "overlay_margin"},  # of no effect without an overlay
}
"""Options of background and picture that work where a GPU composites full frames."""

CONVERTED = {"background", "network_size", "output", "output_size", "size"}
"""Options whose config has another type: a spec, pixels, several names, two numbers."""


def config_class(target: Target) -> Any:
    module, name = TARGETS[target].split(":")
    return getattr(import_module(module), name)


def place(target: Target) -> str:
    module, name = TARGETS[target].split(":")
    return f"{name} in {module.replace('.', '/')}.py"


def option_name(option: Option[Any]) -> str:
    return f"{option.name} of {' and '.join(option.commands)}"


@pytest.mark.parametrize("target", TARGETS)
def test_every_option_has_its_field_and_every_field_its_option(target: Target) -> None:
    fields = {field.name: field for field in dataclasses.fields(config_class(target))}
    fields.pop("_", None)
    named = {option.config_field for option in options_for(target)}
    for option in options_for(target):
        assert option.config_field in fields, (
            f"--{option.key} has no field: add `{option.config_field}: ... = "
            f"{option.name.upper()}.default` to {place(target)}, or give the option stored_as="
        )
    left_out = set(fields) - named - IN_PYTHON_ALONE[target]
    assert not left_out, (
        f"{place(target)} has fields without an option: {sorted(left_out)}; add them to "
        "vidbg/option_table.py, or to IN_PYTHON_ALONE here"
    )


@pytest.mark.parametrize(
    "option", [o for o in OPTIONS if o.target not in ("command", "benchmark")], ids=option_name
)
def test_the_config_has_the_options_type_and_default(option: Option[Any]) -> None:
    if option.name in CONVERTED:
        return
    config = config_class(option.target)
    field = next(f for f in dataclasses.fields(config) if f.name == option.config_field)
    assert field.default == option.default, (
        f"{place(option.target)}: the default of {field.name} is {field.default!r}, and that of "
        f"--{option.key} {option.default!r}; write `= {option.name.upper()}.default`"
    )
    kind = get_type_hints(config, vars(import_module(config.__module__)))[field.name]
    assert kind == option.type, (
        f"{place(option.target)}: {field.name} is of type {kind}, and --{option.key} {option.type}"
    )


def config_of(target: Target, **values: Any) -> Any:
    needed: dict[Target, dict[str, Any]] = {
        "compositing": {"background": parse_background("blur")},
        "benchmark": {
            **{"path": None, "width": 64, "height": 48, "frames": 9, "warm_up": 1},
            "live_fps": None,
        },
    }
    return config_class(target)(**{**needed.get(target, {}), **values})


@pytest.mark.parametrize(
    "option", [o for o in OPTIONS if o.limits is not None and o.target in TARGETS], ids=option_name
)
def test_configs_hold_numbers_to_their_ranges(option: Option[Any]) -> None:
    assert option.limits is not None
    low, high = option.limits
    for wrong in (low - 1, high + 1, float("nan")):
        if wrong == float("inf"):
            continue
        with pytest.raises(
            ConfigError, match=f"{option.config_field} is .*; (allowed are|it must be) "
        ):
            config_of(option.target, **{option.config_field: wrong})
    assert (
        getattr(config_of(option.target, **{option.config_field: low}), option.config_field) == low
    )


@pytest.mark.parametrize(
    "option", [o for o in OPTIONS if o.choices and o.target in TARGETS], ids=option_name
)
def test_configs_hold_choices_to_their_words(option: Option[Any]) -> None:
    with pytest.raises(ConfigError, match=r"unknown .* 'nonsense'; choose from "):
        config_of(option.target, **{option.config_field: "nonsense"})


@pytest.mark.parametrize(
    "option", [o for o in OPTIONS if o.target in ("compositing", "picture")], ids=option_name
)
def test_the_full_frame_on_a_gpu_leaves_no_option_out(option: Option[Any]) -> None:
    """A config with an option that the GPU's graph does not know must not be plain."""
    if option.config_field in FULL_FRAME_KNOWS:
        return
    values = {bool: True, Path | None: Path("logo.png")}
    value = option.limits.maximum if option.limits else values[option.type]
    background = {"background": parse_background("green")} if option.target != "picture" else {}
    assert config_of(option.target, **background).plain
    assert not config_of(option.target, **background, **{option.config_field: value}).plain, (
        f"--{option.key} has no effect where a GPU composites: `plain` of {place(option.target)} "
        "must see it, or the graph do it (then add it to FULL_FRAME_KNOWS here)"
    )


def attributes_read() -> set[str]:
    """Names of attributes that the program reads anywhere, and of parameters that it looks up."""
    names = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                names.add(node.attr)
            elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
                names.add(str(node.slice.value))
    return names


def test_every_option_is_used() -> None:
    names = attributes_read() | {"gpu"}  # acts while it is parsed
    for option in OPTIONS:
        assert option.config_field in names, (
            f"--{option.key}: nothing in vidbg/ reads `{option.config_field}`, so it does nothing"
        )


@pytest.mark.parametrize("command", get_args(Command))
def test_the_command_has_the_options_of_the_table(command: Command) -> None:
    group: Any = typer.main.get_command(app)
    shown = {p.name for p in group.commands[command].params if p.param_type_name == "option"}
    others = {"config", "profile", "help"}
    assert shown - others == {option.name for option in options_of(command)}
    for option in options_of(command):
        text = help_text(option, command)
        assert text.endswith("."), f"the help of --{option.key} is no sentence: {text!r}"
        assert "{" not in text
        if (
            option.limits is not None
            and option.limits.maximum != float("inf")
            and not option.metavar
        ):
            assert option.range in text, f"the help of --{option.key} misses {{range}}"


def test_every_option_of_the_module_is_in_the_table() -> None:
    named = {n: o for n, o in vars(option_table).items() if isinstance(o, Option)}
    missing = [name for name, option in named.items() if option not in OPTIONS]
    assert not missing, f"add {', '.join(missing)} to OPTIONS in vidbg/option_table.py"


def test_names_are_unique_in_a_command() -> None:
    for command in get_args(Command):
        options = options_of(command)
        for words in ([o.name for o in options], [o.key for o in options]):
            assert len(words) == len(set(words))
        short = [option.short for option in options if option.short]
        assert len(short) == len(set(short))


def test_the_help_of_run_has_groups(vidbg: Vidbg) -> None:
    code, out, _ = vidbg("run", "--help")
    assert code == 0
    for heading in dict.fromkeys(option.group for option in options_of("run")):
        assert f" {heading} " in out


def test_the_example_has_every_key() -> None:
    for option in options_of("run"):
        assert f"# {option.key} = " in example(), f"{option.key} needs an example in the table"


def test_what_is_live_can_be_changed() -> None:
    """LiveRun.change takes exactly the live options, and what the panel shows is live."""
    for option in options_for("live"):
        assert option.live == (option.config_field in CHANGEABLE_FIELDS), (
            f"--{option.key}: `live` and CHANGEABLE_FIELDS in {place('live')} disagree"
        )
    for option in LIVE_OPTIONS:
        assert option.target in ("compositing", "picture", "matting", "live")
    for option in OPTIONS:
        if option.control is not None:
            assert option.live, f"--{option.key} has a control, which is for live options"
            assert set(option.control.labels) <= set(option.choices)
        assert option.kind in get_args(Kind)


def test_fit_is_an_alias_of_contain() -> None:
    old: Any = "fit"
    config = CompositingConfig(parse_background("blur"), fit=old)
    assert config.fit == "contain"
    assert get_args(Fit) == ("cover", "contain")


@pytest.mark.parametrize("word", ["fit", "contain"])
def test_fit_in_the_file_and_the_environment(
    vidbg: Vidbg, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "c.toml"
    file.write_text(f'fit = "{word}"')
    assert 'fit = "contain"' in vidbg("config", "show", "--config", file)[1]
    monkeypatch.setenv("VIDBG_FIT", word)
    assert 'fit = "contain"' in vidbg("config", "show")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--fit", "contian"], "unknown fit 'contian'; did you mean 'contain'?"),
        (["run", "--pipe-format", "i421"], "unknown pipe-format 'i421'; did you mean 'i420'?"),
        (["run", "--format", "MJPEG"], "unknown format 'MJPEG'; did you mean 'MJPG'?"),
        (["run", "--log-level", "warn"], "unknown log-level 'warn'; did you mean 'warning'?"),
        (["run", "--network", "resnet"], "unknown network 'resnet'; did you mean 'resnet50'?"),
        (["process", "a.mp4", "-b", "blur", "--interlaced", "kep"], "did you mean 'keep'?"),
        (["process", "a.mp4", "-b", "blur", "--preset", "slo"], "did you mean 'slow'?"),
        (["build", "--graph", "frames"], "unknown graph 'frames'; did you mean 'frame'?"),
        (["build", "--precision", "fp61"], "unknown precision 'fp61'; did you mean 'fp16'?"),
    ],
)
def test_choices_are_checked_first_and_suggested(
    vidbg: Vidbg, arguments: list[str], message: str
) -> None:
    code, out, err = vidbg(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert "choose from " in err


def test_a_wrong_choice_in_the_file_names_the_file(vidbg: Vidbg, tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('device = "cuda2"')
    code, _, err = vidbg("config", "show", "--config", file)
    assert code == 2
    assert f"{file}: unknown device 'cuda2'; did you mean 'cuda'?" in err
