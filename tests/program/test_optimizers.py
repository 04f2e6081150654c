"""What moves the weights, beyond the optimizers themselves: averages, groups; and all of it through a kill."""
import contextlib
import json
import os
import pathlib
import signal
import unittest

import h5py
import numpy

import lockstep

AVERAGED = {"train.ema": 0.999, "train.groups": [{"match": "fc", "lr_scale": 2.0, "weight_decay": 0.01}],
            "train.schedule": {"one_cycle": {"peak": 0.1}}}


def arrays(path, group):
    with h5py.File(path) as file:
        return {name: dataset[()] for name, dataset in file[group].items()}


class Averages(lockstep.Case):
    def checkpoint(self, step, out="run"):
        return self.folder / out / "checkpoints" / f"step-{step:08}.h5"

    def test_formula(self):
        recipe = lockstep.recipe(self.folder, {"train.ema": 0.25, "checkpoint.every": "1 steps", "checkpoint.keep": 9})
        self.train(recipe)
        before = None
        for step in range(1, 7):
            now = {group: arrays(self.checkpoint(step), group) for group in ("model", "average")}
            self.assertEqual(now["model"].keys(), now["average"].keys())
            self.assertIn("bn1.running_mean", now["average"])
            rest = numpy.float32(1 - min(0.25, (1 + step - 1) / (10 + step - 1)))
            for name, average in (before or {}).items():
                # Every operation is rounded to f32, here as there.
                expected = average + rest * (now["model"][name] - average)
                numpy.testing.assert_array_equal(now["average"][name], expected, f"{name} after step {step}")
            before = now["average"]

    def test_evaluations_take_the_average(self):
        without = self.train(lockstep.recipe(self.folder), out="without")
        with_it = self.train(lockstep.recipe(self.folder, {"train.ema": 0.9}), out="with")
        self.assertEqual(lockstep.done_line(without)["params"], lockstep.done_line(with_it)["params"])
        ends = [lockstep.metrics(self.folder / out, "end")[0] for out in ("without", "with")]
        self.assertNotEqual(ends[0]["loss"], ends[1]["loss"])
        for ranks in (1, 2):
            result = lockstep.run("eval", self.checkpoint(6, "with"), "--json", ranks=ranks)
            self.assertEqual(json.loads(result.stdout)["loss"], ends[1]["loss"], result.stderr)
        # What predict says agrees with it too.
        predicted = self.folder / "predicted.h5"
        result = lockstep.run("predict", self.checkpoint(6, "with"), self.folder / "data" / "test-*.h5", "-o", predicted, "--json")
        self.assertEqual(json.loads(result.stdout)["accuracy"], ends[1]["accuracy"], result.stderr)
        self.assertEqual(lockstep.run("check", self.checkpoint(6, "with")).returncode, 0)

    def test_weights_of_another_run_begin_an_average(self):
        self.train(lockstep.recipe(self.folder), out="first")
        changes = {"model.from": str(self.checkpoint(6, "first")), "train.steps": 1, "train.ema": 0.999,
                   "train.schedule": {"constant": {"peak": 1e-6}}}
        self.train(lockstep.recipe(self.folder, changes), out="second")
        for name, weight in arrays(self.checkpoint(6, "first"), "model").items():
            if "running" not in name:
                numpy.testing.assert_allclose(arrays(self.checkpoint(1, "second"), "average")[name], weight, atol=1e-4)

    def test_what_evaluations_took_is_taken(self):
        self.train(lockstep.recipe(self.folder, {"train.ema": 0.9}), out="first")
        base = self.checkpoint(6, "first")
        changes = {"model.from": str(base), "train.steps": 1, "train.schedule": {"constant": {"peak": 1e-30}},
                   "train.optimizer": {"sgd": {"momentum": 0, "weight_decay": 0}}}
        result = self.train(lockstep.recipe(self.folder, changes), out="second")
        self.assertIn(f"taken from {base}, its moving averages", result.stderr)
        after = arrays(self.checkpoint(1, "second"), "model")
        for name, average in arrays(base, "average").items():
            if "running" not in name:
                numpy.testing.assert_allclose(after[name], average, atol=1e-20, err_msg=name)

    def test_memory(self):
        recipe = lockstep.recipe(self.folder, {"model.zoo": "resnet18"})
        def optimizer(*words):
            line = [line for line in lockstep.run("plan", recipe, *words).stdout.splitlines() if "optimizer" in line][0]
            return float(line.split()[1])  # MiB
        # resnet18 with four classes has 11.2 million parameters: 42.6 MiB.
        self.assertAlmostEqual(optimizer("train.ema=0.9") - optimizer(), 42.6, delta=0.3)


class Groups(lockstep.Case):
    def test_a_scale_of_0_keeps_weights(self):
        changes = {"train.groups": [{"match": "conv1.", "lr_scale": 0}], "checkpoint.every": "1 steps", "checkpoint.keep": 9}
        self.train(lockstep.recipe(self.folder, changes))
        folder = self.folder / "run" / "checkpoints"
        first, last = arrays(folder / "step-00000001.h5", "model"), arrays(folder / "step-00000006.h5", "model")
        kept = {name for name in first if "running" not in name and (first[name] == last[name]).all()}
        self.assertEqual(kept, {name for name in first if name.startswith("conv1.")})

    def test_a_name_that_is_none(self):
        recipe = lockstep.recipe(self.folder, {"train.groups": [{"match": "fc."}, {"match": "layer7."}]})
        line = 1 + next(i for i, text in enumerate(pathlib.Path(recipe).read_text().splitlines()) if "layer7." in text)
        for command in (["train", recipe, "--out", self.folder / "run"], ["plan", recipe]):
            result = lockstep.run(*command)
            self.assertEqual(result.returncode, 2)
            self.assertIn(f'recipe.yaml:{line}: train.groups: no parameter has a name that begins with "layer7."', result.stderr)
        self.assertFalse((self.folder / "run").exists())


class Survival(lockstep.Case):
    """Killed amid its steps and resumed on other ranks, a run ends with the checkpoint of one that nothing disturbed."""
    STEPS = 24

    def survive(self, changes):
        recipe = lockstep.recipe(self.folder, dict({"train.steps": self.STEPS, "checkpoint.every": "1 steps", "train.batch": 128,
                                                    "eval.every": "5 steps"}, **changes))
        self.train(recipe, out="whole")
        process = lockstep.start("train", recipe, "--out", self.folder / "killed", ranks=3)
        self.wait_for_steps(process, "killed", 7)
        for pid in lockstep.children(process.pid) or [process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        lockstep.reap(process, timeout=30)
        result = self.train(recipe, "--resume", ranks=2, out="killed")
        self.assertIn("resuming from", result.stderr)
        last = [self.folder / out / "checkpoints" / f"step-{self.STEPS:08}.h5" for out in ("whole", "killed")]
        self.assertEqual(last[0].read_bytes(), last[1].read_bytes())

    def test_averaged(self):
        self.survive(AVERAGED)

    def test_lars(self):
        self.survive({"train.optimizer": {"lars": {"trust": 0.01}}, "train.ema": 0.99,
                      "train.schedule": {"polynomial": {"peak": 1.0, "power": 1.5, "warmup": "2 steps"}}})

    def test_lamb_bf16(self):
        self.survive(dict(AVERAGED, **{"train.optimizer": {"lamb": {}}, "train.schedule": {"one_cycle": {"peak": 0.02}},
                                       "train.precision": "bf16", "device.kernels": "plain", "model.zoo": "lenet"}))


if __name__ == "__main__":
    unittest.main(verbosity=2)
