#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes golden/rows, the files of tests/io/csv.cpp, tests/io/open_rows.cpp and tests/io/hdf5.cpp.

Needs the Python packages numpy, pandas, h5py and safetensors. Numbers that stand for themselves are k / 4 - 1 in
row-major order, k = 0, 1, ..., or k alone for integers.
"""

import io
import struct
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

folder = Path(__file__).resolve().parent / "rows"
folder.mkdir(exist_ok=True)


def reals(*shape, dtype="<f8"):
    return (np.arange(np.prod(shape)) / 4 - 1).reshape(shape).astype(dtype)


def integers(*shape, dtype="<i4"):
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


# ---- NPY, NPZ, safetensors -----------------------------------------------------------------------

np.save(folder / "fortran.npy", np.asfortranarray(reals(5, 2, 3, dtype=">f4")))
np.save(folder / "big.npy", integers(4, 3, dtype=">i2"))


def entry(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


# Stored and compressed members side by side, as no call of NumPy's writes them.
with zipfile.ZipFile(folder / "mixed.npz", "w") as archive:
    for name, array, method in [
        ("stored", np.asfortranarray(integers(4, 3, dtype="<u2")), zipfile.ZIP_STORED),
        ("packed", reals(6, 2, dtype="<f2"), zipfile.ZIP_DEFLATED),
        ("flags", np.array([True, False, True]), zipfile.ZIP_STORED),
        ("names", np.array(["a", "bc"]), zipfile.ZIP_STORED),
        ("records", np.zeros(2, dtype=[("x", "<f4"), ("y", "<i4", (2,))]), zipfile.ZIP_DEFLATED),
        ("complex", np.zeros(2, dtype="<c16"), zipfile.ZIP_STORED),
        ("number", np.float32(2), zipfile.ZIP_STORED),
    ]:
        info = zipfile.ZipInfo(name + ".npy", date_time=(1980, 1, 1, 0, 0, 0))
        info.compress_type = method
        archive.writestr(info, entry(array))

# Tensors at odd bytes, which older writers made, and a bfloat16, which NumPy has not: a float's first half.
bf16 = (reals(2, 3, dtype="<f4").view("<u4") >> 16).astype("<u2")
tensors = {
    "byte": ("U8", integers(3, 1, dtype="|u1")),
    "bf16": ("BF16", bf16),
    "short": ("I16", integers(3, 2, dtype="<i2")),
    "f8": ("F8_E4M3", integers(2, 1, dtype="|u1")),
}
header, data = "", b""
for name, (dtype, array) in tensors.items():
    shape = ",".join(str(extent) for extent in array.shape)
    end = len(data) + array.nbytes
    header += "," if header else "{"
    header += f'"{name}":{{"dtype":"{dtype}","shape":[{shape}],"data_offsets":[{len(data)},{end}]}}'
    data += array.tobytes()
header = (header + "}").encode()
(folder / "unaligned.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + data)

# ---- CSV -----------------------------------------------------------------------------------------

frame = pd.DataFrame(
    {
        "x": [0.1, np.nan, -3e-300, 12345678.125],
        "count": [1, 2, 3, 4],
        "label": ['plain', 'with, comma', 'with "quotes"', "two\nlines"],
        'the "y", in m': [np.inf, -np.inf, 1e300, 5e-324],
    }
)
frame.to_csv(folder / "pandas.csv")
frame.to_csv(folder / "semicolon.csv", sep=";", index=False, lineterminator="\r\n", encoding="utf-8-sig",
             na_rep="NA", quoting=1)
np.savetxt(folder / "savetxt.csv", reals(3, 2), delimiter=",", header="a,b")

# ---- HDF5 ----------------------------------------------------------------------------------------

def hdf5(name, **options):
    return h5py.File(folder / name, "w", **options)


with hdf5("sets.h5", libver=("v110", "v110")) as file:
    file.attrs["title"] = "a text of variable length"
    file["f8"] = reals(6)
    file["f4"] = reals(4, 3, dtype="<f4")
    file["f2"] = reals(3, 2, dtype="<f2")
    file["i2"] = integers(3, 2, dtype=">i2")
    file["i8"] = np.array([[2**62], [-1]])
    file["u1"] = integers(5, dtype="|u1")
    file["bool"] = np.array([[True, False], [False, True]])
    file["number"] = 2.5
    file["nothing"] = h5py.Empty("f4")
    file["fixed"] = np.array([b"ab", b"c"], dtype="S2")
    file["texts"] = np.array(["ab", "\u00e4"], dtype=h5py.string_dtype())
    file["compound"] = np.zeros(2, dtype=[("x", "<f4"), ("y", "<i4")])
    file["complex"] = np.zeros(2, dtype="<c8")
    file["ragged"] = np.array([np.ones(1), np.ones(2)], dtype=object).astype(h5py.vlen_dtype(float))
    cube = file.create_dataset("group/nested/cube", data=reals(20, 3, 2), chunks=(4, 2, 2), compression="gzip",
                               shuffle=True, fletcher32=True)
    cube.attrs["unit"] = np.bytes_("m/s")
    cube.attrs["scale"] = 0.5
    cube.attrs["extents"] = np.array([1, 2, 3], dtype="<i4")
    cube.attrs["axes"] = ["x", "y"]
    cube.attrs["valid"] = True
    file.create_dataset("group/empty", shape=(0, 3), maxshape=(None, 3), chunks=(2, 3), dtype="<f4")
    file["again"] = h5py.SoftLink("/group/nested/cube")
    file["elsewhere"] = h5py.ExternalLink("other.h5", "/x")
    file["group/nested/up"] = file["group"]  # a cycle

with hdf5("old.h5", libver="earliest") as file:
    file.create_dataset("x", data=reals(10, 2), chunks=(4, 2), compression="gzip")

# MATLAB's save -v7.3 of x = reshape(0 : 5, 2, 3): x(i, j), i fastest, so that the extents are [3, 2].
with hdf5("matlab.mat", userblock_size=512) as file:
    x = file.create_dataset("x", data=np.array([[0.0, 1], [2, 3], [4, 5]]))
    x.attrs["MATLAB_class"] = np.bytes_("double")
    logical = file.create_dataset("flags", data=np.array([[1, 0, 1]], dtype="|u1"))
    logical.attrs["MATLAB_class"] = np.bytes_("logical")
    logical.attrs["MATLAB_int_decode"] = np.int32(1)
with open(folder / "matlab.mat", "r+b") as file:
    text = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Thu Jan  1 00:00:00 1970 HDF5 schema 1.00 ."
    file.write(text.ljust(116) + b"\0" * 8 + struct.pack("<H", 0x0200) + b"IM")

# HDF5.jl's file["x"] = [1.0 3 5; 2 4 6], of extents (2, 3) in Julia, and of a Vector{Bool}, whose type is a bit field.
with hdf5("julia.h5") as file:
    file["x"] = np.array([[1.0, 2], [3, 4], [5, 6]])
    space = h5py.h5s.create_simple((3,))
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_obj_track_times(False)
    flags = h5py.h5d.create(file.id, b"flags", h5py.h5t.STD_B8LE, space, properties)
    flags.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array([1, 0, 1], dtype="|u1"), h5py.h5t.STD_B8LE)

# A filter that no library has: 257 is for tests, and the chunk is never decoded.
with hdf5("filter.h5") as file:
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_obj_track_times(False)
    properties.set_chunk((2, 2))
    properties.set_filter(257, h5py.h5z.FLAG_OPTIONAL, (1,))
    data = h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F64LE,
                           h5py.h5s.create_simple((2, 2)), properties)
    data.write_direct_chunk((0, 0), b"\0" * 32)

sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
print(sizes, sum(sizes.values()))
