# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""vrfm's addressed random numbers, for scripts whose golden data depends on them: Philox4x32-10, then Box-Muller."""
import math

import numpy


def philox(counter, key):
    """Philox4x32-10 (Salmon et al. 2011) of four arrays of 32-bit words."""
    mask, x, key = numpy.uint64(2**32 - 1), [word.astype(numpy.uint64) for word in counter], list(key)
    for _ in range(10):
        first, second = x[0] * numpy.uint64(0xD2511F53), x[2] * numpy.uint64(0xCD9E8D57)
        x = [(second >> numpy.uint64(32)) ^ x[1] ^ numpy.uint64(key[0]), second & mask,
             (first >> numpy.uint64(32)) ^ x[3] ^ numpy.uint64(key[1]), first & mask]
        key = [(key[0] + 0x9E3779B9) % 2**32, (key[1] + 0xBB67AE85) % 2**32]
    return x


def uniform(words, kind):
    """In (0, 1): of a float one word's upper 23 bits, of a double the upper 52 of two words; and half a step."""
    if kind == "float":
        return [((w >> numpy.uint64(9)).astype(numpy.float64) + 0.5) / 2**23 for w in words]
    pairs = [(a << numpy.uint64(32)) | b for a, b in (words[:2], words[2:])]
    return [((w >> numpy.uint64(12)).astype(numpy.float64) + 0.5) / 2**52 for w in pairs]


def normal(kind, seed, purpose, step, samples, count):
    """Standard normal elements 0 ... count - 1 of `samples` at a step, [sample][element], in float64; `purpose` holds
    the use in its upper 8 bits. `kind`: "float" or "double", the type that vrfm draws in."""
    of_block, first_block = (4, 0) if kind == "float" else (2, 2**31)
    sample, block = numpy.meshgrid(samples, first_block + numpy.arange(-(-count // of_block)), indexing="ij")
    low, high, step = sample % 2**32, sample // 2**32, numpy.full_like(sample, step)
    u = uniform(philox([low, high, step, block], (seed, purpose)), kind)
    z = []
    for first, second in zip(u[::2], u[1::2]):
        radius, angle = numpy.sqrt(-2 * numpy.log(first)), 2 * math.pi * second
        z += [radius * numpy.cos(angle), radius * numpy.sin(angle)]
    return numpy.stack(z, -1).reshape(len(samples), -1)[:, :count]
