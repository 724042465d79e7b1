"""Loads the network, and turns to the next device when one keeps failing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from vidbg.config import MattingConfig
from vidbg.matting.backends import CANDIDATES, check_choices, load_first
from vidbg.matting.matter import Matter

logger = logging.getLogger(__name__)


class Networks(Protocol):
    """Where a live run gets its network from."""

    def load(self) -> Matter:
        """A new matter.

        Raises:
            VidbgError: there is none to be had.
        """
        ...

    def blame(self) -> None:
        """The matter loaded last keeps failing or hangs."""
        ...


class DeviceNetworks:
    """The devices of a config: with "auto" one after the other, else the one that is named.

    Args:
        announce: is told what runs the network each time that it is loaded.
    Raises:
        ConfigError: a device or precision that is not known.
    """

    def __init__(
        self, config: MattingConfig, announce: Callable[[str], None] = lambda _: None
    ) -> None:
        check_choices(config.device, config.precision)
        self._config, self._announce = config, announce
        self._blamed: list[str] = []
        self._device = config.device

    def load(self) -> Matter:
        device = self._config.device
        left = [name for name in CANDIDATES if name not in self._blamed]
        devices = left if device == "auto" else [device]
        self._device, backend = load_first(devices, self._config.precision, self._config.threads)
        self._announce(f"{backend.name}, {backend.precision}")
        return Matter(config=replace(self._config, device=self._device), backend=backend)

    def blame(self) -> None:
        if self._config.device != "auto":
            return
        self._blamed.append(self._device)
        logger.warning("the device %s keeps failing; the next is tried", self._device)
        if len(self._blamed) == len(CANDIDATES):  # all have failed once: begin again
            self._blamed.clear()
