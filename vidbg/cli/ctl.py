"""`vidbg ctl`: control of a run from another terminal, a script or a hotkey."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from vidbg.cli import ctl_completion as completion
from vidbg.cli import ctl_values as values
from vidbg.cli.browser import open_page
from vidbg.cli.ctl_client import (
    API,
    UPLOAD_PATIENCE_S,
    Client,
    Refused,
    client_of,
    of_page,
)
from vidbg.errors import ConfigError, SinkError, VidbgError
from vidbg.platform.installation import install_command
from vidbg.sinks.web.running_pages import running_pages
from vidbg.util.choices import refusal

SWITCHES = ("away", "recording")
"""What `toggle` switches besides settings."""

ctl = typer.Typer(
    name="ctl",
    help="Control a running vidbg from another terminal, a script or a hotkey.",
    no_args_is_help=True,
)
record = typer.Typer(name="record", help="Record what viewers see: start, stop.")
ctl.add_typer(record)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, as the API answers.")]


@ctl.callback()
def _choose(
    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            envvar="VIDBG_URL",
            show_envvar=False,
            help="Address of the page, as `vidbg run` printed it. Default: the run of this "
            "account. Environment: VIDBG_URL.",
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            metavar="TOKEN",
            envvar="VIDBG_TOKEN",
            show_envvar=False,
            help="Its token, if not in the address. Environment: VIDBG_TOKEN, which other accounts "
            "cannot read in the list of processes.",
        ),
    ] = None,
) -> None:
    """Take the options that client_of() reads."""


# --- state ----------------------------------------------------------------------------------------


@ctl.command()
def status(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Show what viewers see, the camera, the background and the outputs."""
    state = client_of(ctx).ask("GET", "/state")
    if as_json:
        _print_json(state)
        return
    for name, text in _facts(state):
        typer.echo(f"{name:11} {text}".rstrip())


def _facts(state: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Describe a state, a line for each part."""
    now = state["status"]
    if now is None:
        yield "state", "starting"
    else:
        yield "state", now["words"] + (f": {now['reason']}" if now["reason"] else "")
        if now["fps"]:
            latency = "" if now["latency_ms"] is None else f"{now['latency_ms']:.0f} ms, "
            yield "speed", f"{now['fps']:.1f} FPS, {latency}{now['cpu_percent']:.0f} % of a core"
    if state["profile"] is not None:
        yield "profile", state["profile"]
    if state["room_on_air"]:
        yield "room", "YOUR REAL ROOM IS ON AIR"
    if state["background"] is not None:
        shown = state["background"]
        adjusted = "" if shown["adjust"] is None else f" {values.shown(shown['adjust'])}"
        yield "background", shown["name"] + adjusted
    camera = state["camera"]
    if camera is not None:
        yield "camera", ", ".join(filter(None, (camera["name"], camera["mode"], camera["problem"])))
    for output in state["outputs"]:
        fault = f": {output['problem']}" if output["problem"] else ""
        watched = {True: ", watched", False: ", nobody watches"}.get(output["watched"], "")
        yield "output", f"{output['name']} ({output['state']}{watched}){fault}"
    if state["network"] is not None:
        yield "network", state["network"]["words"]
    recording = state["recording"]
    if recording is not None:
        problem = f": {recording['problem']}" if recording["problem"] else ""
        yield "recording", f"{recording['path']}, {recording['seconds']} s{problem}"


@ctl.command()
def watch(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Print what changes, until Ctrl-C or the end of the run."""
    import asyncio
    from contextlib import aclosing

    from vidbg.sinks.web.events_client import run_events

    client = client_of(ctx)

    async def follow() -> None:
        before: dict[str, str] = {}
        async with aclosing(run_events(client.address + API, client.headers)) as events:
            async for event in events:
                if as_json:
                    _print_json(event)
                    continue
                now = _watched(event["state"])
                for name, text in now.items():
                    if before.get(name) != text:
                        typer.echo(f"{time.strftime('%H:%M:%S')} {name} = {text}")
                before = now

    asyncio.run(follow())


def _watched(state: dict[str, Any]) -> dict[str, str]:
    """Return what `watch` tells: the facts but the measurements, and every setting."""
    facts: dict[str, str] = {}
    for name, text in _facts(state):
        if name not in ("speed", "recording"):
            facts[name] = f"{facts[name]}; {text}" if name in facts else text
    settings = {key: values.shown(value) for key, value in state["settings"].items()}
    return settings | facts


@ctl.command()
def log(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Print the last messages of the run."""
    answer = client_of(ctx).ask("GET", "/log")
    if as_json:
        _print_json(answer)
        return
    for line in answer["lines"]:
        typer.echo(f"{line['time']} {line['level']} {line['text']}")


@ctl.command()
def diagnostics(ctx: typer.Context) -> None:
    """Print what a report of a problem should contain, without personal paths."""
    typer.echo(client_of(ctx).ask("GET", "/diagnostics"))


# --- settings -------------------------------------------------------------------------------------


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
            _print_json(settings)
        else:
            typer.echo("\n".join(f"{k}={values.shown(v)}" for k, v in settings.items()))
        return
    if key not in settings:
        raise ConfigError(refusal("setting", key, settings))
    if as_json:
        _print_json(settings[key])
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
        state = client.ask("GET", "/state")
        on = not (state["away"] if key == "away" else _is_recording(state))
        if key == "away":
            client.ask("POST", "/away", {"away": on})
        elif on:
            client.ask("POST", "/recording", {})
        else:
            client.ask("DELETE", "/recording")
        typer.echo(values.shown(on))
        return
    options = values.live_options(client.ask("GET", "/options"))
    try:
        option = values.find_option(key, options)
    except ConfigError:
        raise ConfigError(refusal("switch", key, [*SWITCHES, *options])) from None
    value = values.opposite(option, client.ask("GET", "/settings")[option["key"]])
    client.ask("PATCH", "/settings", {option["key"]: value})
    typer.echo(values.shown(value))


def _is_recording(state: dict[str, Any]) -> bool:
    return state["recording"] is not None and state["recording"]["problem"] is None


@ctl.command()
def reset(
    ctx: typer.Context,
    keys: Annotated[
        list[str] | None,
        typer.Argument(autocompletion=completion.keys, help="Default: all of them."),
    ] = None,
) -> None:
    """Set settings back to how the run started."""
    client_of(ctx).ask("POST", "/settings/reset", {"keys": keys or None})


# --- what hotkeys do ------------------------------------------------------------------------------


@ctl.command()
def pause(ctx: typer.Context) -> None:
    """Close the camera; viewers see the away card."""
    client_of(ctx).ask("POST", "/away", {"away": True})


@ctl.command()
def resume(ctx: typer.Context) -> None:
    """Come back from `pause`."""
    client_of(ctx).ask("POST", "/away", {"away": False})


@ctl.command()
def snapshot(
    ctx: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE", help="A .png, or - for standard output. Default: by the time, here."
        ),
    ] = None,
) -> None:
    """Write what viewers see now as a PNG."""
    if file is not None and file.suffix.lower() != ".png" and str(file) != "-":
        raise ConfigError(f"a snapshot is a PNG: give {file.with_suffix('.png')} or -")
    image = client_of(ctx).ask("POST", "/snapshot")
    if str(file) == "-":
        sys.stdout.buffer.write(image)
        return
    target = file or Path(time.strftime("vidbg-%Y-%m-%d-%H%M%S.png"))
    try:
        with target.open("xb") as stream:
            stream.write(image)
    except FileExistsError:
        raise SinkError(f"{target} exists and was left as it is; give another name") from None
    typer.echo(target)


@record.command()
def start(
    ctx: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE", help="A video. Default: by the time, in the videos' folder."
        ),
    ] = None,
) -> None:
    """Start a recording, and print its path."""
    client = client_of(ctx)
    body = {} if file is None else {"path": str(file.absolute() if client.is_local else file)}
    typer.echo(client.ask("POST", "/recording", body)["recording"]["path"])


@record.command()
def stop(ctx: typer.Context) -> None:
    """End the recording."""
    client_of(ctx).ask("DELETE", "/recording")


# --- what there is to choose from -----------------------------------------------------------------


@ctl.command()
def backgrounds(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the backgrounds to choose from."""
    answer = client_of(ctx).ask("GET", "/backgrounds")
    if as_json:
        _print_json(answer)
        return
    for kind in answer["kinds"]:
        typer.echo(f"{kind['kind']:24} {kind['label']}")
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
) -> None:
    """Change the background."""
    client = client_of(ctx)
    files = {file["name"]: file["value"] for file in client.ask("GET", "/backgrounds")["files"]}
    value = files.get(name) or (values.anchored(name) if client.is_local else name)
    _ask_first(client, lambda: client.ask("PATCH", "/settings", {"background": value}))


@ctl.command()
def upload(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="An image or a video.")],
) -> None:
    """Add a copy of a file to the backgrounds, also of another computer, and print its name."""
    answer = client_of(ctx).ask("POST", "/backgrounds", file=file, patience_s=UPLOAD_PATIENCE_S)
    typer.echo(answer["name"])


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
        _print_json(choices)
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
        _print_json(answer)
        return
    for profile in answer:
        typer.echo(profile["name"])


@ctl.command()
def profile(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(autocompletion=completion.profiles)],
    save: Annotated[bool, typer.Option("--save", help="Save the settings of now as it.")] = False,
    rename: Annotated[
        str | None, typer.Option("--rename", metavar="NAME", help="Give it another name.")
    ] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete it.")] = False,
) -> None:
    """Use the settings of a profile, or save, rename or delete it."""
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


# --- the run --------------------------------------------------------------------------------------


@ctl.command("open")
def open_(
    ctx: typer.Context,
    show: Annotated[
        bool, typer.Option("--print", help="Print its address, which is a secret, instead.")
    ] = False,
) -> None:
    """Open the page in the browser."""
    client = client_of(ctx)
    client.ask("GET", "/settings")  # says what is wrong before a browser does
    if show:
        typer.echo(client.page)
    else:
        open_page(client)


@ctl.command()
def phone(ctx: typer.Context) -> None:
    """Print the page's address for other devices, a secret, and its QR code to scan."""
    client = client_of(ctx)
    pages = [page for page in running_pages() if of_page(page.url).address == client.address]
    url = next((page.outside_url for page in pages), "")
    if not url:
        raise VidbgError(
            f"{client.address} is for this computer alone; start it with --host ADDRESS and "
            "--tls-cert FILE to reach it from other devices"
        )
    try:
        import segno
    except ImportError as error:
        step = install_command("web")
        raise VidbgError(f"the QR code needs segno ({error}): `{step}`") from None
    typer.echo(url)
    segno.make(url, error="L").terminal(sys.stdout, compact=True)


@ctl.command()
def token(ctx: typer.Context) -> None:
    """Print the token, a secret, for programs that send HTTP requests themselves."""
    client = client_of(ctx)
    if not client.token:
        raise VidbgError(f"the token of {client.address} is not known here; give --url with it")
    typer.echo(client.token)


@ctl.command()
def tray(ctx: typer.Context) -> None:
    """Show an icon in the tray of a Linux desktop: on air, paused or off, with a menu.

    It follows whichever run there is, now and later; with --url it ends with that run.
    """
    import asyncio

    try:
        from vidbg.cli.tray.follow import Tray
    except ImportError as error:
        step = install_command("tray")
        raise VidbgError(f"the tray icon needs a package ({error}): `{step}`") from None
    only = client_of(ctx) if ctx.parent is not None and ctx.parent.params["url"] else None
    asyncio.run(Tray(only, lambda text: typer.echo(text, err=True)).run())


@ctl.command("quit")
def quit_(ctx: typer.Context) -> None:
    """End the run."""
    client_of(ctx).ask("POST", "/quit")


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False))
