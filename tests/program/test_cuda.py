"""The CUDA device, from outside, on the stand-in (tests/fakecuda): one result on any number of ranks, whatever order the
streams' work takes; what goes wrong is said, and nothing is left behind."""
import json
import os
import pathlib
import re
import shutil
import signal
import time
import unittest

import h5py
import numpy

import lockstep

MODULE = os.environ.get("LOCKSTEP_FAKECUDA")
SCHEDULES = ("fifo", "seed:1", "seed:2", "starve:0", "starve:1", "starve:2")
# Two convolutions, batch norm and dropout between them all; buckets small enough that there are several.
LENET = {"model.zoo": "lenet", "model.dropout": 0.0, "train.batch": 24, "train.lanes": 6, "train.steps": 4,
         "train.bucket": "16KiB", "eval.every": 0, "checkpoint.every": 0, "device.kind": "cuda"}
RESNET = dict(LENET, **{"model.zoo": "resnet8", "train.batch": 8, "train.lanes": 4, "train.steps": 3})


@unittest.skipUnless(MODULE, "the stand-in for CUDA was not built")
class Case(lockstep.Case):
    samples, test_samples, shards = 96, 24, 2
    runs = 0

    def fake(self, **settings):
        """The environment of a machine with four GPUs, in which a mistake or a leak shows in the exit status."""
        self.report = self.folder / "report"
        self.report.unlink(missing_ok=True)
        fresh = {"LOCKSTEP_CUDA_MODULE": MODULE, "LS_FAKE_GPUS": "4", "LS_FAKE_EXIT": "99", "LS_FAKE_PROTECT": "1",
                 "LS_FAKE_REPORT": str(self.report)}
        fresh.update({name if name.isupper() else f"LS_FAKE_{name.upper()}": str(value) for name, value in settings.items()})
        return fresh

    def run_fake(self, *words, ranks=1, expect=0, out=None, **settings):
        self.runs += 1
        self.out = self.folder / (out or f"run{self.runs}")
        result = lockstep.run("train", *words, "--out", self.out, ranks=ranks, timeout=120,
                              settings=self.fake(**settings))
        if expect is not None:
            self.assertEqual(result.returncode, expect, result.stdout + result.stderr + self.said())
        return result

    def said(self):
        return self.report.read_text() if self.report.exists() else ""

    def figures(self):
        """What must not depend on ranks, queues or time."""
        steps = [(line["step"], line["loss"], line["accuracy"], line["grad_norm"])
                 for line in lockstep.metrics(self.out, "step")]
        end = lockstep.metrics(self.out, "end")[-1]
        return end["params_hash"], steps, end["loss"]

    def result_of(self, *words, **options):
        self.run_fake(*words, **options)
        return self.figures()


class Promise(Case):
    def layouts(self, changes):
        recipe = lockstep.recipe(self.folder, changes)
        expected = self.result_of(recipe, schedule="fifo")
        for ranks in (2, 3, 4):
            for transport in ("nccl", "mpi"):
                schedule = SCHEDULES[(2 * ranks + (transport == "mpi")) % len(SCHEDULES)]
                with self.subTest(ranks=ranks, transport=transport, schedule=schedule):
                    found = self.result_of(recipe, f"device.transport={transport}", ranks=ranks, schedule=schedule)
                    self.assertEqual(found, expected)
        return recipe, expected

    def test_lenet(self):
        recipe, expected = self.layouts(LENET)
        for schedule in SCHEDULES[1:]:
            with self.subTest(schedule=schedule):
                self.assertEqual(self.result_of(recipe, schedule=schedule), expected)
        with self.subTest("every kernel launched anew"):
            self.assertEqual(self.result_of(recipe, "device.replay=false"), expected)
        with self.subTest("GPUs shared"):
            found = self.result_of(recipe, "device.share=true", ranks=3, gpus=1)
            self.assertEqual(found, expected)
        with self.subTest("the library's own all-reduce"):
            self.run_fake(recipe, "train.reduce=fast", "device.transport=mpi", ranks=3)

    def test_lenet_bf16(self):
        _, bf16 = self.layouts(dict(LENET, **{"train.precision": "bf16", "train.lanes": 4}))
        recipe = lockstep.recipe(self.folder, dict(LENET, **{"train.lanes": 4}))
        self.assertNotEqual(self.result_of(recipe)[0], bf16[0], "bf16 must not be fp32 in disguise")

    def test_samples_that_are_changed_and_mixed(self):
        augment = {"resized_crop": {}, "rotate": 20, "flip": True, "flip_vertical": True, "cutout": 4, "mixup": 0.4,
                   "cutmix": 1, "color": {"brightness": 0.3, "contrast": 0.3}}
        recipe = lockstep.recipe(self.folder, dict(LENET, **{"data.augment": augment, "train.steps": 2}))
        expected = self.result_of(recipe)
        self.assertEqual(self.result_of(recipe, ranks=3, schedule="seed:1"), expected)
        self.assertEqual(self.result_of(recipe, "device.replay=false", ranks=2), expected)

    def test_resnet8(self):
        self.layouts(RESNET)

    def test_resnet8_bf16_adamw(self):
        self.layouts(dict(RESNET, **{"train.precision": "bf16", "train.optimizer": {"adamw": {}},
                                     "train.schedule": {"constant": {"peak": 0.001}}}))

    def test_attention(self):
        lockstep.write_shards(self.folder / "wide", "train", *lockstep.images(16, size=32))
        changes = dict(LENET, **{"model.zoo": "vit_s16", "model.blocks": 1, "data.train": "wide/train-*.h5", "data.test": [],
                                 "train.batch": 6, "train.lanes": 3, "train.steps": 2, "train.bucket": "1MiB"})
        for precision in ("fp32", "bf16"):
            recipe = lockstep.recipe(self.folder, dict(changes, **{"train.precision": precision}))
            expected = self.result_of(recipe)
            self.assertEqual(self.result_of(recipe, ranks=2, schedule="seed:1"), expected)
            self.assertEqual(self.result_of(recipe, "device.replay=false", ranks=3, schedule="starve:1"), expected)

    def test_efficientnet_bf16(self):
        # Silu, and gates that are spread over images: in 16 bits their gradients are sums in f32.
        recipe = lockstep.recipe(self.folder, dict(RESNET, **{"model.zoo": "efficientnet_b0", "train.precision": "bf16",
                                                              "train.lanes": 2, "train.steps": 1}))
        self.assertEqual(self.result_of(recipe, ranks=2, schedule="seed:1"), self.result_of(recipe))

    def test_frozen_layers(self):
        # Trained on both sides of what is frozen, whose batch norms let the gradient through.
        self.run_fake(lockstep.recipe(self.folder, RESNET))
        [base] = (self.out / "checkpoints").glob("*.h5")
        recipe = lockstep.recipe(self.folder, dict(RESNET, **{"model.from": str(base), "model.freeze": ["layer2"]}))
        expected = self.result_of(recipe)
        tuned = max((self.out / "checkpoints").glob("*.h5"))  # the other one is from before the first step
        with h5py.File(base) as before, h5py.File(tuned) as after:
            for name in after["model"]:
                same = before["model"][name][()].tobytes() == after["model"][name][()].tobytes()
                self.assertEqual(same, name.startswith("layer2."), name)
        for ranks, schedule in ((2, "starve:1"), (3, "seed:1")):
            self.assertEqual(self.result_of(recipe, ranks=ranks, schedule=schedule), expected)

    def test_resnet8_lamb_averaged(self):
        self.layouts(dict(RESNET, **{"train.optimizer": {"lamb": {}}, "train.ema": 0.9,
                                     "train.schedule": {"constant": {"peak": 0.01}}}))

    def test_lenet_lars_bf16(self):
        changes = dict(LENET, **{"train.precision": "bf16", "train.optimizer": {"lars": {"trust": 0.01}}, "train.lanes": 4,
                                 "train.schedule": {"constant": {"peak": 1.0}}})
        recipe = lockstep.recipe(self.folder, changes)
        expected = self.result_of(recipe)
        self.assertEqual(self.result_of(recipe, ranks=3, schedule="seed:2"), expected)

    def test_fp16_skips_until_its_scale_fits(self):
        # Targets so far off that a gradient of 65536 times its size has no place in f16.
        x, _ = lockstep.images(self.samples)
        y = numpy.full((self.samples, 1), 100, "f4")
        lockstep.write_shards(self.folder / "far", "train", x, y)
        changes = dict(LENET, **{"train.precision": "fp16", "model.classes": 1, "train.loss": "mse", "train.steps": 8,
                                 "data.train": "far/train-*.h5", "data.test": [], "checkpoint.every": "2 steps",
                                 "train.schedule": {"constant": {"peak": 1e-5}}})
        recipe = lockstep.recipe(self.folder, changes)
        expected = self.result_of(recipe)
        skipped = [line["skipped"] for line in lockstep.metrics(self.out, "step")]
        self.assertGreater(skipped[-1], 1, "the test shows nothing")
        self.assertEqual(skipped[-1], skipped[-2], "the scale never fits")
        with h5py.File(self.out / "checkpoints" / "step-00000008.h5") as file:
            self.assertEqual(file["state/loss_scale"][()], 65536 / 2 ** skipped[-1])
        # The scale goes on where it was.
        self.assertEqual(self.result_of(recipe, "train.steps=8", ranks=3), expected)
        (self.out / "checkpoints" / "step-00000008.h5").unlink()
        (self.out / "checkpoints" / "step-00000006.h5").unlink()
        self.run_fake(recipe, "--resume", ranks=2, out=self.out.name)
        self.assertEqual(self.figures()[0], expected[0])

    def test_fp16_gives_up_with_the_scale_from_before(self):
        # After one step the weights have no place in f16. With a higher limit the run goes on as if it had had that from the start.
        changes = dict(LENET, **{"train.precision": "fp16", "train.schedule": {"constant": {"peak": 1e6}}, "train.nan_limit": 5,
                                 "train.steps": 20})
        recipe = lockstep.recipe(self.folder, changes)
        self.run_fake(recipe, expect=3)
        steps = [(line["step"], line["loss"], line["skipped"]) for line in lockstep.metrics(self.out, "step")]
        self.run_fake(recipe, "train.nan_limit=2", ranks=2, expect=3, out="given up")
        [checkpoint] = (self.out / "checkpoints").iterdir()
        with h5py.File(checkpoint) as file:
            self.assertEqual(file["state/step"][()], len(steps) - 5)
            self.assertEqual(file["state/loss_scale"][()], 65536)
        self.run_fake(recipe, "--resume", expect=3, out="given up")
        self.assertEqual([(line["step"], line["loss"], line["skipped"]) for line in lockstep.metrics(self.out, "step")], steps)

    def test_every_wait_is_needed(self):
        recipe = lockstep.recipe(self.folder, LENET)
        words = (recipe, "device.transport=mpi")
        expected = self.result_of(*words, ranks=2)
        waits = max(int(n) for n in re.findall(r"waits: (\d+)", self.said()))
        self.assertGreater(waits, 6, "the streams must meet somewhere")
        for wait in range(1, waits + 1):
            # The stream that is not waited for is the late one, or the one that has to wait is early.
            for schedule in ("starve:0", "starve:2", "starve:1", "seed:1", "seed:2", "seed:3"):
                result = self.run_fake(*words, ranks=2, expect=None, schedule=schedule, skip_wait=wait)
                if result.returncode != 0 or self.figures() != expected:
                    break
            else:
                self.fail(f"wait {wait} of {waits} can be left out, and nobody notices")


class Ahead(Case):
    def test_the_gpu_has_work_when_a_step_ends(self):
        # The host waits for a step's event while the next step's lanes are enqueued. Of six steps the third is evaluated and
        # kept, and the last is the last: four have another behind them, and are waited for on three streams.
        recipe = lockstep.recipe(self.folder, dict(LENET, **{"train.steps": 6, "checkpoint.every": "3 steps"}))
        for ranks in (1, 2):
            self.run_fake(recipe, "device.transport=mpi", ranks=ranks, schedule="fifo")
            self.assertEqual(re.findall(r"the host waited: \d+, .*with work behind: (\d+)", self.said()), ["12"] * ranks)
            self.assertEqual(self.said().count("spinning: 0,"), ranks, "a core that spins is one that readers want")

    def test_ahead_or_not_is_one_result(self):
        # Where every step is kept, none is begun before the one before it is known. Targets so far off that steps are skipped in
        # fp16: how many updates there were before, and the loss scale, is known late.
        x, _ = lockstep.images(self.samples)
        lockstep.write_shards(self.folder / "far", "train", x, numpy.full((self.samples, 1), 100, "f4"))
        far = {"train.precision": "fp16", "model.classes": 1, "train.loss": "mse", "data.train": "far/train-*.h5", "data.test": []}
        adamw = {"train.optimizer": {"adamw": {}}, "train.schedule": {"constant": {"peak": 0.001}}}
        for changes in ({"model.dropout": 0.3}, dict(far, **adamw)):
            with self.subTest(changes):
                recipe = lockstep.recipe(self.folder, dict(LENET, **{"train.steps": 8}, **changes))
                expected = self.result_of(recipe, "checkpoint.every=1 steps", schedule="fifo")
                skipped = lockstep.metrics(self.out, "step")[-1]["skipped"]
                self.assertEqual(skipped > 0, "train.precision" in changes, "the test shows nothing")
                for ranks, schedule in ((1, "starve:0"), (2, "seed:1"), (3, "starve:1")):
                    self.assertEqual(self.result_of(recipe, ranks=ranks, schedule=schedule), expected)

    def test_one_batch_ahead_is_enough(self):
        recipe = lockstep.recipe(self.folder, LENET)
        expected = self.result_of(recipe)
        self.assertEqual(self.result_of(recipe, "data.prefetch=1", "data.threads=1", ranks=2), expected)

    def test_a_signal_stops_it_at_a_step(self):
        recipe = lockstep.recipe(self.folder, dict(LENET, **{"train.steps": 30}))
        whole = self.result_of(recipe)[0]
        out = self.folder / "stopped"
        process = lockstep.start("train", recipe, "--out", out, ranks=2, settings=self.fake())
        while not (out / "metrics.jsonl").exists() or '"step":2,' not in (out / "metrics.jsonl").read_text():
            self.assertIsNone(process.poll())
            time.sleep(0.01)
        process.send_signal(signal.SIGUSR1)
        _, stderr = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 75, stderr + self.said())
        stopped = int(re.search(r"stopped by a signal at step (\d+)", stderr)[1])
        self.assertLess(stopped, 30)
        self.assertEqual([line["step"] for line in lockstep.metrics(out, "step")], list(range(1, stopped + 1)))
        self.run_fake(recipe, "--resume", out="stopped")
        self.assertEqual(self.figures()[0], whole)

    def test_what_ends_a_run_ends_it_where_it_did(self):
        # Every gradient overflows: nothing of the steps begun ahead is left.
        x, _ = lockstep.images(self.samples)
        lockstep.write_shards(self.folder / "far", "train", x, numpy.full((self.samples, 1), 1e30, "f4"))
        changes = dict(LENET, **{"model.classes": 1, "train.loss": "mse", "train.steps": 8, "train.nan_limit": 3,
                                 "data.train": "far/train-*.h5", "data.test": []})
        recipe = lockstep.recipe(self.folder, changes)
        result = self.run_fake(recipe, ranks=2, expect=3)
        self.assertIn("not finite in 3 steps in a row (train.nan_limit), from step 1", result.stderr)
        self.assertEqual([line["step"] for line in lockstep.metrics(self.out, "step")], [1, 2, 3])
        self.assertEqual(list((self.out / "checkpoints").iterdir()), [], "before the first step there is nothing to keep")


class Replay(Case):
    def test_a_segment_that_cannot_be_captured_is_launched_anew(self):
        recipe = lockstep.recipe(self.folder, LENET)
        expected = self.result_of(recipe)
        # The seventh convolution is the second lane's: the first lane is not captured.
        for fault in ("cudaStreamBeginCapture:1:cudaErrorStreamCaptureUnsupported", "cudaGraphInstantiate:2:cudaErrorMemoryAllocation",
                      "cudaStreamEndCapture:1:cudaErrorStreamCaptureInvalidated", "conv:7:cudaErrorStreamCaptureUnsupported"):
            with self.subTest(fault):
                stderr = self.run_fake(recipe, fail=fault).stderr
                self.assertEqual(self.figures(), expected)
                [line] = [line for line in stderr.splitlines() if "warning:" in line]
                self.assertRegex(line, r"segment \d of \d cannot be captured in a CUDA graph, and is launched anew each time")

    def test_an_error_that_stays_is_no_matter_of_captures(self):
        recipe = lockstep.recipe(self.folder, LENET)
        result = self.run_fake(recipe, expect=1, schedule="eager", fail="cudaStreamBeginCapture:2:cudaErrorIllegalAddress")
        self.assertIn("an illegal memory access was encountered", result.stderr)
        self.assertNotIn("cannot be captured", result.stderr)


class AgainstTheCpu(Case):
    samples = 240

    def test_same_samples_and_masks_and_nearly_the_same_loss(self):
        # One epoch and more of augmented samples, with dropout. Sums have another order: the losses of 50 steps may
        # stray by some hundred roundings of a f32 (6e-8), which grow while the weights do; other samples, masks or
        # initial weights would show in the first digit.
        changes = {"train.steps": 50, "train.batch": 16, "train.lanes": 2, "eval.every": 0, "checkpoint.every": 0,
                   "train.schedule": {"constant": {"peak": 0.01}}, "model.zoo": "mlp", "model.dropout": 0.3}
        recipe = lockstep.recipe(self.folder, changes)
        self.run_fake(recipe, "device.kernels=plain")
        cpu = [line["loss"] for line in lockstep.metrics(self.out, "step")]
        self.run_fake(recipe, "device.kind=cuda")
        cuda = [line["loss"] for line in lockstep.metrics(self.out, "step")]
        self.assertEqual(len(cuda), 50)
        for step, (a, b) in enumerate(zip(cpu, cuda)):
            self.assertLess(abs(a - b), 1e-4 * abs(a) + 1e-5, f"step {step}")
        self.assertLess(abs(cpu[0] - cuda[0]), 1e-6 * cpu[0], "the first step depends on nothing but its samples")

    def test_initial_weights(self):
        changes = dict(LENET, **{"train.steps": 1, "train.schedule": {"constant": {"peak": 1e-30}},
                                 "train.optimizer": {"sgd": {"momentum": 0.0, "nesterov": False, "weight_decay": 0.0}}})
        recipe = lockstep.recipe(self.folder, changes)
        self.run_fake(recipe, "device.kind=cpu")
        on_cpu = self.figures()[0]
        self.run_fake(recipe)
        self.assertEqual(self.figures()[0], on_cpu)

    def test_checkpoints_move_between_devices(self):
        recipe = lockstep.recipe(self.folder, dict(LENET, **{"model.zoo": "resnet8", "train.batch": 8, "train.lanes": 4}))
        self.run_fake(recipe)
        [checkpoint] = (self.out / "checkpoints").glob("*.h5")
        found = {}
        for kind, settings in (("cuda", self.fake()), ("cpu", {"LOCKSTEP_CUDA_MODULE": "none"})):
            result = lockstep.run("eval", checkpoint, "--data", self.folder / "data" / "test-00000.h5", "--json",
                                  settings=settings)
            self.assertEqual(result.returncode, 0, result.stderr)
            found[kind] = float(re.search(r'"loss": ?([0-9.e+-]+)', result.stdout)[1])
        # The forward alone, once: some roundings of a f32.
        self.assertLess(abs(found["cuda"] - found["cpu"]), 1e-5 * found["cpu"])


class Trace(Case):
    def test_copies_have_a_row(self):
        recipe = lockstep.recipe(self.folder, dict(LENET, **{"train.steps": 8}))
        expected = self.result_of(recipe)
        found = self.result_of(recipe, "--trace-steps", 3, ranks=2)
        self.assertEqual(found, expected)
        events = json.loads((self.out / "trace.json").read_text())["traceEvents"]
        for rank in (0, 1):
            spans = [event for event in events if event["ph"] == "X" and event["pid"] == rank]
            rows = {event["args"]["name"]: event["tid"] for event in events
                    if event["ph"] == "M" and event["pid"] == rank and event["name"] == "thread_name"}
            of_row = {name: [event for event in spans if event["tid"] == row] for name, row in rows.items()}
            copies = of_row["copies"]
            self.assertEqual(len(copies), 3 * 3, "a lane's input is copied once, in each of three steps")
            self.assertTrue(all(event["args"]["bytes"] > 4 * 256 for event in copies))
            self.assertTrue(of_row["communication"] and of_row["lanes 0"] and of_row["host"])
            for event in spans:
                self.assertGreaterEqual(event["dur"], 0)
        self.assertEqual(sum(event["name"].startswith("lane ") and event["name"].endswith("segment 0")
                             for event in events), 3 * 6)


    def test_phases_have_ranges(self):
        changes = dict(LENET, **{"train.steps": 4, "eval.every": "2 steps", "checkpoint.every": "2 steps"})
        recipe = lockstep.recipe(self.folder, changes)
        self.run_fake(recipe, ranks=2)
        ranges = {}
        for name, count in re.findall(r"^range (.*): (\d+)$", self.said(), re.M):
            ranges.setdefault(name, set()).add(int(count))
        segments = max(int(name.rsplit(" ", 1)[1]) for name in ranges if name.startswith("segment "))
        self.assertGreater(segments, 1)
        # A rank has three lanes of each step, and of a step three segments of one lane and folds in two waves.
        for segment in range(1, segments + 1):
            self.assertEqual(ranges.pop(f"segment {segment} of {segments}"), {4 * 3})
        self.assertEqual(ranges.pop("lane"), {4 * 3 * segments})
        self.assertEqual(ranges.pop("all-reduce"), {4 * segments})
        self.assertEqual(ranges.pop("update"), {4})
        self.assertEqual(ranges.pop("norm"), {4})
        self.assertEqual(ranges.pop("checkpoint"), {2})
        self.assertEqual(ranges.pop("evaluate"), {2})
        self.assertEqual(ranges.pop("wait for data"), {4})
        evaluated = ranges.pop("segment 1 of 1")
        self.assertEqual(ranges.pop("copy input"), {4 * 3 + chunks for chunks in evaluated})
        self.assertEqual(min(ranges.pop("fold")) % (4 * segments), 0)
        self.assertEqual(ranges, {})


class Bench(Case):
    def test_step_from_device_memory(self):
        for ranks, words in [(1, ["--precision", "bf16"]), (1, ["--precision", "tf32", "--eager"]), (2, ["--precision", "fp16"])]:
            with self.subTest(ranks=ranks, words=words):
                result = lockstep.run("bench", "step", "--model", "lenet", "--batch", 8, "--lanes", 4, "--steps", 2, "--json",
                                      *words, ranks=ranks, settings=self.fake())
                self.assertEqual(result.returncode, 0, result.stdout + result.stderr + self.said())
                figures = json.loads(result.stdout)
                self.assertIn("Stand-in", figures["device"])
                self.assertGreater(figures["samples_per_s"], 0)
        result = lockstep.run("bench", "step", "--model", "lenet", "--batch", 8, "--profile", settings=self.fake())
        self.assertEqual(result.returncode, 2, result.stdout + result.stderr)
        self.assertIn("times of single operations are known on the CPU alone", result.stderr)


class Restart(Case):
    def test_on_other_terms(self):
        # Of a run on other terms than those it began on, the promise does not hold, and it says so.
        recipe = lockstep.recipe(self.folder, dict(LENET, **{"train.schedule": {"constant": {"peak": 0.01}}}))
        self.run_fake(recipe, "train.steps=2", out="run")
        for settings, words in (({"choice": "all"}, "libraries do the model's operations in other ways than when this run began"),
                                ({"NVIDIA_TF32_OVERRIDE": "0"}, 'goes on on "cuda Stand-in GPU.*; NVIDIA_TF32_OVERRIDE=0"'),
                                ({}, None)):
            with self.subTest(words):
                shutil.copytree(self.folder / "run", self.folder / "again", dirs_exist_ok=True)
                stderr = self.run_fake(recipe, "--resume", out="again", **settings).stderr
                shutil.rmtree(self.out)
                found = [line for line in stderr.splitlines() if "may differ in its last bits" in line]
                self.assertEqual(len(found), words is not None, stderr)
                if words:
                    self.assertRegex(found[0], words)
        doctor = lockstep.run("doctor", settings=self.fake(NVIDIA_TF32_OVERRIDE="0")).stdout
        self.assertIn("warning: NVIDIA_TF32_OVERRIDE=0 is set", doctor)

    def test_resume_after_kill(self):
        changes = dict(LENET, **{"train.steps": 12, "checkpoint.every": "2 steps", "train.batch": 48})
        recipe = lockstep.recipe(self.folder, changes)
        whole = self.result_of(recipe)[0]
        out = self.folder / "killed"
        process = lockstep.start("train", recipe, "--out", out, settings=self.fake())
        while not list((out / "checkpoints").glob("step-*.h5")) and process.poll() is None:
            time.sleep(0.01)
        process.kill()
        lockstep.reap(process)
        self.run_fake(recipe, "--resume", ranks=2, out="killed")
        self.assertEqual(self.figures()[0], whole)


class Refusals(Case):
    def refuse(self, text, *words, status=2, **options):
        result = self.run_fake(*words, expect=status, **options)
        self.assertEqual(result.stderr.count("lockstep: error:"), 1, result.stderr)
        self.assertIn(text, result.stderr)

    def test_devices(self):
        recipe = lockstep.recipe(self.folder, LENET)
        self.refuse("no usable GPU: ", recipe, no_driver=1)
        self.refuse("no usable GPU: ", recipe, gpus=0)
        self.refuse("3 ranks on ", recipe, ranks=3, gpus=2)
        self.refuse("ranks 0 and 1 on ", recipe, ranks=2, gpus=1)
        self.refuse("ranks 0 and 1 on ", recipe, "device.id=1", ranks=2)
        self.refuse("what libraries chose for the model's operations", recipe, ranks=2, choice=1)
        self.refuse("override device.id=4: there ", recipe, "device.id=4")
        self.refuse("GPU 0 cannot be used: CUDA-capable device(s) is/are busy", recipe, "device.kind=auto",
                    fail="cudaSetDevice:1:cudaErrorDevicesUnavailable")
        self.refuse("for which this build of Lockstep has no code (no kernel image is available for execution on the device): build "
                    "it with -DLOCKSTEP_CUDA_ARCHITECTURES=80", recipe,
                    fail="cudaFuncGetAttributes:1:cudaErrorNoKernelImageForDevice")
        self.refuse("LOCKSTEP_CUDA_ARCHITECTURES=80; device.kind=cpu does without a GPU", recipe, "device.kind=auto",
                    fail="cudaFuncGetAttributes:1:cudaErrorUnsupportedPtxVersion")
        self.refuse("override device.id=GPU-0: ", recipe, "device.id=GPU-0")
        self.refuse("override device.memory=300KiB: the plan needs", recipe, "device.memory=300KiB")
        self.refuse("the largest lane that fits has", recipe, "device.memory=700KiB", "train.batch=96")

    def test_memory_of_the_gpu(self):
        recipe = lockstep.recipe(self.folder, LENET)
        self.refuse("free; the largest lane that fits has", recipe, "train.batch=96", memory="700K")

    def test_chosen_by_uuid(self):
        recipe = lockstep.recipe(self.folder, LENET)
        doctor = lockstep.run("doctor", settings=self.fake()).stdout
        uuid = re.search(r"GPU 2: .*(GPU-[0-9a-f-]+)", doctor)[1]
        self.assertIn("GPU 2, ", self.run_fake(recipe, f"device.id={uuid}").stderr)

    def test_without_a_driver_the_cpu_serves(self):
        recipe = lockstep.recipe(self.folder, dict(LENET, **{"device.kind": "auto"}))
        stderr = self.run_fake(recipe, no_driver=1).stderr
        [line] = [line for line in stderr.splitlines() if "device:" in line]
        self.assertRegex(line, r"device: cpu: .*\(no usable GPU: ")
        stderr = self.run_fake(recipe).stderr
        self.assertIn("device: cuda: GPU 0, ", stderr)

    def test_no_module(self):
        recipe = lockstep.recipe(self.folder, LENET)
        for name, text in (("nowhere.so", "cannot be opened"), (str(pathlib.Path(recipe)), "cannot be opened")):
            result = lockstep.run("train", recipe, "--out", self.folder / "none",
                                  settings={"LOCKSTEP_CUDA_MODULE": name})
            self.assertEqual(result.returncode, 2)
            self.assertIn(text, result.stderr)


class Faults(Case):
    APIS = ("cudaMalloc", "cudaHostAlloc", "cudaStreamCreate", "cudaEventCreate", "cudaMemcpyAsync", "cudaEventRecord",
            "cudaStreamWaitEvent", "cudaLaunchHostFunc", "cudaStreamSynchronize", "cudaStreamBeginCapture",
            "cudaStreamEndCapture", "cudaGraphInstantiate", "cudaGraphLaunch", "launch", "kernel", "product", "conv",
            "cudaSetDevice", "cudaMemGetInfo", "cudaMemset", "cudaDeviceSynchronize")

    def test_each_call_fails_once(self):
        recipe = lockstep.recipe(self.folder, dict(LENET, **{"train.steps": 2}))
        for api in self.APIS:
            for n in (1, 2, 7):
                with self.subTest(api=api, n=n):
                    result = self.run_fake(recipe, expect=None, fail=f"{api}:{n}:cudaErrorMemoryAllocation")
                    if result.returncode == 0:
                        self.assertTrue(n > 1 or "cannot be captured" in result.stderr, f"{api} is never called")
                        continue
                    self.assertIn(result.returncode, (1, 2), result.stderr + self.said())
                    self.assertEqual(result.stderr.count("lockstep: error:"), 1, result.stderr)
                    self.assertNotIn("leak", self.said())

    def test_a_library_that_refuses_is_heard(self):
        recipe = lockstep.recipe(self.folder, LENET)
        for task in ("product", "conv"):
            stderr = self.run_fake(recipe, expect=1, fail=f"make {task}:1:cudaErrorMemoryAllocation").stderr
            self.assertRegex(stderr, r"CUDA has no kernel for \w+ of f32.* -> f32: the stand-in makes no task: out of memory\n")

    def test_a_fault_on_one_rank_ends_all(self):
        recipe = lockstep.recipe(self.folder, LENET)
        for transport in ("nccl", "mpi"):
            result = self.run_fake(recipe, f"device.transport={transport}", ranks=2, expect=None,
                                   fail="kernel:40:cudaErrorIllegalAddress")
            self.assertIn(result.returncode, (1, 4), result.stderr)
            self.assertIn("illegal memory access", result.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
