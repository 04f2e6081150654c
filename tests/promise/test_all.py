"""The promise for all that there is: every op, every model, every optimizer with whatever stands beside it."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import h5py
import numpy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "program"))
import lockstep  # noqa: E402

TRAININGS = os.environ["LOCKSTEP_TRAININGS"]
BF16 = {"train.precision": "bf16", "device.kernels": "plain"}  # the plain kernels compute it on every processor


def first_words(*words):
    return [line.split()[0] for line in lockstep.run(*words).stdout.splitlines()]


class All(unittest.TestCase):
    RANKS = (1, 3) if lockstep.QUICK else (1, 2, 3, 8)

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="lockstep promise ")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        random = numpy.random.default_rng(1)
        with h5py.File(cls.folder / "data.h5", "w") as file:
            for name, shape in (("small", (8, 8, 3)), ("large", (32, 32, 3)), ("signals", (1, 64, 1))):
                file[name] = random.integers(0, 256, (24, *shape)).astype("u1")
            file["tokens"] = random.integers(0, 20, (24, 9))
            file["labels"] = random.integers(0, 4, 24).astype("i4")
            file["flags"] = random.integers(0, 2, (24, 4)).astype("u1")
            file["values"] = random.random((24, 4)).astype("f4")
        cls.recipe = lockstep.recipe(cls.folder, model={"zoo": "every_op", "classes": 4}, data={
            "train": "data.h5", "test": "data.h5", "input": "small", "augment": {"flip": True}
        }, train={
            "steps": 2, "batch": 16, "lanes": 8, "schedule": {"constant": {"peak": 0.01}}
        }, eval={"every": 0}, checkpoint={"every": 0})

    def train_all(self, trainings, ranks):
        """Of each training its ops and what it gave; and the op table."""
        with tempfile.TemporaryDirectory(dir=self.folder) as out:
            listed = pathlib.Path(out) / "list"
            listed.write_text("".join("\t".join(f"{key}={json.dumps(value)}" for key, value in training.items()) + "\n"
                                      for training in trainings))
            launcher = lockstep.MPIRUN + ["-n", str(ranks)] if ranks > 1 else []
            result = subprocess.run([*launcher, TRAININGS, self.recipe, listed, out], capture_output=True, text=True,
                                    env=lockstep.WITH_MPI if ranks > 1 else lockstep.ENVIRONMENT)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        table, *lines = result.stdout.splitlines()
        self.assertEqual(len(lines), len(trainings))
        said = [line.split(" :") for line in lines]
        return [(set(ops.split()), given) for ops, given in said], set(table.split())

    def compare(self, trainings, numbers=RANKS):
        """The ops that these trainings had, the op table, and what each gave, on any of these numbers of ranks."""
        first, table = self.train_all(trainings, numbers[0])
        for ranks in numbers[1:]:
            for training, one, other in zip(trainings, first, self.train_all(trainings, ranks)[0]):
                with self.subTest(ranks=ranks, **training):
                    self.assertEqual(one, other)
        return set.union(*(ops for ops, _ in first)), table, [given for _, given in first]

    def test_every_op(self):
        model = {"model.freeze": ["still"]}
        losses = [{"train.loss": loss, "data.target": target} for loss, target in
                  (("binary_cross_entropy", "flags"), ("mse", "values"), ("mae", "values"), ("huber", "values"))]
        trainings = [dict(model, **loss, **precision) for precision in ({}, BF16, {"device.kernels": "plain"})
                     for loss in ([{}] + losses if precision != {"device.kernels": "plain"} else [{}])]
        tokens = {"model.zoo": "tokens", "model.vocabulary": 20, "data.input": "tokens", "data.augment.flip": False}
        trainings += [dict(tokens, **precision) for precision in ({}, BF16)]
        ops, table, given = self.compare(trainings)
        self.assertEqual(table - ops, set(), "ops that no training here has")
        self.assertEqual(len(set(given)), len(given))

    # Of more than ten million parameters: one step, without what takes as much memory again; on all numbers of ranks in
    # both precisions only where LOCKSTEP_WHOLE is set. Else a model is on 2 and 8 in one precision, on 1 and 3 in the
    # other; each kind of block is in a sibling too, which has it the other way round.
    LARGE = {"resnet18": {}, "resnet34": BF16, "resnet50": BF16, "resnet101": {}, "resnet152": BF16, "vgg16": {}}
    BRIEFLY = {"train.steps": 1, "train.optimizer": {"sgd": {"momentum": 0}}, "data.test": []}
    WHOLE = bool(os.environ.get("LOCKSTEP_WHOLE"))

    def test_every_model(self):
        sample = {"lenet": "large", "vgg16": "large", "vit_s16": "large", "cnn1d": "signals"}
        small, some, others = [], [], []
        for name in first_words("show", "zoo"):
            training = {"model.zoo": name, "model.blocks": 2, "data.input": sample.get(name, "small")}
            if name not in self.LARGE:
                small += [training, dict(training, **BF16)]
                continue
            for precision in ({}, BF16):
                of = some if precision == self.LARGE[name] else others
                of.append(dict(training, **self.BRIEFLY, **precision))
        self.compare(small)
        if not lockstep.QUICK:
            self.compare(some, self.RANKS if self.WHOLE else (2, 8))
            self.compare(others, self.RANKS if self.WHOLE else (1, 3))

    def choices(self, key):
        """What the schema has there."""
        said = lockstep.run("plan", self.recipe, f"{key}=none of them").stderr
        return said.split("expected one of ")[1].split(", found")[0].split(", ")

    def test_every_optimizer(self):
        beside = {
            "ema": {"train.ema": 0.9},
            "freeze": {"model.freeze": ["conv1", "bn1", "conv3", "fc.bias"]},
            "groups": {"train.groups": [{"match": "conv2", "lr_scale": 0.5},
                                        {"match": "fc", "weight_decay": 0.1, "decay_all": True}]},
        }
        more = {"cosine": {"warmup": "1 steps"}, "polynomial": {"power": 2}, "step": {"every": "2 steps"}}
        schedules = self.choices("train.schedule")
        trainings = []
        for optimizer in self.choices("train.optimizer"):
            for names in ((), ("ema", "freeze"), ("freeze", "groups"), ("ema", "freeze", "groups")):
                schedule = schedules[len(trainings) % len(schedules)]
                training = {"model.zoo": "cnn", "train.steps": 4, "train.optimizer": optimizer,
                            "train.schedule": {schedule: {"peak": 0.02, **more.get(schedule, {})}},
                            **(BF16 if len(trainings) % 3 == 0 else {})}
                for name in names:
                    training.update(beside[name])
                trainings.append(training)
        self.assertGreaterEqual(len(trainings), len(schedules))
        given = self.compare(trainings)[2]
        self.assertEqual(len(set(given)), len(given), "something had no effect")


if __name__ == "__main__":
    unittest.main(verbosity=2)
