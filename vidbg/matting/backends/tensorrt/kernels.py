"""Kernels that `tensorrt_rtx` compiles when an engine is opened, kept for the next time.

Its engines hold no code for the GPU: that is compiled for the one here, at every start unless what
came of it is kept (IRuntimeCache). Those of `tensorrt` hold theirs.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from vidbg.matting.backends.tensorrt.cache import kernels_of, write_whole
from vidbg.matting.backends.tensorrt.flavour import Flavour

logger = logging.getLogger(__name__)


class Kernels:
    """What was compiled for one engine.

    TensorRT checks what it reads: the file of another GPU, version or driver counts as none. This
    has to outlive the context that it opens.

    Args:
        engine_file: the engine's file, beside which the kernels lie.
    """

    def __init__(self, flavour: Flavour, engine_file: Path) -> None:
        self._flavour = flavour
        self._path = kernels_of(engine_file)
        self._read = b""
        self._config: Any = None
        self._cache: Any = None

    def open_context(self, engine: Any) -> Any:
        """The engine's execution context, None where TensorRT refuses; compiles what is missing."""
        if not self._flavour.portable:
            return engine.create_execution_context()
        self._config = engine.create_runtime_config()
        self._cache = self._config.create_runtime_cache()
        try:
            self._read = self._path.read_bytes()
        except OSError as error:
            logger.info("kernels are compiled for this GPU, once (%s)", error)
        else:
            if not self._cache.deserialize(self._read):
                logger.info("kernels are compiled anew: %s does not fit", self._path)
        self._config.set_runtime_cache(self._cache)
        return engine.create_execution_context(runtime_config=self._config)

    def keep(self) -> None:
        """Write what was compiled since; to be called once the engine has run."""
        if self._cache is None:
            return
        content = bytes(self._cache.serialize())
        if content == self._read:
            return
        try:
            write_whole(self._path, content)
        except OSError as error:
            logger.warning("kernels cannot be kept, every start compiles them: %s", error)
