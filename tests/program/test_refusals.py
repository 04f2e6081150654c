"""Bad input: one clear message with its place, exit status 2, nothing half-written."""
import os
import pathlib
import shutil
import subprocess
import unittest

import h5py
import numpy

import lockstep


class Refusals(lockstep.Case):
    def refuse(self, *expected, words=(), ranks=1, changes=(), path=None, **top):
        recipe = path if path is not None else lockstep.recipe(self.folder, changes, **top)
        result = lockstep.run("train", recipe, *words, "--out", self.folder / "run", ranks=ranks)
        self.assertEqual(result.returncode, 2, result.stdout + result.stderr)
        errors = [line for line in result.stderr.splitlines() if line.startswith("lockstep: error:")]
        self.assertEqual(len(errors), 1, result.stderr)
        for text in expected:
            self.assertIn(text, errors[0])
        self.assertFalse((self.folder / "run").exists(), "a refused run leaves no folder")
        return errors[0]

    def shard(self, **datasets):
        folder = self.folder / "data"
        shutil.rmtree(folder)
        folder.mkdir()
        for split in ("train", "test"):
            with h5py.File(folder / f"{split}-0.h5", "w") as file:
                for name, data in datasets.items():
                    file[name] = data

    # ---- recipes ----
    def test_recipe(self):
        path = pathlib.Path(lockstep.recipe(self.folder))
        text = path.read_text()
        for wrong, expected in (
            (text.replace("batch: 256", "bacth: 256"), ("bacth", "recipe.yaml:")),
            (text.replace("batch: 256", "batch: [256]"), ("train.batch", "recipe.yaml:")),
            (text.replace("batch: 256", "batch: many"), ("train.batch", "many")),
            (text.replace("batch: 256", "batch: 0"), ("train.batch", "0")),
            (text.replace("clip: 1.0", "clip: .nan"), ("train.clip", "finite")),
            (text.replace("clip: 1.0", "clip: -1"), ("train.clip", "-1")),
            (text.replace("lanes: 8", "lanes: 7"), ("lanes", "7", "256")),
            (text.replace("zoo: cnn", "zoo: resnet19"), ("resnet19", "resnet18")),
            (text.replace("  batch: 256", "\tbatch: 256"), ("recipe.yaml:25", "tab")),
            (text.replace("batch: 256", "batch: 256\n  batch: 128"), ("recipe.yaml:26", "batch", "line 25")),
            (text.replace("- 0.3", "- .nan"), ("data.normalize.mean", "finite")),
            (text + "# \udce9\n", ("recipe.yaml:38", "UTF-8")),
            (text + "\0", ("zero bytes",)),
            (text + "---\n" + text, ("second document",)),
            ("- a\n", ("recipe.yaml:1", "list")),
            (text + "seed: 4\n", ("seed", "repeat")),
            (text.replace("seed: 3", "seed: 3\ntrain: {"), ("recipe.yaml:",)),
            ("", ("recipe.yaml",)),
        ):
            path.write_bytes(wrong.encode(errors="surrogateescape"))
            with self.subTest(expected=expected):
                self.refuse(*expected, path=path)
        self.refuse("no-such.yaml", path=self.folder / "no-such.yaml")
        for ranks in (1, 2):
            self.refuse("data", "folder", path=self.folder / "data", ranks=ranks)
        self.refuse("expected the name of a file", path="")

    def test_too_many_lanes(self):
        self.refuse("train.lanes", "8192", "4096", changes={"train.lanes": 8192, "train.batch": 8192})

    def test_audit(self):
        self.refuse("train.audit_every", changes={"train.audit_every": -1})

    def test_ranks_with_other_data(self):
        # Each rank sees the folder of its own host.
        recipe = lockstep.recipe(self.folder)
        lockstep.write_shards(self.folder / "other", "train", *lockstep.images(500), shards=3)
        lockstep.write_shards(self.folder / "other", "test", *lockstep.images(100), shards=1)
        script = """
            [ "${OMPI_COMM_WORLD_RANK:-${PMIX_RANK:-0}}" = 1 ] || exec "${@:2}"
            exec unshare -m bash -c 'mount --bind "$1/other" "$1/data"; shift; exec "$@"' bash "$@"
        """
        words = ["bash", "-c", script, "bash", str(self.folder), lockstep.PROGRAM, "train", recipe, "--out", str(self.folder / "run")]
        result = subprocess.run(lockstep.MPIRUN + ["-n", "2", *words], capture_output=True, text=True, timeout=120,
                                env=lockstep.WITH_MPI)
        if "unshare" in result.stderr:
            self.skipTest("needs mount namespaces: " + result.stderr.splitlines()[0])
        self.assertEqual(result.returncode, 2, result.stdout + result.stderr)
        self.assertIn("the data", result.stderr)

    def test_precision(self):
        self.refuse("train.precision", "fp23", changes={"train.precision": "fp23"})
        self.refuse("fp16", changes={"train.precision": "fp16"})

    def test_override(self):
        self.refuse("train.bacth", words=["train.bacth=3"])
        self.refuse("train.batch", words=["train.batch=x"])

    def test_cuda_without_gpu(self):
        self.refuse("cuda", "no usable GPU", changes={"device.kind": "cuda"})

    # ---- data ----
    def test_no_shards(self):
        self.refuse("recipe.yaml:", "data.train", "none-*.h5", changes={"data.train": "data/none-*.h5"})
        self.refuse("override data.train=none-*.h5: ", words=("data.train=none-*.h5",))

    def test_label_out_of_range(self):
        x, y = lockstep.images(300)
        for bad in (4, -1):
            y[217] = bad
            self.shard(images=x, labels=y)
            for ranks in (1, 3):
                with self.subTest(bad=bad, ranks=ranks):
                    self.refuse("train-0.h5", "labels", "217", str(bad), ranks=ranks)

    def test_sample_not_finite(self):
        x, y = lockstep.images(300)
        x = x.astype("f4") / 255
        for bad in (numpy.nan, numpy.inf):
            x[123, 4, 5, 0] = bad
            self.shard(images=x, labels=y)
            self.refuse("train-0.h5", "images", "123")

    def test_truncated(self):
        shard = self.folder / "data" / "train-00001.h5"
        shard.write_bytes(shard.read_bytes()[:-3000])
        self.refuse("train-00001.h5", "truncated")

    def test_not_hdf5(self):
        for content in (b"", b"hello\n" * 1000):
            (self.folder / "data" / "train-00001.h5").write_bytes(content)
            self.refuse("train-00001.h5", "not an HDF5 file")

    def test_checksum_mismatch_while_training(self):
        # Only a rank that reads the sample can notice: all end, one message is printed, the weights are not touched.
        idx = self.folder / "idx"
        idx.mkdir()
        x, y = lockstep.images(600)
        (idx / "x").write_bytes(b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (600, 16, 16)) + x.tobytes())
        (idx / "y").write_bytes(b"\0\0\x08\x01" + (600).to_bytes(4, "big") + y.astype("u1").tobytes())
        shutil.rmtree(self.folder / "data")
        for name in ("train", "test"):
            result = lockstep.run("pack", "idx", idx / "x", idx / "y", "-o", self.folder / "data", "--name", name)
            self.assertEqual(result.returncode, 0, result.stderr)
        shard = self.folder / "data" / "train-00000-of-00001.h5"
        content = shard.read_bytes()
        at = content.index(x[333].tobytes())
        shard.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1:])
        for ranks in (1, 3):
            result = lockstep.run("train", lockstep.recipe(self.folder), "--out", self.folder / f"run{ranks}", ranks=ranks)
            self.assertEqual(result.returncode, 2, result.stdout + result.stderr)
            errors = [line for line in result.stderr.splitlines() if line.startswith("lockstep: error:")]
            self.assertEqual(len(errors), 1, result.stderr)
            self.assertIn("train-00000-of-00001.h5", errors[0])
            self.assertIn("333", errors[0])

    def test_other_shape(self):
        lockstep.write_shards(self.folder / "data", "train-z", *lockstep.images(10, size=20))
        self.refuse("train-z-00000.h5", "20", "16")

    def test_empty(self):
        x, y = lockstep.images(1)
        self.shard(images=x[:0], labels=y[:0])
        self.refuse("no sample")

    def test_counts_differ(self):
        x, y = lockstep.images(30)
        self.shard(images=x, labels=y[:29])
        self.refuse("30", "29")

    def test_not_what_it_should_be(self):
        x, y = lockstep.images(30)
        cases = (
            ({"images": x, "labels": [b"cat"] * 30}, ("labels", "strings")),
            ({"images": x.reshape(30, 16, 4, 4, 1), "labels": y}, ("images", "[30, 16, 4, 4, 1]")),
            ({"images": x, "labels": numpy.zeros((30, 2, 2))}, ("labels", "[30, 2, 2]")),
            ({"images": x, "labels": numpy.full(30, 2**31, "i8")}, ("labels[0]", "2147483648")),
            ({"images": h5py.SoftLink("/none"), "labels": y}, ("images", "link")),
            ({"images": h5py.ExternalLink("none.h5", "x"), "labels": y}, ("images", "link")),
        )
        for datasets, expected in cases:
            with self.subTest(expected=expected):
                self.shard(**datasets)
                self.refuse("train-0.h5", *expected)
        shard = self.folder / "data" / "train-0.h5"
        shard.unlink()
        os.mkfifo(shard)  # nobody will ever write to it
        self.refuse("train-0.h5", "pipe")

    @unittest.skipUnless(os.getuid() == 0 and shutil.which("setpriv"), "needs root, to be somebody else")
    def test_permission(self):
        if "/root/" in lockstep.PROGRAM:
            self.skipTest("the program is closed to others")
        self.folder.chmod(0o755)
        recipe = pathlib.Path(lockstep.recipe(self.folder))
        somebody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        shard = self.folder / "data" / "test-00000.h5"

        def refuse(*expected):
            words = lockstep.command("train", recipe, "--out", self.folder / "run")
            result = subprocess.run(somebody + words, capture_output=True, text=True, env=lockstep.ENVIRONMENT)
            if "cannot execute" in result.stderr or "failed to execute" in result.stderr:
                self.skipTest("the program is closed to others")
            self.assertEqual(result.returncode, 2, result.stderr)
            for text in expected:
                self.assertIn(text, result.stderr.strip().splitlines()[-1])

        refuse(str(self.folder / "run"), "Permission denied")
        shard.chmod(0)
        refuse(str(shard), "Permission denied")
        recipe.chmod(0)
        refuse(str(recipe), "Permission denied")

    def test_missing_dataset(self):
        self.refuse("pictures", changes={"data.input": "pictures"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
