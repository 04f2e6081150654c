"""pack csv, npy and h5: what goes into shards, the same bytes by any workers and after a kill, and every way in which a file can be bad."""
import hashlib
import shutil
import time
import unittest

import h5py
import numpy

import lockstep


class Packs(lockstep.Case):
    def setUp(self):
        super().setUp()
        self.out = self.folder / "out"

    def pack(self, *words, out=None, ranks=1, expect=0):
        result = lockstep.run("pack", *words, "-o", out or self.out, ranks=ranks)
        self.assertEqual(result.returncode, expect, result.stdout + result.stderr)
        return result

    def bad(self, said, *words):
        """Refused in one line, and nothing is written."""
        result = self.pack(*words, expect=2)
        errors = [line for line in result.stderr.splitlines() if line.startswith("lockstep: error: ")]
        self.assertEqual(len(errors), 1, result.stderr)
        self.assertIn(said, errors[0])
        self.assertEqual(list(self.out.glob("*")), [])

    def hashes(self, out=None):
        self.assertEqual(list((out or self.out).glob("*.tmp")), [])
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted((out or self.out).glob("*.h5"))}

    def load(self, out=None, name="train"):
        """Samples, targets and ids of a split, in the order of the ids; and the class names."""
        parts = []
        for path in sorted((out or self.out).glob(f"{name}-*.h5")):
            with h5py.File(path) as file:
                self.assertEqual(file.attrs["format"], b"lockstep shard")
                self.assertTrue(file["images"].chunks is None)
                names = [n.decode() for n in file["class_names"][()]] if "class_names" in file else None
                parts.append([file[n][()] for n in ("images", "labels", "ids")])
        checked = lockstep.run("check", *(out or self.out).glob(f"{name}-*.h5"))
        self.assertEqual(checked.returncode, 0, checked.stderr)
        x, y, ids = (numpy.concatenate(p) for p in zip(*parts))
        order = numpy.argsort(ids)
        return x[order], y[order], ids[order], names

    def by_any_workers(self, *words):
        """One set of bytes from any ranks and threads, again over itself, and with some of its shards removed."""
        printed = self.pack(*words, "--threads", 1).stdout
        first = self.hashes()
        for ranks, threads in ((1, 3), (2, 2), (5, 1)):
            out = self.folder / f"out {ranks} {threads}"
            self.assertEqual(self.pack(*words, "--threads", threads, ranks=ranks, out=out).stdout, printed)
            self.assertEqual(self.hashes(out), first)
        for path in list(self.out.glob("*.h5"))[::2]:
            path.unlink()
        again = self.pack(*words).stdout
        self.assertIn(f"{len(first) // 2} were there", again)
        self.assertEqual(self.hashes(), first)
        return printed


class Csv(Packs):
    def write(self, text, name="a table.csv", **options):
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode(**options))
        return path

    def test_what_is_read(self):
        path = self.write('\ufeffid,"width, cm",height,kind\r\n1,5.1,-3e1,oak\r\n\r\n2,"4.9", .5 ,"a ""big""\nash"\r\n3,4.,+7,oak')
        printed = self.pack("csv", path, "--ignore", "id").stdout
        x, y, ids, names = self.load()
        numpy.testing.assert_array_equal(x, numpy.array([[5.1, -30], [4.9, .5], [4, 7]], "f4"))
        self.assertEqual(x.dtype, numpy.float32)
        self.assertEqual(names, ['a "big"\nash', "oak"])
        self.assertEqual(list(y), [1, 0, 1])
        self.assertEqual((y.dtype, list(ids)), (numpy.int32, [0, 1, 2]))
        mean, std = x.astype("f8").mean(0), x.astype("f8").std(0)
        self.assertIn("normalize: {mean: [%s], std: [%s]}" % tuple(", ".join(f"{v:.6g}" for v in s) for s in (mean, std)), printed)
        self.assertIn("         2  oak\n", printed)

    def test_numbers_are_rounded_as_numpy_does(self):
        random = numpy.random.default_rng(1)
        bits = random.integers(0, 2**64, 3000, "u8").view("f8")
        texts = [repr(float(v)) for v in bits[numpy.isfinite(bits) & (abs(bits) < 1e38)]] + [f"{v:.{i % 20}f}" for i, v in enumerate(random.normal(size=500) * 1000)]
        texts += ["0", "-0", "1e22", "1e23", "123456789012345678", "0.000000000000000000000000000000000000000000001", "9007199254740993", "1" + "0" * 30 + "e-30"]
        self.pack("csv", self.write("\n".join(f"{t},0.5" for t in texts)))
        numpy.testing.assert_array_equal(self.load()[0][:, 0], numpy.array(texts, "f8").astype("f4"))

    def test_targets(self):
        three = "a,b,c\n1,2,0.5\n3,4,1.5\n"
        for text, words, dtype, expected, names in (
                (three, (), "f4", [.5, 1.5], None), (three, ("--target", "a"), "i4", [1, 3], None), (three, ("--target", "2", "--kind", "value"), "f4", [2, 4], None),
                (three, ("--target", "c,a"), "f4", [[.5, 1], [1.5, 3]], None), (three, ("--kind", "class"), "i4", [0, 1], ["0.5", "1.5"]),
                ("1;2;z\n2;3;y\n", ("--delimiter", ";"), "i4", [1, 0], ["y", "z"]), ("1\t2\n2\t-3\n", ("--delimiter", "tab"), "f4", [2, -3], None),
                ("3,1\n4,2\n", ("--header", "yes"), "i4", [2], None), ("x,1\n", ("--header", "no", "--target", "1"), "i4", [0], ["x"])):
            with self.subTest(text=text, words=words):
                self.pack("csv", self.write(text), "--replace", *words)
                _, y, _, found = self.load()
                numpy.testing.assert_array_equal(y, numpy.array(expected, dtype))
                self.assertEqual((y.dtype, found), (numpy.dtype(dtype), names))

    def test_names_from_a_file(self):
        names = self.write("oak\nelm\nash\n", "names")
        self.pack("csv", self.write("1,ash\n2,oak\n"), "--class-names", names)
        self.assertEqual((list(self.load()[1]), self.load()[3]), ([2, 0], ["oak", "elm", "ash"]))
        self.pack("csv", self.write("1,1\n2,0\n"), "--class-names", names, "--replace")
        self.assertEqual(list(self.load()[1]), [1, 0])
        (self.out / "train-00000-of-00001.h5").unlink()
        self.bad("a table.csv:2: column 2: expected one of the classes, found 'fir'", "csv", self.write("1,ash\n2,fir\n"), "--class-names", names)
        self.bad("a table.csv:2: column 2: expected a class that has a name, found '3'", "csv", self.write("1,0\n2,3\n"), "--class-names", names)

    def test_several_files_and_shapes(self):
        random = numpy.random.default_rng(2)
        x, y = random.integers(0, 256, (57, 12)), random.integers(0, 4, 57)
        rows = [",".join(map(str, [*a, b])) + "\n" for a, b in zip(x, y)]
        paths = [self.write("".join(rows[:20]), "a.csv"), self.write("".join(rows[20:21]), "b.csv"), self.write("".join(rows[21:]).rstrip(), "c.csv")]
        self.pack("csv", *paths, "--u8", "--shape", "2,2,3", "--shuffle", "--shards", 3)
        found, labels, ids, _ = self.load()
        numpy.testing.assert_array_equal(found, x.reshape(57, 2, 2, 3))
        self.assertEqual(found.dtype, numpy.uint8)
        numpy.testing.assert_array_equal(labels, y)
        self.pack("csv", *paths, out=self.folder / "flat")
        numpy.testing.assert_array_equal(self.load(self.folder / "flat")[0], x)
        train = lockstep.recipe(self.folder, {"model.zoo": "mlp", "model.classes": 4, "data.train": "flat/*.h5", "data.test": "flat/*.h5", "data.augment": {}, "train.batch": 16, "train.steps": 3, "data.normalize": {"mean": [128], "std": [74]}})
        self.train(train)

    def test_bad_files(self):
        for text, words, said in (
                ("a,b\n1,2\n3,x\n", ("--target", "a"), "a table.csv:3: column 2 ('b'): expected a number, found 'x'"), ("1,2\n,2\n", (), "a table.csv:2: column 1: expected a number, found an empty cell"),
                ("1,2\n3,\n", (), "a table.csv:2: column 2: expected a target, found an empty cell"), ("1,2\n3\n", (), "a table.csv:2: expected 2 cells"), ("1,2\n3,4,5\n", (), "a table.csv:2: expected 2 cells"),
                ('1,2\n"3,4\n', (), "a table.csv:2: a quote is not closed"), ('1,2\n3",4\n"5,6"\n', (), "a table.csv:2: "), ('1,2\n"3"x,4\n', (), "a table.csv:2: column 1: expected quotes around a whole cell"),
                ('"\n\n",b\n1,2\nnan,4\n', ("--header", "yes"), "a table.csv:5: column 1 ('\n\n'"), ("1,2\n1e39,4\n", (), "a table.csv:2: column 1: expected a number that f32 holds, found '1e39'"), ("1,2\ninf,4\n", (), "found 'inf'"),
                ("1,2\n0x10,4\n", (), "found '0x10'"), ("1,2\n1_0,4\n", (), "found '1_0'"), ("1,2\n1e,4\n", (), "found '1e'"), ("1,2\n.,4\n", (), "found '.'"), ("", (), "a table.csv: is empty"), ("\n\r\n", (), "is empty"), ("a,b\n", (), "expected samples, found none"), ("1\n2\n", (), "expected a column beside those of targets"),
                ("1;2\n3;4\n", (), "is the delimiter ','?"), ("1,256,1\n", ("--u8",), "a table.csv:1: column 2: expected an integer from 0 to 255 (--u8), found '256'"), ("1,2.5,1\n", ("--u8",), "found '2.5'"), ("1,2\n", ("--target", "x"), "--target: 'x' is none of the 2 columns"), ("1,2\n", ("--target", "3"), "--target: '3'"),
                ("1,2\n", ("--target", "1,1"), "named twice"), ("1,2,3\n", ("--target", "1", "--ignore", "1"), "column '1' is named by --ignore too"), ("a,a,b\n1,2,3\n", ("--target", "a"), "--target: 'a' is more than one column"),
                ("a,b\r1,2\r", (), "a table.csv: its lines end with CR, expected LF or CR LF"), ("1,2\0\n", (), "a table.csv:1: column 2: expected text, found a zero byte"), ("\ufeffa,b\n1,2\n".encode("utf-16"), (), "a table.csv: is UTF-16, expected UTF-8 or ASCII"), ("1,Gr\xfcn\n".encode("latin-1"), (), 'the class "Gr\\ufffdn": expected a name in UTF-8, found the byte fc behind \'Gr\''), ("1,2,3\n", ("--shape", "3,1"), "--shape: 3,1 is not the shape of samples of 2 values"), ("1,2\n", ("--ignore", "1"), "expected a column beside"), ("1,2,3\n", ("--shape", "2,2"), "--shape: 2,2 is not the shape of samples of 2 values"), ("id,2019,y\n1,2,3\n", (), "a table.csv:1: column 1: expected a number, found 'id'; --header yes, where the first line is one"), ("1,-1\n", ("--kind", "class", "--class-names", "no"), "no: "), ("1,x\n", ("--kind", "value"), "expected a number, found 'x'")):
            with self.subTest(text=text, words=words):
                path = self.write(text)
                if "'\n" in said:
                    self.assertIn(said.split("\n")[0], self.pack("csv", path, *words, expect=2).stderr)
                else:
                    self.bad(said, "csv", path, *words)
        one, two = self.write("a,b\n1,2\n", "one.csv"), self.write("a,c\n3,4\n", "two.csv")
        self.bad("two.csv:1: column 2 ('b'): expected the header of the first file, found 'c'", "csv", one, two)
        self.bad("No such file", "csv", self.folder / "none.csv")
        rows = [f"{i},{i % 3}\n" for i in range(20000)]
        rows[17777] = "x,1\n"
        self.bad("a table.csv:17778: column 1: expected a number, found 'x'", "csv", self.write("".join(rows)), "--shuffle")

    def test_long_records(self):
        # Longer than what is read at a time, with line ends in quotes; and more features than channels have statistics.
        wide = ",".join(str(i % 7) for i in range(400000))
        self.pack("csv", self.write(f'{wide},"{"x" * 200}\n"\r\n{wide},b\n'))
        x, y, _, names = self.load()
        self.assertEqual((x.shape, list(y), names), ((2, 400000), [1, 0], ["b", "x" * 200 + "\n"]))
        with h5py.File(self.out / "train-00000-of-00001.h5") as file:
            self.assertNotIn("mean", file.attrs)

    def test_line_end_between_windows(self):
        # The CR of the first line is the last byte of what is read at a time, 1 MiB, or there is one in quotes before any LF.
        ones = "1," * ((1 << 19) - 1)
        for text, words, classes in ((f"{ones}b\r\n{ones}a\r\n", (), ["a", "b"]), (f'"b\rc",{ones}1\r\na,{ones}1\r\n', ("--target", 1), ["a", "b\rc"])):
            with self.subTest(classes=classes):
                out = self.folder / f"out {len(words)}"
                self.pack("csv", self.write(text), *words, out=out)
                x, y, _, names = self.load(out)
                self.assertEqual((x.shape[0], x.min(), list(y), names), (2, 1, [1, 0], classes))

    def test_same_bytes_by_any_workers(self):
        random = numpy.random.default_rng(3)
        path = self.write("x,y,kind\n" + "".join(f"{float(a)!r},{b:.3f},{'abc'[i % 3]}\n" for i, (a, b) in enumerate(random.normal(size=(5000, 2)))))
        printed = self.by_any_workers("csv", path, "--shuffle", "--shards", 5, "--test", 0.2)
        self.assertIn("train: 4000 samples of 2 f32 in 5 shards", printed)
        whole = self.hashes()
        out = self.folder / "killed"
        for _ in range(8):
            process = lockstep.start("pack", "csv", path, "--shuffle", "--shards", 5, "--test", 0.2, "-o", out)
            while process.poll() is None and len(list(out.glob("*.h5"))) < 3:
                time.sleep(0.001)
            process.kill()
            lockstep.reap(process)
        self.pack("csv", path, "--shuffle", "--shards", 5, "--test", 0.2, out=out)
        self.assertEqual(self.hashes(out), whole)
        # Another content is another set, and --replace makes it.
        path.write_text(path.read_text().replace("0.1", "0.2", 1))
        self.assertIn("is a shard of another set", self.pack("csv", path, "--shuffle", "--shards", 5, "--test", 0.2, expect=2).stderr)
        self.assertEqual(self.hashes(), whole)
        self.pack("csv", path, "--shuffle", "--shards", 5, "--test", 0.2, "--replace")
        self.assertNotEqual(self.hashes(), whole)
        self.load()

    def test_test_list(self):
        listing = self.write("2\n0\n", "list")
        self.pack("csv", self.write("5,0\n6,1\n7,0\n8,1\n"), "--test-list", listing)
        self.assertEqual((list(self.load()[2]), list(self.load(name="test")[2])), ([1, 3], [0, 2]))
        for text, said in (("4\n", "list:1: '4' is none of the 4 samples, which are numbered from 0 on"), ("1\n\n1", "list:3: '1' is there twice"), ("0\n1\n2\n3\n", "takes all of 4 samples"), ("\n", "list: expected samples")):
            self.assertIn(said, self.pack("csv", self.folder / "a table.csv", "--test-list", self.write(text, "list"), out=self.folder / "b", expect=2).stderr)


class Npy(Packs):
    def save(self, x, name, version=None):
        path = self.folder / name
        with open(path, "wb") as file:
            numpy.lib.format.write_array(file, x, version)
        return path

    def test_types_and_versions(self):
        random = numpy.random.default_rng(1)
        x = random.integers(0, 100, (40, 5, 6, 3))
        for i, kind in enumerate(("u1", "u2", ">u2", "u4", "u8", ">u8", "i1", "i2", "i4", ">i4", "i8", "f2", ">f2", "f4", ">f4", "f8", ">f8")):
            with self.subTest(kind):
                samples = self.save(x.astype(kind), "x.npy", ((1, 0), (2, 0), (3, 0))[i % 3])
                targets = self.save((numpy.arange(40) % 7).astype(kind if kind[-2] != "f" else ">i2"), "y.npy")
                self.pack("npy", samples, targets, "--replace", "--shards", 2)
                found, y, _, _ = self.load()
                self.assertEqual((found.dtype, y.dtype), (numpy.dtype("u1" if kind == "u1" else "f4"), numpy.int32))
                numpy.testing.assert_array_equal(found, x)
                numpy.testing.assert_array_equal(y, numpy.arange(40) % 7)

    def test_shapes(self):
        random = numpy.random.default_rng(2)
        y = self.save(random.normal(size=(30, 2)), "y.npy")
        nchw = random.normal(size=(30, 3, 8, 5))
        for x, words, expected in ((nchw, (), nchw.transpose(0, 2, 3, 1)), (nchw, ("--axes", "NHWC"), nchw), (nchw, ("--axes", "NCHW"), nchw.transpose(0, 2, 3, 1)),
                                   (nchw[:, :, :, 0], (), nchw[:, :, :, :1]), (nchw[:, 0, :, 0], (), nchw[:, 0, :, 0]), (nchw[:, 0, 0, 0], (), nchw[:, 0, 0, :1]),
                                   (nchw.reshape(30, 120), ("--shape", "3,8,5", "--axes", "NCHW"), nchw.transpose(0, 2, 3, 1)), (nchw[:, :, :, 0], ("--axes", "NCL"), nchw[:, :, :, 0].transpose(0, 2, 1)[:, None]),
                                   (nchw[:, :, :, 0], ("--axes", "NLC"), nchw[:, None, :, :, 0])):
            with self.subTest(shape=x.shape, words=words):
                for order in "CF":
                    self.pack("npy", self.save(x.copy(order), "x.npy"), y, "--replace", *words)
                    found, targets, _, _ = self.load()
                    numpy.testing.assert_array_equal(found, expected.astype("f4"))
                    self.assertEqual(targets.shape, (30, 2))

    def test_fortran_order(self):
        """A row after another or a column after another: the same shards, by any workers."""
        random = numpy.random.default_rng(5)
        x, y = random.integers(0, 30000, (1300, 3, 4)).astype(">i2"), random.normal(size=(1300, 3))
        for order in "CF":
            out = self.folder / order
            self.pack("npy", self.save(x.copy(order), "x.npy"), self.save(y.copy(order), "y.npy"), "--shuffle", "--shards", 3, out=out, ranks=1 + (order == "F"))
        for part in zip(*(sorted((self.folder / order).glob("*.h5")) for order in "CF")):
            with h5py.File(part[0]) as c, h5py.File(part[1]) as f:
                for name in ("images", "labels", "ids", "crc32c"):
                    numpy.testing.assert_array_equal(c[name][()], f[name][()])

    def test_bad_files(self):
        x, y = numpy.ones((5, 4), "f4"), numpy.arange(5)
        targets = self.save(y, "y.npy")
        path = self.save(x, "x.npy")
        whole = path.read_bytes()
        head = whole[:128]

        def broken(content, said):
            path.write_bytes(content)
            self.bad(said, "npy", path, targets)

        broken(whole[:-1], "x.npy: is truncated: its header says 5 samples of 16 bytes, found 4 whole ones")
        broken(whole + b"\0", "x.npy: expected its end behind 5 samples, found more bytes")
        broken(whole[:7], "x.npy: is truncated: expected 8 bytes of NPY magic, found 7")
        broken(whole[:60], "x.npy: is truncated: expected 118 bytes of NPY head, found 50")
        broken(b"PK\3\4" + whole, "x.npy: is not an NPY file, but an NPZ")
        broken(b"\0" + whole, "x.npy: is not an NPY file")
        broken(whole[:6] + b"\4" + whole[7:], "x.npy: is NPY of version 4.0")
        for old, new, said in (("<f4", "<c8", "found type '<c8'"), ("'<f4'", "None", "expected a text in quotes"), ("(5, 4)", "(5,-4)", "expected a length"), ("(5, 4)", "(0, 4)", "expected samples, found none"), ("(5, 4)", "(5, 0)", "found an array [5, 0]"),
                               ("(5, 4), ", "(5" + "9" * 25 + ")", "damaged NPY head"), ("'shape'", "'Shape'", "nothing is known of 'Shape'"), ("(5, 4)", "()", "found a single value"), ("'<f4'", "[('a', '<f4')]", "records of several fields"), ("(5, 4), }", "(5, 4)", "expected a comma or }")):
            text = head.decode("latin1").replace(old, new)
            broken((text[:127] if len(text) > 128 else text.rstrip("\n").ljust(127)).encode("latin1") + b"\n" + whole[128:], said)
        path.write_bytes(whole)
        self.bad("found type '<U3'", "npy", self.save(numpy.array(["abc"] * 5), "u.npy"), targets)
        self.bad("y.npy: expected 5 targets, one for each sample of", "npy", path, self.save(y[:4], "y.npy"))
        self.bad("y.npy: target 3: expected a class from 0 on, found -1", "npy", path, self.save(numpy.array([0, 1, 2, -1, 4]), "y.npy"))
        self.bad("y.npy: target 2: expected a class, an integer of 31 bits", "npy", path, self.save(numpy.array([0, 1, 1 << 40, 1, 4]), "y.npy"))
        self.bad("y.npy: sample 1 is not finite: value 0 of 1 is nan", "npy", path, self.save(numpy.array([0, numpy.nan, 2, 1, 4]), "y.npy"))
        self.bad("expected targets [N] or [N, D]", "npy", path, self.save(numpy.ones((5, 2, 2)), "y.npy"))
        x[3, 2] = numpy.inf
        self.bad("x.npy: sample 3 is not finite: value 2 of 4 is inf", "npy", self.save(x, "x.npy"), self.save(y, "y.npy"))
        self.bad("expected samples of 1 to 3 axes", "npy", self.save(numpy.ones((5, 2, 2, 2, 2)), "x.npy"), targets)

    def test_same_bytes_by_any_workers(self):
        random = numpy.random.default_rng(3)
        x, y = self.save(random.normal(size=(3000, 30)), "x.npy"), self.save(random.integers(0, 9, 3000), "y.npy")
        self.by_any_workers("npy", x, y, "--shuffle", "--seed", 7, "--shards", 4, "--test", 0.25)


class Repacked(Packs):
    def write(self, x, y, name="mine.h5", **options):
        with h5py.File(self.folder / name, "w") as file:
            file.create_dataset("deep/er/x", data=x, **options)
            file["deep/y"] = y
        return self.folder / name

    names = ("--input", "deep/er/x", "--target", "deep/y")

    def test_one_result(self):
        """The same samples, repacked from several layouts, train to the hash of the originals."""
        x, y = lockstep.images(90, size=8)
        x = numpy.concatenate([x, 255 - x, x[:, ::-1]], 3)
        recipe = lockstep.recipe(self.folder, {"train.steps": 3, "train.batch": 32}, data={"train": "none", "input": "deep/er/x", "target": "deep/y", "normalize": {"mean": [0.3], "std": [0.25]}})

        def trained(name, *words):
            self.train(recipe, *words, out=self.folder / f"run {name}")
            return lockstep.metrics(self.folder / f"run {name}", "end")[-1]["params_hash"]

        expected = trained("original", f"data.train={self.write(x, y)}")
        plain = None
        for i, (samples, options) in enumerate(((x, {}), (x, {"chunks": (7, 3, 8, 1), "compression": "gzip", "shuffle": True}), (x.transpose(0, 3, 1, 2), {"chunks": (5, 3, 8, 8), "fletcher32": True}))):
            out = self.folder / f"out {i}"
            self.pack("h5", self.write(samples, y.astype(">u8")[:, None] if i else y, f"{i}.h5", **options), *self.names, "--shards", 2, out=out)
            found = self.load(out)
            numpy.testing.assert_array_equal(found[0], x)
            numpy.testing.assert_array_equal(found[1], y)
            plain = plain or self.hashes(out)
            self.assertEqual(self.hashes(out), plain)
        self.assertEqual(trained("packed", f"data.train={self.folder}/out 0/*.h5", "data.input=images", "data.target=labels"), expected)

    def test_ids_and_names_stay(self):
        x, y = lockstep.images(40, size=8)
        csv = self.folder / "a.csv"
        csv.write_text("".join(f"{i},{'ab'[i % 2]}\n" for i in range(40)))
        self.pack("csv", csv, "--shuffle", "--shards", 3)
        again = self.folder / "again"
        self.pack("h5", *sorted(self.out.glob("*.h5")), "--shuffle", "--seed", 5, "--test", 0.3, out=again)
        found = self.load(again)
        self.assertEqual(list(found[0][:, 0]), [float(i) for i in found[2]])
        self.assertEqual(found[3], ["a", "b"])
        self.assertEqual(len(found[2]), 28)

    def test_bad_files(self):
        x, y = numpy.ones((9, 4), "f4"), numpy.arange(9)
        path = self.write(x, y)
        self.bad("has no dataset 'images'", "h5", path)
        x[4, 1] = numpy.nan
        self.bad("mine.h5: deep/er/x[4] is not finite: value 1 of 4 is nan", "h5", self.write(x, y), *self.names)
        self.bad("mine.h5: deep/y: target 8: expected a class from 0 on, found -2", "h5", self.write(numpy.ones((9, 4)), numpy.array([0] * 8 + [-2])), *self.names)
        self.bad("no file matches", "h5", self.folder / "nothing-*.h5", *self.names)

    def test_integers_that_f32_rounds(self):
        words, y = numpy.arange(36).reshape(9, 4) - 10, numpy.arange(9)
        words[2, 1], words[8, 3] = 16777215, -16777215
        self.pack("h5", self.write(words, y), *self.names)
        numpy.testing.assert_array_equal(self.load()[0], words)
        shutil.rmtree(self.out)
        for kind, number in (("i8", 16777217), ("i4", -16777217), (">u4", 4294967295), ("u8", 1 << 50)):
            words[8, 3] = number
            rounded = int(numpy.float32(number))
            said = f"sample 8: value 3 of 4 is the integer {rounded} or one near it, expected -16777215 to 16777215"
            self.bad(f"mine.h5: {said}", "h5", self.write(numpy.abs(words).astype(kind) if "u" in kind else words.astype(kind), y), *self.names)
        amounts = self.write(words.astype("f4"), y, "amounts.h5")
        for files in ((amounts, self.write(words, y)), (self.write(words, y), amounts)):  # each is of its own type
            self.bad(f"mine.h5: {said}", "h5", *files, *self.names)
        numpy.save(self.folder / "x.npy", words)
        numpy.save(self.folder / "y.npy", y)
        self.bad(f"x.npy: {said}", "npy", self.folder / "x.npy", self.folder / "y.npy")
        self.pack("h5", self.write(words.astype("f8"), y), *self.names)  # said to be amounts
        self.pack("h5", self.write(words[:, :, None], y), *self.names, "--replace")  # images

    def test_same_bytes_by_any_workers(self):
        random = numpy.random.default_rng(3)
        path = self.write(random.normal(size=(3000, 30)), random.normal(size=(3000, 3)), chunks=(100, 30), compression="gzip")
        self.by_any_workers("h5", path, *self.names, "--shuffle", "--shards", 4, "--test", 0.25)


if __name__ == "__main__":
    unittest.main()
