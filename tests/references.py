"""The CPU's network that other devices are compared with."""

from __future__ import annotations

from importlib.util import find_spec

CPU = "cpu" if find_spec("openvino") else "torch-cpu"
"""OpenVINO, or PyTorch on machines for GPUs that lack it."""
