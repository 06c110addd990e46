# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Points of torchcfm's stochastic paths and their velocities, written to paths.safetensors beside this script.

ConditionalFlowMatcher is the path of constant noise and SchrodingerBridgeConditionalFlowMatcher the Brownian bridge,
given x0, x1, t and the noise e: x_t by sample_xt, u by compute_conditional_flow. The file holds, for `float` and for
`double`, e as vrfm's addressed numbers are drawn in that type (draws.py), and x_t and u in float64. Needs torchcfm
1.0.7 and safetensors.
"""
import pathlib

import numpy
import torch
from draws import normal
from safetensors.torch import save_file
from torchcfm.conditional_flow_matching import ConditionalFlowMatcher, SchrodingerBridgeConditionalFlowMatcher

ROWS, COLS, SIGMA = 24, 5, 0.75
SEED, STEP, FIRST_SAMPLE, PATH_NOISE = 2026, 11, 2**32 - 10, 16  # samples on both sides of 2^32


def main():
    row = torch.arange(ROWS, dtype=torch.float64)[:, None]
    col = torch.arange(COLS, dtype=torch.float64)[None]
    x0, x1 = torch.sin(3 * row + col), 2 * torch.cos(row - 5 * col)
    # Times and pairs that floats hold, near both ends, too.
    t = torch.cat([torch.tensor([2.0**-10, 1 - 2.0**-10]), (torch.arange(ROWS - 2) + 1) / ROWS]).float().double()
    x0, x1 = x0.float().double(), x1.float().double()
    tensors = {"x0": x0, "x1": x1, "t": t[:, None]}
    matchers = {"constant": ConditionalFlowMatcher(SIGMA), "bridge": SchrodingerBridgeConditionalFlowMatcher(SIGMA)}
    for kind in ("float", "double"):
        e = torch.from_numpy(normal(kind, SEED, PATH_NOISE, STEP, FIRST_SAMPLE + numpy.arange(ROWS), COLS))
        tensors[f"e.{kind}"] = e
        for name, matcher in matchers.items():
            x_t = matcher.sample_xt(x0, x1, t, e)
            tensors[f"{name}.x.{kind}"] = x_t
            tensors[f"{name}.u.{kind}"] = matcher.compute_conditional_flow(x0, x1, t, x_t)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()},
              pathlib.Path(__file__).parent / "paths.safetensors")


if __name__ == "__main__":
    main()
