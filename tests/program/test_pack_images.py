"""Folders of pictures into shards: the same bytes however many work at it, and whatever happens to them."""
import hashlib
import io
import random
import time
import unittest

import h5py
import numpy
from PIL import Image

import lockstep


def noise(h, w, seed):
    """Smooth enough for JPEG, different everywhere."""
    small = numpy.random.default_rng(seed).integers(0, 256, (h // 8 + 2, w // 8 + 2, 3)).astype("u1")
    return numpy.asarray(Image.fromarray(small).resize((w, h), Image.BILINEAR))


def tent(x, side):
    """The filter as its definition says, in floating point: [H, W, C] to [side, side, C]."""
    shorter = min(x.shape[:2])
    for axis in (0, 1):
        n, scale = x.shape[axis], shorter / side
        support, offset = max(scale, 1), max((int(n / scale + 0.5) - side) // 2, 0)
        middle = (numpy.arange(side) + offset + 0.5) * scale
        weight = numpy.maximum(0, 1 - abs(numpy.arange(n) + 0.5 - middle[:, None]) / support)
        weight /= weight.sum(1, keepdims=True)
        x = numpy.moveaxis(numpy.tensordot(weight, x.astype("f8"), (1, axis)), 0, axis)
    return x


class PackImages(lockstep.Case):
    def setUp(self):
        super().setUp()
        self.source = self.folder / "pictures"
        self.out = self.folder / "out"

    def save(self, name, x, **options):
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (x if isinstance(x, Image.Image) else Image.fromarray(x)).save(path, **options)
        return path

    def fill(self, n=60):
        for i in range(n):
            name = f"{('ant', 'bee 2', 'bee-1')[i % 3]}/{i:03}.{('jpg', 'png', 'JPEG')[i % 5 % 3]}"
            self.save(name, noise(20 + i * 7 % 90, 20 + i * 13 % 90, i), **({"quality": 95} if "p" != name[-3] else {}))

    def pack(self, *words, out=None, ranks=1, expect=0, size=24):
        result = lockstep.run("pack", "images", self.source, "-o", out or self.out, "--size", size, *words, ranks=ranks)
        self.assertEqual(result.returncode, expect, result.stdout + result.stderr)
        return result

    def hashes(self, out):
        self.assertEqual([p.name for p in out.glob("*.tmp")], [])
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(out.glob("*.h5"))}

    def pixels(self, out=None):
        """Samples by the name of their file."""
        names = sorted(str(p.relative_to(self.source)) for p in self.source.glob("**/*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
        found = {}
        for path in (out or self.out).glob("*.h5"):
            with h5py.File(path) as file:
                classes = [name.decode() for name in file["class_names"][()]]
                for x, label, identity in zip(file["images"][()], file["labels"][()], file["ids"][()]):
                    self.assertEqual(names[identity].split("/")[0], classes[label])
                    self.assertNotIn(names[identity], found)
                    found[names[identity]] = x
        return found

    def test_same_bytes_by_any_workers(self):
        self.fill()
        words = ("--shards", 5, "--test", 0.25)
        printed = self.pack(*words, "--threads", 1).stdout
        first = self.hashes(self.out)
        self.assertEqual(list(first), [f"test-0000{i}-of-00002.h5" for i in range(2)] + [f"train-0000{i}-of-00005.h5" for i in range(5)])
        self.assertIn("train: 45 pictures of 24x24x3 in 5 shards, 0 skipped", printed)
        self.assertIn("test: 15 pictures", printed)
        self.assertEqual(len(self.pixels()), 60)
        for ranks, threads in ((1, 3), (2, 1), (3, 2), (8, 1)):
            with self.subTest(ranks=ranks, threads=threads):
                out = self.folder / f"out {ranks} {threads}"
                self.assertEqual(self.pack(*words, "--threads", threads, ranks=ranks, out=out).stdout, printed)
                self.assertEqual(self.hashes(out), first)
        again = self.pack(*words).stdout
        self.assertIn("done: 0 shards written, 7 were there", again)
        self.assertEqual(self.hashes(self.out), first)
        other = self.folder / "other seed"
        self.pack(*words, "--seed", 2, out=other)
        self.assertNotEqual(self.hashes(other), first)
        self.assertEqual({name: x.tobytes() for name, x in self.pixels(other).items()},
                         {name: x.tobytes() for name, x in self.pixels().items()})
        checked = lockstep.run("check", *self.out.glob("*.h5"))
        self.assertEqual(checked.returncode, 0, checked.stderr)

    def test_statistics(self):
        self.fill(30)
        printed = self.pack("--shards", 3).stdout
        x = numpy.stack(list(self.pixels().values())) / 255
        for word, values in (("mean", x.mean((0, 1, 2))), ("std", x.std((0, 1, 2)))):
            self.assertIn(f"{word}: [{', '.join(f'{v:.4f}' for v in values)}]", printed)
        with h5py.File(self.out / "train-00001-of-00003.h5") as file:
            part = file["images"][()] / 255
            numpy.testing.assert_allclose(file.attrs["mean"], part.mean((0, 1, 2)), rtol=1e-12)
            numpy.testing.assert_allclose(file.attrs["std"], part.std((0, 1, 2)), rtol=1e-9)
        for line, n in (("ant", 10), ("bee 2", 10), ("bee-1", 10)):
            self.assertIn(f"{n:10}  {line}\n", printed)

    def test_order(self):
        self.fill(30)
        self.pack("--no-shuffle")
        with h5py.File(self.out / "train-00000-of-00001.h5") as file:
            self.assertEqual(list(file["ids"][()]), list(range(30)))
        shuffled = self.folder / "shuffled"
        self.pack(out=shuffled)
        with h5py.File(shuffled / "train-00000-of-00001.h5") as file:
            ids = list(file["ids"][()])
        self.assertNotEqual(ids, sorted(ids))
        self.assertEqual(sorted(ids), list(range(30)))

    def test_filter(self):
        sizes = [(24, 24), (24, 50), (51, 24), (48, 48), (100, 37), (37, 100), (24 * 20 + 3, 24 * 7), (5, 9), (1, 1), (300, 25), (23, 24)]
        pictures = {f"a/{h}x{w}.png": numpy.random.default_rng(h * w).integers(0, 256, (h, w, 3)).astype("u1") for h, w in sizes}
        for name, x in pictures.items():
            self.save(name, x)
        self.pack()
        for name, x in self.pixels().items():
            with self.subTest(name):
                # Two roundings, each of at most half a step, and weights of 14 bits.
                self.assertLessEqual(abs(x - tent(pictures[name], 24)).max(), 1.03)
        self.assertTrue((self.pixels()["a/24x24.png"] == pictures["a/24x24.png"]).all())

    def test_flat_pictures_stay_as_they_are(self):
        for value in (0, 1, 200, 255):
            for h, w in ((24, 24), (29, 61), (7, 5), (111, 333)):
                self.save(f"{value}/{h}x{w}.png", numpy.full((h, w, 3), value, "u1"))
        self.pack()
        for name, x in self.pixels().items():
            self.assertTrue((x == int(name.split("/")[0])).all(), name)

    def test_kinds(self):
        x = noise(40, 24, 1)
        grey = numpy.asarray(Image.fromarray(x).convert("L"))
        alpha = numpy.dstack([x, numpy.where(numpy.arange(24) < 12, 255, 0)[None].repeat(40, 0).astype("u1")])
        white = numpy.where(alpha[..., 3:] == 0, 255, x)
        expected = {"rgb.png": (x, 1), "grey.png": (grey[..., None].repeat(3, 2), 1), "alpha.png": (white, 1),
                    "palette.png": (numpy.asarray(Image.fromarray(x).quantize(64).convert("RGB")), 1),
                    "rgb.jpg": (x, 6), "grey.jpg": (grey[..., None].repeat(3, 2), 6), "cmyk.jpg": (x, 8), "progressive.jpg": (x, 6)}
        for name, picture in {"rgb.png": x, "grey.png": grey, "alpha.png": alpha, "palette.png": Image.fromarray(x).quantize(64)}.items():
            self.save(f"a/{name}", picture)
        self.save("a/rgb.jpg", x, quality=98, subsampling=0)
        self.save("a/grey.jpg", grey, quality=98)
        self.save("a/cmyk.jpg", Image.fromarray(x).convert("CMYK"), quality=98)
        self.save("a/progressive.jpg", x, quality=98, subsampling=0, progressive=True)
        wide = Image.fromarray((numpy.arange(40 * 24, dtype="u2").reshape(40, 24) * 60))
        self.save("a/wide.png", wide)  # 16 bits
        self.pack()
        found = self.pixels()
        for name, (want, off) in expected.items():
            with self.subTest(name):
                self.assertLessEqual(abs(found[f"a/{name}"] - tent(want, 24)).max(), off)
        self.assertLessEqual(abs(found["a/wide.png"] - tent(numpy.asarray(wide)[..., None] / 257, 24)).max(), 1)
        one = self.folder / "grey"
        self.pack("--grey", out=one)
        self.assertEqual(self.pixels(one)["a/grey.png"].shape, (24, 24, 1))
        self.assertLessEqual(abs(self.pixels(one)["a/grey.png"] - tent(grey[..., None], 24)).max(), 1.03)

    def test_large_jpeg_is_scaled_as_it_is_decoded(self):
        # The crop may be off by half a pixel of the result, which is much in a noise; a wrong part of the picture is 50 off.
        large = {f"a/{h}x{w}.jpg": numpy.asarray(Image.fromarray(noise(h // 5, w // 5, h)).resize((w, h), Image.BICUBIC)) for h, w in ((400, 600), (300, 1500), (1500, 300), (200, 3000))}
        for name, x in large.items():
            self.save(name, x, quality=97)
        self.pack()
        # Not the same filter, but the same picture.
        for name, x in self.pixels().items():
            self.assertLess(abs(x - tent(large[name], 24)).mean(), 12, name)

    def test_orientation(self):
        x = noise(24, 24, 5).copy()
        x[:8, :8] = 250  # a corner that tells
        turned = {1: x, 2: x[:, ::-1], 3: x[::-1, ::-1], 4: x[::-1], 5: x.transpose(1, 0, 2), 6: numpy.rot90(x, -1),
                  7: x[::-1, ::-1].transpose(1, 0, 2), 8: numpy.rot90(x, 1)}
        for orientation in turned:
            exif = Image.Exif()
            exif[0x0112] = orientation
            self.save(f"a/{orientation}.jpg", x, quality=100, subsampling=0, exif=exif)
        self.pack()
        found = self.pixels()
        for orientation, want in turned.items():
            with self.subTest(orientation):
                self.assertLess(abs(found[f"a/{orientation}.jpg"] - want.astype(int)).mean(), 2)

    def break_some(self):
        jpeg = io.BytesIO()
        Image.fromarray(noise(60, 60, 1)).save(jpeg, "JPEG")
        png = io.BytesIO()
        Image.fromarray(noise(60, 60, 1)).save(png, "PNG")
        flipped = bytearray(png.getvalue())
        flipped[len(flipped) // 2] ^= 0x10
        bad = {"ant/cut.jpg": jpeg.getvalue()[:len(jpeg.getvalue()) // 2], "ant/empty.jpg": b"", "ant/text.png": b"not a picture",
               "ant/promise.png": png.getvalue()[:16] + b"\0\0\xff\0\0\0\xff\0" + png.getvalue()[24:], "ant/cut.png": png.getvalue()[:200], "ant/flipped.png": bytes(flipped), "ant/head.jpg": jpeg.getvalue()[:3]}
        for name, content in bad.items():
            (self.source / name).write_bytes(content)
        return list(bad)

    def test_broken(self):
        self.fill(30)
        whole = self.folder / "whole"
        self.pack(out=whole)
        bad = self.break_some()
        failed = self.pack("--shards", 3, "--threads", 1, expect=2)
        error = [line for line in failed.stderr.splitlines() if line.startswith("lockstep: error: ")]
        self.assertEqual(len(error), 1)
        self.assertTrue(any(str(self.source / name) in error[0] for name in bad), error)
        self.assertEqual(list(self.out.glob("*.tmp")), [])
        result = self.pack("--shards", 3, "--broken", "skip")
        self.assertIn(f"30 pictures of 24x24x3 in 3 shards, {len(bad)} skipped", result.stdout)
        for name in bad:
            self.assertEqual(result.stderr.count(f"skipped: {self.source / name}: is "), 1, result.stderr)
        self.assertEqual({name: x.tobytes() for name, x in self.pixels().items()},
                         {name: x.tobytes() for name, x in self.pixels_of(whole).items()})
        twice = self.folder / "twice"
        self.pack("--shards", 3, "--broken", "skip", "--threads", 3, ranks=2, out=twice)
        self.assertEqual(self.hashes(twice), self.hashes(self.out))

    def test_links_to_nowhere(self):
        """A picture that is a link is one; a link that leads nowhere, or to itself, is a broken one."""
        self.fill(12)
        (self.source / "ant/linked.png").symlink_to(self.save("../elsewhere.png", noise(30, 30, 1)))
        (self.source / "ant/gone.jpg").symlink_to(self.folder / "nothing.jpg")
        (self.source / "ant/loop.png").symlink_to("loop.png")
        (self.source / "ant/notes").symlink_to("nothing.txt")
        self.assertIn("ant/gone.jpg: cannot open: No such file", self.pack("--threads", 1, expect=2).stderr)
        result = self.pack("--broken", "skip")
        self.assertIn("13 pictures of 24x24x3 in 1 shard, 2 skipped", result.stdout)
        for name in ("gone.jpg", "loop.png"):
            self.assertEqual(result.stderr.count(f"skipped: {self.source}/ant/{name}: cannot open"), 1, result.stderr)
        self.assertIn("1 file is no picture by its name", result.stdout)

    def pixels_of(self, out):
        """Of a set that was packed without the broken ones, whose ids are others."""
        hidden = {path: path.read_bytes() for path in self.source.glob("ant/*") if not path.stem.isdigit()}
        for path in hidden:
            path.unlink()
        found = self.pixels(out)
        for path, content in hidden.items():
            path.write_bytes(content)
        return found

    def test_list(self):
        self.fill(30)
        names = sorted(str(p.relative_to(self.source)) for p in self.source.glob("*/*"))[3:20:4]
        listing = self.folder / "held out.txt"
        listing.write_text("\n".join(["./" + names[0], *names[1:], "", ""]))
        self.pack("--test-list", listing, "--test-name", "held-out")
        with h5py.File(self.out / "held-out-00000-of-00001.h5") as file:
            self.assertEqual(len(file["labels"]), len(names))
        listing.write_text(names[0] + "\nant/nothing.jpg\n")
        self.assertIn(f"{listing}:2: 'ant/nothing.jpg'", self.pack("--test-list", listing, out=self.folder / "b", expect=2).stderr)
        listing.write_text(names[0] + "\n" + names[0])
        self.assertIn(f"{listing}:2: '{names[0]}' is there twice", self.pack("--test-list", listing, out=self.folder / "b", expect=2).stderr)

    def test_what_is_in_the_way(self):
        self.fill(12)
        self.pack("--shards", 2)
        before = self.hashes(self.out)
        self.assertIn("of another count than 3", self.pack("--shards", 3, expect=2).stderr)
        self.assertIn("is a shard of another set", self.pack("--shards", 2, "--seed", 9, expect=2).stderr)
        self.save("ant/new.png", noise(30, 30, 77))
        self.assertIn("is a shard of another set", self.pack("--shards", 2, expect=2).stderr)
        self.assertEqual(self.hashes(self.out), before)

    def test_usage(self):
        (self.folder / "flat").mkdir()
        for words, said in ((("--size", 0), "--size"), (("--test", "1.5"), "--test"), (("--shards", 99), "--shards"),
                            (("--broken", "maybe"), "--broken"), (("--name", "a/b"), "slash"), (("--test", 0.5, "--test-name", "train"), "train")):
            self.fill(6)
            self.assertIn(said, self.pack(*words, expect=2).stderr)
            self.assertFalse(self.out.exists())
        for source, said in ((self.folder / "nowhere", "No such file"), (self.folder / "flat", "a folder for each class")):
            result = lockstep.run("pack", "images", source, "-o", self.out, "--size", 8)
            self.assertEqual(result.returncode, 2)
            self.assertIn(said, result.stderr)
        (self.folder / "flat" / "class").mkdir()
        result = lockstep.run("pack", "images", self.folder / "flat", "-o", self.out, "--size", 8)
        self.assertIn("expected pictures", result.stderr)

    def test_kill_and_restart(self):
        for i in range(48):
            self.save(f"{'ab'[i % 2]}/{i}.png", noise(600, 600, i))
        whole = self.folder / "whole"
        words = ("--shards", 12, "--threads", 1)
        self.pack(*words, out=whole, size=200)
        kept = []
        for round in range(20):
            process = lockstep.start("pack", "images", self.source, "-o", self.out, "--size", 200, *words, ranks=1 + round % 2)
            before = len(list(self.out.glob("*.h5")))
            while process.poll() is None and len(list(self.out.glob("*.h5"))) == before:
                time.sleep(0.002)
            time.sleep(random.Random(round).uniform(0, 0.05))
            if process.poll() is None:
                lockstep.subprocess.run(["pkill", "-KILL", "-P", str(process.pid)])
                process.kill()
            lockstep.reap(process)
            kept.append(len(list(self.out.glob("*.h5"))))
            if kept[-1] == 12:
                break
        self.assertEqual(kept, sorted(kept), "a finished shard was lost")
        self.assertTrue(any(0 < n < 12 for n in kept), f"no kill met the packer at work: {kept}")
        self.pack(*words, size=200)
        self.assertEqual(self.hashes(self.out), self.hashes(whole))

    def test_trains(self):
        self.fill(60)
        self.pack("--test", 0.2)
        recipe = lockstep.recipe(self.folder, {"model.classes": 3, "data.train": "out/train-*.h5", "data.test": "out/test-*.h5",
                                               "train.batch": 16, "train.lanes": 4, "data.normalize": {"mean": [0.5], "std": [0.25]}})
        self.train(recipe)


if __name__ == "__main__":
    unittest.main()
