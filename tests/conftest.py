"""A switch against silent skipping.

VIDBG_REQUIRE names marks, such as `gpu,data`: on a machine that is meant to have what they need, a
test with that mark that skips has failed.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

REQUIRED = set(filter(None, os.environ.get("VIDBG_REQUIRE", "").split(",")))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    required = REQUIRED & {mark.name for mark in item.iter_markers()}
    if report.skipped and required and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{sorted(required)} must not skip here: {report.longrepr}"
    return report
