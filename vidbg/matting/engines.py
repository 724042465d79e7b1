"""The files shipped in engines/: weights and the networks made from them, each with a card.

A card is a JSON file next to what it describes: `files` maps each file's name to its `sha256` and
`bytes`; the other keys say how it was made and what it scores.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vidbg.errors import EngineMismatch

NetworkName = Literal["resnet50", "light"]


@dataclass(frozen=True, slots=True)
class Cards:
    """The cards of one network, by name.

    Attributes:
        weights: card of the weights (fp16 safetensors) and the ONNX graph that points into them.
        typed: card of the TensorRT graphs, strongly typed in fp16, that point into the weights: the
            network alone and the full frame.
        typed_int8: card of the same two graphs with INT8 convolutions, explicitly quantised (Q/DQ).
        quantised: card of the INT8 network for OpenVINO.
    """

    weights: str
    typed: str
    typed_int8: str
    quantised: str

    @classmethod
    def named(cls, stem: str) -> Cards:
        """Return the cards of the network whose files begin with `stem`."""
        return cls(stem, f"{stem}-fp16", f"{stem}-qdq", f"{stem}-int8")

    def all(self) -> tuple[str, ...]:
        return self.weights, self.typed, self.typed_int8, self.quantised


CARDS: dict[NetworkName, Cards] = {
    "resnet50": Cards.named("vidbg-r50"),
    "light": Cards.named("vidbg-light"),
}
"""Cards by the network's name."""


@dataclass(frozen=True, slots=True)
class EngineReport:
    """Report on whether one card's files match the card."""

    name: str
    path: Path
    ok: bool
    detail: str


def engine_folder() -> Path:
    """Return the folder in the installed package, or at the top of a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "engines"
    return installed if installed.is_dir() else package.parent / "engines"


def engine_file(card: str, suffix: str) -> Path:
    """Return the card's file with this suffix after checking its hash against the card.

    Raises:
        EngineMismatch: card or file is missing or unreadable, or they do not match.
    """
    folder = engine_folder()
    entries = _read_card(folder, card)["files"]
    for name in entries:
        _check(folder / name, entries[name])
    names = [str(name) for name in entries if name.endswith(suffix)]
    if not names:
        raise EngineMismatch(f"{folder / card}.json lists no {suffix} file, only {list(entries)}")
    return folder / names[0]


def digests_of(card: str) -> dict[str, str]:
    """Return the sha256 of each of a card's files, by name, as the card says.

    Raises:
        EngineMismatch: the card is missing or unreadable.
    """
    entries = _read_card(engine_folder(), card)["files"]
    return {name: entry["sha256"] for name, entry in entries.items()}


def verify() -> list[EngineReport]:
    """Check every card in the engine folder that the program uses."""
    folder, reports = engine_folder(), []
    for card in (card for cards in CARDS.values() for card in cards.all()):
        ok = True
        try:
            entries = _read_card(folder, card)["files"]
            for name, entry in entries.items():
                _check(folder / name, entry)
            words = ", ".join(f"{name} {entry['sha256'][:12]}" for name, entry in entries.items())
        except EngineMismatch as error:
            ok, words = False, str(error)
        reports.append(EngineReport(card, folder / f"{card}.json", ok, words))
    return reports


def _read_card(folder: Path, card: str) -> dict[str, Any]:
    path = folder / f"{card}.json"
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EngineMismatch(f"cannot read the card {path}: {error}; install vidbg again") from None
    return content


def _check(path: Path, entry: dict[str, Any]) -> None:
    if not path.is_file():
        raise EngineMismatch(f"{path} is missing though its card lists it; install vidbg again")
    digest = file_hash(path)
    if digest != entry["sha256"]:
        raise EngineMismatch(
            f"{path} is damaged: sha256 {digest[:12]}…, its card says {entry['sha256'][:12]}…; "
            "install vidbg again"
        )


def file_hash(path: Path) -> str:
    """Compute the sha256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
