#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes the golden file of tests/training/optimizer.cpp beside itself, by PyTorch's optimisers.

Needs the Python packages torch (2.14), numpy and safetensors. Step s minimises
sum(a (p - c[s])^2) / 2, so an error of one step shows in all later ones; one a is zero. Each case
stores, after 1, 5 and 20 steps, the parameters, the optimiser's arrays under their names in vrfm and
the moving average, and for all steps the gradient's norm before clipping. The cases' settings stand
in optimizer.cpp, too. PyTorch has no Lion: its reference is below, in double.
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



class Lion(torch.optim.Optimizer):
    """Chen et al. 2023, algorithm 2, in double whatever the parameters are."""

    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay))

    def step(self):
        for group in self.param_groups:
            rate, (b1, b2), decay = group["lr"], group["betas"], group["weight_decay"]
            for parameter in group["params"]:
                p, g = (x.detach().double().numpy() for x in (parameter, parameter.grad))
                state = self.state[parameter]
                m = state["momentum"].numpy() if state else np.zeros_like(g)
                direction = b1 * m + (1 - b1) * g
                # No sign that a rounding in float could change.
                assert np.all((np.abs(direction) > 1e-4) | (direction == 0))
                p = p - rate * (np.sign(direction) + decay * p)
                state["momentum"] = torch.from_numpy(b2 * m + (1 - b2) * g)
                parameter.data.copy_(torch.from_numpy(p))


# Each optimiser's arrays: names in vrfm and in PyTorch.
adam_arrays = {"adam.first_moment": "exp_avg", "adam.second_moment": "exp_avg_sq"}
arrays = {
    torch.optim.Adam: adam_arrays,
    torch.optim.AdamW: adam_arrays,
    torch.optim.SGD: {"sgd.momentum": "momentum_buffer"},
    Lion: {"lion.momentum": "momentum"},
}

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
    "sgd": dict(kind=torch.optim.SGD, lr=0.125),
    "sgd_momentum": dict(kind=torch.optim.SGD, lr=0.125, momentum=0.75, weight_decay=0.125),
    "sgd_nesterov": dict(
        kind=torch.optim.SGD, lr=0.125, momentum=0.75, weight_decay=0.125, nesterov=True
    ),
    "lion": dict(kind=Lion, lr=1e-2),
    "lion_decay": dict(kind=Lion, lr=2e-2, betas=(0.8, 0.95), weight_decay=0.5, warmup=5),
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
    result = {key: [] for key in ("p", "ema", "norm", *arrays[kind])}
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
            result["ema"].append(average.clone())
            for name, key in arrays[kind].items():
                # Without momentum, PyTorch keeps none: it is the gradient.
                value = state.get(key)
                result[name].append((p.grad if value is None else value).to(dtype, copy=True))
    return {key: torch.stack(values).numpy() for key, values in result.items()}


tensors = {}
for name, dtype in (("f32", torch.float32), ("f64", torch.float64)):
    for case, settings in cases.items():
        for key, value in run(dtype, **settings).items():
            tensors[f"{case}.{name}.{key}"] = value
    for key, value in (("start", start), ("a", a), ("c", c)):
        tensors[f"{name}.{key}"] = value.astype(np.float32 if name == "f32" else np.float64)
save_file(tensors, Path(__file__).resolve().parent / "training.safetensors")
