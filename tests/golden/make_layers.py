# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""PyTorch's answers for networks, activations and image layers, and its check of vrfm's answers.

  make_layers.py                writes layers.safetensors and image_layers.safetensors beside this
                                script
  make_layers.py --check FILE   loads weights and inputs from a file that vrfm wrote (the test
                                program does, to the path in VRFM_GOLDEN_OUT), computes the same
                                results and compares them with those in the file

FILE and layers.safetensors have one layout: weights under their state-dict names, inputs, and for
float64 and float32 what forward, backward and forward mode give for them. image_layers.safetensors
has in float64, for each layer, weights, inputs, outputs and gradients; its images are channels-last.
Needs torch 2.13, numpy and safetensors.
"""
import argparse
import math
import pathlib
import sys

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

ROWS, DIMENSION, LATENT = 5, 2, 3
FEATURES, WIDTH, LATENT_WIDTH, DECODER_WIDTH, HEAD_WIDTH = 8, 8, 7, 9, 10
MAX_PERIOD = 1e4
INPUTS = {"t": 1, "x": DIMENSION, "z": LATENT, "x0": DIMENSION, "x1": DIMENSION,
          "dv": DIMENSION, "dmoments": 2 * LATENT, "tangent_x": DIMENSION}


def embedding(x):
    """Each column of x becomes [cos(w x), sin(w x)], w_k = MAX_PERIOD^(-2 k / FEATURES)."""
    half = FEATURES // 2
    w = torch.exp(-math.log(MAX_PERIOD) * torch.arange(half, dtype=x.dtype) / half)
    angle = x[:, :, None] * w
    return torch.cat([angle.cos(), angle.sin()], dim=2).flatten(1)


def stack(*widths):
    return nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, widths[1:]))


def run(layers, x, last=lambda y: y):
    for layer in layers[:-1]:
        x = F.gelu(layer(x))
    return last(layers[-1](x))


def encoder(coordinates):
    return stack(coordinates * FEATURES, WIDTH, WIDTH)


def encode(layers, x):
    return run(layers, embedding(x), F.gelu)


class Velocity(nn.Module):
    def __init__(self):
        super().__init__()
        self.time_encoder = encoder(1)
        self.data_encoder = encoder(DIMENSION)
        self.latent_encoder = stack(LATENT, LATENT_WIDTH, LATENT_WIDTH, WIDTH)
        self.decoder = stack(3 * WIDTH, DECODER_WIDTH, DECODER_WIDTH, DECODER_WIDTH, DIMENSION)

    def forward(self, t, x, z):
        return run(self.decoder, torch.cat([encode(self.time_encoder, t),
                                            encode(self.data_encoder, x),
                                            run(self.latent_encoder, z)], dim=1))


class Posterior(nn.Module):
    def __init__(self):
        super().__init__()
        self.x0_encoder = encoder(DIMENSION)
        self.x1_encoder = encoder(DIMENSION)
        self.xt_encoder = encoder(DIMENSION)
        self.t_encoder = encoder(1)
        self.head = stack(4 * WIDTH, HEAD_WIDTH, HEAD_WIDTH, 2 * LATENT)

    def forward(self, x0, x1, x_t, t):
        return run(self.head, torch.cat([encode(self.x0_encoder, x0), encode(self.x1_encoder, x1),
                                         encode(self.xt_encoder, x_t), encode(self.t_encoder, t)],
                                        dim=1))


class Flow(nn.Module):
    def __init__(self):
        super().__init__()
        self.velocity = Velocity()
        self.posterior = Posterior()


def results(weights, inputs, dtype):
    """Everything that vrfm computes from these weights and inputs, by name."""
    flow = Flow().to(dtype)
    flow.load_state_dict(weights, strict=True)
    i = {name: value.to(dtype) for name, value in inputs.items()}
    x, z = i["x"].clone().requires_grad_(), i["z"].clone().requires_grad_()
    v = flow.velocity(i["t"], x, z)
    moments = flow.posterior(i["x0"], i["x1"], i["x"], i["t"])
    ((v * i["dv"]).sum() + (moments * i["dmoments"]).sum()).backward()
    _, tangent_v = torch.func.jvp(lambda at: flow.velocity(i["t"], at, i["z"]), (i["x"],),
                                  (i["tangent_x"],))
    named = {"v": v, "moments": moments, "dx": x.grad, "dz": z.grad, "tangent_v": tangent_v}
    named |= {f"gradient.{name}": p.grad for name, p in flow.named_parameters()}
    prefix = str(dtype).removeprefix("torch.")
    return {f"{prefix}.{name}": value.detach() for name, value in named.items()}


def all_results(weights, inputs):
    return results(weights, inputs, torch.float64) | results(weights, inputs, torch.float32)


def activations():
    """Value and slope of every activation in float64."""
    x = torch.linspace(-6, 6, 49, dtype=torch.float64)
    named = {"identity": lambda y: y, "relu": F.relu, "silu": F.silu, "gelu": F.gelu,
             "gelu_tanh": lambda y: F.gelu(y, approximate="tanh"), "selu": F.selu,
             "tanh": torch.tanh}
    tensors = {"activation.x": x}
    for name, f in named.items():
        at = x.clone().requires_grad_()
        f(at).sum().backward()
        tensors |= {f"activation.{name}.value": f(x), f"activation.{name}.slope": at.grad}
    return tensors


def rows(field):
    """[samples, channels, extents of one to three axes] as one row a pixel."""
    return field.movedim(1, -1).reshape(-1, field.shape[1])


def layer(name, f, inputs, parameters=None):
    """y = f(**inputs, **parameters), its gradients for a random dy, and all that went in."""
    parameters = parameters or {}
    leaves = {key: value.requires_grad_() for key, value in (inputs | parameters).items()}
    y = f(**leaves)
    dy = torch.randn_like(y)
    y.backward(dy)
    flat = {key: rows(value) if value.dim() > 2 else value
            for key, value in (inputs | {"y": y, "dy": dy}).items()}
    flat |= {f"d{key}": rows(value.grad) if value.dim() > 2 else value.grad
             for key, value in inputs.items()}
    flat |= parameters | {f"gradient.{key}": value.grad for key, value in parameters.items()}
    return {f"{name}.{key}": value.detach() for key, value in flat.items()}


def image_layers():
    torch.manual_seed(21)
    double = {"dtype": torch.float64}
    image = lambda samples, channels, height, width: torch.randn(samples, channels, height, width,
                                                                 **double)
    affine = lambda channels: {"weight": torch.randn(channels, **double),
                               "bias": torch.randn(channels, **double)}
    field = lambda *shape: {"x": torch.randn(*shape, **double)}
    kernel = lambda *shape: {"weight": torch.randn(*shape, **double),
                             "bias": torch.randn(shape[0], **double)}

    def adaptive(x, modulation, weight, bias):
        scale, shift = modulation[:, :, None, None].chunk(2, dim=1)
        return F.silu(F.group_norm(x, 2, weight, bias) * (1 + scale) + shift)

    def attention(x):
        # [samples, head x (q, k, v) x depth, height, width], 2 heads
        q, k, v = x.flatten(2).unflatten(1, (2, 3, -1)).transpose(3, 4).unbind(2)
        y = F.scaled_dot_product_attention(q, k, v)
        return y.transpose(2, 3).reshape(x.shape[0], -1, *x.shape[2:])

    return (
        layer("group_norm", lambda x, weight, bias: F.group_norm(x, 2, weight, bias),
              {"x": 3 * image(2, 6, 5, 7) + 10}, affine(6))
        | layer("adaptive_norm", adaptive,
                {"x": image(2, 4, 3, 3), "modulation": torch.randn(2, 8, **double)}, affine(4))
        | layer("average_pool", lambda x: F.avg_pool2d(x, 2), {"x": image(2, 3, 5, 4)})
        | layer("nearest_upsample", lambda x: F.interpolate(x, scale_factor=2),
                {"x": image(2, 3, 2, 3)})
        | layer("attention", attention, {"x": image(2, 24, 2, 3)})
        | layer("conv1d", lambda x, weight, bias: F.conv1d(x, weight, bias, 1, 1),
                field(2, 3, 7), kernel(4, 3, 3))
        | layer("conv1d_halves", lambda x, weight, bias: F.conv1d(x, weight, bias, 2, 1),
                field(2, 3, 7), kernel(4, 3, 3))
        | layer("conv3d", lambda x, weight, bias: F.conv3d(x, weight, bias, 1, 1),
                field(2, 2, 3, 4, 5), kernel(3, 2, 3, 3, 3))
        | layer("conv3d_halves", lambda x, weight, bias: F.conv3d(x, weight, bias, 2, 1),
                field(2, 2, 3, 4, 5), kernel(3, 2, 3, 3, 3))
        | layer("average_pool1d", lambda x: F.avg_pool1d(x, 2), field(2, 3, 5))
        | layer("average_pool3d", lambda x: F.avg_pool3d(x, 2), field(2, 3, 4, 3, 5))
        | layer("nearest_upsample1d", lambda x: F.interpolate(x, scale_factor=2), field(2, 3, 4))
        | layer("nearest_upsample3d", lambda x: F.interpolate(x, scale_factor=2),
                field(2, 2, 1, 2, 3)))


def make_images(path):
    save_file({name: value.contiguous().clone() for name, value in image_layers().items()}, path)
    print(f"{path}: {path.stat().st_size} bytes")


def make(path):
    torch.manual_seed(20)
    weights = Flow().state_dict()
    inputs = {name: torch.randn(ROWS, columns) for name, columns in INPUTS.items()}
    inputs["t"] = torch.rand(ROWS, 1)
    tensors = weights | inputs | all_results(weights, inputs) | activations()
    save_file({name: value.contiguous().clone() for name, value in tensors.items()}, path)
    print(f"{path}: {len(tensors)} tensors, {path.stat().st_size} bytes")


def check(path):
    tensors = load_file(path)
    weights = {name: tensors.pop(name) for name in Flow().state_dict()}
    inputs = {name: tensors.pop(name) for name in INPUTS}
    expected = all_results(weights, inputs)
    failures = sorted(expected.keys() ^ tensors.keys())
    for name in failures:
        print(f"{name}: only in {'the file' if name in tensors else 'PyTorch'}")
    for name in expected.keys() & tensors.keys():
        actual, exact = tensors[name], expected[name]
        error = ((actual - exact).abs().max() / (1 + exact.abs().max())).item()
        if actual.dtype != exact.dtype or not error <= 256 * torch.finfo(exact.dtype).eps:
            failures.append(name)
            print(f"{name}: {actual.dtype}, relative error {error:.3g}")
    print(f"{path}: {len(expected)} results compared, {len(failures)} differ")
    return 1 if failures else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", type=pathlib.Path, metavar="FILE")
    arguments = parser.parse_args()
    if arguments.check:
        sys.exit(check(arguments.check))
    make(pathlib.Path(__file__).with_name("layers.safetensors"))
    make_images(pathlib.Path(__file__).with_name("image_layers.safetensors"))
