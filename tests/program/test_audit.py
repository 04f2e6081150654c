"""Audits change no bit, and name a rank whose device computes wrongly."""
import os
import unittest

import lockstep

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

    def find(self, ranks, every, fault):
        command = lockstep.MPIRUN + ["-n", str(ranks), FAULTY, "train", str(self.recipe), "--out", str(self.folder / f"bad{ranks}{every}"),
                                     f"train.audit_every={every}"]
        result = lockstep.subprocess.run(command, capture_output=True, text=True, stdin=lockstep.subprocess.DEVNULL, timeout=300,
                                         env=dict(lockstep.WITH_MPI, LOCKSTEP_FAULT=fault))
        self.assertEqual(result.returncode, 4, result.stderr)
        errors = [line for line in result.stderr.splitlines() if "lockstep: error:" in line]
        self.assertEqual(len(errors), 1, result.stderr)
        return errors[0]

    def test_a_wrong_bit_is_found_and_its_rank_named(self):
        # One bit of every gradient that rank 2 computes, from the fifth step on.
        error = self.find(4, 3, "rank=2 step=4 at=forward do=flip")
        self.assertIn("audit at step 6: rank 2 computes wrongly", error)
        self.assertIn("the last audit that passed was at step 3", error)

    def test_of_two_ranks_nobody_can_tell(self):
        error = self.find(2, 1, "rank=1 step=4 at=forward do=flip")
        self.assertIn("audit at step 5: rank 0 and rank 1", error)


if __name__ == "__main__":
    unittest.main(verbosity=2)
