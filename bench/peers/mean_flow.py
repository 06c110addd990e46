# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""PyTorch's side of compare.py for flow maps: what the improved MeanFlow trains (objectives/mean_flow.hpp), by
torch.func.jvp.

A network has time(t, span), data(x) and decode(time, data): u(x, t, s) of span = s - t.
"""
import torch
from torch.func import jvp


def time_pairs(batch):
    """t <= s, two uniform draws in order, or with probability 1/2 one."""
    one, other, equal = torch.rand(batch, 1), torch.rand(batch, 1), torch.rand(batch, 1) < 0.5
    other = torch.where(equal, one, other)
    return torch.minimum(one, other), torch.maximum(one, other)


def answers(network, x, t, s, shared):
    """u - (s - t) du/dt and v = u(x, t, t), du/dt along (v, 1, 0) and without gradient; both are compared with x1 - x0.
    One forward pass gives u and du/dt, another v. `shared`: the encodings of t and x are computed once for both, and
    so are their gradients; du/dt of the encodings is then a pass of its own, of which nothing is recorded."""
    none, one = torch.zeros(1, 1), torch.ones_like(t)

    def times(t):
        return network.time(t, s - t)

    if shared:
        time, span, data = network.time(t, None), network.span(s - t), network.data(x)
        v = network.decode(time + network.span(none), data)
        with torch.no_grad():
            _, rates = jvp(lambda t, x: (times(t), network.data(x)), (t, x), (one, v))
        u, rate = jvp(network.decode, (time + span, data), rates)
    else:
        v = network.decode(network.time(t, none), network.data(x))
        u, rate = jvp(lambda t, x: network.decode(times(t), network.data(x)), (t, x), (one, v.detach()))
    return u - (s - t).view(-1, *[1] * (x.dim() - 1)) * rate.detach(), v
