"""`vidbg run`: camera in, virtual camera out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import typer

from vidbg.cli import options, settings
from vidbg.cli.logs import log_to
from vidbg.cli.reload import reloading
from vidbg.cli.status_line import StatusLine
from vidbg.option_table import options_of
from vidbg.platform.memory import limit_arenas, require_addresses
from vidbg.platform.processor import use_one_opencv_thread

if TYPE_CHECKING:
    from vidbg.pipeline.live import LiveConfig, LiveRun

logger = logging.getLogger(__name__)

FIXED_OPTIONS = [option for option in options_of("run") if not option.live]
"""The options that keep their values until a run ends."""


@options.takes_options("run")
def run(ctx: typer.Context, **params: Any) -> None:
    """Replace your background in a virtual webcam, until Ctrl-C (exits 130) or SIGTERM (143).

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
    """Run a camera as the options of a command say, until somebody ends it.

    Args:
        completed: fills in what neither the user nor a file has set, also after each reload.
        on_open: called before the first frame, once camera and page are open.
    """
    require_addresses()
    from vidbg.pipeline.live import LiveRun
    from vidbg.pipeline.live.appearance import warn_of_room
    from vidbg.pipeline.live.outputs.live_outputs import output_name
    from vidbg.sources.camera.cameras import camera_name

    tell = partial(typer.echo, err=True)
    # The config, checked before anything is opened
    limit_arenas()
    use_one_opencv_thread()
    config = completed(live_config(params))
    with log_to(params["log_file"], params["log_level"]):
        outputs = ", ".join(map(output_name, config.outputs))
        camera = camera_name(config.camera)
        logger.info("camera %s on %s, output %s", camera, params["background"], outputs)
        with (
            StatusLine() as status,
            LiveRun(config, on_status=status.tell, on_message=tell) as live,
        ):
            # Everything is open: run, with all faults handled inside, until somebody ends it
            warn_of_room(config.look, settings.origin_of(ctx, "background"))
            on_open(live)
            kept = "as before, because the new settings cannot be used"
            with reloading(
                ctx, NewSettings(ctx, live, completed), lambda: warn_of_room(live.look, kept)
            ):
                report = live.run()
        logger.info("ended: %s", report)
        tell(f"{report.frames} frames, {report.dropped} dropped")


class NewSettings:
    """Applies settings that were read again to a run.

    Options that cannot change keep their values. A room that was hidden since the start stays
    hidden, unless the setting of the background has changed too and shows it.

    Args:
        ctx: context of the running command.
        completed: as in `run_until_end`.
    """

    def __init__(
        self, ctx: typer.Context, live: LiveRun, completed: Callable[[LiveConfig], LiveConfig]
    ) -> None:
        self._live, self._completed = live, completed
        self._kept = {option.name: ctx.params[option.name] for option in FIXED_OPTIONS}
        self._background = ctx.params["background"]

    def __call__(self, new: typer.Context) -> None:
        from vidbg.pipeline.live.appearance import warn_of_room

        config = self._completed(live_config({**new.params, **self._kept}))
        background = new.params["background"]
        origin = settings.origin_of(new, "background")
        self._live.change(config, keep_hidden=background == self._background)
        self._background = background
        if config.look.shows_room and not self._live.look.shows_room:
            logger.warning(
                "the room stays hidden, though the background is %s as before (%s): it was changed "
                "on the page or over the API since",
                background,
                origin,
            )
        else:
            warn_of_room(config.look, origin)


def live_config(params: options.Params) -> LiveConfig:
    """Return the config that the options of `vidbg run` describe.

    Raises:
        ConfigError: a value cannot be used.
    """
    from vidbg.pipeline.live import LiveConfig

    return LiveConfig(
        background=options.compositing_config("run", params),
        picture=options.picture_config("run", params),
        matting=options.matting_config("run", params),
        config_file=params["config"] or settings.default_file(),
        **options.values_for("live", "run", params),
    )
