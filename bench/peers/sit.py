#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""PyTorch's side of vrfm_bench_sit: the same network (that of tests/golden/make_sit.py), the same step and the
same rows, by torch.compile under autocast to bfloat16, parameters in float.

  sit.py [--model sit-xl/2] [--batch 32,64] [--recompute] [--steps N] [--turns N] [--extent N] [--device cuda]

Needs torch 2.13 and timm 1.0.
"""
import argparse
import pathlib
import statistics
import sys
import time

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

sys.path.append(str(pathlib.Path(__file__).parents[2] / "tests" / "golden"))
from make_sit import SiT

SIZES = {"s": (12, 384, 6), "b": (12, 768, 12), "l": (24, 1024, 16), "xl": (28, 1152, 16)}
CLASSES, CHANNELS, EXTENT = 1000, 4, 32

parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
parser.add_argument("--model", default="sit-xl/2", choices=[f"sit-{s}/{p}" for s in SIZES for p in (2, 4, 8)])
parser.add_argument("--batch", default=[32], type=lambda text: [int(n) for n in text.split(",")])
parser.add_argument("--recompute", action="store_true")
parser.add_argument("--steps", type=int, default=10, help="of a turn")
parser.add_argument("--turns", type=int, default=5, help="whose median counts")
parser.add_argument("--extent", type=int, help="of the large product")
parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=("cpu", "cuda"))
options = parser.parse_args()
on_gpu = options.device == "cuda"
torch.set_default_device(options.device)
torch.set_float32_matmul_precision("high")
torch.manual_seed(1)


def seconds(work):
    if on_gpu:
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if on_gpu:
        torch.cuda.synchronize()
    return time.perf_counter() - start


class Recomputed(nn.Module):
    def __init__(self, block):
        super().__init__()
        self.block = block

    def forward(self, x, c):
        return checkpoint(self.block, x, c, use_reentrant=False)


def make(depth, width, heads, patch):
    model = SiT(EXTENT, patch, width, depth, heads, CLASSES)
    if options.recompute:
        model.blocks = nn.ModuleList(Recomputed(block) for block in model.blocks)
    return model


def operations(model, depth, width, patch):
    """Of the products of a training step, an image; as vrfm_bench_sit counts them."""
    tokens = (EXTENT // patch) ** 2
    weights = of_images = 0
    for name, p in model.named_parameters():
        if not p.requires_grad or p.dim() < 2 or name.startswith("y_embedder"):
            continue
        of_image = name.startswith("x_embedder")
        of_tokens = of_image or name.startswith("final_layer.linear") or (
            name.startswith("blocks.") and "adaLN" not in name)
        count = p.numel() * (tokens if of_tokens else 1)
        weights += count
        of_images += count if of_image else 0
    return 6 * (weights + 2 * depth * tokens**2 * width) - 2 * of_images


def product_rate(extent):
    a, b = (torch.rand(extent, extent).mul(2).sub(1).bfloat16() for _ in range(2))
    c = torch.empty_like(a)
    return 2 * extent**3 / min(seconds(lambda: torch.mm(a, b.t(), out=c)) for _ in range(20))


def training(model, batch):
    parameters = [p for p in model.parameters() if p.requires_grad]
    average = [p.detach().clone() for p in parameters]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, weight_decay=0, fused=True)

    @torch.compile(dynamic=False)
    def loss_of(x0, x1, t, label):
        s = t[:, None, None, None]
        with torch.autocast(options.device, torch.bfloat16):
            v = model((1 - s) * x0 + s * x1, t, label)
        return ((v - (x1 - x0)) ** 2).mean()

    def work():
        for _ in range(options.steps):
            x0, x1 = (torch.randn(batch, CHANNELS, EXTENT, EXTENT) for _ in range(2))
            label = torch.randint(CLASSES, (batch,)).masked_fill(torch.rand(batch) < 0.1, CLASSES)
            loss = loss_of(x0, x1, torch.rand(batch), label)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            torch._foreach_lerp_(average, parameters, 1e-4)

    return work


size, patch = options.model.removeprefix("sit-").split("/")
depth, width, heads = SIZES[size]
extent = options.extent or (8192 if on_gpu else 1024)
peak = product_rate(extent)
print(f"| torch, product of bfloat16 matrices | {extent}³ | | | {2e3 * extent**3 / peak:.3f} | | "
      f"{peak * 1e-12:.3g} | |", flush=True)
for batch in options.batch:
    model = make(depth, width, heads, int(patch))
    work = training(model, batch)
    for _ in range(2):  # compiles, also for gradients that are there already
        seconds(work)
    step = statistics.median(seconds(work) for _ in range(options.turns)) / options.steps
    rate = batch * operations(model, depth, width, int(patch)) / step
    print(f"| torch {torch.__version__}, compiled, autocast | {options.model} | {batch} | "
          f"{'yes' if options.recompute else 'no'} | {1e3 * step:.2f} | {batch / step:.2f} | {rate * 1e-12:.3g} | "
          f"{rate / peak:.3f} |", flush=True)
    del model, work
