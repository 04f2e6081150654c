"""Makes what the fuzzers begin with: corpus.py FOLDER makes FOLDER/TARGET/*; recipes come from launch/recipes."""
import gzip
import io
import pathlib
import shutil
import struct
import sys
import zlib

import numpy
from PIL import Image

folder = pathlib.Path(sys.argv[1])
root = pathlib.Path(__file__).resolve().parents[2]


def save(target, name, content):
    path = folder / target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


for recipe in (root / "launch" / "recipes").glob("*.yaml"):
    shutil.copy(recipe, (folder / "recipe").joinpath(recipe.name)) if (folder / "recipe").mkdir(parents=True, exist_ok=True) is None else None
save("recipe", "small", b"model: {zoo: mlp, classes: 2}\ndata: {train: [a, 'b*']}\ntrain: {epochs: 1, batch: 4, lanes: 2}\n")
save("recipe", "keys", b"seed: 18446744073709551615\nmodel: {zoo: lenet, classes: 10, dropout: 0.5, from: x.h5}\n"
     b"data: {train: a, test: b, scale: 1e-3, normalize: {mean: [1, 2], std: [3, .4]}, augment: {crop_pad: 2, flip: yes}}\n"
     b"train: {steps: 5, optimizer: {adamw: {weight_decay: 0.1}}, schedule: {step: {peak: 1, every: 2 epochs}}, timeout: 5m}\n"
     b"eval: {every: 500 steps}\ncheckpoint: {every: 90s, keep: 2}\ndevice: {memory: 2GiB}\n")

images = struct.pack(">HBBIII", 0, 8, 3, 3, 4, 5) + bytes(range(60))
labels = struct.pack(">HBBI", 0, 8, 1, 3) + b"\0\1\2"
for name, kind, content in (("images", 0, images), ("labels", 1, labels)):
    save("idx", name, bytes([kind]) + content)
    save("idx", name + ".gz", bytes([kind]) + gzip.compress(content))

for name, array in (("f4", numpy.ones((3, 2), "f4")), ("big", numpy.arange(4, dtype=">i8")), ("bool", numpy.ones((2, 1, 1, 1), "?")), ("fortran", numpy.ones((2, 3), order="F"))):
    content = io.BytesIO()
    numpy.save(content, array)
    save("npy", name, content.getvalue())
    save("npy", name + ".gz", gzip.compress(content.getvalue()))
for name, head, content in (("numbers", (0, 0), b"1,2.5e-3,0\n-.5,+7.,1\n"), ("names", (6, 0), b"\xef\xbb\xbfa,b,c\r\n1,2,x\r\n\r\n3,4,y"), ("quotes", (0, 0), b'a,"b, ""c"""\n1,"x\ny"\n"2",z\n'),
                            ("semicolons", (16, 0), b"1;2;3\n4;5;6\n"), ("bytes", (33, 2), b"0,255,1\n7,8,2\n"), ("gzip", (0, 3), gzip.compress(b"1,a\n2,b\n"))):
    save("csv", name, bytes(head) + content)

x = numpy.random.default_rng(1).integers(0, 256, (9, 14, 3)).astype("u1")
for mode in ("RGB", "L", "CMYK", "RGBA", "P", "1"):
    for kind in ("JPEG", "PNG"):
        content = io.BytesIO()
        try:
            Image.fromarray(x).convert(mode).save(content, kind)
        except OSError:
            continue
        save("picture", f"{mode}.{kind}", b"\x08" + content.getvalue())
content, exif = io.BytesIO(), Image.Exif()
exif[0x0112] = 6
Image.fromarray(x).save(content, "JPEG", progressive=True, exif=exif)
save("picture", "progressive", b"\x20" + content.getvalue())

numbers = bytes(range(256)) * 4
shuffled = numpy.frombuffer(numbers, "u1").reshape(-1, 4).T.tobytes()
# 8-bit numbers as they are, in blocks of two behind three bits each; and 64-bit ones, as planes, lines of 5 in blocks of 4.
block = "".join(f"111{a:08b}{b:08b}" for a, b in zip(numbers[0::2], numbers[1::2]))
planes = numpy.frombuffer(numbers, "u1").reshape(-1, 8).T.reshape(-1)
lines = numpy.pad(numpy.pad(planes, (0, -len(planes) % 5)).reshape(-1, 5), ((0, 0), (0, 3))).reshape(-1, 4)
padded = "".join("111" + "".join(f"{value:08b}" for value in four) for four in lines)


def szip(bits):
    bits += "0" * (-len(bits) % 8)
    return struct.pack("<I", len(numbers)) + int(bits, 2).to_bytes(len(bits) // 8, "big")


for name, head, packing, content in (("plain", (0, 0, 0, 0, 0), (0, 0), numbers), ("shuffle", (1, 2, 0, 0, 0), (0, 0), shuffled),
                                     ("gzip", (1, 0, 0, 0, 0), (0, 0), zlib.compress(numbers)), ("both", (2, 2, 0, 0, 0), (0, 0), zlib.compress(shuffled)),
                                     ("fletcher", (1, 3, 0, 0, 0), (0, 0), numbers + b"\0\0\0\0"),
                                     ("szip", (1, 1, 0, 0, 0), (0, 256), szip(block)), ("szip, differences", (1, 1, 0, 0, 0), (8, 256), szip(block)),
                                     ("szip, planes, padded lines", (2, 2, 1, 0, 0), (0x13, 5), szip(padded))):
    save("chunk", name, bytes(head) + b"\0" + struct.pack("<HBBH", len(numbers), 2 << 6, *packing) + content)

for target in ("index", "shard", "checkpoint"):
    save(target, "one bit", struct.pack("<IB", 200, 1))
    save(target, "cut", b"\x80")
save("index", "offset", b"\xff\xff\xff\xa9\xff\x05")  # of a chunk, beyond what is signed (as HDF5 1.14 lays the file out)
