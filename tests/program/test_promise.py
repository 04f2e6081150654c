"""The promise: one recipe, one result, on any number of ranks and threads."""
import pathlib
import unittest

import lockstep


class Promise(lockstep.Case):
    runs = 0

    def compare(self, changes, layouts, words=()):
        recipe = lockstep.recipe(self.folder, changes)
        first = None
        for ranks, threads in layouts:
            with self.subTest(ranks=ranks, threads=threads, **changes):
                self.runs += 1
                out = f"run{self.runs}"
                result = self.train(recipe, f"device.threads={threads}", *words, ranks=ranks, out=out)
                steps = [(line["step"], line["loss"], line["accuracy"], line["grad_norm"])
                         for line in lockstep.metrics(self.folder / out, "step")]
                evals = [(line["step"], line["loss"], line["accuracy"]) for line in lockstep.metrics(self.folder / out, "eval")]
                end = lockstep.metrics(self.folder / out, "end")[-1]
                self.assertEqual(lockstep.done_line(result)["params"], end["params_hash"])
                found = (end["params_hash"], steps, evals)
                self.assertEqual(len(steps), 6)
                first = first or found
                self.assertEqual(found, first)
        return first

    RANKS = (1, 2, 3, 8) if lockstep.QUICK else (1, 2, 3, 4, 5, 8)
    FEW = (1, 3) if lockstep.QUICK else (1, 2, 3, 8)

    def test_ranks_and_threads(self):
        layouts = [(ranks, threads) for ranks in self.RANKS for threads in (1, 2)]
        sgd = self.compare({}, layouts)
        other_seed = self.compare({"seed": 4}, [(1, 1)])
        self.assertNotEqual(sgd[0], other_seed[0], "another seed must give other weights")

    def test_adamw(self):
        self.compare({"train.optimizer": {"adamw": {"weight_decay": 0.05}}, "train.schedule": {"cosine": {"peak": 0.002}}},
                     [(1, 2)] + [(ranks, 1) for ranks in self.RANKS])

    def test_attention(self):
        x, y = lockstep.images(96, size=32)
        data = lockstep.write_shards(self.folder / "wide", "all", x, y)
        self.compare({"model.zoo": "vit_s16", "model.blocks": 2, "data.train": data, "data.test": data, "train.batch": 12,
                      "train.lanes": 6, "train.optimizer": {"adamw": {"weight_decay": 0.05}},
                      "train.schedule": {"constant": {"peak": 0.0005}}, "eval.every": 0, "checkpoint.every": 0},
                     [(1, 1), (1, 2), (2, 1), (3, 1)])

    def test_fewer_products(self):
        # Convolutions by Winograd's algorithm, which the CPU has with AVX-512, also with one sample a lane.
        x, y = lockstep.images(96, size=32)
        data = lockstep.write_shards(self.folder / "wide", "all", x, y)
        changes = {"model.zoo": "resnet18", "data.train": data, "data.test": data, "train.batch": 8, "train.lanes": 8,
                   "train.schedule": {"constant": {"peak": 0.01}}, "eval.every": 0, "checkpoint.every": 0}
        fewer = self.compare(changes, [(1, 1), (1, 2)] + [(ranks, 1) for ranks in self.FEW[1:]])
        if "avx512dq" in pathlib.Path("/proc/cpuinfo").read_text() and "onednn" in lockstep.run("--version").stdout.lower():
            all_products = self.compare(dict(changes, **{"device.kernels": "onednn"}), [(1, 2)])
            self.assertNotEqual(fewer[0], all_products[0], "they were not used, or cannot be turned off")

    # Beside the optimizers: the average, by which evaluations are made, groups, and how the rate goes.
    def test_lars(self):
        changes = {"train.optimizer": {"lars": {"trust": 0.01}}, "train.ema": 0.99,
                   "train.schedule": {"polynomial": {"peak": 1.0, "power": 1.5, "warmup": "2 steps"}}}
        self.compare(changes, [(1, 2)] + [(ranks, 1) for ranks in self.FEW])
        self.compare(dict(changes, **self.BF16), [(ranks, 1) for ranks in self.FEW])

    def test_lamb(self):
        changes = {"train.optimizer": {"lamb": {}}, "train.schedule": {"one_cycle": {"peak": 0.02}}, "train.ema": 0.9,
                   "train.groups": [{"match": "conv", "lr_scale": 0.5}, {"match": "fc", "weight_decay": 0.1, "decay_all": True}]}
        self.compare(changes, [(1, 2)] + [(ranks, 1) for ranks in self.FEW])
        self.compare(dict(changes, **self.BF16), [(ranks, 1) for ranks in self.FEW])

    BF16 = {"train.precision": "bf16", "device.kernels": "plain", "train.batch": 64, "model.zoo": "lenet"}

    def test_bf16_plain(self):
        # The plain kernels compute bf16 on every processor.
        changes = {"train.precision": "bf16", "device.kernels": "plain", "train.batch": 64, "model.zoo": "lenet",
                   "train.optimizer": {"adamw": {}}, "train.schedule": {"constant": {"peak": 0.001}}}
        bf16 = self.compare(changes, [(1, 1), (1, 2), (3, 1), (8, 1)] if lockstep.QUICK else
                            [(1, 1), (1, 2), (2, 1), (3, 1), (4, 1), (5, 1), (8, 1)])
        fp32 = self.compare(dict(changes, **{"train.precision": "fp32"}), [(1, 1)])
        self.assertNotEqual(bf16[0], fp32[0], "bf16 must not be fp32 in disguise")

    def test_bf16_library(self):
        recipe = lockstep.recipe(self.folder, {"train.precision": "bf16"})
        result = lockstep.run("train", recipe, "--out", self.folder / "bf16")
        if result.returncode == 2:
            self.assertIn("bf16", result.stderr)
            self.skipTest("this processor has no bf16 instructions: refused, as documented")
        self.compare({"train.precision": "bf16"}, [(1, 1), (1, 2), (2, 1), (3, 1), (8, 1)])

    def test_odd_lanes(self):
        # Neither lanes nor ranks a power of two, a lane of one sample, several buckets.
        self.compare({"train.lanes": 5, "train.batch": 5, "train.bucket": 4096, "model.dropout": 0.0, "model.zoo": "lenet"},
                     [(1, 1), (1, 2), (2, 1), (3, 2), (5, 1)])

    def test_inverted_residuals(self):
        # Depthwise convolutions and relu6; silu, gates that are spread over images, and biases of 1x1 convolutions.
        for model in ("mobilenetv2", "efficientnet_b0"):
            self.compare({"model.zoo": model, "model.dropout": 0.2, "train.batch": 12, "train.lanes": 3},
                         [(1, 1), (1, 2), (2, 1), (3, 1)])

    def test_more_ranks_than_lanes(self):
        recipe = lockstep.recipe(self.folder, {"train.lanes": 2})
        result = self.train(recipe, ranks=3, expect=2)
        self.assertEqual(result.stderr.count("lockstep: error:"), 1, result.stderr)
        self.assertIn("3 ranks share train.lanes: 2", result.stderr)
        self.assertFalse((self.folder / "run").exists())

    def test_fast_reduction_trains(self):
        recipe = lockstep.recipe(self.folder, {"train.reduce": "fast"})
        result = self.train(recipe, ranks=3)
        self.assertEqual(lockstep.done_line(result)["step"], "6")


if __name__ == "__main__":
    unittest.main(verbosity=2)
