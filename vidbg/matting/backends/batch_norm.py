"""Batch norms folded into the convolutions before them, for inference with PyTorch."""

from __future__ import annotations

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_batch_norms(network: nn.Module) -> None:
    """Fold each batch norm into the convolution registered just before it, in place.

    Its scale and offset become part of the convolution's weights and bias, which saves a kernel
    and a pass over memory per layer. Call it in fp32: the largest variance overflows in fp16.

    Args:
        network: in evaluation mode; its modules apply their children in the order of registration.
    Raises:
        ValueError: a batch norm does not follow a convolution of as many channels.
    """
    for parent in network.modules():
        convolution: nn.Conv2d | None = None
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                if convolution is None or convolution.out_channels != child.num_features:
                    raise ValueError(f"the batch norm {name} does not follow its convolution")
                fused = fuse_conv_bn_eval(convolution, child)
                convolution.weight, convolution.bias = fused.weight, fused.bias
                setattr(parent, name, nn.Identity())
            convolution = child if isinstance(child, nn.Conv2d) else None
