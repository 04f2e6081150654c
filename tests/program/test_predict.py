"""predict and eval: one file on any ranks, gone on with after a kill; the figures against numpy's."""
import json
import os
import pathlib
import shutil
import signal
import time
import unittest

import h5py
import numpy

import lockstep


def of_classes(p, labels, least=0.0):
    """The figures, from probabilities as they were written."""
    answer, confidence = p.argmax(1), p.max(1)
    right = answer == labels
    before = (p > p[numpy.arange(len(p)), labels][:, None]).sum(1)
    bins = numpy.clip(numpy.ceil(confidence.astype("f8") * 15).astype(int) - 1, 0, 14)
    ece = sum(abs(right[bins == b].sum() - confidence[bins == b].astype("f8").sum()) for b in range(15)) / len(p)
    confusion = numpy.zeros((p.shape[1], p.shape[1]), int)
    numpy.add.at(confusion, (labels, answer), 1)
    return {"accuracy": right.mean(), "top5": (before < 5).mean(), "ece": ece, "abstained": (confidence < least).sum(),
            "answered_accuracy": right[confidence >= least].mean(), "confusion": confusion.tolist()}


class Predict(lockstep.Case):
    classes = 8
    names = ["ant", "bee", "c d", "dés", "eel", "fox", "gnu", "a name that is longer than a column"]

    @classmethod
    def setUpClass(cls):
        """One checkpoint serves all: eight classes, so that there is a top five."""
        cls.shared = lockstep.tempfile.TemporaryDirectory(prefix="lockstep test ")
        folder = cls.trained = pathlib.Path(cls.shared.name)
        lockstep.write_shards(folder / "data", "train", *lockstep.images(512, classes=cls.classes))
        lockstep.write_shards(folder / "data", "test", *lockstep.images(150, classes=cls.classes, seed=2), shards=3)
        with h5py.File(folder / "data" / "train-00000.h5", "r+") as file:
            file["class_names"] = numpy.array([name.encode() for name in cls.names])
        recipe = lockstep.recipe(folder, {"model.classes": cls.classes, "train.steps": 8})
        result = lockstep.run("train", recipe, "--out", folder / "run")
        assert result.returncode == 0, result.stderr
        cls.checkpoint = folder / "run" / "checkpoints" / "step-00000008.h5"

    @classmethod
    def tearDownClass(cls):
        cls.shared.cleanup()

    def setUp(self):
        self._folder = lockstep.tempfile.TemporaryDirectory(prefix="lockstep test ")
        self.folder = pathlib.Path(self._folder.name)
        self.addCleanup(self._folder.cleanup)
        self.data = self.trained / "data"

    def predict(self, *words, ranks=1, expect=0):
        result = lockstep.run("predict", self.checkpoint, *words, ranks=ranks)
        self.assertEqual(result.returncode, expect, result.stdout + result.stderr)
        if expect not in (0, 75):
            errors = [line for line in result.stderr.splitlines() if line.startswith("lockstep: error:")]
            self.assertEqual(len(errors), 1, result.stderr)
            return errors[0]
        return result.stdout

    def test_one_file_on_any_ranks(self):
        out = self.folder / "out put.h5"
        inputs = (self.data / "test-00002.h5", self.data / "test-0000[01].h5", self.data / "train-*.h5")
        words = (*inputs, "-o", out, "--top", 3, "--min-confidence", 0.2, "--json")
        said, files = [], []
        for ranks in (1, 2, 3):
            said.append(self.predict(*words, ranks=ranks))
            files.append(out.read_bytes())
        self.assertEqual(said[0], said[1])
        self.assertEqual(said[0], said[2])
        self.assertEqual(files[0], files[1])
        self.assertEqual(files[0], files[2])
        self.assertEqual(list(self.folder.iterdir()), [out])
        # In the order of the arguments; each pattern's files by name.
        order = [self.data / name for name in ("test-00002.h5", "test-00000.h5", "test-00001.h5", "train-00000.h5")]
        labels = numpy.concatenate([h5py.File(path)["labels"][()] for path in order])
        with h5py.File(out) as file:
            p, ranked, confidence = file["probabilities"][()], file["class"][()], file["confidence"][()]
            self.assertEqual([name.decode() for name in file["files"][()]], [str(path) for path in order])
            self.assertEqual(file["file_samples"][()].tolist(), [50, 50, 50, 512])
        best = numpy.argsort(-p, axis=1, kind="stable")[:, :3]
        numpy.testing.assert_array_equal(confidence, numpy.take_along_axis(p, best, 1))
        numpy.testing.assert_array_equal(ranked, numpy.where(confidence[:, :1] < numpy.float32(0.2), -1, best))
        found = json.loads(said[0])
        for name, expected in of_classes(p, labels, numpy.float32(0.2)).items():
            # Sums of f64 in another order.
            numpy.testing.assert_allclose(found[name], expected, rtol=1e-9, err_msg=name)
        self.assertEqual(found["samples"], 662)
        self.assertGreater(found["abstained"], 0)

    def test_eval(self):
        said = {lockstep.run("eval", self.checkpoint, "--json", ranks=ranks).stdout for ranks in (1, 2, 3)}
        self.assertEqual(len(said), 1)
        found = json.loads(said.pop())
        out = self.folder / "out.h5"
        predicted = json.loads(self.predict(self.data / "test-*.h5", "-o", out, "--json"))
        for name in ("samples", "accuracy", "top5", "ece", "calibration", "confusion"):
            self.assertEqual(found[name], predicted[name], name)
        end = lockstep.metrics(self.trained / "run", "end")[0]
        self.assertEqual((found["loss"], found["accuracy"]), (end["loss"], end["accuracy"]))
        text = lockstep.run("eval", self.checkpoint).stdout
        self.assertTrue(text.startswith("step=8 loss="), text)
        self.assertIn("recall", text)

    def test_class_names(self):
        """Of data that know no names, the checkpoint does."""
        self.assertEqual(json.loads(lockstep.run("eval", self.checkpoint, "--json").stdout)["class_names"], self.names)
        out = self.folder / "out.h5"
        table = self.predict(self.data / "test-*.h5", "-o", out)
        for name in self.names:
            self.assertIn(name[:15], table)
        with h5py.File(out) as file:
            self.assertEqual([name.decode() for name in file["class_names"][()]], self.names)
        self.assertEqual(lockstep.run("check", self.checkpoint, out).returncode, 0)

    def test_resume(self):
        out, partial = self.folder / "out.h5", self.folder / "out.h5.partial"
        words = (self.data / "train-*.h5", "-o", out, "--json")
        said = self.predict(*words)
        whole = out.read_bytes()
        # Every place to be stopped at is a file whose rows are there up to one, and some behind it perhaps.
        for rows, behind in ((0, ()), (1, (7,)), (33, (40, 41, 511)), (64, ()), (511, ()), (512, ())):
            shutil.copy(out, partial)
            with h5py.File(partial, "r+") as file:
                for i in set(range(rows, 512)) - set(behind):
                    for name in ("probabilities", "class", "confidence", "crc32c"):
                        file[name][i] = 0
            out.unlink()
            with self.subTest(rows=rows):
                self.assertEqual(self.predict(*words, "--resume", ranks=1 + rows % 3), said)
                self.assertEqual(out.read_bytes(), whole)
                self.assertFalse(partial.exists())
        # What is whole is not computed again, and a damaged row is told of.
        self.assertEqual(self.predict(*words, "--resume"), said)
        with h5py.File(out, "r+") as file:
            file["confidence"][200] += 1
        self.assertIn("row 192", self.predict(*words, "--resume", expect=2))  # whole chunks are kept
        # Killed before there was anything in it.
        out.unlink()
        partial.write_bytes(b"")
        self.assertEqual(self.predict(*words, "--resume"), said)
        # Another's rows are not gone on with.
        partial.write_bytes(whole)
        for other in ((self.data / "test-*.h5", "-o", out), (*words, "--top", 2), (*words, "--min-confidence", 0.3)):
            self.assertIn("cannot go on", self.predict(*other, "--resume", expect=2))
        self.assertEqual(partial.read_bytes(), whole)
        # Without --resume they are written over, which is said.
        again = lockstep.run("predict", self.checkpoint, *words)
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertEqual(again.stdout, said)
        self.assertIn(f"{partial}: what an earlier run has left there is written over", again.stderr)
        self.assertFalse(partial.exists())
        self.assertNotIn("written over", lockstep.run("predict", self.checkpoint, *words).stderr)

    def test_killed(self):
        """By SIGKILL and by SIGUSR1, which ends with 75: what comes of it is what a run without a kill gives."""
        with h5py.File(self.folder / "large.h5", "w") as file:
            file["images"] = numpy.tile(lockstep.images(512)[0], (4 if lockstep.QUICK else 40, 1, 1, 1))
        out, partial = self.folder / "out.h5", self.folder / "out.h5.partial"
        words = (self.folder / "large.h5", "-o", out)
        self.predict(*words)
        whole = out.read_bytes()
        for ranks, sent in ((1, signal.SIGKILL), (1, signal.SIGUSR1), (3, signal.SIGUSR1)):
            out.unlink()
            process = lockstep.start("predict", self.checkpoint, *words, ranks=ranks)
            while not partial.exists() and process.poll() is None:
                time.sleep(0.001)
            process.send_signal(sent)
            said = lockstep.reap(process)
            if process.returncode != 0:  # else it was done before the signal came
                self.assertEqual(process.returncode, 75 if sent == signal.SIGUSR1 else -9, said)
                self.assertFalse(out.exists())
                self.assertTrue(partial.exists())
                self.predict(*words, "--resume", ranks=4 - ranks)
            self.assertEqual(out.read_bytes(), whole)
            self.assertFalse(partial.exists())

    def test_refusals(self):
        data, out = self.data / "test-00000.h5", self.folder / "none" / "out.h5"
        said = self.predict(data, "-o", out, expect=2)
        self.assertIn(f"its folder {out.parent}", said)
        self.assertIn("folder", self.predict(data, "-o", self.folder, expect=2))
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        self.assertIn("pipe", self.predict(data, "-o", pipe, expect=2))
        if shutil.which("gnuplot"):
            self.assertIn("pipe", self.predict(data, "-o", self.folder / "o.h5", "--confusion", pipe, expect=2))
        self.assertTrue(pipe.is_fifo())
        self.assertIn("found a pipe", self.predict(pipe, "-o", self.folder / "o.h5", expect=2))
        pipe.unlink()
        self.assertIn("--min-confidence", self.predict(data, "-o", self.folder / "o.h5", "--min-confidence", "nan", expect=2))
        self.assertIn("--min-confidence", self.predict(data, "-o", self.folder / "o.h5", "--min-confidence", 1.5, expect=2))
        self.assertIn("top: expected 1 to 8, found 9", self.predict(data, "-o", self.folder / "o.h5", "--top", 9, expect=2))
        self.assertIn("is listed 2 times", self.predict(data, data, "-o", self.folder / "o.h5", expect=2))
        other = self.folder / "other.h5"
        with h5py.File(other, "w") as file:
            file["images"] = numpy.zeros((3, 20, 16, 1), "u1")
        for ranks in (1, 2):
            said = self.predict(other, "-o", self.folder / "o.h5", ranks=ranks, expect=2)
            for part in (str(other), "20x16x1", "16x16x1"):
                self.assertIn(part, said)
        bare = self.folder / "bare.h5"
        with h5py.File(bare, "w") as file:
            file["images"] = numpy.zeros((3, 16, 16, 1), "u1")
        wanted = "no targets" if shutil.which("gnuplot") else "gnuplot"
        self.assertIn(wanted, self.predict(bare, "-o", self.folder / "o.h5", "--confusion", self.folder / "c.png", expect=2))
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()), ["bare.h5", "other.h5"])
        for name, content in (("notes.h5", b"mine"), ("shard.h5", data.read_bytes())):
            taken = self.folder / name
            taken.write_bytes(content)
            self.assertIn(f"output: {taken}: is there, and is no file that predict wrote", self.predict(data, "-o", taken, expect=2))
            if shutil.which("gnuplot"):
                self.assertIn(f"--confusion: {taken}: is there, and is no PNG", self.predict(data, "-o", self.folder / "o.h5", "--confusion", taken, expect=2))
            self.assertEqual(taken.read_bytes(), content)

    def test_not_finite(self):
        """A model that gives no number for one sample: that is named, and nothing is left behind."""
        broken, data = self.folder / "broken.h5", self.folder / "data.h5"
        x = numpy.zeros((70, 12), "f4")
        x[66] = 3e38
        with h5py.File(data, "w") as file:
            file["images"], file["labels"] = x, numpy.zeros((70, 2), "f4")
        recipe = lockstep.recipe(self.folder, {
            "model": {"zoo": "mlp", "classes": 2, "width": 64, "depth": 1}, "data.train": str(data), "data.test": [],
            "data.normalize": {"mean": [0], "std": [1]}, "data.augment": {}, "train.loss": {"mse": {}}, "train.steps": 1,
            "train.batch": 16, "train.lanes": 4, "train.schedule": {"constant": {"peak": 1e-9}}, "train.nan_limit": 9})
        result = lockstep.run("train", recipe, "--out", self.folder / "run")
        self.assertEqual(result.returncode, 0, result.stderr)
        checkpoint = self.folder / "run" / "checkpoints" / "step-00000001.h5"
        for ranks in (1, 3):
            result = lockstep.run("predict", checkpoint, data, "-o", broken, ranks=ranks)
            self.assertEqual(result.returncode, 3, result.stderr)
            self.assertIn(f"{data}: images[66]", result.stderr)
            self.assertEqual(list(self.folder.glob("broken*")), [])
        # Without it: errors in place of classes.
        with h5py.File(data, "r+") as file:
            file["images"][66] = 0
            file["images"][:] = numpy.linspace(-1, 1, 70 * 12).reshape(70, 12)
            file["labels"][:] = numpy.linspace(0, 3, 140).reshape(70, 2)
        said = {lockstep.run("predict", checkpoint, data, "-o", broken, "--json", ranks=ranks).stdout for ranks in (1, 2, 5)}  # of 4 lanes
        self.assertEqual(len(said), 1)
        found = json.loads(said.pop())
        with h5py.File(broken) as file, h5py.File(data) as truth:
            error = file["predictions"][()].astype("f8") - truth["labels"][()]
            self.assertNotIn("class", file)
        # Each squared error is rounded to f32.
        for name, expected in (("mse", (error ** 2).mean()), ("mae", abs(error).mean()), ("max_error", abs(error).max())):
            numpy.testing.assert_allclose(found[name], expected, rtol=1e-6)

    @unittest.skipUnless(shutil.which("gnuplot"), "gnuplot is not installed")
    def test_picture(self):
        picture = self.folder / "con fusion.png"
        self.predict(self.data / "test-*.h5", "-o", self.folder / "o.h5", "--confusion", picture, ranks=2)
        self.assertEqual(picture.read_bytes()[:8], b"\x89PNG\r\n\x1a\n")
        self.assertGreater(len(picture.read_bytes()), 5000)
        self.assertEqual(len(list(self.folder.iterdir())), 2)

    def test_picture_without_gnuplot(self):
        result = lockstep.subprocess.run(lockstep.command("predict", self.checkpoint, self.data / "test-*.h5", "-o", self.folder / "o.h5",
                                                          "--confusion", self.folder / "c.png"),
                                         env=dict(lockstep.ENVIRONMENT, PATH=""), capture_output=True, text=True)
        self.assertEqual(result.returncode, 2)
        self.assertIn("gnuplot", result.stderr)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_disk_full(self):
        """That the file will not fit is said before anything is computed, and nothing is left of it."""
        words = lockstep.command("predict", self.checkpoint, self.data / "train-*.h5", "-o", self.folder / "out.h5")
        result = lockstep.subprocess.run(["bash", "-c", 'ulimit -f 8; exec "$@"', "bash", *words], capture_output=True,
                                         text=True, env=lockstep.ENVIRONMENT)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn(str(self.folder / "out.h5"), result.stderr)
        self.assertEqual(list(self.folder.iterdir()), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
