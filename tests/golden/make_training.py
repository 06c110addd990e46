#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes the golden file of tests/training/optimizer.cpp beside itself, by PyTorch's optimisers.

Needs the Python packages torch (2.13), numpy and safetensors. Step s minimises
sum(a (p - c[s])^2) / 2, so an error of one step shows in all later ones; one a is zero. Each case
stores, after 1, 5 and 20 steps, the parameters, both moments and the moving average, and for all
steps the gradient's norm before clipping. The cases' settings stand in optimizer.cpp, too.
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

count, steps, snapshots = 9, 20, (1, 5, 20)

# Multiples of 2^-10, so that float and double start from the same numbers.
generator = np.random.Generator(np.random.PCG64(7))
start = generator.integers(-1024, 1024, count) / 1024
a = generator.integers(512, 2048, count) / 1024
a[4] = 0
c = generator.integers(-2048, 2048, (steps, count)) / 1024

cases = {
    "adam": dict(kind=torch.optim.Adam, lr=1e-2),
    "adam_decay": dict(
        kind=torch.optim.Adam, lr=1e-2, weight_decay=0.1, betas=(0.8, 0.9), eps=1e-3
    ),
    "adam_cosine": dict(kind=torch.optim.Adam, lr=1e-2, cosine_floor=0.1),
    "adamw": dict(kind=torch.optim.AdamW, lr=1e-3),
    "adamw_recipe": dict(
        kind=torch.optim.AdamW, lr=2e-2, weight_decay=0.1, warmup=5, clip=0.75, ema=0.9
    ),
}


def run(dtype, kind, clip=None, ema=0.9, warmup=0, cosine_floor=None, **settings):
    p = torch.nn.Parameter(torch.tensor(start, dtype=dtype))
    average = p.detach().clone()
    scale, centre = torch.tensor(a, dtype=dtype), torch.tensor(c, dtype=dtype)
    optimizer = kind([p], **settings)
    if cosine_floor is not None:
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
            optimizer, T_max=steps, eta_min=cosine_floor * settings["lr"]
        )
    else:
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min(step, warmup) / warmup if warmup else 1.0
        )
    result = {"p": [], "m": [], "v": [], "average": [], "norm": []}
    for step in range(steps):
        p.grad = scale * (p.detach() - centre[step])
        limit = float("inf") if clip is None else clip
        norm = torch.nn.utils.clip_grad_norm_([p], limit)
        optimizer.step()
        schedule.step()
        average = ema * average + (1 - ema) * p.detach()
        result["norm"].append(norm)
        if step + 1 in snapshots:
            state = optimizer.state[p]
            result["p"].append(p.detach().clone())
            result["m"].append(state["exp_avg"].clone())
            result["v"].append(state["exp_avg_sq"].clone())
            result["average"].append(average.clone())
    return {key: torch.stack(values).numpy() for key, values in result.items()}


tensors = {}
for name, dtype in (("f32", torch.float32), ("f64", torch.float64)):
    for case, settings in cases.items():
        for key, value in run(dtype, **settings).items():
            tensors[f"{case}.{name}.{key}"] = value
    for key, value in (("start", start), ("a", a), ("c", c)):
        tensors[f"{name}.{key}"] = value.astype(np.float32 if name == "f32" else np.float64)
save_file(tensors, Path(__file__).resolve().parent / "training.safetensors")
