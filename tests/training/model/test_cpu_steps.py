"""The cheaper steps of training compute what torch's own do."""

from __future__ import annotations

from contextlib import nullcontext
from copy import deepcopy
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

from safetensors.torch import load_file  # noqa: E402

from training.model.cpu_steps import PackedGradients, speed_up  # noqa: E402
from training.trainer import NETWORKS  # noqa: E402
from vidbg.matting.engines import CARDS, NetworkName, engine_file  # noqa: E402

nn = torch.nn


def gradients(network: Any, x: Any, mixed: bool, *, packed: bool = False) -> dict[str, Any]:
    """Compute the output and the gradients of the input and all parameters, by name."""
    x = x.clone().requires_grad_()
    network.zero_grad()
    run = network.logits if hasattr(network, "logits") else network
    with (
        torch.autocast("cpu", torch.bfloat16) if mixed else nullcontext(),
        PackedGradients() if packed else nullcontext(),
    ):
        output = run(x)
    (output.double() ** 2).mean().backward()
    found = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    return {"output": output.detach(), "input": x.grad, **found}


def differences(network: Any, x: Any) -> dict[str, float]:
    """Compute the relative differences that speed_up makes, by name."""
    faster = deepcopy(network)
    speed_up(faster)
    plain, fast = gradients(network, x, False), gradients(faster, x, False, packed=True)
    assert plain.keys() == fast.keys()
    assert [*faster.state_dict()] == [*network.state_dict()]
    norms = {name: value.norm() for name, value in plain.items()}
    floor = 1e-6 * max(norms.values())  # a norm of few values leaves some layers no gradient
    return {n: float((plain[n] - fast[n]).norm() / (norms[n] + floor)) for n in plain}


@pytest.mark.parametrize(("name", "held"), [("light", True), ("light", False), ("resnet50", True)])
def test_logits_and_gradients_of_a_network_are_the_same(name: NetworkName, held: bool) -> None:
    torch.manual_seed(0)
    network = NETWORKS[name]()
    network.load_weights(load_file(engine_file(CARDS[name].weights, ".safetensors")))
    network.double().train(not held).encoder.eval()
    network.encoder.first_layers()[0].requires_grad_(False)
    x = torch.randn(2, 4, 32, 64).double().contiguous(memory_format=torch.channels_last)
    found = differences(network, x)
    assert max(found.values()) < 1e-9, found
    assert not any(name.startswith(("encoder.stem", "encoder.conv1")) for name in found)


@pytest.mark.parametrize("depthwise", [True, False])
@pytest.mark.parametrize(("width", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_mixed_precision_rounds_no_more_than_torchs_own(
    width: int, stride: int, depthwise: bool
) -> None:
    torch.manual_seed(0)
    groups = 24 if depthwise else 1
    network = nn.Sequential(
        nn.Conv2d(24, 24, width, stride, width // 2, groups=groups, bias=False),
        nn.BatchNorm2d(24),
        nn.ReLU(),
    ).eval()
    nn.init.normal_(network[1].bias, std=2)
    x = torch.randn(2, 24, 12, 20).contiguous(memory_format=torch.channels_last)
    exact, plain = gradients(network, x, False), gradients(network, x, True)
    speed_up(network)
    for mixed in (False, True):
        fast = gradients(network, x, mixed)
        for name, value in exact.items():
            error = float((fast[name] - value).norm())
            allowed = 1e-6 * float(value.norm())
            if mixed:  # oneDNN rounds a bias's gradient to 8 bits
                torchs = float((plain[name] - value).norm())
                allowed = max(1.3 * torchs, 2**-8 * float(value.norm()) * (name == "1.bias"))
            assert error <= allowed, name


def test_statistics_that_move_again_are_computed_again() -> None:
    network = nn.Sequential(nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8)).eval()
    speed_up(network)
    network.train()
    speed_up(network)
    output = network(torch.randn(4, 4, 16, 16) + 3)
    assert abs(output.mean().item()) < 1e-5
    assert float(network[1].running_mean.abs().max()) > 0
