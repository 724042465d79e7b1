"""Export weights as everything that ships: ONNX graphs, INT8 networks, cards with scores."""

import typer

from training.export.command import main

if __name__ == "__main__":
    typer.run(main)
