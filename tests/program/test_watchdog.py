"""Whatever dies or hangs, every rank ends soon, and one line names the culprit."""
import os
import signal
import time
import unittest

import lockstep
from lockstep import children


class Watchdog(lockstep.Case):
    def setUp(self):
        super().setUp()
        self.recipe = lockstep.recipe(self.folder, {"train.steps": 100000, "train.timeout": "3s", "eval.every": "1000 steps",
                                                    "checkpoint.every": "1000 steps"})

    def test_stopped_while_starting(self):
        """As soon as all are there, whatever they are at: before MPI has come up, or after."""
        for victim in (0, 2)[lockstep.QUICK:]:
            with self.subTest(victim=victim):
                process = lockstep.start("train", self.recipe, "--out", self.folder / f"start{victim}", ranks=3)
                pids = []
                while process.poll() is None and len(pids) < 3:
                    pids = sorted(children(process.pid))
                began = time.time()
                os.kill(pids[victim], signal.SIGSTOP)
                stderr = lockstep.reap(process, timeout=60)[1]
                self.assertLess(time.time() - began, 3 + 15)
                self.assertEqual(process.returncode, 4, stderr)
                errors = [line for line in stderr.splitlines() if "lockstep: error:" in line]
                self.assertEqual(len(errors), 1, errors)
                self.assertIn(f"rank {victim} (host", errors[0])

    def disturb(self, number, victim, ranks=3):
        """Signals a rank in the midst of training; what was printed as errors, and the exit status."""
        out = self.folder / f"run{number}-{victim}"
        process = lockstep.start("train", self.recipe, "--out", out, ranks=ranks)
        deadline = time.time() + 120
        metrics = out / "metrics.jsonl"
        while process.poll() is None and not (metrics.exists() and '"step"' in metrics.read_text()):
            self.assertLess(time.time(), deadline)
            time.sleep(0.02)
        pids = sorted(children(process.pid))
        self.assertEqual(len(pids), ranks)
        began = time.time()
        os.kill(pids[victim], number)
        stderr = lockstep.reap(process, timeout=60)[1]
        self.assertLess(time.time() - began, 3 + 15)
        for pid in pids:
            self.assertFalse(lockstep.is_running(pid), f"process {pid} is left")
        errors = [line for line in stderr.splitlines() if "lockstep: error:" in line]
        return errors, process.returncode

    def test_killed_ranks_are_named(self):
        for victim in (0, 2):
            with self.subTest(victim=victim):
                errors, status = self.disturb(signal.SIGKILL, victim)
                self.assertNotEqual(status, 0)
                # The launcher may be quicker than the line.
                for error in errors:
                    self.assertIn(f"rank {victim} (host", error)
                self.assertLessEqual(len(errors), 1, errors)

    def test_stopped_ranks_are_named(self):
        for victim in (0, 1):
            with self.subTest(victim=victim):
                errors, status = self.disturb(signal.SIGSTOP, victim)
                self.assertEqual(len(errors), 1, errors)
                self.assertIn(f"rank {victim} (host", errors[0])
                self.assertIn("could not be heard for 3 s", errors[0])
                self.assertEqual(status, 4)


if __name__ == "__main__":
    unittest.main(verbosity=2)
