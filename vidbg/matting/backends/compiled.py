"""Networks compiled by OpenVINO, kept between runs: compiling is most of a start's work.

Each file begins with the SHA-256 of the rest. What is damaged, of another machine or of another
version is compiled again, and what cannot be written is compiled at every start.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from contextlib import suppress
from pathlib import Path

from vidbg.platform.folders import cache_folder
from vidbg.platform.processor import processor_features, processor_name, usable_cores
from vidbg.util.atomic_file import replace_file

logger = logging.getLogger(__name__)

MAX_BYTES = 160_000_000
"""Maximum size of the folder; what was not used for longest goes first. The light network takes 5
MB for each input size, ResNet-50 28."""

MAX_FILE_BYTES = 64_000_000
"""Larger networks (ResNet-50 in fp32, 107 MB) are not kept."""

_DIGEST_BYTES = hashlib.sha256().digest_size
_SUFFIX = ".compiled"


class CompiledNetworks:
    """Folder of compiled networks of this machine.

    Args:
        facts: what else a compiled network depends on: its weights, options and versions.
        folder: None for the one in the cache folder.
    """

    def __init__(self, facts: dict[str, object], folder: Path | None = None) -> None:
        self._folder = folder or cache_folder() / "compiled"
        self._facts = {
            **facts,
            "processor": [processor_name(), processor_features(), usable_cores()],
            "isa": os.environ.get("ONEDNN_MAX_CPU_ISA"),
        }

    def read(self, shape: tuple[int, ...]) -> bytes | None:
        """Return the network compiled for an input shape; None if there is none that is intact."""
        path = self._path(shape)
        try:
            with path.open("rb") as file:  # in two parts, or the second would be copied
                digest, compiled = file.read(_DIGEST_BYTES), file.read()
        except OSError:
            return None
        if hashlib.sha256(compiled).digest() != digest:
            logger.info("%s is damaged; the network is compiled again", path)
            return None
        with suppress(OSError):
            os.utime(path)  # the time of its last use
        return compiled

    def keep(self, shape: tuple[int, ...], compiled: bytes) -> None:
        """Write a compiled network, and remove those that were not used for longest."""
        if len(compiled) > MAX_FILE_BYTES:
            return
        try:
            replace_file(self._path(shape), hashlib.sha256(compiled).digest() + compiled)
            files = [(path.stat(), path) for path in self._folder.glob(f"*{_SUFFIX}")]
            left = MAX_BYTES
            for stat, path in sorted(files, key=lambda pair: -pair[0].st_mtime):
                left -= stat.st_size
                if left < 0:
                    path.unlink(missing_ok=True)
        except OSError as error:
            logger.info("the compiled network cannot be kept: %s", error)

    def _path(self, shape: tuple[int, ...]) -> Path:
        facts = json.dumps({**self._facts, "shape": shape}, sort_keys=True, default=str)
        return self._folder / f"{hashlib.sha256(facts.encode()).hexdigest()[:32]}{_SUFFIX}"
