# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""torchcfm's answers for a narrow U-Net, written to unet.safetensors beside this script.

Weights and inputs are not stored: both sides compute them from names and positions (`numbers`), so the
file holds the names and shapes of torchcfm's state dict, the velocity and its gradient in float32 (the
norms and the embedding of time take no other there), and for the gradient of every parameter its
product with such numbers. Needs torch 2.13, torchcfm 1.0.7 and
safetensors.
"""
import math
import pathlib
import zlib

import numpy
import torch
from safetensors.torch import save_file
from torchcfm.models.unet.unet import UNetModelWrapper

SAMPLES, CHANNELS, EXTENT = 2, 3, 8


def numbers(name, count):
    """`count` numbers in [-1, 1), multiples of 2^-23."""
    words = (numpy.arange(count, dtype=numpy.uint64) * 2654435761 + zlib.crc32(name.encode())) % 2**32
    return torch.from_numpy((words >> 8).astype(numpy.float64) / 2**23 - 1)


def weight(name, shape):
    """Of the size that keeps activations near 1; of norms, around 1."""
    values = numbers(name, math.prod(shape))
    if len(shape) == 1:
        values = 1 + 0.25 * values if name.endswith("weight") else 0.5 * values
    else:
        values = values / 2 ** round(math.log2(math.prod(shape[1:])) / 2)
    return values.reshape(shape)


def results(variant, adaptive):
    model = UNetModelWrapper(dim=(CHANNELS, EXTENT, EXTENT), num_channels=32, num_res_blocks=1,
                             channel_mult=[1, 2], num_head_channels=16, attention_resolutions="4",
                             dropout=0.1, use_scale_shift_norm=adaptive).eval()
    shapes = {name: list(value.shape) for name, value in model.state_dict().items()}
    model.load_state_dict({name: weight(name, shape).float() for name, shape in shapes.items()})
    shape = (SAMPLES, EXTENT, EXTENT, CHANNELS)
    x, dv = (numbers(name, math.prod(shape)).float().reshape(shape).permute(0, 3, 1, 2).contiguous()
             for name in ("x", "dv"))
    x.requires_grad_()
    t = torch.tensor([0.25, 0.875])
    v = model(t, x)
    (v * dv).sum().backward()
    prefix = f"{variant}."
    channels_last = lambda image: image.detach().permute(0, 2, 3, 1).reshape(SAMPLES, -1).contiguous()
    tensors = {prefix + "v": channels_last(v), prefix + "dx": channels_last(x.grad)}
    for name, parameter in model.named_parameters():
        probe = numbers(name + "'", parameter.numel()).float()
        tensors[f"{prefix}gradient.{name}"] = (parameter.grad.flatten() * probe).sum().reshape(1)
    return shapes, tensors


if __name__ == "__main__":
    tensors = {}
    for variant, adaptive in (("additive", False), ("adaptive", True)):
        shapes, some = results(variant, adaptive)
        tensors |= some
        tensors |= {f"{variant}.shape.{name}": torch.tensor(shape, dtype=torch.int64)
                    for name, shape in shapes.items()}
    path = pathlib.Path(__file__).with_name("unet.safetensors")
    save_file(tensors, path)
    print(f"{path}: {len(tensors)} tensors, {path.stat().st_size} bytes")
