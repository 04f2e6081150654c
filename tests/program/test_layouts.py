"""One set of samples, stored in every way that HDF5 files of other people come in: one result."""
import fcntl
import os
import unittest
import zlib

import h5py
import numpy

import lockstep


def datasets(**options):
    """A writer of one file with two datasets, stored as the options say."""
    def write(path, x, y, libver=None, userblock=0):
        cut = dict(options)
        if "chunks" in options:
            cut["chunks"] = (min(options["chunks"][0], len(x)), *options["chunks"][1:])  # HDF5 allows no larger ones
        with h5py.File(path, "w", libver=libver, userblock_size=userblock) as file:
            file.create_dataset("images", data=x, **cut)
            file["labels"] = y
    return write


def plain(path, x, y):
    datasets()(path, x, y)


def of_type(x_type, y_type="i4", **options):
    return lambda path, x, y: datasets(**options)(path, x.astype(x_type), y.astype(y_type))


def newest(**options):
    return lambda path, x, y: datasets(**options)(path, x, y, libver="latest")


def behind_a_block(**options):
    return lambda path, x, y: datasets(**options)(path, x, y, userblock=1024)


def compact(path, x, y):
    with h5py.File(path, "w") as file:
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple(x.shape)
        dataset = h5py.h5d.create(file.id, b"images", h5py.h5t.NATIVE_UINT8, space, properties)
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, x)
        file["labels"] = y


def external(path, x, y):
    raw = path.with_suffix(".raw")
    with h5py.File(path, "w") as file:
        file.create_dataset("images", shape=x.shape, dtype="u1", external=[(raw.name, 0, x.nbytes)])
        file["labels"] = y
    x.tofile(raw)  # beside the file, as its name says, wherever the program is started


def virtual(path, x, y):
    half = len(x) // 2
    layout = h5py.VirtualLayout(shape=x.shape, dtype="u1")
    for i, part in enumerate((x[:half], x[half:])):
        source = path.with_name(f"source-of-{path.stem}-{i}.hdf")
        with h5py.File(source, "w") as file:
            file["part"] = part
        layout[i * half:i * half + len(part)] = h5py.VirtualSource(source.name, "part", shape=part.shape)
    with h5py.File(path, "w", libver="latest") as file:
        file.create_virtual_dataset("images", layout)
        file["labels"] = y


def virtual_row_by_row(path, x, y):
    """Samples from two sources by turns, backwards from one and out of gzip from the other; zeros from nowhere."""
    source = path.with_name(f"rows-of-{path.stem}.hdf")
    with h5py.File(source, "w") as file:
        file["a/backwards"] = x[::-1]
        file.create_dataset("gzip", data=x, chunks=(min(7, len(x)), 16, 16, 1), compression="gzip")
    layout = h5py.VirtualLayout(shape=x.shape, dtype="u1")
    for i, sample in enumerate(x):
        if sample.any():
            name, at = ("gzip", i) if i % 4 < 2 else ("a/backwards", len(x) - 1 - i)
            layout[i] = h5py.VirtualSource(source.name, name, shape=x.shape)[at]
    with h5py.File(path, "w", libver="latest") as file:
        file.create_virtual_dataset("images", layout)
        file["labels"] = y


def a_file_a_sample(path, x, y):
    """Sources without an axis of samples."""
    layout = h5py.VirtualLayout(shape=x.shape, dtype=">f8")
    with h5py.File(path.with_name(f"samples-of-{path.stem}.hdf"), "w") as file:
        for i, sample in enumerate(x):
            file.create_dataset(f"{i}", data=sample, dtype="<f8" if i % 2 else ">f8")
            layout[i] = h5py.VirtualSource(file[f"{i}"])
    with h5py.File(path, "w", libver="latest") as file:
        file.create_virtual_dataset("images", layout)
        file["labels"] = y


def tiles(path, x, y):
    """A virtual dataset of left and right halves."""
    layout = h5py.VirtualLayout(shape=x.shape, dtype="u1")
    with h5py.File(path, "w", libver="latest") as file:
        for name, part in ("left", slice(0, 8)), ("right", slice(8, 16)):
            file[name] = x[:, :, part]
            layout[:, :, part] = h5py.VirtualSource(file[name])
        file.create_virtual_dataset("images", layout)
        file["labels"] = y


def interleaved(path, x, y):
    """A virtual dataset of every second sample from each of two."""
    layout = h5py.VirtualLayout(shape=x.shape, dtype="u1")
    with h5py.File(path, "w", libver="latest") as file:
        for i in range(min(2, len(x))):
            file[f"{i}"] = x[i::2]
            layout[i::2] = h5py.VirtualSource(file[f"{i}"])
        file.create_virtual_dataset("images", layout)
        file["labels"] = y


def linked(path, x, y):
    other = path.with_suffix(".hdf")
    plain(other, x, y)
    with h5py.File(path, "w") as file:
        file["images"] = h5py.ExternalLink(other.name, "images")
        file["labels"] = y


def without_some(**options):
    """Zeros are not written: their chunks are missing, and the fill value stands for them."""
    def write(path, x, y):
        with h5py.File(path, "w") as file:
            images = file.create_dataset("images", shape=x.shape, dtype="u1", **options)
            for i, sample in enumerate(x):
                if sample.any():
                    images[i] = sample
            file["labels"] = y
    return write


def backwards(path, x, y):
    """Chunks that lie in the file in the reverse of their order, so that one does not end where the next begins."""
    with h5py.File(path, "w") as file:
        images = file.create_dataset("images", shape=x.shape, dtype="u1", chunks=(min(7, len(x)), 16, 16, 1))
        for begin in reversed(range(0, len(x), 7)):
            images[begin:begin + 7] = x[begin:begin + 7]
        file["labels"] = y


def of_low_type(change, like, x_type, **chunks):
    """A type that numpy has none for: `like` it, changed."""
    def write(path, x, y):
        kind = like.copy()
        change(kind)
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        if chunks:
            properties.set_chunk((min(7, len(x)), 16, 16, 1))
            properties.set_filter(chunks["filter"], h5py.h5z.FLAG_MANDATORY, ())
        with h5py.File(path, "w") as file:
            dataset = h5py.h5d.create(file.id, b"images", kind, h5py.h5s.create_simple(x.shape), properties)
            dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, numpy.ascontiguousarray(x.astype(x_type)))
            file["labels"] = y
    return write


def without_some_filters(path, x, y):
    """Chunks for which a filter was left out, as the library does where it does not help."""
    with h5py.File(path, "w") as file:
        images = file.create_dataset("images", shape=x.shape, dtype="u1", chunks=(1, 16, 16, 1), compression="gzip", shuffle=True)
        for i, sample in enumerate(x):
            content = sample.tobytes()
            images.id.write_direct_chunk((i, 0, 0, 0), content if i % 2 else zlib.compress(content), 3 if i % 2 else 1)
        file["labels"] = y


def in_two_pieces(path, x, y):
    content, names = x.tobytes(), [path.with_suffix(".1"), path.with_suffix(".2")]
    names[0].write_bytes(b"head" + content[:100])
    names[1].write_bytes(content[100:])
    with h5py.File(path, "w") as file:
        file.create_dataset("images", shape=x.shape, dtype="u1", external=[(names[0].name, 4, 100), (names[1].name, 0, h5py.h5f.UNLIMITED)])
        file["labels"] = y


def of_itself(path, x, y):
    """A virtual dataset of rows in the middle of another one in the same file, which is compressed, in the other byte order."""
    with h5py.File(path, "w", libver="latest") as file:
        part = file.create_dataset("a/b", data=numpy.concatenate([x[:2], x, x[:3]]), dtype=">f8", chunks=(3, 16, 16, 1), compression="gzip")
        layout = h5py.VirtualLayout(shape=x.shape, dtype=">f8")
        layout[:] = h5py.VirtualSource(part)[2:2 + len(x)]
        file.create_virtual_dataset("images", layout)
        file["labels"] = y


def soft(path, x, y):
    with h5py.File(path, "w") as file:
        file["a/b/c/x"], file["type"] = x, numpy.dtype(">i2")
        file.create_dataset("a/y", data=y, dtype=file["type"])
        file["images"], file["labels"] = h5py.SoftLink("/a/b/c/x"), h5py.SoftLink("a/y")


def shrunk(path, x, y):
    with h5py.File(path, "w") as file:
        more = numpy.concatenate([x, x])
        images = file.create_dataset("images", data=more, chunks=(7, 16, 16, 1), maxshape=(None, 16, 16, 1))
        images.resize(len(x), axis=0)
        file["labels"] = y


WAYS = {
    "contiguous": (plain, "by pread"),
    "behind a user's block": (behind_a_block(), "by pread"),
    "big-endian i16": (of_type(">i2", ">i8"), "by pread; converted"),
    "f16": (of_type("f2", "u1"), "by pread; converted"),
    "bool labels' type": (of_type("u1", "i2"), "by pread"),
    "f32, classes of f64": (of_type("<f4", "<f8"), "by pread"),
    "big-endian f64": (of_type(">f8", ">i4"), "by pread; converted"),
    "u64": (of_type("<u8", "u8"), "by pread; converted"),
    "compact": (compact, "through H5Dread"),
    "chunk of a sample": (datasets(chunks=(1, 16, 16, 1)), "by pread of chunks"),
    "chunks of 7": (datasets(chunks=(7, 16, 16, 1)), "by pread of chunks"),
    "chunks of 7 behind a block": (behind_a_block(chunks=(7, 16, 16, 1)), "by pread of chunks"),
    "chunks of f32, classes of f16, other order": (of_type(">f4", ">f2", chunks=(7, 16, 16, 1)), "by pread of chunks"),
    "extendible": (datasets(chunks=(7, 16, 16, 1), maxshape=(None, 16, 16, 1)), "by pread of chunks"),
    "headers of 1.8": (lambda path, x, y: datasets(chunks=(7, 16, 16, 1))(path, x, y, libver=("v108", "v108")), "by pread of chunks"),
    "chunks backwards": (backwards, "by pread of chunks"),
    "made smaller": (shrunk, "by pread of chunks"),
    "chunks across samples": (datasets(chunks=(5, 5, 9, 1)), "by whole chunks"),
    "newest format": (newest(chunks=(7, 16, 16, 1)), "chunks"),
    "newest format, extendible, gzip": (newest(chunks=(7, 16, 16, 1), maxshape=(None, 16, 16, 1), compression="gzip"), "by whole chunks"),
    "newest format, two extendible axes": (newest(chunks=(7, 8, 8, 1), maxshape=(None, None, 16, 1)), "by whole chunks"),
    "newest format, one chunk": (newest(chunks=(60, 16, 16, 1)), "chunks"),
    "gzip": (datasets(chunks=(7, 16, 16, 1), compression="gzip"), "by whole chunks"),
    "gzip across samples": (datasets(chunks=(5, 5, 9, 1), compression="gzip", shuffle=True), "by whole chunks"),
    "shuffled gzip of f64 with checksum": (of_type("<f8", chunks=(7, 16, 16, 1), compression="gzip", shuffle=True, fletcher32=True), "by whole chunks"),
    "fletcher32": (of_type("<i2", chunks=(7, 16, 16, 1), fletcher32=True), "by whole chunks"),
    "scale-offset": (of_type("<i2", chunks=(7, 16, 16, 1), scaleoffset=0), "through H5Dread"),
    "never written zeros": (without_some(chunks=(1, 16, 16, 1)), "by pread of chunks"),
    "never written zeros, chunks of 7": (without_some(chunks=(7, 16, 16, 1), maxshape=(None, 16, 16, 1)), "by pread of chunks"),
    "never written zeros, gzip": (without_some(chunks=(1, 16, 16, 1), compression="gzip"), "by whole chunks"),
    "external": (external, "through H5Dread"),
    "virtual": (virtual, "from their sources"),
    "virtual, row by row": (virtual_row_by_row, "from their sources"),
    "virtual, a source a sample": (a_file_a_sample, "from their sources"),
    "virtual, of tiles": (tiles, "through H5Dread"),
    "virtual, interleaved": (interleaved, "through H5Dread"),
    "linked": (linked, "through H5Dread"),
    "integers of 24 bits": (of_low_type(lambda t: (t.set_size(3), t.set_precision(24)), h5py.h5t.STD_I32BE, "i4"), "through H5Dread"),
    "integers of 12 bits in 16": (of_low_type(lambda t: (t.set_precision(12), t.set_offset(2)), h5py.h5t.STD_U16LE, "u2"), "through H5Dread"),
    "n-bit": (of_low_type(lambda t: t.set_precision(12), h5py.h5t.STD_U16LE, "u2", filter=h5py.h5z.FILTER_NBIT), "through H5Dread"),
    "long double": (of_low_type(lambda t: None, h5py.h5t.NATIVE_LDOUBLE, "g"), "through H5Dread"),
    "filters left out": (without_some_filters, "by whole chunks"),
    "external, two pieces": (in_two_pieces, "through H5Dread"),
    "virtual, of itself": (of_itself, "from their sources"),
    "soft links, a named type": (soft, "by pread"),
}
if h5py.h5z.filter_avail(h5py.h5z.FILTER_SZIP):
    WAYS["szip"] = (datasets(chunks=(7, 16, 16, 1), compression="szip"), "by whole chunks")
    WAYS["shuffled szip of f64 with checksum, across samples"] = (of_type(">f8", chunks=(5, 5, 9, 1), compression="szip", compression_opts=("ec", 10), shuffle=True, fletcher32=True), "by whole chunks")


class Layouts(lockstep.Case):
    def write(self, way, parts, folder):
        folder.mkdir()
        for name, part in parts.items():
            way(folder / f"{name}.h5", *part)

    def test_one_hash(self):
        x, y = lockstep.images(150, size=16)
        x[::9] = 0
        x[14:35] = 0  # whole chunks of them
        # Files of unequal length, none of which a chunk divides.
        parts = {"train-0": (x[:60], y[:60]), "train-1": (x[60:61], y[60:61]), "train-2": (x[61:], y[61:])}
        recipe = lockstep.recipe(self.folder, {"train.steps": 3, "train.batch": 64},
                                 data={"train": "data/train-*.h5", "scale": 1 / 255, "normalize": {"mean": [0.3], "std": [0.25]},
                                       "augment": {"crop_pad": 2, "flip": True}})
        first = None
        for i, (name, (way, path)) in enumerate(WAYS.items()):
            if lockstep.QUICK and i % 3:
                continue
            with self.subTest(name):
                folder = self.folder / f"ways {i}"
                self.write(way, parts, folder)
                # From a folder where nothing lies, for what is found beside the file and not where one stands.
                (self.folder / "elsewhere").mkdir(exist_ok=True)
                result = lockstep.run("train", recipe, f"data.train={folder}/train-*.h5", "--out",
                                      self.folder / f"run{i}", cwd=self.folder / "elsewhere")
                self.assertEqual(result.returncode, 0, result.stderr)
                note = [line for line in (result.stdout + result.stderr).splitlines() if "data: " in line]
                self.assertIn(path, note[0], note)
                found = lockstep.metrics(self.folder / f"run{i}", "end")[-1]["params_hash"]
                first = first or found
                self.assertEqual(found, first)

    def refused(self, path, *words, dataset="images"):
        recipe = lockstep.recipe(self.folder, {"train.steps": 3, "train.batch": 64, "data.train": str(path)})
        result = lockstep.run("train", recipe, "--out", self.folder / "refused")
        self.assertEqual(result.returncode, 2, result.stdout + result.stderr)
        error = [line for line in result.stderr.splitlines() if line.startswith("lockstep: error: ")]
        self.assertEqual(len(error), 1, result.stderr)
        for word in (str(path), dataset, *words):
            self.assertIn(word, error[0])

    def flip(self, path, offset, bits=1):
        with open(path, "r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ bits]))

    def test_what_is_not_there(self):
        x, y = lockstep.images(60, size=16)
        path = self.folder / "a.h5"
        datasets(chunks=(7, 16, 16, 1), compression="lzf")(path, x, y)  # a filter that only h5py has
        self.refused(path, "filter 32000 (lzf)", "HDF5_PLUGIN_PATH")
        shown = lockstep.run("show", path)
        self.assertIn("filter 32000", shown.stdout)
        external(path, x, y)
        path.with_suffix(".raw").unlink()
        self.refused(path, "'a.raw', which is not there")
        virtual(path, x, y)
        (self.folder / "source-of-a-1.hdf").unlink()
        self.refused(path, "'source-of-a-1.hdf', which is not there")
        # What is there, but less than it was: the library would read fill values.
        external(path, x, y)
        os.truncate(path.with_suffix(".raw"), x.nbytes - 1)
        self.refused(path, "'a.raw', which is too short")
        for name, part, words in (("part", x[30:59], "dataset 'part' of 'source-of-a-1.hdf', which is too small"), ("other", x[30:], "which is not there")):
            virtual(path, x, y)
            with h5py.File(self.folder / "source-of-a-1.hdf", "w") as file:
                file[name] = part
            self.refused(path, words)
        # Nor what is behind a source that is virtual itself, or comes back to itself.
        for source, name, words in ((self.folder / "b.h5", "images", "'source-of-b-1.hdf', which is not there"), (".", "images", "9 virtual datasets lead from one to the next")):
            virtual(self.folder / "b.h5", x, y)
            (self.folder / "source-of-b-1.hdf").unlink()
            layout = h5py.VirtualLayout(shape=x.shape, dtype="u1")
            layout[:] = h5py.VirtualSource(str(source), name, shape=x.shape)
            with h5py.File(path, "w", libver="latest") as file:
                file.create_virtual_dataset("images", layout)
                file["labels"] = y
            self.refused(path, words)
        with h5py.File(path, "w") as file:
            file["labels"], file["images"] = y, h5py.SoftLink("/a/x")
        self.refused(path, "'images' is a link to '/a/x', which is not there")
        with h5py.File(path, "w") as file:
            file["labels"], file["images"] = y, h5py.ExternalLink("b.h5", "x")
        self.refused(path, "'images' is a link to 'x' in 'b.h5', which is not there")

    def test_more_sources_than_descriptors(self):
        """Read from their sources, any number will do; through HDF5, which keeps them open and goes on without those that it cannot open, too many are an error."""
        x, y = lockstep.images(90, size=16)
        layouts = [h5py.VirtualLayout(shape=x.shape, dtype="u1") for _ in range(2)]
        for i, sample in enumerate(x):
            with h5py.File(self.folder / f"{i}.hdf", "w") as file:
                file["x"] = sample
            source = h5py.VirtualSource(f"{i}.hdf", "x", shape=sample.shape)
            layouts[0][i] = source
            layouts[1][i, :, :8], layouts[1][i, :, 8:] = source[:, :8], source[:, 8:]
        for layout, status, words in ((layouts[0], 0, "90 samples"), (layouts[1], 2, "'images' is virtual, and HDF5 has no descriptor left to open more of its sources")):
            with h5py.File(self.folder / "a.h5", "w", libver="latest") as file:
                file.create_virtual_dataset("images", layout)
                file["labels"] = y
            command = ["bash", "-c", 'ulimit -n 64; exec "$@"', "bash", *lockstep.command("check", self.folder / "a.h5")]
            result = lockstep.subprocess.run(command, capture_output=True, text=True, timeout=60, env=lockstep.ENVIRONMENT)
            self.assertEqual(result.returncode, status, result.stderr)
            self.assertIn(words, result.stdout + result.stderr)

    def test_where_sources_are(self):
        """Sources of virtual datasets are found where HDF5 finds them, the one that it takes first; broken samples are named there."""
        x, y = lockstep.images(20, size=16)
        here, elsewhere = self.folder / "here", self.folder / "else where"
        (elsewhere / "sub").mkdir(parents=True), (here / "sub").mkdir(parents=True)

        def source(path, add):
            with h5py.File(path, "w") as file:
                file["x"] = x.astype("f4") + add
            return path

        def packed(name, path=here / "a.h5", **env):
            """The number that was added to the samples that are read of a dataset whose source has that name."""
            layout = h5py.VirtualLayout(shape=x.shape, dtype="f4")
            layout[:] = h5py.VirtualSource(str(name), "x", shape=x.shape)
            with h5py.File(here / "a.h5", "w", libver="latest") as file:
                file.create_virtual_dataset("images", layout)
                file["labels"] = y
            result = lockstep.run("pack", "h5", path, "-o", self.folder / "out", "--replace", cwd=elsewhere, settings=env)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn("from their sources", result.stderr)
            with h5py.File(self.folder / "out/train-00000-of-00001.h5") as file:
                difference = file["images"][()] - x.reshape(file["images"].shape)
            self.assertEqual(difference.min(), difference.max())
            return difference.max()

        source(elsewhere / "s.h5", 1)
        self.assertEqual(packed("s.h5"), 1)  # where the program runs
        source(here / "s.h5", 2)
        self.assertEqual(packed("s.h5"), 2)  # beside the file
        self.assertEqual(packed(self.folder / "gone/s.h5"), 2)
        self.assertEqual(packed(elsewhere / "s.h5"), 1)  # where an absolute name says
        source(here / "sub/s.h5", 3)
        self.assertEqual(packed("sub/s.h5"), 3)
        self.assertEqual(packed("s.h5", HDF5_VDS_PREFIX=f"/nowhere:{here}/sub"), 3)
        self.assertEqual(packed("s.h5", HDF5_VDS_PREFIX="${ORIGIN}/sub"), 3)
        (elsewhere / "b.h5").symlink_to(here / "a.h5")
        self.assertEqual(packed("sub/s.h5", path=elsewhere / "b.h5"), 3)  # beside the file that a link leads to
        (elsewhere / "sub/s.h5").write_bytes(b"no HDF5")
        self.assertEqual(packed("sub/s.h5", path=elsewhere / "b.h5"), 3)
        with h5py.File(here / "sub/s.h5", "r+") as file:
            file["x"][7, 1, 2] = numpy.nan
        result = lockstep.run("pack", "h5", here / "a.h5", "-o", self.folder / "refused")
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertIn(f"{here}/a.h5: 'images' is virtual: {here}/sub/s.h5: x[7] is not finite", result.stderr)

    def test_what_is_no_class(self):
        """Classes may be stored as floating-point numbers, if they are whole."""
        x, y = lockstep.images(60, size=16)
        path = self.folder / "a.h5"
        for wrong in (2.5, 3e9, float("nan")):
            for kind in ("f8", ">f2"):
                if wrong == 3e9 and kind == ">f2":
                    continue
                labels = y.astype(kind)
                labels[7] = wrong
                for options in ({}, {"compression": "gzip", "chunks": (5,)}):
                    with h5py.File(path, "w") as file:
                        file["images"] = x
                        file.create_dataset("labels", data=labels, **options)
                    self.refused(path, f"labels[7] is {float(labels[7]):.17g}, expected a class (a whole number of 32 bits)", dataset="labels")
                source = h5py.VirtualSource(self.folder / "labels.h5", "labels", shape=(60,), dtype=kind)
                layout = h5py.VirtualLayout(shape=(60,), dtype=kind)
                layout[:] = source
                with h5py.File(self.folder / "labels.h5", "w") as file:
                    file["labels"] = labels
                with h5py.File(path, "w") as file:
                    file["images"] = x
                    file.create_virtual_dataset("labels", layout)
                self.refused(path, f"labels[7] is {float(labels[7]):.17g}, expected a class (a whole number of 32 bits)", dataset="labels")

    def test_what_is_no_data(self):
        x, y = lockstep.images(60, size=4)
        path = self.folder / "a.h5"
        for content, words in ((5, "is a single value (i64), expected numbers [N, ...]"), (numpy.zeros((60, 0, 3), "u1"), "is [60, 0, 3] u8, expected rows of 1 to"), (numpy.array([b"ab"] * 60), "is [60] of strings"),
                               (numpy.zeros(60, "f4,i4"), "is [60] of records of several fields"), (x.reshape(60, 2, 2, 2, 2), "expected [N], [N, F], [N, H, W] or [N, H, W, C]")):
            with h5py.File(path, "w") as file:
                file["images"], file["labels"] = content, y
            self.refused(path, words)
        with h5py.File(path, "w") as file:
            file["images/x"], file["labels"] = x, y
        self.refused(path, "cannot open dataset 'images'")

    def test_locks(self):
        """Files are read without asking for a lock, whoever holds one; unless HDF5_USE_FILE_LOCKING wants them."""
        x, y = lockstep.images(60, size=4)
        path = self.folder / "a.h5"
        datasets(chunks=(7, 4, 4, 1), compression="gzip")(path, x, y)
        with open(path, "r+b") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            for value, status in ((None, 0), ("FALSE", 0), ("TRUE", 2)):
                lockstep.ENVIRONMENT.pop("HDF5_USE_FILE_LOCKING", None)
                if value:
                    lockstep.ENVIRONMENT["HDF5_USE_FILE_LOCKING"] = value
                result = lockstep.run("check", path)
                lockstep.ENVIRONMENT.pop("HDF5_USE_FILE_LOCKING", None)
                self.assertEqual(result.returncode, status, (value, result.stdout, result.stderr))
                self.assertEqual("HDF5_USE_FILE_LOCKING is 'TRUE'" in result.stderr, status == 2)

    def chunk(self, path, row):
        with h5py.File(path) as file:
            return file["images"].id.get_chunk_info_by_coord((row, 0, 0, 0))

    def test_damaged_chunks(self):
        x, y = lockstep.images(60, size=16)
        path = self.folder / "a.h5"
        options = {"chunks": (7, 16, 16, 1)}
        for kind, words in (({"fletcher32": True}, "checksum"), ({"compression": "gzip"}, "gzip"),
                            ({"compression": "gzip", "fletcher32": True}, "checksum"), ({"compression": "szip"}, "szip: it says that it holds")):
            if kind.get("compression") == "szip" and not h5py.h5z.filter_avail(h5py.h5z.FILTER_SZIP):
                continue
            datasets(**options, **kind)(path, x // 64, y)  # szip packs no noise
            chunk = self.chunk(path, 21)
            self.flip(path, chunk.byte_offset + (0 if "szip" in words else chunk.size // 2))  # of szip, its size
            result = lockstep.run("check", path)
            self.assertEqual(result.returncode, 2, result.stdout + result.stderr)
            self.assertIn(f"{path}: dataset 'images': the chunk of row 21 is damaged: ", result.stderr)
            self.assertIn(words, result.stderr)
        # Cut off: HDF5 notices at once; and where it has no way to know, the reader does.
        for kind in ({}, {"compression": "gzip"}):
            datasets(**options, **kind)(path, x, y)
            os.truncate(path, path.stat().st_size - 100)
            result = lockstep.run("check", path)
            self.assertEqual(result.returncode, 2)
            self.assertIn("truncated", result.stderr)

    def test_damaged_index(self):
        x, y = lockstep.images(60, size=16)
        path = self.folder / "a.h5"
        datasets(chunks=(7, 16, 16, 1))(path, x, y)
        content = path.read_bytes()
        # The tree of chunks (node type 1): its level, a child's address, a position in a key.
        node = content.index(b"TREE\1")
        level, child, position = node + 5, node + 24 + 48 + 7, node + 24 + 8 + 1
        second = node + 24 + 48 + 8  # the key of row 7; with other bits, of row 63, which is not there
        damaged = "index of chunks is damaged"
        for offset, bits, words in ((level, 0x40, damaged), (child, 0x40, "truncated"), (position, 0x40, damaged), (second + 8, 56, damaged)):
            path.write_bytes(content)
            self.flip(path, offset, bits)
            result = lockstep.run("check", path)
            self.assertEqual(result.returncode, 2, (offset - node, result.stdout, result.stderr))
            self.assertIn(f"{path}: ", result.stderr)
            if h5py.version.hdf5_version_tuple < (1, 14, 0):  # from then on HDF5 walks it, in words of its own
                self.assertIn(words, result.stderr)

    def test_chunk_larger_than_the_file(self):
        x, y = lockstep.images(60, size=16)
        path = self.folder / "a.h5"
        datasets(chunks=(7, 16, 16, 1), compression="gzip")(path, x, y)
        size = path.read_bytes().index(b"TREE\1") + 24 + 3
        self.flip(path, size, 0x40)
        result = lockstep.run("check", path)
        self.assertEqual(result.returncode, 2, result.stdout + result.stderr)
        self.assertIn("is truncated: a chunk of dataset 'images' ends at byte 1", result.stderr)


if __name__ == "__main__":
    unittest.main()
