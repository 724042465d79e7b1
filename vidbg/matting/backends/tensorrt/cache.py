"""Cache of built engines on disk, each with a card that records what it was built from."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vidbg.errors import BackendError
from vidbg.matting.backends.graphs import GraphSpec
from vidbg.matting.backends.tensorrt.engine_builder import build_engine
from vidbg.matting.backends.tensorrt.package import TensorRtPackage
from vidbg.matting.engines import CARDS, engine_file, file_hash
from vidbg.platform.folders import cache_folder
from vidbg.util.atomic_file import replace_file

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Origin:
    """Everything that an engine depends on.

    Attributes:
        weights, graph_version: sha256 of the weights file and of the graph's file.
        package, version: the TensorRT package that built it.
        target: GPU and compute capability, or the family of GPUs.
    """

    network: str
    graph: str
    precision: str
    size: str
    shapes: dict[str, list[int]]
    weights: str
    graph_version: str
    package: str
    version: str
    target: str

    def file_name(self) -> str:
        parts = (self.network, self.graph, self.precision, self.size, self.package, self.target)
        return re.sub(r"[^a-z0-9_+.-]+", "-", "-".join(parts).lower()) + ".engine"


def origin_of(package: TensorRtPackage, spec: GraphSpec, target: str) -> Origin:
    """Describe the engine that would be built now.

    Raises:
        EngineMismatch: a shipped file is damaged.
    """
    return Origin(
        network=spec.network,
        graph=spec.graph,
        precision=spec.precision,
        size=spec.size,
        shapes={name: list(shape) for name, shape in spec.shapes.items()},
        weights=file_hash(engine_file(CARDS[spec.network].weights, ".safetensors")),
        graph_version=file_hash(spec.graph_file()),
        package=package.name,
        version=package.version,
        target=target,
    )


def cached_engine(package: TensorRtPackage, spec: GraphSpec, target: str) -> Path:
    """Return the engine's file in the cache; build it if none fits.

    Raises:
        BackendError: it cannot be built or written.
    """
    origin = origin_of(package, spec, target)
    path = cache_folder() / origin.file_name()
    keep_engine(path, origin, lambda: build_engine(package, spec, target))
    return path


def is_cached(package: TensorRtPackage, spec: GraphSpec, target: str) -> bool:
    """Return whether the cache has an engine that fits.

    Raises:
        EngineMismatch: a shipped file is damaged.
    """
    origin = origin_of(package, spec, target)
    path = cache_folder() / origin.file_name()
    return path.is_file() and why_stale(path, origin) is None


def keep_engine(path: Path, origin: Origin, build: Callable[[], bytes]) -> None:
    """Build the engine at `path` unless an intact one of this origin is there.

    Raises:
        BackendError: it cannot be written, or what `build` raises.
    """
    if not path.is_file():
        logger.info("building %s, once for this size", path)
    else:
        reason = why_stale(path, origin)
        if reason is None:
            return
        logger.warning("building %s again: %s", path, reason)
    content = build()
    try:
        # Write the engine, then its card, and remove the kernels of the previous engine.
        facts = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        card = json.dumps({**asdict(origin), **facts}, indent=2) + "\n"
        replace_file(path, content)
        replace_file(card_path(path), card.encode())
        runtime_cache_path(path).unlink(missing_ok=True)
    except OSError as error:
        raise BackendError(
            f"the engine cannot be kept: {error}; VIDBG_CACHE names another folder"
        ) from error


def why_stale(path: Path, origin: Origin) -> str | None:
    """Return why an engine's file cannot be used, None if it can."""
    try:
        card: dict[str, Any] = json.loads(card_path(path).read_text(encoding="utf-8"))
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        return f"it or its card cannot be read ({error})"
    for name, wanted in asdict(origin).items():
        if card.get(name) != wanted:
            return f"{name} was {card.get(name)}, now it is {wanted}"
    if card.get("sha256") != hashlib.sha256(content).hexdigest():
        return f"it is damaged: {len(content)} bytes, its card says {card.get('bytes')}"
    return None


def card_path(path: Path) -> Path:
    return path.with_suffix(".json")


def runtime_cache_path(path: Path) -> Path:
    """Return the file of the kernels compiled for the local GPU, for engines without kernels."""
    return path.with_suffix(".kernels")
