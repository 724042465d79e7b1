"""The limits of the GPU machine."""

from __future__ import annotations

CARRIED_BYTES = 64 * 2**20
"""That one command takes along: the checkout's files and the carried folders."""

COMMAND_CHARACTERS = 2_000
COMMAND_S = 600
CARRIED_FOLDERS = 8

RETURNED_FILES, RETURNED_FILE_BYTES, RETURNED_BYTES = 8, 16 * 2**20, 64 * 2**20
RETURNED_DEPTH = 2
"""Folders below the output folder."""

LEASE_S = 900
"""In all, starts and transfers included."""

START_S, CALL_S = 90, 15
"""Expected: to start the machine, and to send, fetch and give a command."""

TRAINING_S = 420
"""That training must get at the least."""

BLOCK = 512
"""Files are counted as a tar stores them: a header, and contents rounded up."""


def stored_bytes(size: int) -> int:
    return BLOCK + -(-size // BLOCK) * BLOCK
