# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compares the Frechet inception distance of vrfm_image_metrics with pytorch-fid's, of two sets of images.

Usage: compare_inception.py PROGRAM [--images N] [--weights FILE]. The weights are those of make_inception.py unless a
file of others is given (safetensors, pytorch-fid's names); the images are PNG files of smooth shapes with noise, of
which the second set's are brighter and rougher. Prints both distances, which must differ by less than 0.01, and the largest
difference of features. Needs what make_inception.py needs, scipy and Pillow. It is no test, since it takes a minute.
"""
import argparse
import json
import pathlib
import subprocess
import tempfile

import numpy
import torch
from PIL import Image
from pytorch_fid import fid_score
from safetensors.torch import load_file, save_file

import make_inception


def write_images(folder, count, bright, rough, seed):
    folder.mkdir()
    random = numpy.random.default_rng(seed)
    for k in range(count):
        height, width = random.integers(24, 80, 2)
        y, x = numpy.mgrid[0:height, 0:width] / 32
        waves = [numpy.sin(a * x + b * y + c) for a, b, c in random.uniform(-3, 3, (3, 3))]
        pixels = bright + 60 * numpy.stack(waves, 2) + rough * random.normal(size=(height, width, 3))
        Image.fromarray(numpy.clip(pixels, 0, 255).astype(numpy.uint8)).save(folder / f"{k:05}.png")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--weights", type=pathlib.Path)
    options = parser.parse_args()
    network = make_inception.network()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        weights = options.weights
        if weights:
            network.load_state_dict(load_file(weights), strict=False)
        else:
            weights = folder / "inception.safetensors"
            save_file(network.state_dict(), weights)
        model = make_inception.as_published(network)

        def run(*arguments):
            command = [options.program, *map(str, arguments)]
            return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)

        theirs, ours, difference = [], [], 0
        for part, bright, rough in ("a", 110, 10), ("b", 130, 25):
            write_images(folder / part, options.images, bright, rough, ord(part))
            files = sorted((folder / part).iterdir())
            # One at a time, since they are of many sizes.
            features = fid_score.get_activations(files, model, batch_size=1, num_workers=0)
            theirs.append((features.mean(0), numpy.cov(features, rowvar=False)))
            ours.append(folder / f"{part}.npy")
            run("features", folder / part, "--weights", weights, "--output", ours[-1])
            difference = max(difference, abs(numpy.load(ours[-1]) - features).max() / abs(features).max())
        expected = fid_score.calculate_frechet_distance(*theirs[0], *theirs[1])
        found = run("frechet", *ours)["distance"]
    print(f"pytorch-fid {expected:.6f}, vrfm {found:.6f}, of {options.images} images each; features differ by at most "
          f"{difference:.2g} of the largest")
    assert abs(found - expected) < 0.01


if __name__ == "__main__":
    main()
