"""Commands that change settings: get, set, toggle, reset, and one for each list to choose from."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import quote

import typer

from vidbg.cli.ctl import run_completion as completion
from vidbg.cli.ctl import setting_values as values
from vidbg.cli.ctl.group import AsJson, ctl, print_json
from vidbg.cli.ctl.run_client import Client, Refused, client_of
from vidbg.errors import ConfigError, VidbgError
from vidbg.util.choices import refusal

SWITCHES = ("away", "recording")
"""What `toggle` switches besides settings."""


@ctl.command("get")
def get_(
    ctx: typer.Context,
    key: Annotated[
        str | None, typer.Argument(autocompletion=completion.keys, help="Default: all of them.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print a setting's value, or all settings."""
    settings = client_of(ctx).ask("GET", "/settings")
    if key is None:
        if as_json:
            print_json(settings)
        else:
            typer.echo("\n".join(f"{k}={values.shown(v)}" for k, v in settings.items()))
        return
    if key not in settings:
        raise ConfigError(refusal("setting", key, settings))
    if as_json:
        print_json(settings[key])
    else:
        typer.echo(values.shown(settings[key]))


@ctl.command("set")
def set_(
    ctx: typer.Context,
    settings: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY=VALUE...",
            autocompletion=completion.settings,
            help="As in the configuration file, such as background=blur:40 mirror=on.",
        ),
    ],
) -> None:
    """Change settings, all of them or none."""
    client = client_of(ctx)
    options = values.live_options(client.ask("GET", "/options"))
    parsed = values.parse_settings(settings, options, local=client.is_local)
    _ask_first(client, lambda: client.ask("PATCH", "/settings", parsed))


def _ask_first(client: Client, request: Callable[[], Any]) -> None:
    """Send a request; if it would show the real room, ask the person at the terminal before.

    Raises:
        VidbgError: nobody is there to ask.
    """
    try:
        request()
        return
    except Refused as refused:
        if refused.field != "background":
            raise
    if not sys.stdin.isatty():
        raise VidbgError(
            "this would show your real room, and nobody is here to be asked: use the page, or this "
            "command at a terminal"
        )
    asked = client.ask("POST", "/room/question", {"purpose": "output"})
    if not typer.confirm(asked["question"]):
        raise typer.Exit(1)
    client.ask("POST", "/room", {"token": asked["token"], "confirm": True})
    request()


@ctl.command()
def toggle(
    ctx: typer.Context,
    key: Annotated[
        str,
        typer.Argument(
            autocompletion=completion.switches,
            help="A setting with two values, such as mirror; away or recording.",
        ),
    ],
) -> None:
    """Switch to the other value, and print it."""
    client = client_of(ctx)
    if key in SWITCHES:
        # Away and recording have routes of their own
        state = client.ask("GET", "/state")
        recording = state["recording"]
        is_recording = recording is not None and recording["problem"] is None
        on = not (state["away"] if key == "away" else is_recording)
        if key == "away":
            client.ask("POST", "/away", {"away": on})
        elif on:
            client.ask("POST", "/recording", {})
        else:
            client.ask("DELETE", "/recording")
        typer.echo(values.shown(on))
        return
    # Every other switch is a setting with two values
    options = values.live_options(client.ask("GET", "/options"))
    try:
        option = values.find_option(key, options)
    except ConfigError:
        raise ConfigError(refusal("switch", key, [*SWITCHES, *options])) from None
    value = values.opposite(option, client.ask("GET", "/settings")[option["key"]])
    client.ask("PATCH", "/settings", {option["key"]: value})
    typer.echo(values.shown(value))


@ctl.command()
def reset(
    ctx: typer.Context,
    keys: Annotated[
        list[str] | None,
        typer.Argument(autocompletion=completion.keys, help="Default: all of them."),
    ] = None,
) -> None:
    """Reset settings to how the run started."""
    client_of(ctx).ask("POST", "/settings/reset", {"keys": keys or None})


@ctl.command()
def backgrounds(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the backgrounds to choose from."""
    answer = client_of(ctx).ask("GET", "/backgrounds")
    if as_json:
        print_json(answer)
        return
    for kind in answer["kinds"]:
        typer.echo(f"{kind['kind']:24} {kind['label']}")
    for picture in answer["pictures"]:
        typer.echo(f"{picture['value']:24} {picture['name']}")
    for file in answer["files"]:
        typer.echo(file["name"])


@ctl.command()
def background(
    ctx: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            autocompletion=completion.backgrounds,
            help="One that `backgrounds` lists, a file, or a value of `vidbg run -b`.",
        ),
    ],
    delete: Annotated[
        bool, typer.Option("--delete", help="Delete it, if it was uploaded, instead.")
    ] = False,
) -> None:
    """Change the background."""
    client = client_of(ctx)
    listed = {file["name"]: file for file in client.ask("GET", "/backgrounds")["files"]}
    if delete:
        if name not in listed:
            raise ConfigError(refusal("file among the backgrounds", name, listed))
        client.ask("DELETE", f"/backgrounds/{listed[name]['id']}")
        return
    files = {file["name"]: file["value"] for file in listed.values()}
    value = files.get(name) or (values.anchored(name) if client.is_local else name)
    _ask_first(client, lambda: client.ask("PATCH", "/settings", {"background": value}))


@ctl.command()
def camera(
    ctx: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            autocompletion=completion.cameras,
            help="A value of `vidbg run -c`. Default: list the cameras.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change the camera, or list those of the run's computer."""
    client = client_of(ctx)
    if name is None:
        _list_choices(client.ask("GET", "/cameras"), as_json=as_json)
        return
    value = values.anchored(name) if client.is_local else name
    client.ask("PATCH", "/settings", {"camera": value})


@ctl.command()
def output(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            autocompletion=completion.outputs,
            help="Values of `vidbg run -o`. Default: list the outputs.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change where the frames go, to one or several outputs, or list what there is."""
    client = client_of(ctx)
    if not names:
        _list_choices(client.ask("GET", "/outputs"), as_json=as_json)
        return
    client.ask("PATCH", "/settings", {"output": names})


def _list_choices(choices: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json(choices)
        return
    for choice in choices:
        argument = choice.get("argument")
        value = choice["value"] + (argument["example"] if argument else "")
        problem = f": {choice['problem']}" if choice["problem"] else ""
        typer.echo(f"{value:24} {choice['label']}{problem}")


@ctl.command()
def profiles(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the profiles that were saved."""
    answer = client_of(ctx).ask("GET", "/profiles")
    if as_json:
        print_json(answer)
        return
    for profile in answer:
        typer.echo(profile["name"])


@ctl.command()
def profile(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(autocompletion=completion.profiles)],
    save: Annotated[
        bool, typer.Option("--save", help="Save the current settings as this profile.")
    ] = False,
    rename: Annotated[
        str | None, typer.Option("--rename", metavar="NAME", help="Give it another name.")
    ] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete it.")] = False,
) -> None:
    """Apply a profile, or save, rename or delete it."""
    if save + delete + (rename is not None) > 1:
        raise ConfigError("--save, --rename and --delete exclude one another; give one of them")
    client, path = client_of(ctx), f"/profiles/{quote(name, safe='')}"
    if save:
        client.ask("PUT", path)
    elif delete:
        client.ask("DELETE", path)
    elif rename is not None:
        client.ask("POST", f"{path}/rename", {"name": rename})
    else:
        _ask_first(client, lambda: client.ask("POST", f"{path}/apply"))
