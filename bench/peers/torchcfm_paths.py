#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""torchcfm's flow matching on the project's 2D mixtures: what its couplings and stochastic paths do to samples and to
how straight their paths are, beside which vrfm's couplings and StochasticPath can be read.

  torchcfm_paths.py [--iterations 4000] [--batch 256] [--sigma 0.1] [--seeds 3] [--steps 20] [--only NAME]

The network is vrfm's 2D RFM in PyTorch (sinusoidal encoding, GELU; compare.py), AdamW with learning rate 1e-3, one
thread. I-CFM and OT-CFM have sigma 0, SB-CFM --sigma, by both of its plans: the exact one, torchcfm's default, and
the entropic one of regularisation 2 sigma^2. Prints a table, means over the seeds +- half the range: the Parzen
log-likelihood (bandwidth 0.1, 10,000 held-out target samples on 10,000 generated ones), the sliced Wasserstein-1
distance (128 directions) and the median ratio of path length over displacement. The last row is target samples
themselves. Needs torch, torchcfm 1.0.7 and POT.
"""
import argparse
import math
import os
import time
import warnings

parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
parser.add_argument("--iterations", type=int, default=4000)
parser.add_argument("--batch", type=int, default=256)
parser.add_argument("--sigma", type=float, default=0.1, help="of the Schroedinger bridges")
parser.add_argument("--seeds", type=int, default=3)
parser.add_argument("--steps", type=int, default=20, help="of Euler's method")
parser.add_argument("--samples", type=int, default=10_000)
parser.add_argument("--only", default="", help="only the methods whose name contains this")
options = parser.parse_args()
os.environ.update(OMP_NUM_THREADS="1")

import torch
from torch import nn
from torch.nn import functional as F
from torchcfm.conditional_flow_matching import (
    ConditionalFlowMatcher,
    ExactOptimalTransportConditionalFlowMatcher,
    SchrodingerBridgeConditionalFlowMatcher,
)

torch.set_num_threads(1)


class Encoder(nn.Module):
    def __init__(self, coordinates):
        super().__init__()
        self.first, self.second = nn.Linear(64 * coordinates, 64), nn.Linear(64, 64)
        self.register_buffer("w", torch.exp(-math.log(1e4) * torch.arange(32) / 32), False)

    def forward(self, x):
        angle = x[:, :, None] * self.w
        encoded = torch.cat([angle.cos(), angle.sin()], 2).flatten(1)
        return F.gelu(self.second(F.gelu(self.first(encoded))))


class Velocity(nn.Module):
    def __init__(self):
        super().__init__()
        self.time_encoder, self.data_encoder = Encoder(1), Encoder(2)
        widths = [128, 64, 64, 64, 2]
        layers = [[nn.Linear(a, b), nn.GELU()] for a, b in zip(widths, widths[1:])]
        self.decoder = nn.Sequential(*sum(layers, [])[:-1])

    def forward(self, t, x):
        return self.decoder(torch.cat([self.time_encoder(t), self.data_encoder(x)], 1))


def mixture(radius, deviation, count):
    angle = torch.randint(6, (count,)) * (math.pi / 3)
    return radius * torch.stack([angle.cos(), angle.sin()], 1) + deviation * torch.randn(count, 2)


def source(count):
    return mixture(1 / 3, 0.1 / 3, count)


def target(count):
    return mixture(1.0, 0.1, count)


def train(matcher):
    network = Velocity()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    for _ in range(options.iterations):
        t, x_t, u = matcher.sample_location_and_conditional_flow(source(options.batch), target(options.batch))
        loss = ((network(t[:, None], x_t) - u) ** 2).sum(1).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return network


@torch.no_grad()
def trajectories(network, count):
    """Ends of Euler's method, and the median of length over displacement."""
    start = source(count)
    x, length = start, torch.zeros(count)
    for n in range(options.steps):
        dx = network(torch.full((count, 1), n / options.steps), x) / options.steps
        x, length = x + dx, length + dx.norm(dim=1)
    return x, float((length / (x - start).norm(dim=1)).median())


def parzen(samples, points, bandwidth=0.1):
    """Mean log density of `points` under Gaussian kernels on `samples`."""
    parts = [torch.logsumexp(-torch.cdist(part, samples) ** 2 / (2 * bandwidth**2), 1) for part in points.split(1000)]
    return float(torch.cat(parts).mean()) - math.log(len(samples) * 2 * math.pi * bandwidth**2)


def sliced_wasserstein(a, b, directions=128):
    angle = (torch.arange(directions) + 0.5) * (math.pi / directions)
    along = torch.stack([angle.cos(), angle.sin()])
    return float((torch.sort(a @ along, 0)[0] - torch.sort(b @ along, 0)[0]).abs().mean())


METHODS = {
    "I-CFM": lambda: ConditionalFlowMatcher(sigma=0.0),
    "I-CFM, constant noise": lambda: ConditionalFlowMatcher(sigma=options.sigma),
    "OT-CFM": lambda: ExactOptimalTransportConditionalFlowMatcher(sigma=0.0),
    "SB-CFM, exact": lambda: SchrodingerBridgeConditionalFlowMatcher(sigma=options.sigma, ot_method="exact"),
    "SB-CFM, entropic": lambda: SchrodingerBridgeConditionalFlowMatcher(sigma=options.sigma, ot_method="sinkhorn"),
}


def told(values):
    return f"{sum(values) / len(values):.3f} ± {(max(values) - min(values)) / 2:.3f}"


def main():
    warnings.filterwarnings("ignore")
    print(f"torch {torch.__version__}, batch {options.batch}, {options.iterations} iterations, sigma {options.sigma}, "
          f"Euler {options.steps}, seeds {options.seeds}\n")
    print("| method | Parzen LL | sliced Wasserstein-1 | path ratio | ms a step |\n|---|---|---|---|---|", flush=True)
    for name, matcher in METHODS.items():
        if options.only not in name:
            continue
        rows = []
        for seed in range(1, options.seeds + 1):
            torch.manual_seed(seed)
            begin = time.perf_counter()
            network = train(matcher())
            ms = 1e3 * (time.perf_counter() - begin) / options.iterations
            x, ratio = trajectories(network, options.samples)
            held_out = target(options.samples)
            rows.append((parzen(x, held_out), sliced_wasserstein(x, held_out), ratio, ms))
        print(f"| {name} | " + " | ".join(told(column) for column in zip(*rows)) + " |", flush=True)
    x, held_out = target(options.samples), target(options.samples)
    print(f"| target samples | {parzen(x, held_out):.3f} | {sliced_wasserstein(x, held_out):.3f} | | |")


if __name__ == "__main__":
    main()
