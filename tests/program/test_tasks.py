"""Tasks beside one class a sample, and classes of uneven size: each trained to a stated quality, on any number of ranks."""
import shutil
import unittest

import numpy

import lockstep


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
        others = lockstep.done_line(self.train(recipe, "train.class_weights=[1, 1, 1, 2]", out="others"))
        self.assertNotEqual(others["params"], done["params"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
