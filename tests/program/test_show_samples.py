"""Sheets of samples: what is stored, what a model sees, what cannot be drawn."""
import unittest

import h5py
import numpy
from PIL import Image

import lockstep


class ShowSamples(lockstep.Case):
    def show(self, *words, expect=0):
        result = lockstep.run("show", *words, "-o", self.folder / "a sheet.png")
        self.assertEqual(result.returncode, expect, result.stdout + result.stderr)
        return result.stdout if expect == 0 else result.stderr

    def tiles(self, n, size, zoom):
        """The drawn samples, each pixel once: they lie in a square of rows, 2 pixels apart."""
        sheet = numpy.asarray(Image.open(self.folder / "a sheet.png"))
        columns, step = int(numpy.ceil(n ** 0.5)), size * zoom + 2
        self.assertEqual(sheet.shape[:2], (-(-n // columns) * step + 2, columns * step + 2))
        tiles = []
        for i in range(n):
            top, left = 2 + i // columns * step, 2 + i % columns * step
            tile = sheet[top:top + size * zoom, left:left + size * zoom]
            numpy.testing.assert_array_equal(tile, tile[::zoom, ::zoom].repeat(zoom, 0).repeat(zoom, 1))
            tiles.append(tile[::zoom, ::zoom])
        return tiles

    def labels(self, said):
        return [label for line in said.splitlines() if line.startswith("row ") for label in line.split(": ")[1].split(", ")]

    def test_shards(self):
        x, y = lockstep.images(self.samples)
        said = self.show(self.folder / "data" / "train-00000.h5", self.folder / "data" / "train-00001.h5", "--samples", 300)
        self.assertEqual(self.labels(said), [str(label) for label in y[:300]])
        for tile, image in zip(self.tiles(300, 16, 7), x[:300, :, :, 0], strict=True):
            numpy.testing.assert_array_equal(tile, image)
        self.assertEqual(len(self.labels(self.show(self.folder / "data" / "train-00000.h5", "--samples", 4000))), 200)

    def test_recipe(self):
        x, y = lockstep.images(self.samples)
        stored = {image.tobytes(): int(label) for image, label in zip(x[:, :, :, 0], y, strict=True)}
        recipe = lockstep.recipe(self.folder, {"data.augment": {}, "train.lanes": 8})
        first = {}
        for epoch in (0, 1):
            said = self.show(recipe, "--samples", 30, "--epoch", epoch)
            first[epoch] = [tile.tobytes() for tile in self.tiles(30, 16, 7)]
            self.assertEqual([stored[tile] for tile in first[epoch]], [int(label) for label in self.labels(said)])
        self.assertNotEqual(first[0], first[1])
        self.show(recipe, "data.augment.flip=true", "--samples", 30)
        flipped = [tile.tobytes() not in stored for tile in self.tiles(30, 16, 7)]
        self.assertTrue(5 < sum(flipped) < 25, flipped)
        for was, tile in zip(first[0], self.tiles(30, 16, 7), strict=True):
            self.assertIn(was, (tile.tobytes(), tile[:, ::-1].tobytes()))

    def test_balanced(self):
        x, y = lockstep.images(self.samples)
        y[y > 0] = numpy.where(numpy.arange((y > 0).sum()) % 20 > 2, 1, y[y > 0])  # few of classes 2 and 3
        lockstep.write_shards(self.folder / "data", "train", x, y, shards=self.shards)
        recipe = lockstep.recipe(self.folder, {"data.augment": {}, "data.sampler": "balanced"})
        labels = self.labels(self.show(recipe, "--samples", self.samples))
        self.assertEqual([labels.count(str(label)) for label in range(4)], [self.samples // 4] * 4)

    def test_normalization_is_undone(self):
        # A cut is the mean: 0.3 of 255.
        self.show(lockstep.recipe(self.folder, {"data.augment": {"cutout": 40}}), "--samples", 2)
        for tile in self.tiles(2, 16, 7):
            self.assertEqual(numpy.unique(tile[6:10, 6:10]).tolist(), [77])

    def test_mixed(self):
        # With its partner's part in brackets; a part of a half of the samples each way.
        x, y = lockstep.images(self.samples)
        recipe = lockstep.recipe(self.folder, {"data.augment": {"mixup": 1, "cutmix": 1}})
        said = self.show(recipe, "--samples", 40, "--epoch", 1)
        self.assertEqual(len(self.labels(said)), 40)
        plain = self.labels(self.show(recipe, "data.augment={mixup: 0, cutmix: 0}", "--samples", 40, "--epoch", 1))
        for mixed, own in zip(self.labels(said), plain, strict=True):
            self.assertRegex(mixed, r"^\d \d+% \+ \d \d+%$")
            self.assertEqual(mixed[0], own)

    def test_colors_and_names(self):
        x = numpy.random.default_rng(1).integers(0, 256, (5, 3, 120, 120)).astype("u1")
        path = self.folder / "colors.h5"
        with h5py.File(path, "w") as file:
            file["pixels"] = x
            file["class"] = numpy.array([0, 1, 2, 1, 0], "i4")
            file["class_names"] = numpy.array([name.encode() for name in ("ant", "bee 2", "käfer")], dtype=h5py.string_dtype("utf-8", 8))
        said = self.show(path, "--input", "pixels", "--target", "class", "--samples", 5)
        self.assertEqual(self.labels(said), ["ant", "bee 2", "käfer", "bee 2", "ant"])
        for tile, image in zip(self.tiles(5, 120, 1), x, strict=True):
            numpy.testing.assert_array_equal(tile, image.transpose(1, 2, 0))

    def test_floats(self):
        x = numpy.zeros((4, 16, 16, 1), "f4")
        x[1], x[2] = -2, 3
        with h5py.File(self.folder / "floats.h5", "w") as file:
            file["images"] = x
        self.assertIn("black is -2, white is 3", self.show(self.folder / "floats.h5", "--samples", 4))
        self.assertEqual([int(tile[0, 0]) for tile in self.tiles(4, 16, 7)], [102, 0, 255, 102])

    def test_refusals(self):
        shard = self.folder / "data" / "train-00000.h5"
        with h5py.File(self.folder / "vectors.h5", "w") as file:
            file["images"] = numpy.zeros((4, 7), "f4")
        for words, expected in (([shard, "--samples", 0], "--samples: expected 1 to 4096, found 0"),
                                ([shard, "--samples", 1, "--epoch", 1], "--epoch is of a recipe"),
                                ([self.folder / "vectors.h5", "--samples", 1], "samples are vectors"),
                                ([self.folder / "none.h5", "--samples", 1], "none.h5"),
                                ([lockstep.recipe(self.folder)], "--samples 64")):
            with self.subTest(expected=expected):
                self.assertIn(expected, self.show(*words, expect=2))
                self.assertFalse((self.folder / "a sheet.png").exists())
        before = shard.read_bytes()
        for words, expected in ((["--samples", 1, "-o", self.folder / "no folder" / "a.png"], f"its folder {self.folder}/no folder: No such file"),
                                (["--samples", 1, "-o", shard], f"{shard}: is there, and is no PNG"), (["-o", self.folder / "a.png"], "--out goes with --samples")):
            result = lockstep.run("show", shard, *words)
            self.assertEqual(result.returncode, 2)
            self.assertIn(expected, result.stderr)
        self.assertEqual(shard.read_bytes(), before)


if __name__ == "__main__":
    unittest.main(verbosity=2)
