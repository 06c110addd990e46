#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes the golden files of tests/io beside itself, by the reference implementations.

Needs the Python packages numpy and safetensors. The values are those of tests/io/safetensors.cpp,
tests/io/npy.cpp and tests/io/npz.cpp: NaNs with payloads, a subnormal, signed zero, infinities, extreme integers.
The image files are those of tests/io/idx.cpp and tests/io/cifar10.cpp.
"""

import gzip
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

folder = Path(__file__).resolve().parent

bits = np.array([0x3F800000, 0x80000000, 0x7FC12345, 0xFF812345, 1, 0x7F800000], dtype="<u4")
floats = bits.view("<f4").reshape(2, 3)
integers = np.array([-1, 0, 1], dtype="<i4")
bytes_ = np.array([[0, 127, 255]], dtype="|u1")

save_file(
    {
        "double": np.array([0.5, -np.inf], dtype="<f8"),
        "long": np.array(-(2**63), dtype="<i8"),
        "unsigned": np.array([[2**64 - 1], [1]], dtype="<u8"),
        "empty": np.zeros((3, 0), dtype="<f4"),
        "float": floats,
        "int": integers,
        'b\u00e4ck\\slash "u8"': bytes_,
    },
    folder / "io.safetensors",
    metadata={"format": "pt"},
)

arrays = {
    "io_f4": floats,
    "io_f8_scalar": np.array(-0.1, dtype="<f8"),
    "io_f8_empty": np.zeros((3, 0), dtype="<f8"),
    "io_u1": bytes_,
    "io_i4": integers,
    "io_i8": np.array([-(2**63)], dtype="<i8"),
    "io_fortran": np.asfortranarray(np.ones((2, 3), dtype="<f4")),
    "io_big_endian": np.ones(2, dtype=">f4"),
}
for name, array in arrays.items():
    np.save(folder / f"{name}.npy", array)

for major in (2, 3):
    with open(folder / f"io_f4_v{major}.npy", "wb") as file:
        np.lib.format.write_array(file, np.array([0.25, -4], dtype="<f4"), version=(major, 0))

archive = {
    "mu": np.array([0.5, -0.25], dtype="<f4"),
    "sigma": np.arange(256, dtype="<f8").reshape(16, 16) % 7,
    "arr_0": bytes_,
    "empty": np.zeros((3, 0), dtype="<f8"),
}
np.savez(folder / "io_stored.npz", **archive)
np.savez_compressed(folder / "io_deflated.npz", **archive)

# What tests/io/npz.cpp finds the writer to write, to the byte.
written = folder / "io_written.npz"
if written.exists():
    with np.load(written) as found:
        assert found.zip.testzip() is None
        assert found.files == list(archive)
        for name, array in archive.items():
            assert found[name].dtype == array.dtype and np.array_equal(found[name], array)


def idx(array):
    """The bytes of an IDX file: type 8 is the unsigned byte, extents are big-endian."""
    magic = bytes([0, 0, 8, array.ndim])
    return magic + np.array(array.shape, dtype=">u4").tobytes() + array.tobytes()


(folder / "io_images.idx").write_bytes(idx(np.arange(0, 240, 20, dtype="|u1").reshape(2, 2, 3)))
# With the name of a file in its header, as the gzip program writes it.
with gzip.GzipFile(folder / "io_labels_gz.idx", "wb", mtime=0) as file:
    file.write(idx(np.array([7, 0, 9], dtype="|u1")))

row, column = np.mgrid[0:32, 0:32].astype("|u1")
record = bytes([6]) + row.tobytes() + column.tobytes() + (row + column).tobytes()
(folder / "io_batch.cifar10").write_bytes(record)
