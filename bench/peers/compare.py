#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""vrfm against PyTorch and torchdiffeq on the paper's synthetic flows: the same networks, the same
step, the same threads. Both sides stay started and take turns; a figure is the median of the turns,
a ratio is vrfm's time over PyTorch's. Prints a Markdown table, PyTorch's fastest way first.

  compare.py PEER [--threads 2] [--turns 7] [--only WORD] [--device cuda] [--images] [--transformers]

PEER is the program vrfm_peer of the preset bench, or of the preset cuda for the GPU. Needs torch 2.13
and torchdiffeq. On the GPU torch.compile records CUDA graphs (mode reduce-overhead), and there is a
product of bfloat16 matrices too.

PyTorch trains with fused AdamW, flow maps by torch.func.jvp (mean_flow.py). A second table has vrfm's steps of flow
maps beside those of V-RFM on the same network, in turns, too. PyTorch samples in two ways: as most would
write it, and tuned as someone who cares for speed would: what does not change along a path (z's encoding)
computed once, the time encoded once a step and not once a sample, and samples in chunks that fit the cache.
"""
import argparse
import json
import math
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time

parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
parser.add_argument("peer", help="the program vrfm_peer")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--turns", type=int, default=7, help="repetitions of each side")
parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
parser.add_argument("--only", default="", help="only the cases whose name contains this")
parser.add_argument("--images", action="store_true",
                    help="the networks of images instead (needs torchcfm)")
parser.add_argument("--transformers", action="store_true", help="SiT instead (needs timm)")
options = parser.parse_args()
os.environ.update(OMP_NUM_THREADS=str(options.threads), OMP_PROC_BIND="false")

import torch
from torch import nn
from torch.nn import functional as F
from torchdiffeq import odeint

import mean_flow
import rows

torch.set_num_threads(options.threads)
torch.set_default_device(options.device)
torch.manual_seed(1)
on_gpu = options.device == "cuda"


def compile(function, keep=False):
    """torch.compile; on the GPU with CUDA graphs, whose outputs the next call overwrites unless they
    are to be kept."""
    if not on_gpu:
        return torch.compile(function, dynamic=False)
    compiled = torch.compile(function, mode="reduce-overhead")

    def call(*arguments):
        torch.compiler.cudagraph_mark_step_begin()
        result = compiled(*arguments)
        if not keep:
            return result
        return [x.clone() for x in result] if isinstance(result, list) else result.clone()

    return call


def stack(*widths):
    return nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, widths[1:]))


def run(layers, x, last=lambda y: y):
    *hidden, final = layers
    for layer in hidden:
        x = F.gelu(layer(x))
    return last(final(x))


class Encoder(nn.ModuleList):
    def __init__(self, coordinates):
        super().__init__(stack(64 * coordinates, 64, 64))
        self.register_buffer("w", torch.exp(-math.log(1e4) * torch.arange(32) / 32), False)

    def forward(self, x):
        angle = x[:, :, None] * self.w
        return run(self, torch.cat([angle.cos(), angle.sin()], 2).flatten(1), F.gelu)


class Velocity(nn.Module):
    def __init__(self, dimension, latent, second_time=False):
        super().__init__()
        self.time_encoder, self.data_encoder = Encoder(1), Encoder(dimension)
        if second_time:
            self.span_encoder = Encoder(1)
            nn.init.zeros_(self.span_encoder[-1].weight)
            nn.init.zeros_(self.span_encoder[-1].bias)
        if latent:
            self.latent_encoder = stack(latent, 128, 128, 64)
        self.decoder = stack(192 if latent else 128, 64, 64, 64, dimension)

    def forward(self, t, x, encoded_z):
        return self.decode(self.time_encoder(t), self.data_encoder(x), encoded_z)

    def decode(self, time, data, encoded_z):
        return run(self.decoder, torch.cat([time.expand(len(data), -1), data] + encoded_z, 1))

    def encode(self, z):
        return [] if z is None else [run(self.latent_encoder, z)]


class Posterior(nn.Module):
    def __init__(self, dimension, latent, sees_path=True):
        super().__init__()
        self.x0_encoder, self.x1_encoder = Encoder(dimension), Encoder(dimension)
        if sees_path:
            self.xt_encoder = Encoder(dimension)
        self.head = stack(192 if sees_path else 128, 128, 128, 2 * latent)

    def forward(self, x0, x1, *x_t):
        parts = [self.x0_encoder(x0), self.x1_encoder(x1)] + [self.xt_encoder(x) for x in x_t]
        return run(self.head, torch.cat(parts, 1)).chunk(2, 1)


class Flow(nn.Module):
    def __init__(self, dimension, latent, is_map=False):
        super().__init__()
        self.dimension, self.latent = dimension, latent
        self.beta = 1.0 if dimension == 1 else 0.1
        self.velocity = Velocity(dimension, latent, is_map)
        if latent:
            self.posterior = Posterior(dimension, latent, not is_map)

    def loss(self, x0, x1, t, noise):
        x_t, u = torch.lerp(x0, x1, t), x1 - x0
        if not self.latent:
            return ((self.velocity(t, x_t, []) - u) ** 2).sum(1).mean()
        mu, s = self.posterior(x0, x1, x_t)
        z = mu + (s / 2).exp() * noise
        kl = (mu**2 + s.exp() - 1 - s).sum(1).mean() / 2
        v = self.velocity(t, x_t, self.velocity.encode(z))
        return ((v - u) ** 2).sum(1).mean() + self.beta * kl

    def map_loss(self, x0, x1, t, s, noise, shared):
        """The improved MeanFlow's."""
        encoded_z, loss = [], 0
        if self.latent:
            mu, log_variance = self.posterior(x0, x1)
            z = mu + (log_variance / 2).exp() * noise
            encoded_z = self.velocity.encode(z)
            loss = self.beta / 2 * (mu**2 + log_variance.exp() - 1 - log_variance).sum(1).mean()
        network = MapOf(self.velocity, encoded_z)
        u, v = mean_flow.answers(network, torch.lerp(x0, x1, t), t, s, shared)
        return loss + (((u - (x1 - x0)) ** 2).sum(1) + ((v - (x1 - x0)) ** 2).sum(1)).mean()


class MapOf:
    """A velocity under an encoded z, for mean_flow.py."""

    def __init__(self, velocity, encoded_z):
        self.velocity, self.encoded_z = velocity, encoded_z
        self.data, self.span = velocity.data_encoder, velocity.span_encoder

    def time(self, t, span):
        time = self.velocity.time_encoder(t)
        return time if span is None else time + self.span(span)

    def decode(self, time, data):
        return self.velocity.decode(time, data, self.encoded_z)


def circle(radius):
    angle = torch.arange(6) * (math.pi / 3)
    return radius * torch.stack([angle.cos(), angle.sin()], 1)


def draw(centres, deviation, count):
    means = centres[torch.randint(len(centres), (count,))]
    return means + deviation * torch.randn(count, centres.shape[1])


def draw_source(dimension, count):
    return torch.randn(count, 1) if dimension == 1 else draw(circle(1 / 3), 0.1 / 3, count)


def draw_target(dimension, count):
    if dimension == 1:
        return draw(torch.tensor([[-1.0], [1.0]]), 0.1414, count)
    return draw(circle(1.0), 0.1, count)


def training(dimension, latent, batch, steps, compiled):
    """A function that makes `steps` training steps."""
    flow = Flow(dimension, latent)
    optimizer = torch.optim.AdamW(flow.parameters(), lr=1e-3, fused=True)
    loss = compile(flow.loss) if compiled else flow.loss

    def work():
        for _ in range(steps):
            pairs = draw_source(dimension, batch), draw_target(dimension, batch)
            value = loss(*pairs, torch.rand(batch, 1), torch.randn(batch, latent))
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            optimizer.step()

    return work


def map_training(latent, batch, steps, compiled, shared):
    """The same for a flow map by MeanFlow; `shared`: see mean_flow.py."""
    flow = Flow(2, latent, is_map=True)
    optimizer = torch.optim.AdamW(flow.parameters(), lr=1e-3, fused=True)
    loss = compile(flow.map_loss) if compiled else flow.map_loss

    def work():
        for _ in range(steps):
            pairs = draw_source(2, batch), draw_target(2, batch)
            value = loss(*pairs, *mean_flow.time_pairs(batch), torch.randn(batch, latent), shared)
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            optimizer.step()

    return work


def map_ways(work):
    """work(compiled, shared) of all ways."""
    return {("shared encodings, " if shared else "") + ("compiled" if compiled else "eager"):
            work(compiled, shared) for compiled in (False, True) for shared in (False, True)}


def euler_as_written(flow, count, steps, compiled):
    """The same as most would write it: all samples at once, z and a time for every sample."""

    def field(t, x, z):
        return flow.velocity(t, x, flow.velocity.encode(z) if flow.latent else [])

    velocity = compile(field) if compiled else field

    @torch.inference_mode()
    def work():
        x, z = draw_source(2, count), torch.randn(count, flow.latent)
        for n in range(steps):
            x = x + velocity(torch.full((count, 1), n / steps), x, z) / steps
        return x

    return work


def euler(flow, count, steps, chunk, compiled):
    """A function that draws `count` samples in chunks, tuned: see above."""
    velocity = compile(flow.velocity) if compiled else flow.velocity
    encode = compile(flow.velocity.encode, keep=True) if compiled else flow.velocity.encode

    @torch.inference_mode()
    def work():
        samples = torch.empty(count, 2)
        for first in range(0, count, chunk):
            x = draw_source(2, chunk)
            z = encode(torch.randn(chunk, flow.latent)) if flow.latent else []
            for n in range(steps):
                x = x + velocity(torch.full((1, 1), n / steps), x, z) / steps
            samples[first : first + chunk] = x
        return samples

    return work


def dopri5(flow, count, tolerance, chunk, compiled):
    velocity = compile(flow.velocity, keep=True) if compiled else flow.velocity
    times = torch.tensor([0.0, 1.0])

    @torch.inference_mode()
    def work():
        for first in range(0, count, chunk):
            z = flow.velocity.encode(torch.randn(chunk, flow.latent)) if flow.latent else []
            field = lambda t, x: velocity(t.reshape(1, 1), x, z)
            odeint(field, draw_source(2, chunk), times, rtol=tolerance, atol=tolerance)

    return work


def dopri5_as_written(flow, count, tolerance):
    @torch.inference_mode()
    def work():
        z = torch.randn(count, flow.latent)
        field = lambda t, x: flow.velocity(t.expand(count, 1), x, flow.velocity.encode(z))
        odeint(field, draw_source(2, count), torch.tensor([0.0, 1.0]), rtol=tolerance,
               atol=tolerance)

    return work


def products(extent, count):
    a, b = (torch.randn(extent, extent).bfloat16() for _ in range(2))
    c = torch.empty_like(a)

    def work():
        for _ in range(count):
            torch.mm(a, b.t(), out=c)

    return work


def load(flow, file):
    """The weights of a safetensors file."""
    with open(file, "rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header, data = json.loads(stream.read(length)), bytearray(stream.read())
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            flat = torch.frombuffer(data, dtype=torch.float32, offset=entry["data_offsets"][0],
                                    count=math.prod(entry["shape"]))
            tensors[name] = flat.reshape(entry["shape"]).clone()
    flow.load_state_dict(tensors, strict=True)


def seconds(work):
    time.sleep(0.2)  # the other side's threads stop spinning
    start = time.perf_counter()
    work()
    if on_gpu:
        torch.cuda.synchronize()
    return time.perf_counter() - start


process = subprocess.Popen([options.peer], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def ours(order):
    time.sleep(0.2)
    process.stdin.write(order + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        sys.exit("vrfm_peer ended early")
    return float(answer)


baseline, variational = Flow(2, 0), Flow(2, 8)
with tempfile.TemporaryDirectory() as folder:
    ours(f"weights {folder}/flow.safetensors")
    load(variational, f"{folder}/flow.safetensors")

# Name, vrfm's order, what one figure is divided by, PyTorch's ways.
cases = []
# Name, vrfm's order, its order for the V-RFM step, what one figure is divided by.
beside = []
steps = 200 if on_gpu else 20
sizes = [(1, 0, 1000), (1, 4, 1000), (2, 0, 1000), (2, 8, 1000)] + [(2, 8, 65536)] * on_gpu
for dimension, latent, batch in sizes:
    name = f"training step, {dimension}D {'V-RFM' if latent else 'RFM'}, batch {batch}"
    ways = {"compiled" if c else "eager":
            training(dimension, latent, batch, steps, c) for c in (False, True)}
    cases.append((name, f"train {dimension} {latent} {batch} {steps}", steps, ways))
for latent in (8, 0):
    kind, batch = "V-" if latent else "", 1000
    ways = map_ways(lambda compiled, shared: map_training(latent, batch, steps, compiled, shared))
    cases.append((f"training step, 2D {kind}MeanFlow, batch {batch}", f"map mean-flow {latent} {batch} {steps}",
                  steps, ways))
    for name, order in (("MeanFlow", "mean-flow"), ("SoFlow", "so-flow")):
        beside.append((f"2D {kind}{name}, batch {batch}", f"map {order} {latent} {batch} {steps}",
                      f"map flow {latent} {batch} {steps}", steps))
for latent in (0, 8):
    kind, batch, n = "V-RFM" if latent else "RFM", 4096, 50 if on_gpu else 5
    ways = {way: rows.training(latent, batch, n, f)
            for way, f in (("eager", lambda g: g), ("compiled", compile))}
    cases.append((f"training step, {kind} of rows of {rows.COLUMNS} columns, batch {batch}",
                  f"rows {latent} {batch} {n}", n, ways))
count, chunks = (1_000_000, (100_000, 1_000_000)) if on_gpu else (100_000, (1000, 10_000))
for flow in (baseline, variational):
    name = f"{count:,} samples, 20 Euler steps, 2D {'V-RFM' if flow.latent else 'RFM'}"
    ways = {f"tuned, {'compiled' if c else 'eager'}, chunks of {n}": euler(flow, count, 20, n, c)
            for c in (False, True) for n in chunks}
    ways |= {f"as written, {'compiled' if c else 'eager'}": euler_as_written(flow, count, 20, c)
             for c in (False, True)}
    cases.append((name, f"euler {flow.latent} {count} 20", 1, ways))
ways = {f"tuned, {'compiled' if c else 'eager'}, chunks of {n}":
        dopri5(variational, 10_000, 1e-5, n, c) for c in (False, True) for n in (1000, 10_000)}
ways["as written, eager"] = dopri5_as_written(variational, 10_000, 1e-5)
cases.append(("10,000 samples, Dormand-Prince 1e-5, 2D V-RFM", "dopri5 8 10000 1e-5", 1, ways))
if on_gpu:
    cases.append(("product of bfloat16 matrices, 4096³", "gemm 4096 50", 50,
                  {"torch.mm": products(4096, 50)}))

networks = []
if options.images:
    networks += [("residual", "MNIST", 64), ("unet", "CIFAR-10 U-Net", 16)]
if options.transformers:
    networks += [("sit-s", "SiT-S/2", 16), ("sit-xl", "SiT-XL/2", 2)]
if networks:
    import images

    cases.clear()
    beside.clear()
    for network, name, batch in networks:
        for what, order, work in (("training step", "images", images.training),
                                  ("Euler step", "draw", images.euler)):
            case = f"{what}, {name}, batch {batch}"
            if options.only not in case:  # a network of XL takes much memory
                continue
            ways = {way: work(network, batch, 2, f)
                    for way, f in (("eager", lambda g: g), ("compiled", compile))}
            cases.append((case, f"{order} {network} {batch} 2", 2, ways))
    case = "training step, MNIST MeanFlow, batch 64"
    if options.images and options.only in case:
        ways = map_ways(lambda compiled, shared: images.training(
            "residual-mean-flow", 64, 2, compile if compiled else lambda g: g, shared))
        cases.append((case, "images residual-mean-flow 64 2", 2, ways))
    if options.images:
        beside += [(f"MNIST {name}, batch 64", f"images residual-{order} 64 2", "images residual 64 2", 2)
                  for name, order in (("MeanFlow", "mean-flow"), ("SoFlow", "so-flow"))]
    case = "decoder of one image of 256 x 256"
    if options.transformers and options.only in case:
        ways = {way: images.decoding(1, f) for way, f in (("eager", lambda g: g), ("compiled", compile))}
        cases.append((case, "decode 1 0", 1, ways))

device = torch.cuda.get_device_name() if on_gpu else f"{options.threads} threads"
print(f"vrfm against PyTorch {torch.__version__}, {device}, float, medians of "
      f"{options.turns} alternating turns\n")
print("| case | vrfm | PyTorch | ratio |")
print("|---|---|---|---|", flush=True)
for name, order, parts, ways in cases:
    if options.only not in name:
        continue
    for way, work in list(ways.items()):  # compiles and warms up
        try:
            seconds(work)
            seconds(work)
        except Exception as error:  # torch.compile and its CUDA graphs refuse some programs: left out
            if not on_gpu and "compiled" not in way:
                raise
            print(f"{name}, {way}: {error}", file=sys.stderr)
            del ways[way]
    ours(order)
    ours(order)
    times = {way: [] for way in ways} | {"vrfm": []}
    for _ in range(options.turns):
        times["vrfm"].append(ours(order))
        for way, work in ways.items():
            times[way].append(seconds(work))
    medians = {way: 1e3 * statistics.median(t) / parts for way, t in times.items()}
    own = medians.pop("vrfm")
    for way, ms in sorted(medians.items(), key=lambda item: item[1]):
        print(f"| {name} | {own:.2f} ms | {ms:.2f} ms, {way} | {own / ms:.2f} |", flush=True)

beside = [case for case in beside if options.only in case[0]]
if beside:
    print("\n| vrfm's training step | this | V-RFM's (RFM's where there is no z) | ratio |")
    print("|---|---|---|---|", flush=True)
for name, order, base, parts in beside:
    times = [(ours(order), ours(base)) for _ in range(2 + options.turns)][2:]
    own, other = (1e3 * statistics.median(t) / parts for t in zip(*times))
    print(f"| {name} | {own:.2f} ms | {other:.2f} ms | {own / other:.2f} |", flush=True)
process.stdin.close()
