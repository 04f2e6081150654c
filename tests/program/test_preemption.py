"""A signal at any time, and a run folder that is lost: what is written, and how the run ends."""
import os
import pathlib
import shutil
import signal
import subprocess
import time
import unittest

import h5py
import lockstep
from lockstep import children


def catches(pid, number):
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    caught = [line for line in status.splitlines() if line.startswith("SigCgt:")]
    return bool(caught) and int(caught[0].split()[1], 16) >> (number - 1) & 1 == 1


class Preemption(lockstep.Case):
    def begin(self, *words, ranks=2, out="run", **changes):
        recipe = lockstep.recipe(self.folder, changes)
        return recipe, lockstep.start("train", recipe, "--out", self.folder / out, *words, ranks=ranks)

    def wait_for(self, process, ready):
        deadline = time.time() + 120
        while process.poll() is None and not ready():
            self.assertLess(time.time(), deadline)
            time.sleep(0.002)

    def has_metrics(self, word, out="run"):
        path = self.folder / out / "metrics.jsonl"
        return path.exists() and word in path.read_text()

    def files(self, out="run"):
        folder = self.folder / out / "checkpoints"
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def test_signal_while_starting(self):
        """Whenever it comes, nothing is half-written, and --resume ends with the undisturbed hash."""
        recipe = lockstep.recipe(self.folder)
        whole = lockstep.done_line(self.train(recipe, out="whole"))["params"]
        for trial, delay in enumerate((0, 0.15, 0.3)):
            with self.subTest(delay=delay):
                out = f"start{trial}"
                process = lockstep.start("train", recipe, "--out", self.folder / out, "train.steps=2000", ranks=2)
                # Before main has run at all, a signal does what it does to any program.
                self.wait_for(process, lambda p=process: [catches(pid, signal.SIGUSR1) for pid in children(p.pid)] == [True] * 2)
                time.sleep(delay)
                process.send_signal(signal.SIGUSR1)
                _, stderr = process.communicate(timeout=120)
                self.assertEqual(process.returncode, 75, stderr)
                self.assertIn("stopped by a signal", stderr)
                if "before the first step" in stderr:
                    self.assertEqual(self.files(out), [])
                    result = self.train(recipe, "--resume", ranks=2, out=out)
                    self.assertEqual(lockstep.done_line(result)["params"], whole)

    def test_signal_to_one_rank(self):
        for number, victim in ((signal.SIGTERM, 1), (signal.SIGUSR1, 0)):
            with self.subTest(signal=number, victim=victim):
                out = f"one{number}"
                _, process = self.begin("train.steps=100000", out=out)
                self.wait_for(process, lambda out=out: self.has_metrics('"kind":"step"', out))
                os.kill(sorted(children(process.pid))[victim], number)
                _, stderr = process.communicate(timeout=120)
                self.assertEqual(process.returncode, 75, stderr)

    def test_signal_in_the_evaluation_that_resuming_makes_up_for(self):
        """The step is saved already: it is not written again, and its evaluation is not left out."""
        changes = {"train.steps": 4, "eval.every": "2 steps", "checkpoint.every": "2 steps"}
        lockstep.write_shards(self.folder / "data", "test", *lockstep.images(20000, seed=2))
        recipe, process = self.begin(**changes)
        self.wait_for(process, lambda: self.has_metrics('"step":2,'))
        process.send_signal(signal.SIGUSR1)
        process.communicate(timeout=120)
        self.assertEqual(process.returncode, 75)
        self.assertEqual(lockstep.metrics(self.folder / "run", "eval"), [])
        self.assertEqual(self.files(), ["step-00000002.h5"])
        before = (self.folder / "run" / "checkpoints" / "step-00000002.h5").stat()
        process = lockstep.start("train", recipe, "--out", self.folder / "run", "--resume", ranks=2)
        self.wait_for(process, lambda: (self.folder / "run" / "metrics.jsonl").read_text().count('"kind":"start"') == 2)
        process.send_signal(signal.SIGUSR1)
        stderr = process.communicate(timeout=120)[1]
        self.assertEqual(process.returncode, 75, stderr)
        after = (self.folder / "run" / "checkpoints" / "step-00000002.h5").stat()
        self.assertEqual((before.st_ino, before.st_mtime_ns), (after.st_ino, after.st_mtime_ns))
        self.train(recipe, "--resume", ranks=2)
        self.assertEqual([line["step"] for line in lockstep.metrics(self.folder / "run", "eval")], [2, 4])

    def test_run_folder_removed_or_replaced(self):
        """Training goes on; what cannot be kept is said; a folder that is another run's now is left alone."""
        for replaced in (False, True):
            with self.subTest(replaced=replaced):
                out = self.folder / f"gone{replaced}"
                _, process = self.begin("train.steps=60", "checkpoint.every=20 steps", out=out.name)
                self.wait_for(process, lambda out=out: self.has_metrics('"kind":"step"', out.name))
                shutil.move(out, self.folder / f"moved{replaced}")
                if replaced:
                    (out / "checkpoints").mkdir(parents=True)
                    (out / "lock").touch()
                stdout, stderr = process.communicate(timeout=300)
                self.assertEqual(process.returncode, 1, stderr)
                self.assertIn("done: step=60", stdout)
                self.assertIn("run folder was removed", stderr)
                self.assertEqual(stderr.count("lockstep: error"), 1, stderr)
                if replaced:
                    self.assertEqual(self.files(out.name), [])
                else:
                    self.assertFalse(out.exists())

    def test_preempted_with_a_full_disk(self):
        """The checkpoint before was lost; the one that counts was not: 75, so that the job is queued again."""
        recipe, process = self.begin("train.steps=100000", "checkpoint.every=5 steps", ranks=1)
        folder = self.folder / "run" / "checkpoints"
        self.wait_for(process, lambda: self.has_metrics('"kind":"checkpoint"'))
        subprocess.run(["prlimit", "--pid", str(process.pid), "--fsize=20000:unlimited"], check=True)
        kept = set(folder.glob("*.h5"))
        # The writer is asked every 5 steps, and passes over a step while it is at work.
        metrics = self.folder / "run" / "metrics.jsonl"
        steps = metrics.read_text().count('"kind":"step"')
        self.wait_for(process, lambda: metrics.read_text().count('"kind":"step"') >= steps + 15)
        subprocess.run(["prlimit", "--pid", str(process.pid), "--fsize=unlimited:unlimited"], check=True)
        process.send_signal(signal.SIGUSR1)
        _, stderr = process.communicate(timeout=120)
        self.assertIn("training goes on", stderr)
        self.assertEqual(process.returncode, 75, stderr)
        self.assertTrue(kept)
        for path in folder.glob("*.h5"):
            with h5py.File(path) as file:
                self.assertIn("model", file)


if __name__ == "__main__":
    unittest.main(verbosity=2)
