"""Audits change no bit, and name a rank whose device computes wrongly."""
import os
import pathlib
import shutil
import socket
import unittest

import lockstep

HOST = socket.gethostname()
FAULTY = os.environ["LOCKSTEP_FAULTY"]


class Audit(lockstep.Case):
    def setUp(self):
        super().setUp()
        self.recipe = lockstep.recipe(self.folder, {"train.steps": 9})

    def test_audits_change_nothing(self):
        params = lockstep.done_line(self.train(self.recipe, out="plain"))["params"]
        for ranks, every in ((1, 1), (2, 2), (3, 1), (5, 4)):
            with self.subTest(ranks=ranks, every=every):
                result = self.train(self.recipe, f"train.audit_every={every}", ranks=ranks, out=f"audited{ranks}")
                self.assertEqual(lockstep.done_line(result)["params"], params)

    def find(self, ranks, every, fault, words=()):
        command = lockstep.MPIRUN + ["-n", str(ranks), FAULTY, "train", str(self.recipe), "--out", str(self.folder / f"bad{ranks}{every}"),
                                     f"train.audit_every={every}", *words]
        result = lockstep.subprocess.run(command, capture_output=True, text=True, stdin=lockstep.subprocess.DEVNULL, timeout=300,
                                         env=dict(lockstep.WITH_MPI, LOCKSTEP_FAULT=fault))
        self.assertEqual(result.returncode, 4, result.stderr)
        errors = [line for line in result.stderr.splitlines() if "lockstep: error:" in line]
        self.assertEqual(len(errors), 1, result.stderr)
        return errors[0]

    def test_a_wrong_bit_is_found_and_its_rank_named(self):
        # One bit of every gradient that rank 2 computes, from the fifth step on.
        error = self.find(4, 3, "rank=2 step=4 at=forward do=flip")
        self.assertIn(f"audit at step 6: rank 2 (host {HOST}) computes wrongly", error)
        self.assertIn("steps after 3 (the audit before) are set aside", error)

    def test_the_rank_that_owns_the_lane_is_told_from_the_one_that_audits_it(self):
        for wrong in (0, 1, 2):
            with self.subTest(wrong=wrong):
                self.assertIn(f"rank {wrong} (host {HOST}) computes wrongly", self.find(3, 2, f"rank={wrong} step=3 at=forward do=flip"))
                shutil.rmtree(self.folder / "bad32")

    def test_an_error_made_once_is_found_by_the_rank_itself_and_by_two(self):
        # Rank 0 of one; of two the audited lane's owner. At step 4 the turn is the first of rank 0's lanes again.
        lanes = lockstep.yaml.safe_load(pathlib.Path(self.recipe).read_text())["train"]["lanes"]
        for ranks in (1, 2):
            with self.subTest(ranks=ranks):
                step = lanes // ranks - 1
                self.assertIn(f"audit at step {step + 1}: rank 0 (host {HOST}) computes wrongly",
                              self.find(ranks, 1, f"rank=0 step={step} at=forward do=glitch"))

    def test_a_weight_that_was_converted_wrongly(self):
        for ranks in (1, 2):
            with self.subTest(ranks=ranks):
                self.assertIn(f"rank 0 (host {HOST}) computes wrongly",
                              self.find(ranks, 1, "rank=0 step=0 at=convert do=glitch",
                                        ["device.threads=1"]))

    def test_what_was_saved_since_the_last_audit_is_not_resumed_from(self):
        words = ["checkpoint.every=1 steps", "checkpoint.keep=1", "eval.every=0", "train.audit_every=3"]
        params = lockstep.done_line(self.train(self.recipe, out="undisturbed"))["params"]
        self.find(3, 3, "rank=1 step=4 at=forward do=flip", words[:3])
        left = sorted(path.name for path in (self.folder / "bad33" / "checkpoints").iterdir())
        self.assertEqual(left, ["step-00000003.h5", "step-00000005.h5.suspect"])
        resumed = self.train(self.recipe, *words, "--resume", ranks=2, out="bad33")
        self.assertEqual(lockstep.done_line(resumed)["params"], params)

    def test_of_two_ranks_nobody_can_tell(self):
        error = self.find(2, 1, "rank=1 step=4 at=forward do=flip")
        self.assertIn(f"audit at step 5: rank 0 (host {HOST}) and rank 1 (host {HOST})", error)


if __name__ == "__main__":
    unittest.main(verbosity=2)
