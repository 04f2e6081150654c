"""Every command as a user types it, and what it leaves behind."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import unittest

import h5py
import numpy
import yaml

import lockstep


class Commands(lockstep.Case):
    def ok(self, *words, **options):
        result = lockstep.run(*words, **options)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return result.stdout

    def bad(self, *words, expect=2):
        result = lockstep.run(*words)
        self.assertEqual(result.returncode, expect, result.stdout + result.stderr)
        self.assertTrue(result.stderr.startswith("lockstep: error: ") or "\nlockstep: error: " in result.stderr, result.stderr)
        return result.stderr

    def checkpoint(self, *words):
        self.train(lockstep.recipe(self.folder), *words)
        return sorted((self.folder / "run" / "checkpoints").glob("*.h5"))[-1]

    def test_help(self):
        usage = self.ok("--help")
        names = ("train", "eval", "predict", "pack", "check", "show", "plan", "bench", "scale", "doctor")
        kinds = ("pack images", "pack csv", "pack npy", "pack h5", "pack idx", "bench step", "bench ops", "bench reduce", "bench read")
        for kind in kinds:
            command, name = kind.split()
            self.assertIn(f"\n  {name} ", self.ok(command, "--help"))
            text = self.ok(command, name, "--help")
            self.assertIn(f"usage: lockstep {kind}", text)
            self.assertIn(f"lockstep {kind}", text.split("example:")[1])
        for name in names:
            self.assertIn(name, usage)
            text = self.ok(name, "--help")
            self.assertIn(f"usage: lockstep {name}", text)
            self.assertIn("example:", text)
            self.assertIn("--no-such-option", self.bad(name, "--no-such-option"))
        for said in (self.ok("--version"), self.ok("doctor")):
            self.assertRegex(said, r"HDF5 [0-9](.|\n)*szip: (libaec|left to HDF5).*; pictures: (JPEG|PNG|none)")
        said = lockstep.run("no-such-command", ranks=2)
        self.assertEqual((said.returncode, said.stderr.count("lockstep: error: unknown command")), (2, 1), said.stderr)
        yaml.safe_load(self.ok("train", "--help-recipe"))

    def test_run_folder(self):
        newest = self.checkpoint()
        self.assertEqual(newest.name, "step-00000006.h5")
        kinds = [line["kind"] for line in lockstep.metrics(self.folder / "run")]
        self.assertEqual(kinds[0], "start")
        self.assertEqual(kinds[-1], "end")
        step = lockstep.metrics(self.folder / "run", "step")[0]
        for key in ("step", "epoch", "loss", "accuracy", "lr", "grad_norm", "samples_per_s", "step_ms", "data_wait_ms",
                    "comm_exposed_ms", "skipped"):
            self.assertIn(key, step)
        end = lockstep.metrics(self.folder / "run", "end")[0]
        for key in ("step", "loss", "accuracy", "samples_per_s", "params_hash", "ranks", "lanes", "device", "seconds"):
            self.assertIn(key, end)
        # The resolved recipe gives the same run again, from anywhere.
        again = self.train(self.folder / "run" / "recipe.yaml", out="again", cwd="/")
        self.assertEqual(lockstep.done_line(again)["params"], end["params_hash"])
        # Another start is refused at once, before any data are read.
        refused = self.train(self.folder / "run" / "recipe.yaml", out="again", expect=2, cwd="/")
        self.assertEqual(refused.stderr, f"lockstep: error: {self.folder}/again: holds a run already (metrics.jsonl); add --resume to go on with it, or use another --out\n")

    def test_checkpoint_with_h5py(self):
        with h5py.File(self.checkpoint()) as file:
            weight = file["model/fc.weight"][()]
            self.assertEqual((weight.dtype, weight.shape[0]), (numpy.float32, 4))
            self.assertTrue(numpy.isfinite(weight).all())
            self.assertIn("model/bn1.running_mean", file)
            self.assertIn("optimizer/momentum/fc.weight", file)

    def test_eval(self):
        newest = self.checkpoint()
        end = lockstep.metrics(self.folder / "run", "end")[0]
        for ranks in (1, 3):
            found = json.loads(self.ok("eval", newest, "--json", ranks=ranks))
            self.assertEqual((found["loss"], found["accuracy"], found["samples"]), (end["loss"], end["accuracy"], 100))
        self.assertIn("accuracy=", self.ok("eval", newest, "--data", self.folder / "data" / "train-*.h5"))
        self.assertIn("no-such", self.bad("eval", newest, "--data", "no-such-*.h5"))
        self.bad("eval", self.folder / "data" / "test-00000.h5")
        self.bad("eval", "no-such.h5")

    def test_predict(self):
        newest = self.checkpoint()
        data = self.folder / "data" / "test-00000.h5"
        out = self.folder / "out put.h5"
        self.ok("predict", newest, data, "-o", out)
        with h5py.File(data) as file:
            images, labels = file["images"][()], file["labels"][()]
        with h5py.File(out) as file:
            p = file["probabilities"][()]
            self.assertEqual(p.shape, (100, 4))
            numpy.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)
            numpy.testing.assert_array_equal(file["class"][()], p.argmax(1))
            numpy.testing.assert_array_equal(file["confidence"][()], p.max(1))
            accuracy = (file["class"][()] == labels).mean()
        self.assertAlmostEqual(accuracy, lockstep.metrics(self.folder / "run", "end")[0]["accuracy"], places=6)
        # Samples without targets, and the three most probable classes.
        with h5py.File(self.folder / "bare.h5", "w") as file:
            file["images"] = images[:7]
        self.ok("predict", newest, self.folder / "bare.h5", "-o", out, "--top", 3)
        with h5py.File(out) as file:
            self.assertEqual(file["class"].shape, (7, 3))
            numpy.testing.assert_array_equal(file["probabilities"][()], p[:7])
            numpy.testing.assert_array_equal(file["class"][()], numpy.argsort(-p[:7], axis=1, kind="stable")[:, :3])
        self.bad("predict", newest, self.folder / "bare.h5", "-o", self.folder / "none.h5", "--top", 9)
        self.bad("predict", newest, "no-such.h5", "-o", self.folder / "none.h5")
        self.assertEqual(list(self.folder.glob("none.h5*")), [])

    def test_predict_reads_no_targets(self):
        newest = self.checkpoint()
        x, _ = lockstep.images(9)
        for labels in (-numpy.ones(9, "i4"), numpy.zeros((9, 4), "f4")):
            with h5py.File(self.folder / "unlabelled.h5", "w") as file:
                file["images"], file["labels"] = x, labels
            self.ok("predict", newest, self.folder / "unlabelled.h5", "-o", self.folder / "out.h5")
        before = (self.folder / "unlabelled.h5").read_bytes()
        self.assertIn("own input", self.bad("predict", newest, self.folder / "unlabelled.h5", "-o", self.folder / "unlabelled.h5"))
        self.assertEqual((self.folder / "unlabelled.h5").read_bytes(), before)

    def test_complete_run_resumed(self):
        for changes in ({}, {"data.test": []}):
            out = f"complete{len(changes)}"
            recipe = lockstep.recipe(self.folder, changes)
            first = lockstep.done_line(self.train(recipe, out=out))
            again = lockstep.done_line(self.train(recipe, "--resume", out=out))
            self.assertEqual(first, again)
            self.assertEqual(len(lockstep.metrics(self.folder / out, "end")), 1)
            steps = [line["step"] for line in lockstep.metrics(self.folder / out, "eval")]
            self.assertEqual(len(steps), len(set(steps)))

    @unittest.skipIf(lockstep.QUICK, "sanitizers keep shadow memory")
    def test_memory_is_as_planned(self):
        words = ("--model", "resnet18", "--size", 64, "--batch", 32, "--lanes", 2, "--steps", 2, "--json")
        for ranks, threads in ((1, 1), (1, 2), (2, 1)):
            found = json.loads(self.ok("bench", "step", *words, "--threads", threads, ranks=ranks))
            self.assertLess(abs(found["peak_bytes"] / found["plan_bytes"] - 1), 0.05, found)

    def test_check_sets(self):
        images = self.folder / "images"
        labels = self.folder / "labels"
        rng = numpy.random.default_rng(1)
        images.write_bytes(bytes([0, 0, 8, 3, 0, 0, 0, 40, 0, 0, 0, 4, 0, 0, 0, 4]) + rng.bytes(640))
        labels.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 40]) + bytes(range(40)))
        out = self.folder / "set"
        self.ok("pack", "idx", images, labels, "-o", out, "--shards", 4)
        files = sorted(out.glob("*.h5"))
        self.assertEqual(self.ok("check", *files).count(": good: "), 4)
        self.assertEqual(self.ok("check", files[2]).count(": good: "), 1)  # one alone is looked at for itself
        said = self.bad("check", files[0], files[3])
        self.assertIn("2 of the 4 shards of 'train' are not among these files, the first is 1", said)
        copy = out / "copy.h5"
        shutil.copy(files[1], copy)
        said = self.bad("check", *files, copy)
        self.assertIn(f"{copy}: is shard 1 of 'train', as is {files[1]}", said)
        self.assertIn("has the id 10 of sample 0", said)
        copy.unlink()
        with h5py.File(files[1], "r+") as file:
            file["images"][3, 0, 0, 0] ^= 1
            file["labels"][5] = -2
        said = self.bad("check", *files)
        self.assertIn("checksum mismatch at sample 3", said)
        self.assertIn("checksum mismatch at sample 5", said)
        self.assertIn("1 of 4 files are bad", said)
        unlabelled = self.folder / "unlabelled.h5"
        with h5py.File(unlabelled, "w") as file:
            file["images"] = numpy.zeros((3, 4, 4), "u1")
        self.assertIn("no targets", self.ok("check", unlabelled))
        self.assertIn("labels", self.bad("check", unlabelled, "--target", "labels"))

    def test_check_and_show(self):
        newest = self.checkpoint()
        shard = self.folder / "data" / "test-00000.h5"
        self.assertEqual(self.ok("check", shard, newest).count(": good: "), 2)
        content = bytearray(newest.read_bytes())
        content[len(content) // 2] ^= 4
        bad = self.folder / "bad.h5"
        bad.write_bytes(content)
        self.assertIn("bad.h5", self.bad("check", bad))
        self.assertIn("1 of 2", self.bad("check", bad, shard))
        self.assertIn("images", self.ok("show", shard))
        self.assertIn("step 6", self.ok("show", newest))
        self.assertIn("25557032 parameters", self.ok("show", "zoo:resnet50"))
        self.assertIn("resnet34", self.ok("show", "zoo"))
        self.bad("show", "zoo:alexnet")

    def test_plan(self):
        recipe = lockstep.recipe(self.folder)
        plan = self.ok("plan", recipe, "--ranks", 3)
        self.assertIn("total", plan)
        self.assertIn("on one host in memory that ranks share, on several a rank sends up to", plan)
        self.assertNotIn("share", self.ok("plan", recipe, "--ranks", 3, "train.reduce=fast"))
        total = float(self.ok("plan", recipe).split("total")[1].split()[0])
        message = self.bad("plan", recipe, "--device-memory", f"{int(total * 0.93 * 1024)}KiB")
        # Under sanitizers each trial plan leaves its memory behind, and none fits.
        self.assertIn("device.memory: the plan needs" if lockstep.QUICK else "largest lane that fits", message)
        self.assertIn("fits", self.ok("plan", recipe, "--device-memory", "4GiB"))
        self.ok("plan", recipe, "--sample", "64x64x3", "data.normalize.mean=[0.5]")
        self.bad("plan", recipe, "--ranks", 9)

    def test_bench_read(self):
        lines = [json.loads(line) for line in
                 self.ok("bench", "read", lockstep.recipe(self.folder), "--ms", 20, "--batch", 32, "--threads", 1, "--json").splitlines()]
        ways = {(line["order"], line["cache"], line["way"]) for line in lines[:-1]}
        self.assertEqual(len(ways), 24)  # two orders, two caches, memcpy, H5Dread, read; those two into a ring, read ahead
        for line in lines[:-1]:
            self.assertGreater(line["samples_per_s"], 0)
            if line["way"] == "memcpy":
                self.assertEqual(line["of_memcpy"], 1)
        self.assertGreater(lines[-1]["model_samples_per_s"], 0)
        table = self.ok("bench", "read", self.folder / "data" / "test-00000.h5", "--ms", 5, "--batch", 7)
        ahead = {words[4] for words in map(str.split, table.splitlines()) if "ahead" in words and words[0] == "shuffled"}
        self.assertEqual(ahead, {"1", "2"})  # threads: one beside the two that are the default
        limits = {words[4] for words in map(str.split, table.splitlines()) if words[0] == "shuffled" and words[2:4] == ["memcpy,", "ring"]}
        self.assertEqual(limits, {"1", "2"})

        self.assertIn("by pread", table)
        self.assertIn("H5Dread", table)
        self.assertIn("no such file", self.bad("bench", "read", self.folder / "nothing.h5"))
        self.assertIn("needs data files", self.bad("bench", "read"))
        self.assertIn("--batch", self.bad("bench", "read", self.folder / "data" / "test-00000.h5", "--batch", -1))

    def test_bench_and_doctor(self):
        found = json.loads(self.ok("bench", "step", "--model", "lenet", "--batch", 8, "--lanes", 2, "--threads", 1, "--json"))
        self.assertIn("--precision", self.bad("bench", "step", "--precision", "fp32, clip: 1").replace("train.precision", "--precision"))
        self.assertGreater(found["samples_per_s"], 0)
        self.assertGreater(found["peak_bytes"], 0)
        self.assertEqual((found["model"], found["batch"], found["lanes"], found["threads"]), ("lenet", 8, 2, 1))
        self.assertIn("rank 1", self.ok("doctor", ranks=2))

    @unittest.skipIf(lockstep.QUICK, "the peak is measured with large convolutions")
    def test_bench_ops(self):
        one = [json.loads(line) for line in self.ok("bench", "ops", "--op", "conv", "--ms", 1, "--threads", 1, "--json").splitlines()]
        self.assertEqual({row["op"] for row in one}, {"conv", "conv_input_grad", "conv_weight_grad", "bias_grad"})
        for row in one:
            self.assertEqual((row["bench"], row["queues"], row["of"]), ("op", 1, "conv"))
            self.assertEqual(row["pass"], "forward" if row["op"] == "conv" else "backward")
            self.assertAlmostEqual(row["gb_per_s"] / row["of_copy"], one[0]["gb_per_s"] / one[0]["of_copy"],
                                   delta=0.01 * one[0]["gb_per_s"] / one[0]["of_copy"])
            self.assertEqual("of_peak" in row, row["op"] != "bias_grad")
        # 3x3 over 8x64x56x56: two operations for each of 64 x 64 x 9 weights and 8 x 56 x 56 places; bytes in and out.
        self.assertAlmostEqual(one[0]["ms"] * one[0]["gflop_per_s"] / 1e3, 2 * 64 * 64 * 9 * 8 * 56 * 56 / 1e9, delta=0.01)
        self.assertAlmostEqual(one[0]["ms"] * one[0]["gb_per_s"] / 1e3, 4 * (2 * 8 * 64 * 56 * 56 + 64 * 64 * 9) / 1e9, delta=1e-4)
        self.assertIn("plain", {row["kernels"] for row in one})
        self.assertIn("--op: expected one of input, cast, conv, ", self.bad("bench", "ops", "--op", "conv_input_grad"))
        self.assertIn("--threads", self.bad("bench", "ops", "--threads", 0))

    @unittest.skipIf(lockstep.QUICK, "the plain kernels take long")
    def test_bench_ops_has_all(self):
        table = (pathlib.Path(__file__).resolve().parents[2] / "src" / "ops" / "table.c").read_text()
        ops = {name.lower() for name in re.findall(r"\[LS_OP_(\w+)\]", table)}
        nothing_runs = {"flatten", "unflatten", "reshape", "rank_flags"}  # views, and two numbers
        rows = [json.loads(line) for line in self.ok("bench", "ops", "--ms", 1, "--json").splitlines()]
        self.assertEqual({row["op"] for row in rows}, ops - nothing_runs)
        self.assertIn("copies: ", self.ok("bench", "ops", "--ms", 1, "--op", "relu"))

    def test_bench_step_profile(self):
        words = ("bench", "step", "--model", "resnet8", "--batch", 8, "--lanes", 4, "--threads", 2, "--steps", 2, "--profile")
        for ranks in (1, 2):
            *rows, step = [json.loads(line) for line in self.ok(*words, "--json", ranks=ranks).splitlines()]
            self.assertEqual((step["bench"], step["ranks"]), ("step", ranks))
            found = {(row["part"], row["op"]): row for row in rows if row["part"] != "products"}
            self.assertLessEqual({"input", "forward", "backward", "fold", "optimizer", "waiting"}, {part for part, _ in found})
            # Each operation of the model is counted: nine convolutions forward; of two lanes a rank, or of four.
            self.assertEqual(sum(row["nodes"] for (part, op), row in found.items() if part == "forward" and op.startswith("conv ")), 9)
            self.assertEqual(found["forward", "linear"]["gflop"], float(f"{(4 // ranks) * 2 * (2 * 64 + 1) * 1000 / 1e9:.6g}"))
            self.assertGreater(found["backward", "conv_weight_grad 3x3"]["gflop_per_s"], 0)
            self.assertGreater(found["forward", "batchnorm_relu"]["gbytes"], 0)
            whole = next(row for row in rows if row["part"] == "products")
            self.assertGreater(whole["peak_gflop_per_s"], 0)
            self.assertIn("to", whole["peak_of"])
            self.assertLessEqual(whole["step_of_peak"], whole["of_peak"])
        table = self.ok(*words)
        self.assertIn("conv_input_grad 3x3", table)
        self.assertIn("the whole step at", table)

    def test_not_finite(self):
        recipe = lockstep.recipe(self.folder, {"train.schedule": {"constant": {"peak": 1e6}}, "train.steps": 30,
                                               "train.clip": 0, "train.nan_limit": 4})
        result = self.train(recipe, expect=3)
        self.assertIn("4 steps in a row", result.stderr)
        skipped = [line["skipped"] for line in lockstep.metrics(self.folder / "run", "step")]
        self.assertEqual(skipped[-4:], [skipped[-5] + 1, skipped[-5] + 2, skipped[-5] + 3, skipped[-5] + 4])
        newest = sorted((self.folder / "run" / "checkpoints").glob("*.h5"))[-1]
        self.assertIn("good", self.ok("check", newest))
        with h5py.File(newest) as file:
            self.assertTrue(all(numpy.isfinite(file["model"][name][()]).all() for name in file["model"] if "running" not in name))

    def test_not_finite_from_the_start(self):
        with h5py.File(self.folder / "huge.h5", "w") as file:
            file["images"], file["labels"] = numpy.full((40, 12), 3e38, "f4"), numpy.arange(40) % 4
        recipe = lockstep.recipe(self.folder, {"model": {"zoo": "mlp", "classes": 4}, "data.train": "huge.h5", "data.test": [], "data.augment": {}, "train.nan_limit": 2, "train.batch": 8,
                                               "train.schedule": {"cosine": {"peak": 0.5, "warmup": "12 steps"}}})
        result = self.train(recipe, expect=3)
        self.assertIn("recipe.yaml:", result.stderr)
        self.assertIn("train.schedule.cosine.warmup: the rate rises for 12 steps, but the run has 6: it comes to 0.25, not to its peak of 0.5", result.stderr)
        self.assertIn("2 steps in a row (train.nan_limit), from step 1; nothing was trained before", result.stderr)
        self.assertEqual(list((self.folder / "run" / "checkpoints").iterdir()), [])
        self.assertEqual(result.stderr.count("step 1 is skipped: its loss or gradient is not finite"), 1, result.stderr)
        # Where the run is over before, it says of which step its weights are.
        result = self.train(recipe, "train.nan_limit=7", out="over")
        self.assertIn("warning: the last 6 of 6 steps were skipped, as their loss or gradient was not finite: the weights are those of step 0", result.stderr)
        self.assertIn("loss=nan", result.stdout)

    def test_disk_full(self):
        # The limit stops the checkpoint, not the run; the older files stay whole.
        recipe = lockstep.recipe(self.folder, {"model.zoo": "lenet", "model.dropout": 0.0})
        words = lockstep.command("train", recipe, "--out", self.folder / "run")
        result = subprocess.run(["bash", "-c", 'ulimit -f 60; exec "$@"', "bash", *words], capture_output=True, text=True,
                                env=lockstep.ENVIRONMENT, timeout=300)
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        self.assertIn("done: step=6", result.stdout)
        self.assertIn("checkpoint", result.stderr)
        self.assertEqual(list((self.folder / "run" / "checkpoints").iterdir()), [])

    def test_pack(self):
        x, y = lockstep.images(11, size=5, classes=5)
        header = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (11, 5, 5))
        (self.folder / "x").write_bytes(header + x.tobytes())
        (self.folder / "y").write_bytes(b"\0\0\x08\x01" + (11).to_bytes(4, "big") + y.astype("u1").tobytes())
        subprocess.run(["gzip", "-k", self.folder / "x", self.folder / "y"], check=True)
        first, second = self.folder / "a", self.folder / "b"
        self.ok("pack", "idx", self.folder / "x", self.folder / "y", "-o", first, "--shards", 3)
        self.ok("pack", "idx", self.folder / "x.gz", self.folder / "y.gz", "-o", second, "--shards", 3)
        names = sorted(path.name for path in first.iterdir())
        self.assertEqual(names, [f"train-{i:05}-of-00003.h5" for i in range(3)])
        for name in names:
            self.assertEqual((first / name).read_bytes(), (second / name).read_bytes())
        found = [h5py.File(first / name) for name in names]
        numpy.testing.assert_array_equal(numpy.concatenate([file["images"][()] for file in found]), x)
        numpy.testing.assert_array_equal(numpy.concatenate([file["labels"][()] for file in found]), y)
        self.assertIn("labels", self.bad("pack", "idx", self.folder / "x", self.folder / "x", "-o", self.folder / "c"))
        self.assertFalse((self.folder / "c").exists() and list((self.folder / "c").iterdir()))

    def test_regression(self):
        random = numpy.random.default_rng(5)
        x = random.normal(size=(300, 12)).astype("f8")
        y = (x[:, :2] * 2 + x[:, 2:4]).astype("f4")
        shutil.rmtree(self.folder / "data")
        for name in ("train", "test"):
            lockstep.write_shards(self.folder / "data", name, x, y, shards=2, chunks=(7, 12), compression="gzip",
                                  input_name="signals", target_name="values")
        recipe = lockstep.recipe(self.folder, {
            "model": {"zoo": "mlp", "classes": 2, "width": 32, "depth": 1}, "data.input": "signals", "data.target": "values",
            "data.normalize": {"mean": [0], "std": [1]}, "data.augment": {}, "train.loss": {"mse": {}}, "train.steps": 60,
            "train.batch": 60, "train.lanes": 4, "train.clip": 0, "train.schedule": {"constant": {"peak": 0.05}}})
        self.train(recipe)
        losses = [line["loss"] for line in lockstep.metrics(self.folder / "run", "step")]
        self.assertLess(losses[-1], losses[0] / 10)
        self.assertIsNone(lockstep.metrics(self.folder / "run", "end")[0]["accuracy"])
        three = lockstep.done_line(self.train(recipe, ranks=3, out="three"))
        self.assertEqual(three["params"], lockstep.metrics(self.folder / "run", "end")[0]["params_hash"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
