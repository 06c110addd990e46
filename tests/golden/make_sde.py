# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The ends of SiT's stochastic sampler under given noise, written to sde.safetensors beside this script.

Written from the formulas of Ma et al. 2024, "SiT", for the linear path x_t = t x1 + (1 - t) x0, t from 0
(noise) to 1 (data): with the score s = (t v - x) / (1 - t), samples follow
  dx = (v + w s) dt + sqrt(2 w) dW
whatever w(t) is. Steps of Euler and Maruyama, or of Heun's predictor and corrector (Kloeden and Platen,
chapter 15), go to 1 - LAST, and one step of the drift alone goes on to 1. Guidance is SiT's: of the first 3
of 4 channels.

The velocity is the narrow SiT of make_sit.py, here also with z, of weights that both sides compute, so large
that z, label and time matter. The file holds for `float` and for `double` the noise of every step,
[step][sample][pixel][channel], as vrfm's addressed numbers are drawn in that type (Philox4x32-10, then Box and
Muller), and for each case where the samples end, all computed in float64. For tolerances its metadata tell of
each case the largest velocity and state, the sum of all steps' h (1 + t w / (1 - t)), by which an error of
every velocity enters the state, and by how much an error of the state may grow until the end. Needs torch
2.13, timm 1.0 and safetensors.
"""
import json
import math
import pathlib

import numpy
import torch
from draws import normal
from make_sit import CHANNELS, CLASSES, EXTENT, SiT, grid_positions, numbers, shapes, weight
from safetensors.torch import save_file
from torch import nn

SAMPLES, STEPS, LAST, LATENT, WIDTH = 2, 10, 0.04, 3, 144
SEED, FIRST_ID = 2026, 7
DIFFUSION, SAMPLING = 7, 2  # Purpose::diffusion, Use::sampling
DIMENSION = EXTENT * EXTENT * CHANNELS


def gain(name, shape):
    """Of the weights of make_sit.py, which are right for gradients."""
    if len(shape) == 1:
        return 1
    return 16 if name.startswith(("y_embedder", "t_embedder")) else 2


def noise(kind):
    """Standard normal numbers, [STEPS][SAMPLES][DIMENSION]."""
    samples, purpose = FIRST_ID + numpy.arange(SAMPLES), DIFFUSION + (SAMPLING << 24)
    return torch.from_numpy(numpy.stack([normal(kind, SEED, purpose, step, samples, DIMENSION)
                                         for step in range(STEPS)]))


def images(rows):
    """Columns [pixel][channel] as images."""
    return rows.reshape(-1, EXTENT, EXTENT, CHANNELS).permute(0, 3, 1, 2)


def rows(images):
    return images.permute(0, 2, 3, 1).reshape(-1, DIMENSION)


class VSiT(SiT):
    """With z, whose embedding is added to that of the label."""

    def __init__(self):
        super().__init__(EXTENT, 2, WIDTH, 2, 2, CLASSES)
        self.latent_embed = nn.Sequential(nn.Linear(LATENT, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH))

    def velocity(self, x, t, label, z):
        handle = self.y_embedder.register_forward_hook(lambda *call: call[2] + self.latent_embed(z))
        v = self(images(x), torch.full((len(x),), t, dtype=x.dtype), label)
        handle.remove()
        return rows(v)

    def guided(self, x, t, label, z, guidance):
        """In each pixel v_null + guidance (v - v_null) for 3 channels, v for the last."""
        v = self.velocity(x, t, label, z)
        if guidance == 1:
            return v
        without = self.velocity(x, t, torch.full_like(label, CLASSES), z)
        mixed = without + guidance * (v - without)
        return torch.where(torch.arange(DIMENSION) % CHANNELS < 3, mixed, v)


# w(t) as in SiT's table of diffusion coefficients.
FORMS = {"sigma": lambda t: 1 - t, "constant": lambda t: 0.5, "sine": lambda t: math.sin(math.pi * t) ** 2}


def integrate(velocity, w, heun, x, xi):
    """All states, from that at 0 to that at 1, the largest velocity, and the weight of errors of velocities."""
    largest = weight = 0.0

    def drift(x, t, h):
        nonlocal largest, weight
        v = velocity(x, t)
        largest, weight = max(largest, float(v.abs().max())), weight + h * (1 + t * w(t) / (1 - t))
        return v + w(t) * (t * v - x) / (1 - t)

    h, states = (1 - LAST) / STEPS, [x]
    for step in range(STEPS):
        t, dw = h * step, math.sqrt(h) * xi[step]
        g = math.sqrt(2 * w(t))
        f = drift(x, t, h)
        y = x + h * f + g * dw
        if heun:
            y = x + h / 2 * (f + drift(y, t + h, h)) + (g + math.sqrt(2 * w(t + h))) / 2 * dw
        x = y
        states.append(x)
    states.append(x + LAST * drift(x, 1 - LAST, LAST))
    return states, largest, weight


CASES = {
    "sigma": dict(form="sigma"),
    "constant": dict(form="constant"),
    "sine": dict(form="sine"),
    "sigma_heun": dict(form="sigma", heun=True),
    "guided": dict(form="sigma", guidance=4.0),
    "guided_sine_heun": dict(form="sine", heun=True, guidance=1.5),
}


def main():
    model = VSiT().double()
    values = {name: gain(name, shape) * weight(name, shape) for name, shape in shapes(model).items()}
    values["pos_embed"] = torch.from_numpy(grid_positions(WIDTH, EXTENT // 2))[None]
    model.load_state_dict(values)
    x = numbers("x0", SAMPLES * DIMENSION).reshape(SAMPLES, DIMENSION)
    z = numbers("z", SAMPLES * LATENT).reshape(SAMPLES, LATENT)
    aside = 1e-6 * numbers("aside", SAMPLES * DIMENSION).reshape(SAMPLES, DIMENSION)
    label = torch.tensor([3, 9])
    tensors, notes = {}, {}
    with torch.no_grad():
        for kind in ("float", "double"):
            xi = noise(kind)
            tensors[f"noise.{kind}"] = xi.float() if kind == "float" else xi
            xi = tensors[f"noise.{kind}"].double()
            for name, case in CASES.items():
                field = lambda x, t: model.guided(x, t, label, z, case.get("guidance", 1))
                run = lambda x: integrate(field, FORMS[case["form"]], case.get("heun", False), x, xi)
                states, largest, weight_of_v = run(x)
                away = [float((a - b).norm() / aside.norm()) for a, b in zip(run(x + aside)[0], states)]
                # From any state to the end, as the distances of these two trajectories tell.
                growth = max(away[-1] / part for part in away)
                tensors[f"{name}.{kind}"] = states[-1]
                notes[f"{name}.{kind}"] = {"growth": growth, "velocity": largest, "weight": weight_of_v,
                                           "state": max(float(s.abs().max()) for s in states)}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()},
              pathlib.Path(__file__).parent / "sde.safetensors", {"bounds": json.dumps(notes)})
    print(json.dumps(notes, indent=1))


if __name__ == "__main__":
    main()
