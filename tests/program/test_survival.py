"""Through any crash and restart: the hash of a run never disturbed."""
import contextlib
import os
import random
import signal
import time
import unittest

import lockstep


class Survival(lockstep.Case):
    STEPS = 40

    def setUp(self):
        super().setUp()
        self.recipe = lockstep.recipe(self.folder, {"train.steps": self.STEPS, "checkpoint.every": "1 steps", "train.batch": 128, "eval.every": "5 steps"})
        self.undisturbed = lockstep.done_line(self.train(self.recipe, out="whole"))["params"]

    def test_killed_at_random_moments(self):
        rng = random.Random(7)
        for trial in range(3 if lockstep.QUICK else 8):
            out = f"killed{trial}"
            ranks = [3, 1, 8, 2, 5, 4, 2, 3]
            with self.subTest(trial=trial):
                for attempt in range(3):
                    process = lockstep.start("train", self.recipe, "--out", self.folder / out, "--resume",
                                             ranks=ranks[(trial + attempt) % 8])
                    self.wait_for_steps(process, out, rng.randrange(1, self.STEPS))
                    time.sleep(rng.random() * 0.05)
                    for pid in lockstep.children(process.pid) or [process.pid]:
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)
                    lockstep.reap(process, timeout=30)
                result = self.train(self.recipe, "--resume", ranks=ranks[trial % 8], out=out)
                self.assertEqual(lockstep.done_line(result)["params"], self.undisturbed)
                self.check_metrics(out)
                left = [path.name for path in (self.folder / out / "checkpoints").iterdir() if not path.name.endswith(".h5")]
                self.assertEqual(left, [], "temporary files left behind")

    def check_metrics(self, out):
        whole = {line["step"]: line["loss"] for line in lockstep.metrics(self.folder / "whole", "step")}
        lines = lockstep.metrics(self.folder / out, "step")
        self.assertEqual([line["step"] for line in lines], list(range(1, self.STEPS + 1)))
        self.assertEqual({line["step"]: line["loss"] for line in lines}, whole)

    def test_what_was_left_goes(self):
        """Half-written files of a run, and of a packing, that was killed; nobody else's."""
        recipe = lockstep.recipe(self.folder, {"train.steps": 2})
        run = self.folder / "run"
        self.train(recipe)
        left = [run / "recipe.yaml.4711.tmp", run / "metrics.jsonl.tmp", run / "trace.json.12.tmp",
                run / "checkpoints" / "step-00000009.h5.tmp"]
        others = [run / "notes.tmp", run / "recipe.yaml.mine.tmp", run / "checkpoints" / "mine.tmp"]
        for path in left + others:
            path.touch()
        lockstep.run("train", recipe, "--out", run)  # refused: it holds a run
        self.assertTrue(all(path.exists() for path in left + others))
        self.train(recipe, "--resume")
        self.assertEqual([path for path in left if path.exists()], [])
        self.assertTrue(all(path.exists() for path in others))
        idx, shards = self.folder / "idx", self.folder / "shards"
        shards.mkdir()
        idx.write_bytes(b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (6, 2, 2)) + bytes(24))
        (self.folder / "labels").write_bytes(b"\0\0\x08\x01" + (6).to_bytes(4, "big") + bytes(6))
        left = [shards / "train-00001-of-00002.h5.tmp", shards / "train-00007-of-00009.h5.tmp"]
        others = [shards / "test-00000-of-00001.h5.tmp", shards / "train.tmp"]
        for path in left + others:
            path.touch()
        result = lockstep.run("pack", "idx", idx, self.folder / "labels", "-o", shards, "--shards", 2, ranks=2)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(sorted(path.name for path in shards.iterdir()),
                         sorted(["train-00000-of-00002.h5", "train-00001-of-00002.h5"] + [path.name for path in others]))

    def test_signal_writes_a_checkpoint(self):
        for number, ranks in ((signal.SIGUSR1, 1), (signal.SIGTERM, 1), (signal.SIGUSR1, 2)):
            out = f"signal{number}-{ranks}"
            with self.subTest(signal=number, ranks=ranks):
                process = lockstep.start("train", self.recipe, "--out", self.folder / out, "train.steps=2000", ranks=ranks)
                self.wait_for_steps(process, out, 3)
                process.send_signal(number)
                stdout, stderr = process.communicate(timeout=120)
                self.assertEqual(process.returncode, 75, stdout + stderr)
                self.assertIn("stopped by a signal", stderr)
                step = lockstep.metrics(self.folder / out, "step")[-1]["step"]
                self.assertTrue((self.folder / out / "checkpoints" / f"step-{step:08}.h5").exists())

    def test_signal_then_resume(self):
        process = lockstep.start("train", self.recipe, "--out", self.folder / "usr1", ranks=2)
        self.wait_for_steps(process, "usr1", 3)
        process.send_signal(signal.SIGUSR1)
        process.communicate(timeout=120)
        self.assertEqual(process.returncode, 75)
        result = self.train(self.recipe, "--resume", ranks=3, out="usr1")
        self.assertEqual(lockstep.done_line(result)["params"], self.undisturbed)
        self.check_metrics("usr1")

    def test_corrupt_newest_is_passed_over(self):
        self.train(self.recipe, out="bad")
        checkpoints = sorted((self.folder / "bad" / "checkpoints").glob("*.h5"))
        content = bytearray(checkpoints[-1].read_bytes())
        content[len(content) // 2] ^= 1
        checkpoints[-1].write_bytes(content)
        checkpoints[-2].write_bytes(checkpoints[-2].read_bytes()[:5000])
        result = self.train(self.recipe, "--resume", out="bad")
        self.assertIn(checkpoints[-1].name, result.stderr)
        self.assertIn(checkpoints[-2].name, result.stderr)
        self.assertIn(f"resuming from {checkpoints[-3]}", result.stderr)
        self.assertEqual(lockstep.done_line(result)["params"], self.undisturbed)

    def test_what_may_not_change(self):
        for override in ("seed=9", "train.batch=64", "train.lanes=4", "model.dropout=0.3", "train.optimizer.sgd.momentum=0.5"):
            result = self.train(self.recipe, override, "--resume", out="whole", expect=2)
            self.assertIn(override.split("=")[0].split(".")[-1], result.stderr)
        result = self.train(self.recipe, "device.threads=1", "data.threads=1", "--resume", out="whole")
        self.assertEqual(lockstep.done_line(result)["params"], self.undisturbed)

    def test_folder_of_another_run(self):
        result = self.train(self.recipe, out="whole", expect=2)
        self.assertIn("--resume", result.stderr)



class ChangedData(lockstep.Case):
    """A set that is not what the run began with is noticed, and refused unless it is told otherwise."""

    def resume(self, *words, expect):
        return self.train(self.recipe, "train.steps=4", "--resume", *words, expect=expect)

    def begin(self):
        self.recipe = lockstep.recipe(self.folder, {"train.steps": 4, "checkpoint.every": "2 steps"})
        self.train(self.recipe)
        for path in sorted((self.folder / "run" / "checkpoints").glob("*.h5"))[1:]:
            path.unlink()  # as if it had been killed after the first

    def assert_refused_then_accepted(self, why):
        before = sorted(p.name for p in (self.folder / "run" / "checkpoints").iterdir())
        refused = self.resume(expect=2)
        self.assertIn("data.train is not the set that the run began with", refused.stderr)
        self.assertIn(why, refused.stderr)
        self.assertEqual(sorted(p.name for p in (self.folder / "run" / "checkpoints").iterdir()), before)
        starts = lockstep.metrics(self.folder / "run", "start")
        accepted = self.resume("--accept-changed-data", expect=0)
        self.assertIn("warning", accepted.stderr)
        first, last = starts[0], lockstep.metrics(self.folder / "run", "start")[-1]
        self.assertNotEqual((first["data_identity"], first["data_content"]), (last["data_identity"], last["data_content"]))
        again = self.resume(expect=0)  # the file that was written with them is theirs
        self.assertNotIn("is not the set", again.stderr)

    def test_unchanged(self):
        self.begin()
        data = self.folder / "data"
        for path in data.glob("*.h5"):  # another place, other times, the same bytes
            content = path.read_bytes()
            path.unlink()
            path.write_bytes(content)
        self.assertNotIn("is not the set", self.resume(expect=0).stderr)

    def test_a_label(self):
        self.begin()
        with lockstep.h5py.File(self.folder / "data" / "train-00001.h5", "r+") as file:
            file["labels"][17] = (file["labels"][17] + 1) % 4
        self.assert_refused_then_accepted("samples or targets were changed")

    def test_all_samples(self):
        self.begin()
        for path in (self.folder / "data").glob("train-*.h5"):
            with lockstep.h5py.File(path, "r+") as file:
                file["images"][:] = file["images"][:] // 2
        self.assert_refused_then_accepted("samples or targets were changed")

    def test_another_file(self):
        self.begin()
        lockstep.shutil.copy(self.folder / "data" / "train-00000.h5", self.folder / "data" / "train-00009.h5")
        self.assert_refused_then_accepted("files, sizes or identities differ")


if __name__ == "__main__":
    unittest.main(verbosity=2)
