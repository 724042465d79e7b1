"""Cache on disk for the kernels that `tensorrt_rtx` compiles when it opens an engine.

Engines of `tensorrt_rtx` contain no code for the GPU. It is compiled at every start unless it is
kept (IRuntimeCache). Engines of `tensorrt` contain their kernels.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from vidbg.matting.backends.tensorrt.cache import runtime_cache_path
from vidbg.matting.backends.tensorrt.package import TensorRtPackage
from vidbg.util.atomic_file import replace_file

logger = logging.getLogger(__name__)


class RuntimeCache:
    """The compiled kernels of one engine.

    TensorRT checks the file and ignores one of another GPU, version or driver. This object has to
    outlive the context that it opens.

    Args:
        engine_file: the engine's file; the kernels are kept next to it.
    """

    def __init__(self, package: TensorRtPackage, engine_file: Path) -> None:
        self._package = package
        self._path = runtime_cache_path(engine_file)
        self._read = b""
        self._config: Any = None
        self._cache: Any = None

    def open_context(self, engine: Any) -> Any:
        """Open the engine's execution context, None if TensorRT refuses; may compile."""
        if not self._package.portable:
            return engine.create_execution_context()
        self._config = engine.create_runtime_config()
        self._cache = self._config.create_runtime_cache()
        try:
            self._read = self._path.read_bytes()
        except OSError as error:
            logger.info("compiling kernels for this GPU, once (%s)", error)
        else:
            if not self._cache.deserialize(self._read):
                logger.info("compiling kernels again: %s does not fit", self._path)
        self._config.set_runtime_cache(self._cache)
        return engine.create_execution_context(runtime_config=self._config)

    def keep(self) -> None:
        """Write newly compiled kernels. Call it once the engine has run."""
        if self._cache is None:
            return
        content = bytes(self._cache.serialize())
        if content == self._read:
            return
        try:
            replace_file(self._path, content)
        except OSError as error:
            logger.warning("kernels cannot be kept, so every start compiles them: %s", error)
