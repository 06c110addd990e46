# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The answers of a narrow SiT made of timm's parts, written to sit.safetensors beside this script.

Weights and inputs are not stored: both sides compute them from names and positions (`numbers` of
make_unet.py), so the file holds the velocity and its gradient in float64, for the gradient of every
parameter its product with such numbers, the positions, and as metadata the names and shapes of SiT-XL/2's
state dict, those of the narrow one, and the numbers of parameters of SiT-S, B, L and XL with patches of
2, 4 and 8. Heads are 72 wide, as in SiT-XL. Needs torch 2.13, timm 1.0 and safetensors.
"""
import json
import math
import pathlib
import zlib

import numpy
import torch
from safetensors.torch import save_file
from timm.models.vision_transformer import Attention, Mlp, PatchEmbed
from torch import nn

SAMPLES, CHANNELS, EXTENT, CLASSES = 2, 4, 8, 10


def numbers(name, count):
    """`count` numbers in [-1, 1), multiples of 2^-23."""
    words = (numpy.arange(count, dtype=numpy.uint64) * 2654435761 + zlib.crc32(name.encode())) % 2**32
    return torch.from_numpy((words >> 8).astype(numpy.float64) / 2**23 - 1)


def weight(name, shape):
    """Of the size that keeps activations near 1."""
    values = numbers(name, math.prod(shape))
    if len(shape) == 1:
        return 0.5 * values
    return (values / 2 ** round(math.log2(math.prod(shape[1:])) / 2)).reshape(shape)


def waves(positions, columns):
    """sin(w p), cos(w p)."""
    w = 1 / 10000 ** (numpy.arange(columns // 2) / (columns // 2))
    angles = numpy.outer(positions, w)
    return numpy.concatenate([numpy.sin(angles), numpy.cos(angles)], 1)


def grid_positions(columns, extent):
    """Of the place on the grid: first that across, then that down."""
    down, across = numpy.divmod(numpy.arange(extent * extent), extent)
    return numpy.concatenate([waves(across, columns // 2), waves(down, columns // 2)], 1)


class TimeEmbedder(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(256, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t):
        w = torch.exp(-math.log(10000) * torch.arange(128, dtype=t.dtype) / 128)
        angles = t[:, None] * w
        return self.mlp(torch.cat([angles.cos(), angles.sin()], 1))


class LabelEmbedder(nn.Module):
    def __init__(self, classes, width):
        super().__init__()
        self.embedding_table = nn.Embedding(classes + 1, width)

    def forward(self, label):
        return self.embedding_table(label)


def modulate(x, shift, scale):
    return x * (1 + scale[:, None]) + shift[:, None]


def modulation(width, parts):
    return nn.Sequential(nn.SiLU(), nn.Linear(width, parts * width))


def norm(width):
    return nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.norm2 = norm(width), norm(width)
        self.attn = Attention(width, num_heads=heads, qkv_bias=True)
        self.mlp = Mlp(width, 4 * width, act_layer=lambda: nn.GELU(approximate="tanh"), drop=0)
        self.adaLN_modulation = modulation(width, 6)

    def forward(self, x, c):
        shift1, scale1, gate1, shift2, scale2, gate2 = self.adaLN_modulation(c).chunk(6, 1)
        x = x + gate1[:, None] * self.attn(modulate(self.norm1(x), shift1, scale1))
        return x + gate2[:, None] * self.mlp(modulate(self.norm2(x), shift2, scale2))


class FinalLayer(nn.Module):
    def __init__(self, width, outputs):
        super().__init__()
        self.norm_final = norm(width)
        self.linear = nn.Linear(width, outputs)
        self.adaLN_modulation = modulation(width, 2)

    def forward(self, x, c):
        return self.linear(modulate(self.norm_final(x), *self.adaLN_modulation(c).chunk(2, 1)))


class SiT(nn.Module):
    """v and, with it, as many channels that are not used."""

    def __init__(self, extent, patch, width, depth, heads, classes):
        super().__init__()
        self.patch, self.tokens_across = patch, extent // patch
        self.x_embedder = PatchEmbed(extent, patch, CHANNELS, width, bias=True)
        self.t_embedder = TimeEmbedder(width)
        self.y_embedder = LabelEmbedder(classes, width)
        self.pos_embed = nn.Parameter(torch.zeros(1, self.tokens_across**2, width), False)
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(depth)])
        self.final_layer = FinalLayer(width, patch * patch * 2 * CHANNELS)

    def forward(self, x, t, label):
        c = self.t_embedder(t) + self.y_embedder(label)
        x = self.x_embedder(x) + self.pos_embed
        for block in self.blocks:
            x = block(x, c)
        n, p = self.tokens_across, self.patch
        x = self.final_layer(x, c).reshape(len(x), n, n, p, p, 2 * CHANNELS)
        return torch.einsum("nhwpqc->nchpwq", x).reshape(len(x), 2 * CHANNELS, n * p, n * p)[:, :CHANNELS]


def shapes(model):
    return {name: list(value.shape) for name, value in model.state_dict().items()}


def published():
    """SiT-XL/2's names and shapes; numbers of parameters."""
    counts = {}
    with torch.device("meta"):
        for size, (depth, width, heads) in {"S": (12, 384, 6), "B": (12, 768, 12), "L": (24, 1024, 16),
                                            "XL": (28, 1152, 16)}.items():
            for patch in (2, 4, 8):
                model = SiT(32, patch, width, depth, heads, 1000)
                counts[f"{size}/{patch}"] = sum(p.numel() for p in model.parameters())
                if (size, patch) == ("XL", 2):
                    names = shapes(model)
    return names, counts


def main():
    model = SiT(EXTENT, 2, 144, 2, 2, CLASSES).double()
    values = {name: weight(name, shape) for name, shape in shapes(model).items()}
    positions = torch.from_numpy(grid_positions(144, EXTENT // 2))
    values["pos_embed"] = positions[None]
    model.load_state_dict(values)
    image = (SAMPLES, EXTENT, EXTENT, CHANNELS)
    x, dv = (numbers(name, math.prod(image)).reshape(image).permute(0, 3, 1, 2).contiguous()
             for name in ("x", "dv"))
    t = torch.tensor([0.25, 0.875], dtype=torch.float64)
    x.requires_grad_()
    t.requires_grad_()
    v = model(x, t, torch.tensor([3, CLASSES]))  # the second label is the null class
    (v * dv).sum().backward()
    channels_last = lambda image: image.detach().permute(0, 2, 3, 1).reshape(SAMPLES, -1).contiguous()
    tensors = {"v": channels_last(v), "dx": channels_last(x.grad), "dt": t.grad.reshape(SAMPLES, 1),
               "positions": positions}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            probe = numbers(name + "'", parameter.numel())
            tensors[f"gradient.{name}"] = (parameter.grad.flatten() * probe).sum().reshape(1)
    names, counts = published()
    lines = lambda table: "\n".join(f"{name} {' '.join(map(str, shape))}" for name, shape in table.items())
    save_file(tensors, pathlib.Path(__file__).parent / "sit.safetensors",
              {"xl": lines(names), "narrow": lines(shapes(model)), "counts": json.dumps(counts)})
    print(counts)


if __name__ == "__main__":
    main()
