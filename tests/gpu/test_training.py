"""Whole models on a GPU: like the CPU, and one result however many ranks share it, over NCCL or MPI, replayed or launched
anew, stopped or not. Without a usable GPU it ends with 77. `LOCKSTEP_CUDA_MODULE` may name the stand-in.

    test_training.py [OneResult] [LikeTheCpu] [Sanitized]"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "program"))
import lockstep  # noqa: E402

STAND_IN = "fakecuda" in os.environ.get("LOCKSTEP_CUDA_MODULE", "")
PRECISIONS = ["fp32", "bf16"] if STAND_IN else ["fp32", "tf32", "bf16", "fp16"]
# Ranks that share a GPU: NCCL takes them for ranks of several machines.
os.environ["LOCKSTEP_NCCL_SHARE_GPU"] = "1"
lockstep.ENVIRONMENT.update(os.environ)
lockstep.WITH_MPI.update(os.environ)
SMALL = {"train.lanes": 4, "train.batch": 32, "train.steps": 4, "eval.every": 0, "checkpoint.every": "2 steps",
         "device.kind": "cuda", "model.zoo": "cnn", "train.timeout": "60s"}


def why_no_gpu():
    """What the program says where it finds none; None: it has trained a step."""
    with tempfile.TemporaryDirectory(prefix="lockstep gpu ") as folder:
        lockstep.write_shards(pathlib.Path(folder) / "data", "train", *lockstep.images(32))
        lockstep.write_shards(pathlib.Path(folder) / "data", "test", *lockstep.images(8))
        recipe = lockstep.recipe(folder, dict(SMALL, **{"train.steps": 1}))
        result = lockstep.run("train", recipe, "--out", pathlib.Path(folder) / "run")
        if result.returncode == 0:
            return None
        if result.returncode == 2 and "GPU" in result.stderr:
            return result.stderr.strip()
        sys.exit(result.stdout + result.stderr)


class Training(lockstep.Case):
    samples, test_samples, shards = 160, 16, 2
    runs = 0

    def figures(self, changes, *words, ranks=1, out=None):
        self.runs += 1
        out = out or f"run{self.runs}"
        self.train(lockstep.recipe(self.folder, dict(SMALL, **changes)), *words, ranks=ranks, out=out)
        steps = [(line["loss"], line["accuracy"], line["grad_norm"]) for line in lockstep.metrics(self.folder / out, "step")]
        return lockstep.metrics(self.folder / out, "end")[-1]["params_hash"], steps


class OneResult(Training):
    LAYOUTS = [
        (1, {}), (1, {"device.replay": False}),
        (2, {"device.share": True, "device.transport": "mpi"}), (4, {"device.share": True, "device.transport": "mpi"}),
        (3, {"device.share": True, "device.transport": "nccl"}), (4, {"device.share": True, "device.transport": "nccl"}),
        (4, {"device.share": True, "device.transport": "nccl", "device.replay": False}),
    ]

    def test_layouts(self):
        for precision in PRECISIONS:
            first = None
            for ranks, device in self.LAYOUTS if precision == "fp32" else self.LAYOUTS[0::5]:
                with self.subTest(precision=precision, ranks=ranks, **device):
                    found = self.figures(dict(device, **{"train.precision": precision}), ranks=ranks)
                    first = first or found
                    self.assertEqual(found, first)

    def test_precisions_differ(self):
        hashes = {precision: self.figures({"train.precision": precision})[0] for precision in PRECISIONS}
        self.assertEqual(len(set(hashes.values())), len(PRECISIONS), hashes)

    def test_resumed(self):
        whole = self.figures({}, out="whole")
        half = lockstep.recipe(self.folder, SMALL)
        self.train(half, "train.steps=4", out="halves")
        for checkpoint in sorted((self.folder / "halves" / "checkpoints").glob("*.h5"))[1:]:
            checkpoint.unlink()
        self.train(half, "--resume", "device.share=true", ranks=2, out="halves")
        self.assertEqual(lockstep.metrics(self.folder / "halves", "end")[-1]["params_hash"], whole[0])

    def test_fast_trains(self):
        self.figures({"train.reduce": "fast", "device.share": True, "device.transport": "nccl"}, ranks=2)


class LikeTheCpu(Training):
    """In f32 every sum is the same in another order: relative differences of some 1e-6 a step, which a few steps of training
    amplify. TF32 and 16 bits round inputs to 10, 10 (fp16) and 7 (bf16) bits behind the point: 1e-3, 1e-3, 8e-3; over sums
    they average out. fp16 may skip a step or two, until its loss scale fits."""
    FIRST = {"fp32": 1e-5, "tf32": 3e-3, "bf16": 2e-2, "fp16": 3e-3}
    LAST = {"fp32": 1e-3, "tf32": 2e-2, "bf16": 1e-1, "fp16": 1e-1}
    MODELS = ["lenet", "cnn"] if STAND_IN else ["lenet", "cnn", "resnet18", "resnet50", "vit_s16"]

    def test_losses(self):
        for model in self.MODELS:
            still = {"model.zoo": model, "model.dropout": 0.0} if model == "cnn" else {"model.zoo": model}
            recipe = {"train.optimizer": {"sgd": {"momentum": 0.9}}, "train.schedule": {"constant": {"peak": 0.01}}, **still}
            top = {} if model == "cnn" else {"model": {"zoo": model, "classes": 4}}
            right = self.losses(dict(recipe, **{"device.kind": "cpu"}), top)
            for precision in ["fp32", "bf16"] if model == "resnet50" else PRECISIONS:
                with self.subTest(model=model, precision=precision):
                    found = self.losses(dict(recipe, **{"train.precision": precision}), top)
                    self.assertAlmostEqual(found[0] / right[0], 1, delta=self.FIRST[precision])
                    self.assertAlmostEqual(found[-1] / right[-1], 1, delta=self.LAST[precision])

    def losses(self, changes, top):
        self.runs += 1
        changes = {key: value for key, value in dict(SMALL, **changes).items() if not (top and key.startswith("model."))}
        self.train(lockstep.recipe(self.folder, changes, **top), out=f"run{self.runs}")
        return [line["loss"] for line in lockstep.metrics(self.folder / f"run{self.runs}", "step")]


@unittest.skipIf(STAND_IN or not shutil.which("compute-sanitizer"), "no compute-sanitizer")
class Sanitized(Training):
    """A short run under NVIDIA's checkers: no access out of bounds, no race in shared memory, nothing read that none wrote."""

    def test_tools(self):
        recipe = lockstep.recipe(self.folder, dict(SMALL, **{"train.steps": 1, "model.zoo": "lenet", "device.replay": False}))
        content = pathlib.Path(recipe).read_text().replace("  dropout: 0.2\n", "")
        pathlib.Path(recipe).write_text(content)
        for tool in ["memcheck", "racecheck", "synccheck"]:
            with self.subTest(tool=tool):
                words = ["compute-sanitizer", "--tool", tool, "--error-exitcode", "99"]
                if tool == "memcheck":
                    words += ["--leak-check", "no"]
                result = subprocess.run(words + lockstep.command("train", recipe, "--out", self.folder / tool),
                                        capture_output=True, text=True, timeout=240, env=lockstep.ENVIRONMENT)
                self.assertEqual(result.returncode, 0, result.stdout[-4000:] + result.stderr[-1000:])


if __name__ == "__main__":
    why = why_no_gpu()
    if why:
        print(f"skipped: {why}")
        sys.exit(77)
    unittest.main(verbosity=2)
