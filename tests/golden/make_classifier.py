# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes classifier.safetensors beside this script, by PyTorch in double: what tests/models/classifier.cpp and
tests/objectives/cross_entropy.cpp compare with.

Losses and gradients of cross_entropy at logits of which some are far apart, with and without label smoothing; features
and logits of the convolutional classifier. Weights and images of the latter are not stored: both sides compute them
from names and positions (`numbers`). Needs torch 2.14, numpy and safetensors.
"""
import math
import pathlib
import zlib

import numpy
import torch
from safetensors.torch import save_file
from torch.nn import functional as F


def numbers(name, count):
    words = (numpy.arange(count, dtype=numpy.uint64) * 2654435761 + zlib.crc32(name.encode())) % 2**32
    return (words >> 8).astype(numpy.float64) / 2**23 - 1


def tensor(name, shape, scale=1.0):
    return torch.from_numpy(numbers(name, math.prod(shape)) * scale).reshape(shape)


def weight(name, shape):
    fan = math.prod(shape[1:])
    return tensor(name, shape, 0.5 if len(shape) == 1 else 2.0 ** -round(math.log2(fan) / 2))


tensors = {}

# Logits near each other, far apart, and so far that exponentials of them overflow or vanish.
logits = tensor("logits", (6, 4)) * torch.tensor([1, 1, 30, 30, 5000, 5000], dtype=torch.float64)[:, None]
labels = torch.tensor([0, 3, 1, 2, 2, 0])
tensors["logits"], tensors["labels"] = logits, labels
for smoothing in (0.0, 0.1):
    x = logits.clone().requires_grad_()
    losses = F.cross_entropy(x, labels, reduction="none", label_smoothing=smoothing)
    losses.mean().backward()
    tensors[f"losses.{smoothing}"], tensors[f"gradient.{smoothing}"] = losses.detach(), x.grad

# Odd extents, whose last rows and columns no pool reads.
height, width, channels, classes, base, features = 13, 8, 3, 5, 6, 7
images = tensor("images", (2, height, width, channels))
x = images.permute(0, 3, 1, 2)
inputs = channels
for k, outputs in enumerate((base, 2 * base, 2 * base)):
    name = f"classifier.stages.{k}"
    x = F.conv2d(
        x, weight(f"{name}.conv.weight", (outputs, inputs, 3, 3)), weight(f"{name}.conv.bias", (outputs,)), padding=1
    )
    groups = {6: 1, 12: 3}[outputs]
    x = F.group_norm(x, groups, weight(f"{name}.norm.weight", (outputs,)), weight(f"{name}.norm.bias", (outputs,)))
    x = F.avg_pool2d(F.silu(x), 2)
    inputs = outputs
x = x.permute(0, 2, 3, 1).flatten(1)


def dense(x, name, outputs):
    return F.linear(x, weight(f"{name}.weight", (outputs, x.shape[1])), weight(f"{name}.bias", (outputs,)))


tensors["features"] = F.silu(dense(x, "classifier.features", features))
tensors["answers"] = dense(tensors["features"], "classifier.logits", classes)
path = pathlib.Path(__file__).resolve().parent / "classifier.safetensors"
save_file({name: value.contiguous() for name, value in tensors.items()}, path)
