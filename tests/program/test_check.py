"""check: broken files of every kind are found, with file and index; good ones pass."""
import pathlib
import random
import shutil
import unittest

import h5py
import numpy

import lockstep

EACH = 4 if lockstep.QUICK else 12


class Check(lockstep.Case):
    def setUp(self):
        super().setUp()
        x, y = lockstep.images(60)
        idx = self.folder / "idx"
        idx.mkdir()
        (idx / "x").write_bytes(b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (60, 16, 16)) + x.tobytes())
        (idx / "y").write_bytes(b"\0\0\x08\x01" + (60).to_bytes(4, "big") + y.astype("u1").tobytes())
        result = lockstep.run("pack", "idx", idx / "x", idx / "y", "-o", self.folder / "shards", "--shards", 2)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.shard = self.folder / "shards" / "train-00000-of-00002.h5"
        self.random = random.Random(4)

    def check(self, *words, expect=2):
        result = lockstep.run("check", *words)
        self.assertEqual(result.returncode, expect, result.stdout + result.stderr)
        return result.stdout + result.stderr

    def flipped(self, path, offset):
        content = bytearray(path.read_bytes())
        content[offset] ^= 1 << self.random.randrange(8)
        bad = self.folder / "bad.h5"
        bad.write_bytes(content)
        return bad

    def places(self, path):
        """Offset and bytes of every dataset."""
        found = {}
        with h5py.File(path) as file:
            file.visititems(lambda name, item: found.update({name: (item.id.get_offset(), item.id.get_storage_size())})
                            if isinstance(item, h5py.Dataset) else None)
        return found

    def test_tokens(self):
        path = self.folder / "words.h5"
        with h5py.File(path, "w") as file:
            file["words"] = numpy.arange(600).reshape(100, 6)
        words = (path, "--input", "words", "--tokens")
        self.assertIn("words.h5: good: 100 samples of 6 tokens i64, no targets, no CRCs\n", self.check(*words, 600, expect=0))
        said = self.check(*words, 577)
        for row in range(96, 100):
            self.assertIn(f"words.h5: words[{row}] is not of tokens: value {1 if row == 96 else 0} of 6 is "
                          f"{max(577, 6 * row)}, expected 0 to 576\n", said)

    def test_tokens_of_a_shard(self):
        path = self.folder / "words.h5"
        with h5py.File(path, "w") as file:
            file["images"] = numpy.arange(600).reshape(100, 6)
            file["labels"] = numpy.arange(100) % 3
        result = lockstep.run("pack", "h5", path, "-o", self.folder / "words")
        self.assertEqual(result.returncode, 0, result.stderr)
        shard = self.folder / "words" / "train-00000-of-00001.h5"
        self.assertIn("good: 100 samples of 6 tokens f32, 3 classes, 100 CRCs right\n",
                      self.check(shard, "--tokens", 600, expect=0))
        said = self.check(shard, "--tokens", 599)
        self.assertIn("images[99] is not of tokens: value 5 of 6 is 599, expected 0 to 598\n", said)
        bad = self.flipped(shard, self.places(shard)["images"][0] + 57 * 24 + 2)
        self.assertIn("checksum mismatch at sample 57 of 'images' and 'labels'", self.check(bad, "--tokens", 600))

    def test_every_flip_of_a_shard(self):
        places = self.places(self.shard)
        self.assertEqual(set(places), {"images", "labels", "ids", "crc32c"})
        for name, (offset, size) in places.items():
            for _ in range(EACH):
                at = self.random.randrange(size)
                with self.subTest(dataset=name, at=at):
                    said = self.check(self.flipped(self.shard, offset + at))
                    self.assertIn("bad.h5", said)
                    if name != "ids":
                        self.assertIn(f"checksum mismatch at sample {at // (size // 30)}", said)
                    else:
                        self.assertIn("'ids'", said)

    def test_every_flip_of_a_checkpoint(self):
        self.train(lockstep.recipe(self.folder, {"train.steps": 2}))
        checkpoint = self.folder / "run" / "checkpoints" / "step-00000002.h5"
        self.assertIn("good", self.check(checkpoint, expect=0))
        places = list(self.places(checkpoint).values())
        for _ in range(3 * EACH):
            offset, size = self.random.choice(places)
            with self.subTest(offset=offset):
                self.assertIn("bad.h5", self.check(self.flipped(checkpoint, offset + self.random.randrange(size))))

    def test_every_flip_of_predictions(self):
        self.train(lockstep.recipe(self.folder, {"train.steps": 1}))
        out = self.folder / "out.h5"
        result = lockstep.run("predict", self.folder / "run" / "checkpoints" / "step-00000001.h5", self.shard, "-o", out, "--top", 2)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("predictions of 30 samples", self.check(out, expect=0))
        for name in ("probabilities", "class", "confidence", "crc32c"):
            offset, size = self.places(out)[name]
            at = self.random.randrange(size)
            self.assertIn(f"checksum mismatch at row {at // (size // 30)}", self.check(self.flipped(out, offset + at)))

    def test_anywhere(self):
        """Between the datasets a flip may be nobody's; nothing ends otherwise than with a good file or a refusal."""
        size = self.shard.stat().st_size
        for _ in range(EACH):
            at = self.random.randrange(size)
            result = lockstep.run("check", self.flipped(self.shard, at))
            self.assertIn(result.returncode, (0, 2), (at, result.stderr))
            self.assertEqual(result.returncode == 2, "lockstep: error:" in result.stderr, (at, result.stderr))

    def test_truncated(self):
        content, bad = self.shard.read_bytes(), self.folder / "bad.h5"
        for at in [0, 1, 8, len(content) - 1] + [self.random.randrange(len(content)) for _ in range(EACH)]:
            bad.write_bytes(content[:at])
            with self.subTest(at=at):
                self.assertIn("bad.h5", self.check(bad))

    def test_other_peoples_files(self):
        path = self.folder / "theirs.h5"
        x = numpy.zeros((700, 5), "f8")
        x[3, 2], x[650, 0] = numpy.nan, numpy.inf
        with h5py.File(path, "w") as file:
            file.create_dataset("signals", data=x, chunks=(64, 5), compression="gzip", fletcher32=True)
            file["classes"] = numpy.arange(700) % 9 - (numpy.arange(700) == 77) * 70
            file["ids"] = numpy.where(numpy.arange(700) == 400, 399, numpy.arange(700)).astype("u8")
        said = self.check(path, "--input", "signals", "--target", "classes")
        for words in ("signals[3]", "signals[650]", "classes[77] is -", "samples 399 and 400 have the same id"):
            self.assertIn(words, said)
        self.assertLess(said.index("signals[3]"), said.index("signals[650]"))
        said = self.check(path)
        self.assertIn("'images'", said)
        self.assertIn("signals", said)  # what there is instead

    def test_many_offenders(self):
        path = self.folder / "theirs.h5"
        with h5py.File(path, "w") as file:
            file["images"] = numpy.full((3000, 2000), numpy.nan, "f4")  # several batches, of several threads
        said = self.check(path)
        for i in range(5):
            self.assertIn(f"images[{i}]", said)
        self.assertIn("and 2995 more", said)

    def test_under_a_launcher(self):
        """One process of them checks, and is heard."""
        bad = self.flipped(self.shard, self.places(self.shard)["images"][0])
        result = lockstep.run("check", self.shard, bad, ranks=3)
        self.assertEqual(result.returncode, 2, result.stdout + result.stderr)
        self.assertEqual(result.stdout.count(": good: "), 1)
        self.assertEqual(result.stderr.count("1 of 2 files are bad"), 1)

    def test_no_files(self):
        self.assertIn("needs a file", self.check())
        self.assertIn("no such file", self.check(self.folder / "none.h5"))
        self.assertIn("folder", self.check(self.folder))
        text = self.folder / "text.h5"
        text.write_text("hello")
        self.assertIn("not an HDF5 file", self.check(text))
        said = self.check(self.shard, text)
        self.assertIn("2 files, 30 samples: 1 good, 1 bad", said)


if __name__ == "__main__":
    unittest.main(verbosity=2)
