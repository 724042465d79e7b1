"""`vidbg run`: camera in, virtual camera out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import typer

from vidbg.cli import options, settings
from vidbg.cli.logs import log_to
from vidbg.cli.reload import reloading
from vidbg.cli.status_line import StatusLine
from vidbg.option_table import options_of
from vidbg.platform.memory import limit_arenas, require_addresses

if TYPE_CHECKING:
    from vidbg.pipeline.live import LiveConfig, LiveRun

logger = logging.getLogger(__name__)

FIXED_OPTIONS = [option for option in options_of("run") if not option.live]
"""What stays as it is until the end of a run."""


@options.takes_options("run")
def run(ctx: typer.Context, **params: Any) -> None:
    """Run a virtual webcam with another background, until Ctrl-C (exits 130) or SIGTERM (143).

    The output stays alive whatever happens to the camera, and never shows the real room: while
    there is no image of the person it shows the background, or a slate. SIGHUP reads the settings
    again (but not from a terminal, which sends it when it is closed).
    """
    run_until_end(ctx, params)


def run_until_end(
    ctx: typer.Context,
    params: options.Params,
    *,
    completed: Callable[[LiveConfig], LiveConfig] = lambda config: config,
    on_open: Callable[[LiveRun], None] = lambda _: None,
) -> None:
    """Run what the options of a command say.

    Args:
        completed: fills in what neither the user nor a file has set, also after each reload.
        on_open: called before the first frame, once camera and page are open.
    """
    require_addresses()
    from vidbg.pipeline.live import LiveRun
    from vidbg.pipeline.live.appearance import warn_of_room
    from vidbg.pipeline.live.outputs.live_outputs import output_name
    from vidbg.sources.camera.cameras import camera_name

    # The config, checked before anything is opened
    limit_arenas()
    config = completed(_live_config(params))
    with log_to(params["log_file"], params["log_level"]):
        outputs = ", ".join(map(output_name, config.outputs))
        camera = camera_name(config.camera)
        logger.info("camera %s on %s, output %s", camera, params["background"], outputs)
        with (
            StatusLine() as status,
            LiveRun(config, on_status=status.tell, on_message=_tell) as live,
        ):
            # SIGHUP takes new values of the options that may change, and keeps the others. A room
            # that was hidden since is shown only if the setting says so again
            asked = params["background"]

            def reload(new: typer.Context) -> None:
                nonlocal asked
                kept = {option.name: ctx.params[option.name] for option in FIXED_OPTIONS}
                changed = completed(_live_config({**new.params, **kept}))
                background = new.params["background"]
                origin = settings.origin_of(new, "background")
                live.change(changed, keep_hidden=background == asked)
                asked = background
                if changed.look.shows_room and not live.look.shows_room:
                    logger.warning(
                        "the room stays hidden, though the background is %s as before (%s): it "
                        "was changed on the page or over the API since",
                        background,
                        origin,
                    )
                else:
                    warn_of_room(changed.look, origin)

            # Everything is open: run, with all faults handled inside, until somebody ends it
            warn_of_room(config.look, settings.origin_of(ctx, "background"))
            on_open(live)
            with reloading(ctx, reload):
                report = live.run()
        logger.info("ended: %s", report)
        _tell(f"{report.frames} frames, {report.dropped} dropped")


def _live_config(params: options.Params) -> LiveConfig:
    from vidbg.pipeline.live import LiveConfig

    return LiveConfig(
        background=options.compositing_config("run", params),
        picture=options.picture_config("run", params),
        matting=options.matting_config("run", params),
        config_file=params["config"] or settings.default_file(),
        **options.values_for("live", "run", params),
    )


def _tell(text: str) -> None:
    typer.echo(text, err=True)
