#!/usr/bin/env python3
"""Makes the data of the recipes signals.yaml, regression.yaml, labels.yaml and fine-tune.yaml: small sets that show what
files of each task look like, and take a model seconds. Needs numpy and h5py; that of fine-tune.yaml, Fashion-MNIST too,
where launch/quickstart looks for it.

    launch/recipes/make-examples.py [FOLDER]       default: data/examples, where the recipes look
"""
import gzip
import os
import pathlib
import sys

import h5py
import numpy


def signals(random, n):
    """Two channels of 128 points [n, 128, 2], of the same wave: a sine, a square, a saw or a chirp. Its class."""
    time = numpy.arange(128) / 128
    classes = random.integers(0, 4, n)
    cycles, start, size = random.uniform(3, 6, n), random.uniform(0, 1, n), random.uniform(0.6, 1.4, n)
    phase = cycles[:, None] * time + start[:, None]
    chirp = (cycles[:, None] * time) * (0.4 + 1.2 * time) + start[:, None]
    waves = numpy.stack([numpy.sin(2 * numpy.pi * phase), numpy.sign(numpy.sin(2 * numpy.pi * phase)), 2 * (phase % 1) - 1,
                         numpy.sin(2 * numpy.pi * chirp)])[classes, numpy.arange(n)] * size[:, None]
    x = numpy.stack([waves, -0.5 * waves], axis=2) + random.normal(0, 0.4, (n, 128, 2))
    return {"signals": x.astype("f4"), "classes": classes.astype("i8")}


def regression(random, n):
    """Ten numbers a sample, of which five matter, and two to be found: Friedman's first function, and a product."""
    x = random.uniform(0, 1, (n, 10))
    friedman = 10 * numpy.sin(numpy.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5)**2 + 10 * x[:, 3] + 5 * x[:, 4]
    y = numpy.stack([friedman, 8 * x[:, 0] * x[:, 4]], axis=1) + random.normal(0, 0.3, (n, 2))
    return {"features": x, "values": y.astype("f4")}


def labels(random, n):
    """Pictures [n, 24, 24] in which a row, a column, a square and a diagonal may be: each label says of one."""
    held = random.integers(0, 2, (n, 4)).astype(bool)
    x = random.integers(0, 100, (n, 24, 24))
    row, column, top, left = (random.integers(0, 18, n) for _ in range(4))
    for i in range(n):
        if held[i, 0]:
            x[i, row[i]:row[i] + 2] += 120
        if held[i, 1]:
            x[i, :, column[i]:column[i] + 2] += 120
        if held[i, 2]:
            x[i, top[i]:top[i] + 6, left[i]:left[i] + 6] += 120
        if held[i, 3]:
            x[i, numpy.arange(24), numpy.arange(24)] += 120
    return {"images": x.clip(0, 255).astype("u1"), "labels": held}


def turned(random, n):
    """Of Fashion-MNIST: pictures [n, 28, 28] of five classes of ten, upside down."""
    folder = pathlib.Path(os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))
    name = "t10k" if n < 2000 else "train"
    pictures = gzip.open(folder / f"{name}-images-idx3-ubyte.gz").read()
    classes = gzip.open(folder / f"{name}-labels-idx1-ubyte.gz").read()
    x = numpy.frombuffer(pictures, "u1", offset=16).reshape(-1, 28, 28)
    y = numpy.frombuffer(classes, "u1", offset=8)
    chosen = random.permutation(numpy.flatnonzero(y < 5))[:n]
    return {"images": x[chosen, ::-1], "labels": y[chosen].astype("i4")}


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "data/examples")
    folder.mkdir(parents=True, exist_ok=True)
    for make in (signals, regression, labels, turned):
        for seed, (split, n) in enumerate([("train", 2000), ("test", 500)]):
            path = folder / f"{make.__name__}-{split}.h5"
            try:
                made = make(numpy.random.default_rng(seed), n)
            except FileNotFoundError as error:
                print(f"{path}: left out: no {error.filename}")
                continue
            with h5py.File(path, "w") as file:
                for name, data in made.items():
                    file[name] = data
            print(f"{path}: {n} samples")


if __name__ == "__main__":
    main()
