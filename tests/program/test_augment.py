"""Augmentation: one result on any number of ranks with everything on, what tests see, and what is refused."""
import unittest

import h5py
import numpy

import lockstep

EVERYTHING = {
    "resized_crop": {"size": 12, "scale": [0.3, 1]},
    "rotate": 20,
    "flip": True,
    "flip_vertical": True,
    "color": {"brightness": 0.3, "contrast": 0.3, "saturation": 0.3, "hue": 0.1},
    "cutout": 4,
    "mixup": 0.4,
    "cutmix": 1,
}


class Augment(lockstep.Case):
    def colored_data(self, kind=numpy.uint8):
        for name, n, seed in (("train", 600, 1), ("test", 100, 2)):
            x, y = lockstep.images(n, channels=3, seed=seed)
            lockstep.write_shards(self.folder / "data", name, x.astype(kind), y, shards=3 if name == "train" else 1)

    def hashes(self, augment, layouts, steps=6):
        recipe = lockstep.recipe(self.folder, {"data.augment": augment, "train.steps": steps, "model.zoo": "lenet"})
        found = []
        for ranks, threads in layouts:
            out = f"run {len(list(self.folder.glob('run*')))}"
            result = self.train(recipe, f"device.threads={threads}", ranks=ranks, out=out)
            steps = [(line["loss"], line["grad_norm"]) for line in lockstep.metrics(self.folder / out, "step")]
            evals = [(line["loss"], line["accuracy"]) for line in lockstep.metrics(self.folder / out, "eval")]
            found.append((lockstep.done_line(result)["params"], steps, evals))
        return found

    def test_one_result(self):
        for kind in (numpy.uint8, numpy.float32):
            with self.subTest(kind=kind.__name__):
                self.colored_data(kind)
                first, *others = self.hashes(EVERYTHING, [(1, 1), (1, 2), (2, 1), (3, 1)])
                for other in others:
                    self.assertEqual(other, first)

    def test_classes_that_weigh(self):
        self.colored_data()
        recipe = lockstep.recipe(self.folder, {"data.augment": EVERYTHING, "train.class_weights": [1, 2, 0, 3],
                                               "data.sampler": "balanced"})
        found = {lockstep.done_line(self.train(recipe, ranks=ranks, out=f"run {ranks}"))["params"] for ranks in (1, 3)}
        self.assertEqual(len(found), 1)

    def test_audit(self):
        self.colored_data()
        recipe = lockstep.recipe(self.folder, {"data.augment": EVERYTHING, "train.audit_every": 2})
        self.train(recipe, ranks=2)

    def test_each_one_counts(self):
        self.colored_data()
        seen = {}
        for left_out in [None, *EVERYTHING]:
            augment = {key: value for key, value in EVERYTHING.items() if key != left_out}
            [(params, _, _)] = self.hashes(augment, [(1, 1)], steps=3)
            self.assertNotIn(params, seen, f"without {left_out} as without {seen.get(params)}")
            seen[params] = left_out

    def test_resume(self):
        self.colored_data()
        recipe = lockstep.recipe(self.folder, {"data.augment": EVERYTHING})
        whole = lockstep.done_line(self.train(recipe))
        (self.folder / "run" / "checkpoints" / "step-00000006.h5").unlink()
        other = lockstep.run("train", recipe, "data.augment.cutout=0", "--out", self.folder / "run", "--resume")
        self.assertEqual(other.returncode, 2)
        self.assertIn("data.augment.cutout was 4, now is 0", other.stderr)
        self.assertEqual(lockstep.done_line(self.train(recipe, "--resume", ranks=3)), whole)

    def test_tests_see_the_centre(self):
        self.colored_data()
        recipe = lockstep.recipe(self.folder, {"data.augment": EVERYTHING})
        self.train(recipe)
        x, _ = lockstep.images(50, channels=3, seed=5)
        found = []
        for name, samples in (("whole", x), ("centre", x[:, 2:14, 2:14])):
            with h5py.File(self.folder / f"{name}.h5", "w") as file:
                file["images"] = samples
            out = self.folder / f"of {name}.h5"
            result = lockstep.run("predict", self.folder / "run" / "checkpoints" / "step-00000006.h5",
                                  self.folder / f"{name}.h5", "-o", out)
            self.assertEqual(result.returncode, 0, result.stderr)
            with h5py.File(out) as file:
                found.append(file["probabilities"][()])
        numpy.testing.assert_array_equal(found[0], found[1])
        with h5py.File(self.folder / "small.h5", "w") as file:
            file["images"] = x[:, :11]
        result = lockstep.run("predict", self.folder / "run" / "checkpoints" / "step-00000006.h5",
                              self.folder / "small.h5", "-o", self.folder / "none.h5")
        self.assertEqual(result.returncode, 2)
        self.assertIn("samples of 11x16x3", result.stderr)

    def test_refusals(self):
        def refused(augment, *expected):
            result = lockstep.run("train", lockstep.recipe(self.folder, {"data.augment": augment}), "--out", self.folder / "none")
            self.assertEqual(result.returncode, 2, result.stderr)
            for text in expected:
                self.assertIn(text, result.stderr)
            self.assertFalse((self.folder / "none").exists())

        refused({"resized_crop": {"size": 17}}, "data.augment.resized_crop.size: 17 is more than the samples have, 16x16")
        refused({"color": {"hue": 0.1}}, "saturation and hue need samples of 3 channels, but these have 1")
        refused({"resized_crop": {"scale": [0.5, 0.4]}}, "recipe.yaml:", "data.augment.resized_crop.scale")
        refused({"mixup": -1}, "data.augment.mixup: expected a number from 0 to 1000, found -1")
        alone = lockstep.run("train", lockstep.recipe(self.folder, {"data.augment": {"cutmix": 1}, "train.batch": 8}),
                             "--out", self.folder / "none")
        self.assertEqual(alone.returncode, 2)
        self.assertIn("data.augment.cutmix: a lane has one sample, and none to mix it with", alone.stderr)
        other = lockstep.run("train", lockstep.recipe(self.folder, {"data.augment": {"mixup": 1}, "train.loss": "mse"}),
                             "--out", self.folder / "none")
        self.assertEqual(other.returncode, 2)
        self.assertRegex(other.stderr, r"recipe.yaml:\d+: data.augment.mixup: samples are mixed for train.loss: cross_entropy alone")
        for name in ("train", "test"):
            lockstep.write_shards(self.folder / "data", name, numpy.zeros((8, 5), "f4"), numpy.zeros(8, "i4"),
                                  shards=3 if name == "train" else 1)
        refused({"cutmix": 1}, "data.augment.cutmix: cutmix is for images, but samples are vectors; use mixup")
        refused({"rotate": 10}, "rotate and resized_crop are for images, but samples are vectors")


if __name__ == "__main__":
    unittest.main(verbosity=2)
