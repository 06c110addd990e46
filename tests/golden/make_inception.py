# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The answers of pytorch-fid's Inception network, written to inception.safetensors beside this script.

Weights and images are not stored: both sides compute them from names and positions (`numbers`). Each filter's sum is
0, so that what images have in common does not grow from layer to layer and drown what they differ by. The file holds
features and logits of three images of different sizes, resized in float32, whose rounding of where pixels lie shows in
images as rough as these, and computed in float64; as metadata the names and shapes of the state dict. With --weights FILE it writes the weights instead, as files of users have them. Needs torch 2.14, torchvision
0.29, pytorch-fid 0.3 and safetensors.
"""
import argparse
import math
import pathlib
import zlib

import numpy
import pytorch_fid.inception
import torch
from safetensors.torch import save_file

IMAGES = {"small": (32, 32), "wide": (301, 400), "high": (150, 50)}  # height, width
GAIN = 9  # keeps the size of what uniform numbers and a ReLU make


def bits(name, count):
    """`count` words of 24 bits."""
    z = numpy.arange(count, dtype=numpy.uint64) + numpy.uint64(zlib.crc32(name.encode()) << 32)
    z *= numpy.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> numpy.uint64(32))) * numpy.uint64(0xD6E8FEB86659FD93)
    return z >> numpy.uint64(40)


def numbers(name, count):
    """`count` numbers in [-1, 1), multiples of 2^-23."""
    return bits(name, count).astype(numpy.float64) / 2**23 - 1


def weight(name, shape):
    values = numbers(name, math.prod(shape))
    if len(shape) == 1:
        return 0.25 * values + (name.endswith("running_var") or name.endswith("bn.weight"))
    values = values.reshape(shape[0], -1)
    values -= values.mean(1, keepdims=True)
    return (values * math.sqrt(GAIN / values.shape[1])).reshape(shape)


def image(name):
    """[1, 3, height, width] in [0, 1] of bytes, channels last in their order."""
    height, width = IMAGES[name]
    pixels = (bits(name, height * width * 3) >> numpy.uint64(16)).astype(numpy.float64) / 255
    return torch.from_numpy(pixels.reshape(1, height, width, 3)).permute(0, 3, 1, 2).contiguous()


def network():
    """pytorch-fid's FIDInceptionV3, with these weights in place of the published."""
    original = pytorch_fid.inception._inception_v3

    def without_weights(*args, **kwargs):
        model = original(*args, **kwargs)
        model.load_state_dict = lambda state: None
        return model

    pytorch_fid.inception._inception_v3 = without_weights
    pytorch_fid.inception.load_state_dict_from_url = lambda *_, **__: None
    model = pytorch_fid.inception.fid_inception_v3().eval()
    del model.load_state_dict
    state = model.state_dict()
    for name, value in state.items():
        if not name.endswith("num_batches_tracked"):
            state[name] = torch.from_numpy(weight(name, tuple(value.shape)).astype(numpy.float32))
    model.load_state_dict(state)
    return model


def as_published(model):
    """What pytorch-fid computes distances with."""
    pytorch_fid.inception.fid_inception_v3 = lambda: model
    return pytorch_fid.inception.InceptionV3([pytorch_fid.inception.InceptionV3.BLOCK_INDEX_BY_DIM[2048]]).eval()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights", type=pathlib.Path)
    weights = parser.parse_args().weights
    model = network()
    if weights:
        return save_file(model.state_dict(), weights)
    table = {name: value.shape for name, value in model.state_dict().items() if "num_batches" not in name}
    model = model.double()
    published, tensors = as_published(model), {}
    with torch.no_grad():
        for name in IMAGES:
            resized = torch.nn.functional.interpolate(image(name).float(), size=(299, 299), mode="bilinear",
                                                      align_corners=False)
            features = published(resized.double())[0].reshape(1, 2048)
            tensors[f"features.{name}"] = features.float()
            tensors[f"logits.{name}"] = model.fc(features).float()
    lines = "\n".join(f"{name} {' '.join(map(str, shape))}" for name, shape in table.items())
    save_file(tensors, pathlib.Path(__file__).parent / "inception.safetensors", {"shapes": lines})
    print(sum(map(math.prod, table.values())), "numbers in", len(table), "tensors")


if __name__ == "__main__":
    main()
