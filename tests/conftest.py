"""Logging as each test found it, and a switch against silent skipping.

VIDBG_REQUIRE names marks, such as `gpu,data`: on a machine that is meant to have what they need, a
test with that mark that skips has failed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterator

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


@pytest.fixture(autouse=True)
def untouched_logging() -> Iterator[None]:
    """Take back the levels and handlers that running the command line sets."""
    loggers = [logging.getLogger(), logging.getLogger("vidbg")]
    before = [(logger.level, logger.handlers[:], logger.propagate) for logger in loggers]
    yield
    for logger, (level, handlers, propagate) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers[:], logger.propagate = handlers, propagate
