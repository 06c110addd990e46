#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes the golden files of tests/io/jpeg.cpp and tests/io/center_crop.cpp into pictures/, by Pillow 13 and numpy.

JPEG files of each kind and pictures.npz: of each file what Pillow decodes, and of each picture that has to become
square what center_crop_arr of guided-diffusion (image_datasets.py, which SiT and DiT took over) makes of it.
"""

from pathlib import Path

import numpy as np
from PIL import Image

folder = Path(__file__).resolve().parent / "pictures"
folder.mkdir(exist_ok=True)


def picture(height, width):
    """Waves with edges: what a filter smears and what it overshoots at."""
    y, x = np.mgrid[0:height, 0:width]
    waves = np.stack([np.sin(x / 3.1 + y / 7), np.cos(x * y / 90), np.sin(y / 2.3)], -1)
    return np.where((x // 5 + y // 4)[..., None] % 3 == 0, 255 * (waves > 0.2), 127.5 * (waves + 1)).astype(np.uint8)


def center_crop_arr(image, size):
    while min(*image.size) >= 2 * size:
        image = image.resize(tuple(x // 2 for x in image.size), resample=Image.BOX)
    scale = size / min(*image.size)
    image = image.resize(tuple(round(x * scale) for x in image.size), resample=Image.BICUBIC)
    pixels = np.array(image)
    top, left = (pixels.shape[0] - size) // 2, (pixels.shape[1] - size) // 2
    return pixels[top : top + size, left : left + size]


colour = Image.fromarray(picture(22, 34))
exif = Image.Exif()
exif[0x0112] = 6  # to be turned, which is not done
colour.save(folder / "colour.jpg", quality=90, exif=exif)
colour.save(folder / "progressive.jpg", quality=75, subsampling=0, progressive=True)
colour.convert("L").save(folder / "grey.jpg", quality=80)
colour.convert("CMYK").save(folder / "cmyk.jpg", quality=50)

arrays = {}
for name in ("colour", "progressive", "grey", "cmyk"):
    arrays[name] = np.array(Image.open(folder / f"{name}.jpg").convert("RGB"))

# The last two are high: Pillow 13 filters their columns first. Halved twice and once, odd extents, enlarged, a half that is rounded to even (10.5 columns), already there.
for height, width, size in ((67, 90, 16), (33, 51, 16), (20, 16, 16), (7, 11, 16), (8, 14, 6), (16, 16, 16), (46, 18, 12),
                            (100, 33, 16)):
    arrays[f"from_{height}_{width}_{size}"] = picture(height, width)
    arrays[f"to_{height}_{width}_{size}"] = center_crop_arr(Image.fromarray(picture(height, width)), size)

np.savez_compressed(folder / "pictures.npz", **arrays)
