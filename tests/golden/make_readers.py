#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes readers/ beside itself, files as other programs write them or damage them, and readers.json, what the
reference implementations make of each file: NumPy, safetensors, and Python's gzip with NumPy for IDX files.

Needs the Python packages numpy and safetensors (0.8). tests/io/readers.cpp reads the same files and compares. The files
named in `kept` were written by other programs and are not written here. A result is, for each array that the reference
hands out, its type, shape and every `step`th of its values (null for a type without numbers in NumPy), or null for a file
that it refuses.
"""

import gzip
import io
import json
import math
import struct
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import safetensors

folder = Path(__file__).resolve().parent / "readers"
kept = """cnpy_u1.npy fort1d.npy julia_statistics.npz comment.npz features_as_arr_0.npz bool_extra.safetensors
meta_null.safetensors extra_key.safetensors two_members_images.idx two_members_labels.idx""".split()
files = {}


def npy(array, **options):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, **options)
    return buffer.getvalue()


def with_header(header, data, version=1):
    size = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + size + header + data


reals = np.array([[1.5, -0.25, 0], [2.0**-20, 1000, -3]])
for name, descr in {"half": "<f2", "half_big": ">f2", "float_big": ">f4", "double_big": ">f8"}.items():
    files[f"{name}.npy"] = npy(reals.astype(descr))
for name, descr in {"int32_big": ">i4", "int64_big": ">i8", "uint64_big": ">u8", "bool": "|b1"}.items():
    files[f"{name}.npy"] = npy(np.array([1, 0, 258], dtype=descr))
files["fortran_2d.npy"] = npy(np.asfortranarray(reals))
files["fortran_3d_big.npy"] = npy(np.asfortranarray(np.arange(12, dtype=">f4").reshape(2, 3, 2)))
files["fortran_column.npy"] = npy(np.asfortranarray(reals.reshape(6, 1))).replace(b"False", b"True ")
files["fortran_0d.npy"] = npy(np.array(2.5)).replace(b"False", b"True ")
floats = np.array([0.5, -4], dtype="<f4").tobytes()
python_2 = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 1L), }\n"
files["python_2.npy"] = with_header(python_2, floats)
files["no_newline.npy"] = with_header(b"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", floats)
files["native_order.npy"] = with_header(b"{'descr': '=f4', 'fortran_order': False, 'shape': (2,)}\n", floats)
files["no_order.npy"] = with_header(b"{'descr': 'f4', 'fortran_order': False, 'shape': (2,)}\n", floats)
files["unicode_header.npy"] = with_header(b"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}\n", floats, 3)
files["int16.npy"] = npy(np.array([1, -2], dtype="<i2"))
files["complex128.npy"] = npy(np.array([1 + 2j]))
files["text.npy"] = npy(np.array(["ab", "c"]))
files["structured.npy"] = npy(np.array([(1, 2)], dtype=[("a", "<f4"), ("\u00e4", "<i4")]))
files["objects.npy"] = npy(np.array([None]), allow_pickle=True)
files["two_arrays.npy"] = npy(np.ones(2)) + npy(np.zeros(2))
files["truncated.npy"] = npy(np.ones(2))[:-1]
files["html.npy"] = b"<!DOCTYPE html>\n<html><head><title>404</title></head></html>\n"


def zipped(members, method=zipfile.ZIP_STORED, stream=False):
    """members: (name, data) or (name, data, method)."""

    class Pipe(io.RawIOBase):  # cannot seek: sizes follow the data
        def __init__(self):
            self.data = b""

        def writable(self):
            return True

        def write(self, data):
            self.data += bytes(data)
            return len(data)

    sink = Pipe() if stream else io.BytesIO()
    with zipfile.ZipFile(sink, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, data, *own in members:
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = own[0] if own else method
            archive.writestr(info, data)
    return sink.data if stream else sink.getvalue()


one, two = npy(np.array([1.0])), npy(np.array([2.0]))
a, b = ("a.npy", one), ("b.npy", two)
files["beside.npz"] = zipped([("README.txt", b"text"), a, ("__MACOSX/", b""), ("__MACOSX/._a", b"\0\5\26\7")])
files["bzip2.npz"] = zipped([a, (*b, zipfile.ZIP_BZIP2)])
files["streamed.npz"] = zipped([a, b], zipfile.ZIP_DEFLATED, stream=True)
files["no_array.npz"] = zipped([])
files["twice.npz"] = zipped([a, ("a.npy", two)])
files["bytes_behind.npz"] = zipped([a]) + b"xy"
files["truncated.npz"] = zipped([a])[:-30]
flagged = bytearray(zipped([a]))
flagged[flagged.rfind(b"PK\1\2") + 8] |= 1
files["encrypted.npz"] = bytes(flagged)
# Padding behind the extra fields, as programs write it that align data: of one byte.
plain = zipped([a])
start = plain.rfind(b"PK\1\2")
end = plain.rfind(b"PK\5\6")
central = bytearray(plain[start:end])
central[30:32] = struct.pack("<H", 1)
tail = bytearray(plain[end:])
tail[12:16] = struct.pack("<I", len(central) + 1)
files["aligned.npz"] = plain[:start] + bytes(central) + b"\0" + bytes(tail)
files["lfs.npz"] = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 4096\n" % (b"0" * 64)


def tensors(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


bits = {"F64": 64, "I64": 64, "U64": 64, "C64": 64, "F32": 32, "I32": 32, "U32": 32, "F16": 16, "BF16": 16, "I16": 16,
        "U16": 16, "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8,
        "F8_E5M2FNUZ": 8, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4}
header, data = {}, b""
for dtype, size in bits.items():
    header[dtype.lower()] = tensor(dtype, [2, 2], len(data), len(data) + size // 2)
    data += {"BF16": b"\xc0\x3f\x80\xbf\0\0\x20\x41", "F16": reals.astype("<f2").tobytes()[:8], "BOOL": b"\1\0\0\1",
             "F32": reals.astype("<f4").tobytes()[:16], "F64": reals.tobytes()[:32]}.get(dtype, bytes(range(size // 2)))
files["all_types.safetensors"] = tensors(header, data)
w = tensor("F32", [2], 0, 8)
text = json.dumps(w).encode()
files["nested_key.safetensors"] = tensors({"w": {**w, "stride": [1, {"a": [None, 1.5]}], "layout": "C"}}, floats)
files["tensor_twice.safetensors"] = tensors(b'{"w":' + text + b',"w":' + text + b"}", floats)
files["key_twice.safetensors"] = tensors(b'{"w":{"dtype":"F32",' + text[1:] + b"}", floats)
files["leading_space.safetensors"] = tensors(b' {"w":' + text + b"}", floats)
files["trailing_spaces.safetensors"] = tensors(b'{"w":' + text + b"}   ", floats)
files["trailing_bytes.safetensors"] = tensors({"w": w}, floats + b"x")
files["truncated.safetensors"] = tensors({"w": w}, floats[:-1])
files["hole.safetensors"] = tensors({"w": tensor("F32", [1], 4, 8)}, floats)
files["unknown_type.safetensors"] = tensors({"w": w, "q": tensor("Q4_0", [2], 8, 9)}, floats + b"x")
files["part_of_a_byte.safetensors"] = tensors({"w": tensor("F4", [3], 0, 2)}, b"xx")
files["empty_and_huge.safetensors"] = tensors({"w": tensor("F32", [0, 2**32, 2**32], 0, 0)})
files["metadata_number.safetensors"] = tensors({"__metadata__": {"step": 1}, "w": w}, floats)
files["empty.safetensors"] = b""


def idx(array, code=8):
    return bytes([0, 0, code, array.ndim]) + np.array(array.shape, dtype=">u4").tobytes() + array.tobytes()


def member(data, flags=0, extra=b""):
    """A gzip member with the optional fields of `flags`."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = b"\x1f\x8b\x08" + bytes([flags]) + b"\0\0\0\0\0\xff" + extra
    if flags & 2:
        start += struct.pack("<H", zlib.crc32(start) & 0xFFFF)
    return start + deflate.compress(data) + deflate.flush() + struct.pack("<II", zlib.crc32(data), len(data))


labels = idx(np.array([7, 0, 9], dtype="|u1"))
files["zero_padding.idx"] = member(labels) + b"\0" * 100
files["padded_members.idx"] = member(labels[:3]) + b"\0" * 9 + member(b"") + member(labels[3:])
files["all_fields.idx"] = member(labels, 31, b"\3\0abc" + b"a name\0" + b"a comment\0")
files["garbage_behind.idx"] = member(labels) + b"\0\0xy"
files["truncated_gzip.idx"] = member(labels)[:-5]
files["checksum.idx"] = member(labels)[:-8] + member(labels + b"x")[-8:]
files["floats.idx"] = idx(np.ones(3, dtype=">f4"), 13)


def described(array):
    values = array.ravel()
    if array.dtype.kind not in "fiub" or not all(math.isfinite(value) for value in values.tolist()):
        return {"type": array.dtype.name, "shape": list(array.shape), "values": None}
    step = 1 + values.size // 33
    numbers = values[::step].astype(float if array.dtype.kind == "f" else object)
    return {
        "type": array.dtype.name,
        "shape": list(array.shape),
        "step": step,
        "values": [v if v % 1 else int(v) for v in numbers],
    }


def read_npy(data):
    return {"": described(np.load(io.BytesIO(data)))}


def read_npz(data):
    with np.load(io.BytesIO(data)) as archive:
        members = {name: archive[name] for name in archive.files}
    return {name: described(found) for name, found in members.items() if isinstance(found, np.ndarray)}


def read_safetensors(data):
    known = {"F64": "<f8", "I64": "<i8", "U64": "<u8", "C64": "<c8", "F32": "<f4", "I32": "<i4", "U32": "<u4",
             "F16": "<f2", "I16": "<i2", "U16": "<u2", "BOOL": "|b1", "U8": "|u1", "I8": "|i1"}
    results = {}
    for name, found in sorted(safetensors.deserialize(data)):
        dtype, raw, shape = found["dtype"], bytes(found["data"]), found["shape"]
        if dtype == "BF16":
            wide = np.frombuffer(raw, dtype="<u2").astype("<u4") << 16
            results[name] = {**described(wide.view("<f4").reshape(shape)), "type": dtype}
        elif dtype in known:
            results[name] = {**described(np.frombuffer(raw, dtype=known[dtype]).reshape(shape)), "type": dtype}
        else:
            results[name] = {"type": dtype, "shape": shape, "values": None}
    return results


def read_idx(data):
    if data.startswith(b"\x1f\x8b"):
        data = gzip.decompress(data)
    assert data[:3] == b"\0\0\x08"
    shape = np.frombuffer(data, dtype=">u4", count=data[3], offset=4)
    return {"": described(np.frombuffer(data, dtype="|u1", offset=4 + 4 * data[3]).reshape(shape))}


for name, data in files.items():
    (folder / name).write_bytes(data)
readers = {".npy": read_npy, ".npz": read_npz, ".safetensors": read_safetensors, ".idx": read_idx}
results = {}
for name in sorted([*files, *kept]):
    path = folder / name
    try:
        results[name] = readers[path.suffix](path.read_bytes())
    except Exception as error:  # each reference has exceptions of its own
        print(f"{name}: {type(error).__name__}: {error}")
        results[name] = None
lines = [f" {json.dumps(name)}: {json.dumps(result)}" for name, result in results.items()]
(folder.parent / "readers.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
