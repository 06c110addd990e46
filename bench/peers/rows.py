# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""PyTorch's side of compare.py for rows of many columns: vrfm's ResidualMlpNetworks, with the same training step."""
import math

import torch
from torch import nn
from torch.nn import functional as F

COLUMNS = 64


class Trunk(nn.Module):
    """h += W_b silu(W_a norm(h) + m_k) for every block k; nothing at first."""

    def __init__(self, inputs, width, blocks, outputs):
        super().__init__()
        self.first, self.norm = nn.Linear(inputs, width), nn.LayerNorm(width)
        self.last = nn.Linear(width, outputs)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(blocks))
        self.ins = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.outs = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        for out in self.outs:
            nn.init.zeros_(out.weight)
            nn.init.zeros_(out.bias)

    def forward(self, x, modulations=None):
        h = self.first(x)
        parts = [None] * len(self.ins) if modulations is None else modulations.chunk(len(self.ins), 1)
        for norm, first, out, m in zip(self.norms, self.ins, self.outs, parts):
            y = first(norm(h))
            h = h + out(F.silu(y if m is None else y + m))
        return self.last(self.norm(h))


class Encoder(nn.Sequential):
    """Two layers with SiLU behind each, of 64 sinusoids or of z."""

    def __init__(self, inputs):
        super().__init__(nn.Linear(inputs, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU())


class Flow(nn.Module):
    def __init__(self, latent, width=256, blocks=4, beta=0.1):
        super().__init__()
        self.latent, self.beta = latent, beta
        self.register_buffer("w", torch.exp(-math.log(1e4) * torch.arange(32) / 32), False)
        self.time_encoder = Encoder(64)
        if latent:
            self.latent_encoder = Encoder(latent)
            self.posterior = Trunk(COLUMNS, 128, 2, 2 * latent)
        self.modulation = nn.Linear(128 if latent else 64, blocks * width)
        self.trunk = Trunk(COLUMNS, width, blocks, COLUMNS)

    def velocity(self, t, x, z):
        angle = t * self.w
        encoded = self.time_encoder(torch.cat([angle.cos(), angle.sin()], 1))
        if self.latent:
            encoded = torch.cat([encoded, self.latent_encoder(z)], 1)
        return self.trunk(x, self.modulation(encoded))

    def loss(self, x0, x1, t, noise):
        z, kl = None, 0
        if self.latent:
            mu, s = self.posterior(x1).chunk(2, 1)
            z = mu + (s / 2).exp() * noise
            kl = (mu**2 + s.exp() - 1 - s).sum(1).mean() / 2
        v = self.velocity(t, torch.lerp(x0, x1, t), z)
        return ((v - (x1 - x0)) ** 2).sum(1).mean() + self.beta * kl


def training(latent, batch, steps, compile):
    """A function that makes `steps` training steps, from noise to noise."""
    flow = Flow(latent)
    optimizer = torch.optim.AdamW(flow.parameters(), lr=1e-3, fused=True)
    loss = compile(flow.loss)

    def work():
        for _ in range(steps):
            pairs = torch.randn(batch, COLUMNS), torch.randn(batch, COLUMNS)
            value = loss(*pairs, torch.rand(batch, 1), torch.randn(batch, latent))
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            optimizer.step()

    return work
