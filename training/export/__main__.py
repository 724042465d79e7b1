"""Export weights as everything that ships: ONNX graphs, INT8 networks, cards with scores."""

from training.command_line import run as run_command
from training.export.shipped_files import main

if __name__ == "__main__":
    run_command(main)
