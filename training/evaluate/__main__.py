"""Score networks on held-out photos and clips, and show where they fail."""

import typer

from training.evaluate.command import main

if __name__ == "__main__":
    typer.run(main)
