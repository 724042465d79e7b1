"""Score networks on held-out photos and clips, and show where they fail."""

from training.command_line import run as run_command
from training.evaluate.score_tables import main

if __name__ == "__main__":
    run_command(main)
