"""`vidbg demo`: make a sample clip and process it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    folder: Annotated[Path, typer.Argument(help="Where the clips go.")] = Path("demo"),
) -> None:
    """Make a sample clip and replace its background."""
    from vidbg.compositing import CompositingConfig, parse_background
    from vidbg.pipeline.demo import write_comparison, write_sample
    from vidbg.pipeline.files.api import process
    from vidbg.pipeline.files.file_outputs import OutputConfig

    clip, picture = write_sample(folder)
    typer.echo(f"sample clip: {clip.resolve()}")
    for name, background in (("replaced", str(picture)), ("blurred", "blur")):
        target = folder / f"{name}.mp4"
        compositing = CompositingConfig(parse_background(background))
        process(clip, target, background=compositing, written=OutputConfig(overwrite=True))
        typer.echo(f"{name}: {target.resolve()}")
    comparison = folder / "before-after.jpg"
    write_comparison(clip, folder / "replaced.mp4", comparison)
    typer.echo(f"before and after: {comparison.resolve()}")
