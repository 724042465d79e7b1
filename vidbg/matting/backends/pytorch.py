"""PyTorch backend, the reference: CUDA, Apple GPUs (MPS), Intel GPUs (XPU) or the CPU."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidbg.errors import BackendError, ConfigError
from vidbg.matting.backends.graphs import GraphPlan, Runner
from vidbg.matting.backends.lifetime import NativeBackend
from vidbg.matting.engines import CARDS, NetworkName, engine_file
from vidbg.platform.installation import install_command
from vidbg.platform.nvidia import has_driver

PRECISIONS = {
    "cuda": ("fp16", "bf16", "fp32"),
    "mps": ("fp16", "fp32"),
    "xpu": ("fp16", "bf16", "fp32"),
    "cpu": ("fp32", "bf16"),
}
"""Precisions by device; `auto` picks the first."""


def probe(target: str) -> str:
    """Describe what PyTorch would run on this device.

    Raises:
        BackendError: PyTorch is not installed or does not see the device.
    """
    torch = _torch(target)
    name = torch.cuda.get_device_name() if target == "cuda" else target
    return f"PyTorch {torch.__version__}, {PRECISIONS[target][0]}, {name}"


def load(target: str, precision: str, network: NetworkName, threads: int | None) -> PyTorchBackend:
    """Open the backend on torch's device `target` ("cuda", "mps", "xpu", "cpu").

    Raises:
        BackendError: torch or the device is missing, or the shipped weights are damaged.
        ConfigError: the device does not support the precision.
    """
    torch = _torch(target)
    allowed = PRECISIONS[target]
    if precision not in ("auto", *allowed):
        raise ConfigError(
            f"PyTorch on {target} has no {precision}; allowed are {', '.join(allowed)}"
        )
    if target == "cpu" and threads is not None:
        torch.set_num_threads(threads)
    return PyTorchBackend(target, allowed[0] if precision == "auto" else precision, network)


def offered(target: str) -> tuple[str, ...]:
    """Return the device's precisions in the order in which `auto` tries them."""
    return PRECISIONS[target]


def _torch(target: str) -> Any:
    """Import torch, if it can use a device.

    Raises:
        BackendError: torch or the device is missing.
    """
    # Refuse impossible devices before importing torch, which takes seconds and 600 MB.
    if target == "cuda" and not has_driver():
        raise BackendError("there is no NVIDIA driver here, so PyTorch can use no cuda device")
    if target == "mps" and sys.platform != "darwin":
        raise BackendError("mps is for Apple's computers only")
    if target == "xpu" and sys.platform == "linux" and not Path("/dev/dri").is_dir():
        raise BackendError("there is no graphics device here (/dev/dri), so no xpu")
    try:
        import torch
        import torchvision  # noqa: F401  (the network's blocks)
    except ImportError as error:
        raise BackendError(
            f"PyTorch is not installed ({error}); `{install_command('torch')}`"
        ) from None
    available: dict[str, Any] = {
        "cuda": torch.cuda.is_available,
        "mps": torch.backends.mps.is_available,
        "xpu": torch.xpu.is_available,
        "cpu": lambda: True,
    }
    if not available[target]():
        raise BackendError(f"PyTorch {torch.__version__} sees no {target} device here")
    return torch


class PyTorchBackend(NativeBackend):
    """Backend that runs the network as a torch module, channels last, without gradients.

    Args:
        target: torch's device, one of PRECISIONS.
        precision: one of the device's precisions.
        network: which of the shipped networks to run.
        weights: a safetensors file that replaces the shipped one and determines the network.
    """

    def __init__(
        self,
        target: str,
        precision: str,
        network: NetworkName = "resnet50",
        weights: Path | None = None,
    ) -> None:
        import torch
        from safetensors.torch import load_file

        from vidbg.matting.backends.batch_norm import fold_batch_norms
        from vidbg.matting.networks import NETWORKS, network_name

        super().__init__(f"PyTorch {target}", precision)
        self._torch = torch
        types = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
        self._type = types[precision]
        numbers = load_file(weights or engine_file(CARDS[network].weights, ".safetensors"))
        kind = NETWORKS[network_name(numbers)]

        def make_network() -> Any:
            made = kind()
            made.load_weights(numbers)
            return made.eval().requires_grad_(False)

        # A full frame takes a network of its own, with its batch norms in place
        self.supports_full_frame = target == "cuda" and precision == "fp16"
        self._make_network = make_network
        self._device = torch.device(target)
        network_here = make_network()
        fold_batch_norms(network_here)
        self._network: Any = network_here.to(self._device, memory_format=torch.channels_last)

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        torch = self._torch
        mixed = torch.autocast(self._device.type, self._type, enabled=self._type != torch.float32)
        try:
            with self._using(), torch.inference_mode(), mixed:
                inputs = torch.from_numpy(batch).to(self._device)
                logits = self._network.logits(inputs.contiguous(memory_format=torch.channels_last))
                alpha: NDArray[np.float32] = logits.float().sigmoid()[0, 0].cpu().numpy()
        except RuntimeError as error:
            raise BackendError(
                f"{self.name} failed in {self.precision}: {str(error).splitlines()[0]}"
            ) from error
        return alpha

    def ready(self, height: int, width: int) -> bool:  # noqa: ARG002  (every backend's)
        return True

    def prepare(self, height: int, width: int) -> None:
        """Do nothing: no size needs compiling."""

    def graph_ready(self, plan: GraphPlan) -> bool:  # noqa: ARG002  (every graph backend's)
        return True

    def prepare_graph(self, plan: GraphPlan) -> None:
        """Do nothing: graphs need no building ahead."""

    def open_graph(self, plan: GraphPlan, slots: int) -> Runner:
        from vidbg.matting.backends.torch_runner import TorchRunner

        with self._using():
            return TorchRunner(plan, self._make_network(), self._device, slots)

    def _free(self) -> None:
        self._network = None
