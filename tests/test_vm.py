"""vidbg with a real kernel's camera and virtual camera: `make test-vm`, see tests/vm/README.md.

The checks run in a virtual machine, one boot for each version of v4l2loopback; here each is a test.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from vm.cache import VERSIONS, Cache
from vm.guest.checks import CHECKS
from vm.guest.pictures import BACKGROUND_BGR, LEFT, RIGHT, load, scaled
from vm.machine import LIMIT_S, Outcome, run_machine

pytestmark = [pytest.mark.vm, pytest.mark.timeout(LIMIT_S + 60)]

CASES = [
    pytest.param(version, name, id=f"{version}-{name}")
    for version in VERSIONS
    for name, check in CHECKS.items()
    if version in check.versions
]


@pytest.fixture(scope="module")
def selected(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Return the checks that this run of pytest wants: `-k size` boots for those alone."""
    items = (item for item in request.session.items if isinstance(item, pytest.Function))
    calls = (item.callspec.params for item in items if hasattr(item, "callspec"))
    names = {str(call["name"]) for call in calls if "name" in call}
    return tuple(sorted(names))


@cache
def outcome(version: str, checks: tuple[str, ...]) -> Outcome:
    """Run the machine once for each version."""
    cached = Cache.usual()
    return run_machine(version, cached.results(version), cached, checks)


@pytest.mark.parametrize(("version", "name"), CASES)
def test_in_the_machine(
    version: str, name: str, selected: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    if not Cache.usual().is_ready(version):
        pytest.skip("there is no virtual machine yet: `make test-vm` prepares it")
    run = outcome(version, selected)
    finding = run.findings.get(name)
    if finding is None:
        pytest.fail(f"not reached: {run.ending} after {run.seconds:.0f} s", pytrace=False)
    with capsys.disabled():  # what was measured is of interest when all is well, too
        sys.stdout.write(f"\n{version} {name}, {finding.seconds:.0f} s: {finding.detail} ")
    if not finding.ok:
        pytest.fail(f"{finding.detail}\nlogs are in {run.folder / name}", pytrace=False)
    for picture in (run.folder / name).glob("*/frame.png"):
        require_composite(picture)


def require_composite(file: Path) -> None:
    """Look again at what a reader in the guest took for person and background."""
    image = scaled(load(file))
    off = int(np.abs(image[:, RIGHT].astype(np.int16) - BACKGROUND_BGR).max())
    assert off <= 6, f"{file}: {off} levels off the background"
    assert image[:, LEFT].std() > 40, f"{file}: no colour bars on the left"
