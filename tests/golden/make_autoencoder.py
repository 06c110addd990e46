# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The answers of a narrow diffusers.AutoencoderKL, written to autoencoder.safetensors beside this script.

Weights and inputs are not stored: both sides compute them from names and positions (`numbers` of
make_unet.py). The file holds, in float64, the encoder's mean and log-variance, the decoder's images, the
gradients of their inputs, and for the gradient of every parameter its product with such numbers; as
metadata the names and shapes of the narrow one and of the image autoencoder of SiT. Needs torch 2.13,
diffusers 0.42 and safetensors.
"""
import math
import pathlib
import zlib

import numpy
import torch
from diffusers import AutoencoderKL
from safetensors.torch import save_file

SAMPLES, EXTENT, LATENT = 2, 8, 4


def numbers(name, count):
    """`count` numbers in [-1, 1), multiples of 2^-23."""
    words = (numpy.arange(count, dtype=numpy.uint64) * 2654435761 + zlib.crc32(name.encode())) % 2**32
    return torch.from_numpy((words >> 8).astype(numpy.float64) / 2**23 - 1)


def weight(name, shape):
    """Of the size that keeps activations near 1; of norms, around 1."""
    values = numbers(name, math.prod(shape))
    if len(shape) == 1:
        return 1 + 0.25 * values if "norm" in name and name.endswith("weight") else 0.5 * values
    return (values / 2 ** round(math.log2(math.prod(shape[1:])) / 2)).reshape(shape)


def make(widths, blocks):
    return AutoencoderKL(in_channels=3, out_channels=3, latent_channels=LATENT, layers_per_block=blocks,
                         block_out_channels=widths, norm_num_groups=32,
                         down_block_types=["DownEncoderBlock2D"] * len(widths),
                         up_block_types=["UpDecoderBlock2D"] * len(widths))


def shapes(model):
    return {name: list(value.shape) for name, value in model.state_dict().items()}


def image(name, channels, extent):
    shape = (SAMPLES, extent, extent, channels)
    return numbers(name, math.prod(shape)).reshape(shape).permute(0, 3, 1, 2).contiguous()


def channels_last(tensor):
    return tensor.detach().permute(0, 2, 3, 1).reshape(SAMPLES, -1).contiguous()


def main():
    model = make([32, 64], 1).double().eval()
    model.load_state_dict({name: weight(name, shape) for name, shape in shapes(model).items()})
    x, z = image("x", 3, EXTENT).requires_grad_(), image("z", LATENT, EXTENT // 2).requires_grad_()
    moments = model.quant_conv(model.encoder(x))  # what encode() makes its distribution of
    y = model.decode(z).sample
    dmoments, dy = image("dmoments", 2 * LATENT, EXTENT // 2), image("dy", 3, EXTENT)
    ((moments * dmoments).sum() + (y * dy).sum()).backward()
    tensors = {"moments": channels_last(moments), "y": channels_last(y), "dx": channels_last(x.grad),
               "dz": channels_last(z.grad)}
    for name, parameter in model.named_parameters():
        probe = numbers(name + "'", parameter.numel())
        tensors[f"gradient.{name}"] = (parameter.grad.flatten() * probe).sum().reshape(1)
    with torch.device("meta"):
        published = make([128, 256, 512, 512], 2)
    lines = lambda table: "\n".join(f"{name} {' '.join(map(str, shape))}" for name, shape in table.items())
    save_file(tensors, pathlib.Path(__file__).parent / "autoencoder.safetensors",
              {"narrow": lines(shapes(model)), "published": lines(shapes(published))})
    print(sum(p.numel() for p in published.parameters()), "parameters")


if __name__ == "__main__":
    main()
