# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""PyTorch's side of compare.py for images: the U-Net of CIFAR-10 from torchcfm, the residual network of MNIST,
both in the channels-last layout, SiT-S/2 and XL/2 (that of tests/golden/make_sit.py, of one label), and
SiT's image autoencoder from diffusers, with the same training step and the same samples as vrfm_peer. Needs
torchcfm 1.0.7, or for SiT timm 1.0 and diffusers 0.42.
"""
import math
import pathlib
import sys

import torch
from torch import nn
from torch.nn import functional as F

import mean_flow


class GroupNorm(nn.GroupNorm):
    """Written out where it is compiled: torch.compile fails on torch.func.jvp of the built-in one (2.14)."""

    def forward(self, x):
        if not torch.compiler.is_compiling():
            return super().forward(x)
        groups = x.unflatten(1, (self.num_groups, -1))
        variance, mean = torch.var_mean(groups, (2, 3, 4), correction=0, keepdim=True)
        y = ((groups - mean) * torch.rsqrt(variance + self.eps)).flatten(1, 2)
        return y * self.weight[:, None, None] + self.bias[:, None, None]


class Block(nn.Module):
    def __init__(self, width, norm=nn.GroupNorm):
        super().__init__()
        self.first_norm, self.second_norm = norm(width // 4, width), norm(width // 4, width)
        self.first, self.second = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))

    def forward(self, x):
        return x + self.second(F.silu(self.second_norm(self.first(F.silu(self.first_norm(x))))))


class Stack(nn.Sequential):
    def __init__(self, inputs, width, outputs, blocks, kernel, norm=nn.GroupNorm):
        super().__init__(nn.Conv2d(inputs, width, 3, padding=1), *(Block(width, norm) for _ in range(blocks)),
                         nn.Conv2d(width, outputs, kernel, padding=kernel // 2))


class TimeEncoder(nn.Sequential):
    def __init__(self, width):
        super().__init__(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.register_buffer("w", torch.exp(-math.log(1e4) * torch.arange(width // 2) / (width // 2)), False)

    def forward(self, t):
        angle = t * self.w
        return super().forward(torch.cat([angle.cos(), angle.sin()], 1))


class Residual(nn.Module):
    """As models/residual/velocity.hpp, without z; as a flow map for mean_flow.py."""

    def __init__(self, width=64, blocks=5, second_time=False):
        super().__init__()
        norm = GroupNorm if second_time else nn.GroupNorm
        self.time_encoder = TimeEncoder(width)
        self.encoder = Stack(1, width, width, blocks, 3, norm)
        self.decoder = Stack(2 * width, width, 1, blocks, 1, norm)
        if second_time:
            self.span = TimeEncoder(width)
            nn.init.zeros_(self.span[2].weight)
            nn.init.zeros_(self.span[2].bias)

    def forward(self, t, x):
        return self.decode(self.time(t[:, None], None), self.data(x))

    def time(self, t, span):
        return self.time_encoder(t) if span is None else self.time_encoder(t) + self.span(span)

    def data(self, x):
        return self.encoder(x)

    def decode(self, time, data):
        e = time[:, :, None, None].expand(-1, -1, *data.shape[2:])
        return self.decoder(torch.cat([data, e], 1))


def unet():
    from torchcfm.models.unet.unet import UNetModelWrapper

    return UNetModelWrapper(dim=(3, 32, 32), num_channels=128, num_res_blocks=2,
                            channel_mult=[1, 2, 2, 2], num_heads=4, num_head_channels=64,
                            attention_resolutions="16", dropout=0.1)


def sit(depth, width, heads):
    sys.path.append(str(pathlib.Path(__file__).parents[2] / "tests" / "golden"))
    from make_sit import SiT

    class OfOneLabel(SiT):
        def forward(self, t, x):
            return super().forward(x, t, torch.zeros(len(x), dtype=torch.int64))

    return OfOneLabel(32, 2, width, depth, heads, 1000)


def make(network):
    """The network and the shape of its images."""
    if network.startswith("sit-"):
        return sit(*{"sit-s": (12, 384, 6), "sit-xl": (28, 1152, 16)}[network]), (4, 32, 32)
    model = unet() if network == "unet" else Residual(second_time=network == "residual-mean-flow")
    return model.to(memory_format=torch.channels_last), (3, 32, 32) if network == "unet" else (1, 28, 28)


def noise(batch, shape):
    return torch.randn(batch, *shape).contiguous(memory_format=torch.channels_last)


def training(network, batch, steps, compile, shared=False):
    """A function that makes `steps` training steps; compile(f) gives what runs f. `shared`: see mean_flow.py."""
    model, shape = make(network)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-4, fused=True)

    def loss(x0, x1, t):
        s = t[:, None, None, None]
        return ((model(t, (1 - s) * x0 + s * x1) - (x1 - x0)) ** 2).mean()

    def map_loss(x0, x1, t, s):
        u, v = mean_flow.answers(model, torch.lerp(x0, x1, t[:, :, None, None]), t, s, shared)
        return ((u - (x1 - x0)) ** 2).mean() + ((v - (x1 - x0)) ** 2).mean()

    is_map = network == "residual-mean-flow"
    loss_of = compile(map_loss if is_map else loss)

    def work():
        for _ in range(steps):
            times = mean_flow.time_pairs(batch) if is_map else [torch.rand(batch)]
            value = loss_of(noise(batch, shape), noise(batch, shape), *times)
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()

    return work


def euler(network, count, steps, compile):
    model, shape = make(network)
    model.eval()
    velocity = compile(model)

    @torch.inference_mode()
    def work():
        x = noise(count, shape)
        for n in range(steps):
            x = x + velocity(torch.full((count,), n / steps), x) / steps
        return x

    return work


def decoding(count, compile):
    """A function that decodes `count` latents of 32 x 32, one at a time."""
    sys.path.append(str(pathlib.Path(__file__).parents[2] / "tests" / "golden"))
    from make_autoencoder import make as make_autoencoder

    model = make_autoencoder((128, 256, 512, 512), 2).eval().to(memory_format=torch.channels_last)
    decode = compile(lambda z: model.decode(z).sample)

    @torch.inference_mode()
    def work():
        for _ in range(count):
            decode(torch.zeros(1, 4, 32, 32).contiguous(memory_format=torch.channels_last))

    return work
