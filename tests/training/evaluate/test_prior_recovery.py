"""How long one wrong previous alpha stays visible."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from training.evaluate.prior_recovery import AT_FRAME, WRONG, score_recovery
from vidbg.matting.backends.constant import ConstantBackend

FRAMES = AT_FRAME + 12


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Draw a disk left of the middle that stands still."""
    for kind in ("images", "masks"):
        (tmp_path / "disk" / kind).mkdir(parents=True)
    mask = cv2.circle(np.zeros((48, 64), np.uint8), (20, 24), 12, 255, -1)
    for index in range(FRAMES):
        cv2.imwrite(str(tmp_path / f"disk/masks/{index:02}.png"), mask)
        cv2.imwrite(str(tmp_path / f"disk/images/{index:02}.png"), cv2.merge([mask] * 3))
    return tmp_path


def trusting(share: float) -> ConstantBackend:
    """Return a network that takes `share` of its alpha from the prior, the rest from the image."""

    def network(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        person = (batch[0, 0] > 0).astype(np.float32)
        return np.asarray(share * batch[0, 3] + (1 - share) * person, np.float32)

    return ConstantBackend(network)


def test_who_looks_at_the_picture_alone_needs_no_time(clips: Path) -> None:
    (frames,) = score_recovery(trusting(0.0), clips, 128 * 128).values()
    assert frames == dict.fromkeys(WRONG, 0)


def test_half_trust_is_over_in_a_few_frames(clips: Path) -> None:
    (frames,) = score_recovery(trusting(0.5), clips, 128 * 128).values()
    assert all(3 <= count <= 11 for count in frames.values())


def test_blind_trust_never_ends(clips: Path) -> None:
    (frames,) = score_recovery(trusting(1.0), clips, 128 * 128).values()
    assert frames["everything"] == FRAMES - AT_FRAME
