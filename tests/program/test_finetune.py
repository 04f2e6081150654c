"""model.from and model.freeze: a run that starts from another one's weights, and trains only a part of them."""
import gzip
import os
import pathlib
import re
import unittest

import h5py
import numpy

import lockstep

FASHION_MNIST = pathlib.Path(os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))


def arrays(checkpoint):
    with h5py.File(checkpoint) as file:
        return {name: file["model"][name][()] for name in file["model"]}


def is_below(name, prefixes):
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


class Start(lockstep.Case):
    """From a model with four classes to one with three, its first layers frozen."""

    FROZEN = ["conv1", "bn1", "conv2", "bn2"]
    CHANGES = {"model.classes": 3, "model.freeze": FROZEN, "train.steps": 4, "seed": 5}

    def setUp(self):
        super().setUp()
        self.train(lockstep.recipe(self.folder), out="base")
        self.base = sorted((self.folder / "base" / "checkpoints").glob("*.h5"))[-1]
        for split, n, seed in (("train", 300, 3), ("test", 100, 4)):
            lockstep.write_shards(self.folder / "other", split, *lockstep.images(n, classes=3, seed=seed))

    def recipe(self, changes=()):
        data = {"data.train": "other/train-*.h5", "data.test": "other/test-*.h5", "model.from": str(self.base)}
        return lockstep.recipe(self.folder, {**self.CHANGES, **data, **dict(changes)})

    def newest(self, out):
        return sorted((self.folder / out / "checkpoints").glob("*.h5"))[-1]

    def test_what_is_taken_and_what_is_not(self):
        result = self.train(self.recipe())
        lines = [line for line in result.stderr.splitlines() if "model.from" in line]
        self.assertIn(f"15 parameters and 10 statistics taken from {self.base}, with their shapes: conv1 1, bn1 4, ", lines[0])
        self.assertEqual([line.split(": ", 2)[2] for line in lines[1:]],
                         ["not taken: fc.bias: 4 there, 3 here: starts anew",
                          "not taken: fc.weight: 4x256 there, 3x256 here: starts anew"])
        self.assertIn(" of them frozen;", result.stderr)
        before, after = arrays(self.base), arrays(self.newest("run"))
        for name, value in after.items():
            same = value.shape == before[name].shape and value.tobytes() == before[name].tobytes()
            self.assertEqual(same, is_below(name, self.FROZEN), name)
        with h5py.File(self.newest("run")) as file:
            momentum = set(file["optimizer/momentum"])
        self.assertEqual(momentum, {name for name in after if not is_below(name, self.FROZEN) and "running" not in name})

    def test_any_number_of_ranks_and_a_restart(self):
        recipe = self.recipe()
        first = None
        for ranks in (1, 2, 3):
            result = self.train(recipe, ranks=ranks, out=f"run{ranks}")
            first = first or lockstep.done_line(result)
            self.assertEqual(lockstep.done_line(result), first)
        self.train(lockstep.recipe(self.folder, {"seed": 9}), out="another")
        # What has begun goes on by itself: the other run's file is not read again.
        whole = self.recipe({"checkpoint.every": "1 steps", "checkpoint.keep": 9})
        self.train(whole, out="cut")
        # Nor is it, where it holds other weights by now; that is told.
        result = self.train(whole, "--resume", out="cut")
        self.assertNotIn("warning", result.stderr)
        mine = self.base.read_bytes()
        self.base.write_bytes(self.newest("another").read_bytes())
        result = self.train(whole, "--resume", out="cut")
        self.assertIn(f"model.from: {self.base} holds other weights than when the run began", result.stderr)
        self.base.write_bytes(mine[:100])
        result = self.train(whole, "--resume", out="cut")
        self.assertIn(f"model.from: cannot tell whether {self.base} holds what the run began from: ", result.stderr)
        self.base.write_bytes(mine)
        starts = lockstep.metrics(self.folder / "cut", "start")
        self.assertEqual({(line["from"], len(line["from_content"])) for line in starts}, {(str(self.base), 16)})
        self.assertEqual(len({line["from_content"] for line in starts}), 1)
        for step in (3, 4):
            (self.folder / "cut" / "checkpoints" / f"step-{step:08}.h5").unlink()
        self.base.rename(self.folder / "moved.h5")
        result = self.train(whole, "--resume", ranks=2, out="cut")
        self.assertIn("step 2; model.from is not read", result.stderr)
        self.assertEqual(lockstep.done_line(result)["params"], first["params"])
        # What it held is kept before the first step.
        for path in (self.folder / "cut" / "checkpoints").iterdir():
            if path.name != "step-00000000.h5":
                path.unlink()
        result = self.train(whole, "--resume", out="cut")
        self.assertIn("step 0; model.from is not read", result.stderr)
        self.assertEqual(lockstep.done_line(result)["params"], first["params"])
        # Nor is it read to evaluate or predict.
        evaluated = lockstep.run("eval", self.newest("cut"), ranks=2)
        self.assertEqual(evaluated.returncode, 0, evaluated.stderr)
        predicted = lockstep.run("predict", self.newest("cut"), self.folder / "other" / "test-00000.h5", "-o", self.folder / "p.h5")
        self.assertEqual(predicted.returncode, 0, predicted.stderr)
        # The order of what is frozen says nothing, what it is does.
        turned = self.recipe({"model.freeze": self.FROZEN[::-1] + ["bn1"], "checkpoint.every": "1 steps", "checkpoint.keep": 9})
        self.assertEqual(lockstep.done_line(self.train(turned, "--resume", out="cut"))["params"], first["params"])
        result = self.train(self.recipe({"model.freeze": ["conv1"]}), "--resume", expect=2, out="cut")
        self.assertIn('model.freeze was [conv1, bn1, conv2, bn2], now is [conv1]', result.stderr)

    def test_resume_of_what_has_not_begun_starts(self):
        whole = lockstep.done_line(self.train(self.recipe()))
        self.assertEqual(lockstep.done_line(self.train(self.recipe(), "--resume", out="empty")), whole)

    def test_frozen_in_the_middle(self):
        # What is trained below gets its gradient through what is frozen, batch norm and all.
        result = self.train(self.recipe({"model.freeze": ["conv4", "bn4", "fc.bias"]}))
        self.assertIn("warning: model.freeze: at initial values, and not trained: fc.bias", result.stderr)
        before, after = arrays(self.base), arrays(self.newest("run"))
        self.assertNotEqual(after["conv1.weight"].tobytes(), before["conv1.weight"].tobytes())
        self.assertNotEqual(after["bn1.running_mean"].tobytes(), before["bn1.running_mean"].tobytes())
        for name in ("conv4.weight", "bn4.weight", "bn4.running_var"):
            self.assertEqual(after[name].tobytes(), before[name].tobytes(), name)

    def test_adamw_and_half_types_and_audits(self):
        for changes in ({"train.optimizer": {"adamw": {}}, "train.audit_every": 2},
                        {"train.precision": "bf16", "device.kernels": "plain"}):
            with self.subTest(**changes):
                hashes = {lockstep.done_line(self.train(self.recipe(changes), ranks=ranks, out=f"{len(changes)}{list(changes)[0]}{ranks}"))["params"]
                          for ranks in (1, 3)}
                self.assertEqual(len(hashes), 1)

    def test_frozen_at_random(self):
        recipe = lockstep.recipe(self.folder, {"model.freeze": ["conv1"], "train.steps": 1})
        self.assertIn("warning: model.freeze without model.from: what is frozen stays at its initial values", self.train(recipe).stderr)

    def test_plan(self):
        plan = lockstep.run("plan", self.recipe())
        self.assertIn(" of them frozen", plan.stdout)

    def refuse(self, changes, *words, override=()):
        """`LINE(key)` in a word stands for the place of that key in the recipe."""
        recipe = self.recipe(changes)
        lines = [line.strip().split(":")[0] for line in pathlib.Path(recipe).read_text().splitlines()]
        result = self.train(recipe, *override, ranks=2, expect=2, out="refused")
        self.assertEqual(result.stderr.count("lockstep: error:"), 1, result.stderr)
        for word in words:
            # A list stands on the lines behind its key.
            word = re.sub(r"LINE\((\w+)\)", lambda key: f"{recipe}:{lines.index(key[1]) + 1 + (key[1] == 'freeze')}: model.{key[1]}: ", word)
            self.assertIn(word, result.stderr)
        self.assertFalse((self.folder / "refused").exists())

    def test_refusals(self):
        self.refuse({"model.from": "none.h5"}, f"LINE(from){self.folder}/none.h5: no such file")
        self.refuse({"model.from": "data/train-00000.h5"}, "LINE(from)", "is not a checkpoint")
        self.refuse({}, "override model.from=other.h5: ", override=["model.from=other.h5"])
        self.refuse({"model.zoo": "mlp", "model.freeze": []},
                    f"LINE(from){self.base}: no parameter of mlp has a name and shape that match; fc1.bias: not there, 128 here")
        damaged = self.folder / "damaged.h5"
        content = bytearray(self.base.read_bytes())
        with h5py.File(self.base) as file:
            content[file["model/fc.weight"].id.get_offset()] ^= 1
        damaged.write_bytes(content)
        self.refuse({"model.from": str(damaged)}, "LINE(from)", "'model/fc.weight'", "damaged")

    def test_refusals_of_what_is_frozen(self):
        self.refuse({"model.freeze": ["conv1", "stem"]},
                    "LINE(freeze)no parameter of cnn is stem, or below it; there are conv1, bn1, conv2, ")
        self.refuse({"model.freeze": ["con"]}, "no parameter of cnn is con, ")
        self.refuse({"model.freeze": ["bn1.running_mean"]}, "there are bn1.weight, bn1.bias")
        every = ["fc"] + [f"{kind}{i}" for i in range(1, 6) for kind in ("conv", "bn")]
        self.refuse({"model.freeze": every}, "LINE(freeze)nothing of cnn is left to be trained")
        self.refuse({}, "override model.freeze=fc2: no parameter", override=["model.freeze=fc2"])
        # What there is instead: of the longest part that is known.
        self.refuse({"model.freeze": ["conv1.gamma"]}, "no parameter of cnn is conv1.gamma, or below it; there are conv1.weight")
        self.refuse({"model.zoo": "resnet8", "model.freeze": ["layer1.7.conv1"]}, "or below it; there are layer1.0")
        self.refuse({"model.freeze": ["fc.weight.more"]}, "no parameter of cnn is fc.weight.more, or below it; there are none")
        self.refuse({"train.groups": [{"match": "conv1", "lr_scale": 0.5}]}, "recipe.yaml:", "train.groups: nothing of the group \"conv1\" is "
                    "trained: model.freeze has all of it")


@unittest.skipUnless((FASHION_MNIST / "train-images-idx3-ubyte.gz").exists(), "Debian's dataset-fashion-mnist is not installed")
@unittest.skipIf(lockstep.QUICK, "nothing that the tests above do not do, for longer")
class FashionMnist(lockstep.Case):
    """A network that knows ten classes of clothes learns five of them upside down sooner than one that knows nothing."""

    def setUp(self):
        super().setUp()
        for split, source, n in (("train", "train", 4000), ("test", "t10k", 1500)):
            x = numpy.frombuffer(gzip.open(FASHION_MNIST / f"{source}-images-idx3-ubyte.gz").read(), "u1", offset=16).reshape(-1, 28, 28)
            y = numpy.frombuffer(gzip.open(FASHION_MNIST / f"{source}-labels-idx1-ubyte.gz").read(), "u1", offset=8).astype("i4")
            lockstep.write_shards(self.folder / "upright", split, x[:n], y[:n])
            x, y = x[n:3 * n], y[n:3 * n]
            lockstep.write_shards(self.folder / "turned", split, x[y < 5][:1500, ::-1, :], y[y < 5][:1500])

    def recipe(self, data, changes):
        return lockstep.recipe(self.folder, {"model.zoo": "resnet8", "data.train": f"{data}/train-*.h5", "data.test": f"{data}/test-*.h5", "data.augment": {},
                                             "data.normalize": {"mean": [0.286], "std": [0.353]}, "model.dropout": 0.0,
                                             "train.batch": 64, "train.lanes": 4, "train.clip": 0, "eval.every": "0 steps",
                                             "checkpoint.every": "0 steps", **changes})

    def accuracy(self, *arguments, out):
        return float(lockstep.done_line(self.train(self.recipe(*arguments), out=out))["accuracy"])

    def test_a_quarter_of_the_steps(self):
        # The rate is the same throughout; the other figures of a run are the recipe's.
        def steps(n):
            return {"train.steps": n, "train.schedule": {"cosine": {"peak": 0.1, "warmup": f"{n // 10} steps"}}}

        self.accuracy("upright", {"model.classes": 10, **steps(250)}, out="base")
        base = sorted((self.folder / "base" / "checkpoints").glob("*.h5"))[-1]
        scratch = self.accuracy("turned", {"model.classes": 5, **steps(80)}, out="scratch")
        tuned = self.accuracy("turned", {"model.classes": 5, **steps(20), "model.from": str(base),
                                         "model.freeze": ["conv1", "bn1"]}, out="tuned")
        print(f"from scratch, 80 steps: {scratch}; fine-tuned, 20 steps: {tuned}")
        self.assertGreater(scratch, 0.5)
        self.assertGreaterEqual(tuned, scratch)


if __name__ == "__main__":
    unittest.main()
