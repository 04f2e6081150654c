"""Tasks beside one class a sample, and classes of uneven size: each trained to a stated quality, on any number of ranks."""
import json
import pathlib
import shutil
import subprocess
import sys
import unittest

import h5py
import numpy

import lockstep

RECIPES = pathlib.Path(__file__).resolve().parents[2] / "launch" / "recipes"


class Tasks(lockstep.Case):
    RANKS = (1, 3) if lockstep.QUICK else (1, 2, 3, 4)

    def write(self, name, x, y, **names):
        lockstep.write_shards(self.folder / "data", name, x, y, shards=2, **names)

    def on_all_ranks(self, recipe, *words):
        """The first run's done line, once every number of ranks has given the same steps, evaluations and weights."""
        first = None
        for ranks in self.RANKS:
            out = f"ranks {ranks} {len(list(self.folder.glob('ranks *')))}"
            done = lockstep.done_line(self.train(recipe, *words, ranks=ranks, out=out))
            lines = [{key: value for key, value in line.items() if not key.endswith(("_ms", "_per_s"))}
                     for kind in ("step", "eval") for line in lockstep.metrics(self.folder / out, kind)]
            first = first or (done, lines, out)
            self.assertEqual((done, lines), first[:2], f"{ranks} ranks")
        return first[0], self.folder / first[2]


class UnevenClasses(Tasks):
    samples = 400

    def setUp(self):
        super().setUp()
        x, y = lockstep.images(2000)
        kept = numpy.concatenate([numpy.flatnonzero(y == c)[:n] for c, n in enumerate((280, 90, 24, 6))])
        kept = numpy.sort(kept)
        shutil.rmtree(self.folder / "data")
        self.write("train", x[kept], y[kept])
        self.write("test", *lockstep.images(100, seed=2))

    def test_balanced_sampler(self):
        recipe = lockstep.recipe(self.folder, {"data.sampler": "balanced", "train.audit_every": 2, "train.batch": 64})
        done, run = self.on_all_ranks(recipe)
        plain = lockstep.done_line(self.train(recipe, "data.sampler=shuffle", out="plain"))
        self.assertNotEqual(done["params"], plain["params"])
        # From a checkpoint in the middle, on other ranks.
        for path in (run / "checkpoints").iterdir():
            if path.name != "step-00000004.h5":
                path.unlink()
        shutil.move(run, self.folder / "resumed")
        resumed = lockstep.done_line(self.train(recipe, "--resume", ranks=2, out="resumed"))
        self.assertEqual(resumed, done)
        result = self.train(recipe, "--resume", "data.sampler=shuffle", out="resumed", expect=2)
        self.assertIn("data.sampler was balanced, now is shuffle", result.stderr)

    def test_class_weights(self):
        recipe = lockstep.recipe(self.folder, {"train.class_weights": "balanced", "train.batch": 64})
        done, _ = self.on_all_ranks(recipe)
        weights = [400 / (4 * n) for n in (280, 90, 24, 6)]
        given = lockstep.done_line(self.train(recipe, f"train.class_weights={weights}", out="given"))
        self.assertEqual(given, done)
        # A checkpoint from before there were scores of other tasks.
        with h5py.File(max((self.folder / "given" / "checkpoints").iterdir()), "r+") as file:
            for name in ("top5", "label_accuracy", "f1", "mae", "mse"):
                del file[f"state/last_{name}"]
            file.attrs["datasets"] -= 5
        again = lockstep.done_line(self.train(recipe, f"train.class_weights={weights}", "--resume", out="given"))
        self.assertEqual(again, done)
        others = lockstep.done_line(self.train(recipe, "train.class_weights=[1, 1, 1, 2]", out="others"))
        self.assertNotEqual(others["params"], done["params"])


class Recipes(Tasks):
    """The recipes of launch/recipes beside images: what they reach, and what is said of each task. Where a run is slow, a
    few steps are the same on all ranks, and reach nothing."""

    LENGTH = ("train.steps=12",) if lockstep.QUICK else ()

    def setUp(self):
        super().setUp()
        subprocess.run([sys.executable, RECIPES / "make-examples.py", self.folder / "data" / "examples"], check=True,
                       capture_output=True)
        (self.folder / "launch" / "recipes").mkdir(parents=True)

    def recipe(self, name):
        return shutil.copy(RECIPES / f"{name}.yaml", self.folder / "launch" / "recipes")

    def predicted(self, run, name, dataset, target):
        """What predict writes for the test set, and its targets."""
        test = self.folder / "data" / "examples" / f"{name}-test.h5"
        out = self.folder / "predicted.h5"
        found = lockstep.run("predict", max((run / "checkpoints").iterdir()), test, "-o", out)
        self.assertEqual(found.returncode, 0, found.stderr)
        with h5py.File(out) as file, h5py.File(test) as data:
            return file[dataset][()].astype("f8"), data[target][()].astype("f8")

    def scores(self, done, run, *names):
        """The last evaluation's, which the last line of train has too, rounded."""
        line = lockstep.metrics(run, "eval")[-1]
        self.assertEqual(set(line), {"kind", "step", "loss", "accuracy", "samples", *names})
        for name in set(done) & set(line) - {"step"}:
            self.assertAlmostEqual(float(done[name]), line[name], delta=1e-4 * max(1, line[name]), msg=name)
        end = lockstep.metrics(run, "end")[0]
        self.assertEqual([end[name] for name in names], [line[name] for name in names])
        return line

    def test_signals(self):
        done, run = self.on_all_ranks(self.recipe("signals"), *self.LENGTH)
        line = self.scores(done, run)
        self.assertEqual(list(done), ["step", "loss", "accuracy", "params"])
        if not self.LENGTH:
            self.assertGreater(line["accuracy"], 0.97)
        # The same signals with the channels first are the same samples.
        for path in (self.folder / "data" / "examples").glob("signals-*.h5"):
            with h5py.File(path, "r+") as file:
                turned = file["signals"][()].transpose(0, 2, 1)
                del file["signals"]
                file["signals"] = turned
        turned = lockstep.done_line(self.train(self.recipe("signals"), "data.axes=NCL", *self.LENGTH, out="turned"))
        self.assertEqual(turned, done)

    def test_one_hot(self):
        # The classes of the signals as rows: the same weights; a row that is none is named before the first step.
        recipe = self.recipe("signals")
        few = ("train.steps=5", "data.train=" + str(self.folder / "data" / "examples" / "signals-train.h5"), "data.test=[]")
        classes = lockstep.done_line(self.train(recipe, *few, out="classes"))
        path = self.folder / "data" / "examples" / "signals-train.h5"
        with h5py.File(path, "r+") as file:
            rows = numpy.eye(4, dtype="f4")[file["classes"][()]]
            del file["classes"]
            file["classes"] = rows
        self.assertEqual(lockstep.done_line(self.train(recipe, *few, out="rows", ranks=2)), classes)
        with h5py.File(path, "r+") as file:
            file["classes"][1777] = [0, 0.5, 0.5, 0]
        result = self.train(recipe, *few, out="bad", ranks=2, expect=2)
        self.assertEqual(result.stderr.count("lockstep: error:"), 1, result.stderr)
        self.assertIn("signals-train.h5: classes[1777] is not one-hot: value 1 of 4 is 0.5", result.stderr)
        result = self.train(recipe, *few, "model.classes=5", out="bad", expect=2)
        self.assertIn('the model has 5 classes, but the rows of dataset "classes" have 4 values', result.stderr)
        result = self.train(recipe, *few, "train.loss=binary_cross_entropy", out="bad", expect=2)
        self.assertIn("classes[1777] is not a row of labels: value 1 of 4 is 0.5, expected 0 or 1", result.stderr)

    def test_regression(self):
        done, run = self.on_all_ranks(self.recipe("regression"), *self.LENGTH)
        line = self.scores(done, run, "mae", "mse")
        self.assertEqual(list(done), ["step", "loss", "mae", "mse", "params"])
        self.assertIsNone(line["accuracy"])
        if not self.LENGTH:
            # The noise alone is 0.09; the values themselves vary by 15.
            self.assertLess(line["mse"], 0.6)
            self.assertLess(lockstep.metrics(run, "step")[-1]["mae"], 1)
        found, values = self.predicted(run, "regression", "predictions", "values")
        # Each error is rounded to f32 before it is summed.
        self.assertAlmostEqual(line["mae"], abs(found - values).mean(), delta=1e-6 * line["mae"] + 1e-6)
        self.assertAlmostEqual(line["mse"], ((found - values)**2).mean(), delta=1e-6 * line["mse"] + 1e-6)

    def test_other_losses_of_regression(self):
        # The same figures as with mse, and other weights; a few steps are enough.
        recipe, few = self.recipe("regression"), ("train.steps=40", "eval.every=20 steps")
        found = {}
        for loss in ("mse", "mae", "huber", "{huber: {delta: 0.1}}"):
            done, run = self.on_all_ranks(recipe, f"train.loss={loss}", *few)
            line = self.scores(done, run, "mae", "mse")
            first, last = lockstep.metrics(run, "eval")[0], lockstep.metrics(run, "eval")[-1]
            self.assertLess(last["loss"], first["loss"])
            self.assertAlmostEqual(line["mse" if loss == "mse" else "mae"], line["loss"],
                                   delta=1e-5 * line["loss"] if loss[0] == "m" else 1e9)
            found[loss] = done["params"]
        self.assertEqual(len(set(found.values())), len(found), found)
        # Huber's loss of errors that are all below delta is half the square.
        done = lockstep.done_line(self.train(recipe, "train.loss={huber: {delta: 1000}}", *few, out="all below"))
        self.assertAlmostEqual(float(done["mse"]) / 2, float(done["loss"]), delta=1e-3 * float(done["loss"]))
        result = self.train(recipe, "train.loss={huber: {delta: 0}}", *few, out="none", expect=2)
        self.assertIn("train.loss.huber.delta", result.stderr)

    def test_labels(self):
        done, run = self.on_all_ranks(self.recipe("labels"), *self.LENGTH)
        line = self.scores(done, run, "label_accuracy", "f1")
        self.assertEqual(list(done), ["step", "loss", "accuracy", "f1", "params"])
        if not self.LENGTH:
            self.assertGreater(line["f1"], 0.98)
        again = lockstep.run("eval", max((run / "checkpoints").iterdir()), "--json", ranks=2)
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertEqual({name: json.loads(again.stdout)[name] for name in ("loss", "accuracy", "label_accuracy", "f1")},
                         {name: line[name] for name in ("loss", "accuracy", "label_accuracy", "f1")})
        said, held = self.predicted(run, "labels", "probabilities", "labels")
        said, held = said > 0.5, held > 0.5
        self.assertEqual(line["accuracy"], (said == held).all(1).mean())
        self.assertEqual(line["label_accuracy"], (said == held).mean())
        self.assertEqual(line["f1"], 2 * (said & held).sum() / (said.sum() + held.sum()))


if __name__ == "__main__":
    unittest.main(verbosity=2)
