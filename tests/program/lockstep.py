"""What the tests of the whole program share: data made on the spot, recipes, ranks, and what a run leaves behind."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import unittest

import numpy

try:
    import h5py
    import yaml
except ImportError:  # a machine with a GPU may have neither: shards are packed then, and JSON is YAML
    h5py = yaml = None

PROGRAM = os.environ["LOCKSTEP"]
# Under sanitizers a run is many times slower: fewer combinations, the same assertions.
QUICK = bool(os.environ.get("LOCKSTEP_QUICK"))
MPIRUN = ["mpirun", "--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1"]
ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
# MPI leaks from modules that it has unloaded by the end, which no suppression can name. A single rank does without MPI,
# and is held to leak nothing.
WITH_MPI = dict(ENVIRONMENT, ASAN_OPTIONS="detect_leaks=0")


def command(*words, ranks=1):
    return (MPIRUN + ["-n", str(ranks)] if ranks > 1 else []) + [PROGRAM, *map(str, words)]


def run(*words, ranks=1, timeout=600, starts_ranks=False, settings=(), **options):
    """starts_ranks: the command is no rank itself, and starts some. settings: more environment."""
    return subprocess.run(command(*words, ranks=ranks), capture_output=True, text=True, timeout=timeout,
                          env=dict(WITH_MPI if ranks > 1 or starts_ranks else ENVIRONMENT, **dict(settings)),
                          stdin=subprocess.DEVNULL, **options)


def start(*words, ranks=1, settings=(), **options):
    return subprocess.Popen(command(*words, ranks=ranks), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=dict(WITH_MPI if ranks > 1 else ENVIRONMENT, **dict(settings)),
                            stdin=subprocess.DEVNULL, **options)


def reap(process, timeout=120):
    """What the launcher printed, once it has ended. Open MPI 4.1's mpirun can block in its own finalization when all its
    ranks are killed while they start: with none of them left, it is ended too."""
    try:
        return process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        left = subprocess.run(["ps", "--ppid", str(process.pid), "-o", "stat=,args="], capture_output=True, text=True).stdout
        alive = [line for line in left.splitlines() if not line.startswith("Z")]
        process.kill()
        process.communicate()
        if alive:
            raise AssertionError(f"still running after {timeout} s: {alive}") from None


def is_running(pid):
    """Is there such a process, other than a dead one that nobody has waited for?"""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def images(n, size=16, channels=1, classes=4, seed=1):
    """Learnable samples: noise, and a bright band whose place says the class."""
    random = numpy.random.default_rng(seed)
    labels = random.integers(0, classes, n).astype("i4")
    x = random.integers(0, 120, (n, size, size, channels)).astype("u1")
    band = size // classes
    for i, label in enumerate(labels):
        x[i, label * band:(label + 1) * band] += 100
    return x, labels


def pack_shards(folder, name, x, y, shards):
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        numpy.save(place / "x.npy", x)
        numpy.save(place / "y.npy", y)
        result = run("pack", "npy", place / "x.npy", place / "y.npy", "-o", place / "out", "--shards", shards)
        assert result.returncode == 0, result.stderr
        for s, path in enumerate(sorted((place / "out").glob("*.h5"))):
            shutil.move(path, folder / f"{name}-{s:05}.h5")


def write_shards(folder, name, x, y, shards=1, input_name="images", target_name="labels", **options):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if not h5py:
        pack_shards(folder, name, x, y, shards)
        return str(folder / f"{name}-*.h5")
    for s in range(shards):
        part = slice(len(x) * s // shards, len(x) * (s + 1) // shards)
        with h5py.File(folder / f"{name}-{s:05}.h5", "w") as file:
            file.create_dataset(input_name, data=x[part], **options)
            file.create_dataset(target_name, data=y[part])
    return str(folder / f"{name}-*.h5")


def recipe(folder, changes=(), **top):
    """A small recipe that uses convolution, batch-norm, dropout, augmentation and clipping."""
    content = {
        "seed": 3,
        "model": {"zoo": "cnn", "classes": 4, "dropout": 0.2},
        "data": {
            "train": "data/train-*.h5",
            "test": "data/test-*.h5",
            "normalize": {"mean": [0.3], "std": [0.25]},
            "augment": {"crop_pad": 2, "flip": True},
        },
        "train": {
            "steps": 6,
            "batch": 256,
            "lanes": 8,
            "optimizer": {"sgd": {"momentum": 0.9, "nesterov": True, "weight_decay": 5.0e-4}},
            "schedule": {"cosine": {"peak": 0.05, "warmup": "2 steps"}},
            "clip": 1.0,
        },
        "eval": {"every": "3 steps"},
        "checkpoint": {"every": "2 steps", "keep": 3},
        "device": {"kind": "cpu"},
    }
    content.update(top)
    for dotted, value in dict(changes).items():
        *path, last = dotted.split(".")
        place = content
        for key in path:
            place = place.setdefault(key, {})
        place[last] = value
    path = pathlib.Path(folder) / "recipe.yaml"
    path.write_text(yaml.safe_dump(content) if yaml else json.dumps(content))
    return str(path)


def metrics(out, kind=None):
    lines = [json.loads(line) for line in (pathlib.Path(out) / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if kind is None or line["kind"] == kind]


def done_line(result):
    """The figures of the last line of train."""
    last = result.stdout.strip().splitlines()[-1]
    assert last.startswith("done: "), result.stdout + result.stderr
    return dict(word.split("=") for word in last[len("done: "):].split())


def children(pid):
    """The ranks that the launcher `pid` started."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = stat.read_text().rsplit(")", 1)
        except OSError:
            continue
        if "(lockstep" in name and int(rest.split()[1]) == pid:
            found.append(int(stat.parent.name))
    return found


class Case(unittest.TestCase):
    """A test with a folder of its own, whose name has a space in it, and a small data set there."""

    samples, test_samples, shards = 600, 100, 3

    def setUp(self):
        self._folder = tempfile.TemporaryDirectory(prefix="lockstep test ")
        self.folder = pathlib.Path(self._folder.name)
        self.addCleanup(self._folder.cleanup)
        write_shards(self.folder / "data", "train", *images(self.samples), shards=self.shards)
        write_shards(self.folder / "data", "test", *images(self.test_samples, seed=2))

    def train(self, *words, ranks=1, expect=0, out="run", **options):
        result = run("train", *words, "--out", self.folder / out, ranks=ranks, **options)
        self.assertEqual(result.returncode, expect, result.stdout + result.stderr)
        return result

    def wait_for_steps(self, process, out, steps):
        path = self.folder / out / "metrics.jsonl"
        deadline = time.time() + 120
        while time.time() < deadline and process.poll() is None:
            if path.exists() and path.read_text().count('"kind": "step"') + path.read_text().count('"kind":"step"') >= steps:
                return
            time.sleep(0.002)
