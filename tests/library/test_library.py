"""Lockstep as a library: installed, moved, compiled against, and used by programs that are not Lockstep's."""
import ctypes
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

import h5py
import numpy

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "program"))
import lockstep  # noqa: E402

BUILD = os.environ["LOCKSTEP_BUILD"]
CMAKE = os.environ["LOCKSTEP_CMAKE"]
STRICT = ["-Wall", "-Wextra", "-Werror"]


def run(*words, expect=0, **options):
    result = subprocess.run([str(word) for word in words], capture_output=True, text=True, **options)
    assert result.returncode == expect, f"{words}: {result.returncode}\n{result.stdout}{result.stderr}"
    return result.stdout


class Library(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls._folder = tempfile.TemporaryDirectory(prefix="lockstep library ")
        cls.addClassCleanup(cls._folder.cleanup)
        cls.folder = pathlib.Path(cls._folder.name)
        run(CMAKE, "--install", BUILD, "--prefix", cls.folder / "made here")
        cls.prefix = cls.folder / "a prefix"  # all of it may be moved
        (cls.folder / "made here").rename(cls.prefix)
        cls.library = cls.prefix / "lib" / "liblockstep.so"
        cls.environment = dict(lockstep.WITH_MPI, LD_LIBRARY_PATH=str(cls.prefix / "lib"),
                               PKG_CONFIG_PATH=str(cls.prefix / "lib" / "pkgconfig"))
        cls.cflags = cls.packaged("--cflags")
        cls.example, cls.tokens = (cls.compiled(name) for name in ("own_model", "own_tokens"))
        lockstep.write_shards(cls.folder / "data", "train", *lockstep.images(300), shards=2)
        lockstep.write_shards(cls.folder / "data", "test", *lockstep.images(90, seed=2))
        with h5py.File(cls.folder / "data" / "tokens.h5", "w") as file:
            file["tokens"] = (numpy.arange(40 * 6) * 7 % 50).reshape(40, 6)
            file["labels"] = numpy.arange(40) % 4

    @classmethod
    def compiled(cls, example):
        program = cls.folder / example.replace("_", " ")
        run("cc", *STRICT, SOURCE / "launch" / "examples" / f"{example}.c", "-o", program, *cls.packaged("--cflags", "--libs"))
        return program

    @classmethod
    def packaged(cls, *words):
        return shlex.split(run("pkg-config", *words, "lockstep", env=cls.environment))

    def run_example(self, where, *words, ranks=1, expect=0, program=None):
        """In a folder of its own; its lines."""
        folder = self.folder / where
        folder.mkdir()
        launcher = lockstep.MPIRUN + ["-n", str(ranks)] if ranks > 1 else []
        return run(*launcher, program or self.example, "data.train=../data/train-*.h5", "data.test=../data/test-*.h5",
                   "model.classes=4", "train.batch=64", "device.kind=cpu", *words, cwd=folder, env=self.environment, expect=expect)

    def test_one_result(self):
        said = [self.run_example(f"on {ranks} ranks", ranks=ranks) for ranks in (1, 2, 3)]
        self.assertRegex(said[0], r"^trained: step=9 params=[0-9a-f]{16}\nevaluated: samples=90 loss=\S+ accuracy=\S+\n$")
        self.assertEqual(said[1:], said[:1] * 2)
        # The program knows no such model, and says which it does know.
        checkpoint = self.folder / "on 1 ranks" / "runs" / "own" / "checkpoints" / "step-00000009.h5"
        result = subprocess.run([self.prefix / "bin" / "lockstep", "eval", checkpoint], capture_output=True, text=True,
                                env=lockstep.ENVIRONMENT)
        self.assertEqual(result.returncode, 2)
        self.assertIn("unknown model own; known are", result.stderr)
        self.assertIn("good", run(self.prefix / "bin" / "lockstep", "check", checkpoint, env=lockstep.ENVIRONMENT))

    def test_errors_come_back(self):
        for ranks in (1, 2):
            result = self.run_example(f"wrong on {ranks}", "train.batch=65", ranks=ranks, expect=2)
            self.assertEqual(result, "")

    @staticmethod
    def write_words(path, seed, samples, change=None):
        """Of 50 words the first 25 speak for one class, the others for the other."""
        words = numpy.random.default_rng(seed).integers(0, 50, (samples, 12))
        labels = (words < 25).sum(1) > 6
        if change:
            words[change[:2]] = change[2]
        with h5py.File(path, "w") as file:
            file["tokens"] = words.astype("i4")
            file["labels"] = labels.astype("u1")

    def test_tokens(self):
        """They come from a file to a table of the model's, on both devices; one that is none is named."""
        folder = self.folder / "tokens"
        folder.mkdir()
        self.write_words(folder / "train.h5", 1, 600)
        self.write_words(folder / "test.h5", 2, 200)
        self.write_words(folder / "bad.h5", 3, 600, (77, 5, 50))
        fake = {"LOCKSTEP_CUDA_MODULE": os.environ["LOCKSTEP_FAKECUDA"], "LS_FAKE_GPUS": "4", "LS_FAKE_EXIT": "99"}

        def train(kind, ranks, *words):
            launcher = lockstep.MPIRUN + ["-n", str(ranks)] if ranks > 1 else []
            shutil.rmtree(folder / "runs", ignore_errors=True)
            return subprocess.run([*launcher, self.tokens, "model.vocabulary=50", f"device.kind={kind}", *words],
                                  capture_output=True, text=True, cwd=folder,
                                  env=dict(self.environment, **(fake if kind == "cuda" else {})))

        for kind, numbers in (("cpu", (1, 2, 3)), ("cuda", (1, 3))):
            said = [train(kind, ranks).stdout for ranks in numbers]
            self.assertRegex(said[0], r"step 38: test loss \S+, accuracy 0\.9\d+\ntrained: step=38 params=[0-9a-f]{16}\n$")
            self.assertEqual(said[1:], said[:1] * (len(numbers) - 1))
            result = train(kind, numbers[-2], "data.train=bad.h5")
            self.assertEqual(result.returncode, 2, result.stderr)
            self.assertIn("bad.h5: tokens[77] is not of tokens: value 5 of 12 is 50, expected 0 to 49", result.stderr)
            # Of a test set too it is found before the first step.
            result = train(kind, numbers[-2], "data.test=bad.h5")
            self.assertEqual(result.returncode, 2, result.stderr)
            self.assertIn("bad.h5: tokens[77] is not of tokens", result.stderr)
            self.assertEqual(list(folder.glob("runs/**/metrics.jsonl")), [])

    def test_static(self):
        program = self.folder / "static"
        libraries = [word for word in self.packaged("--libs", "--static") if word != "-llockstep"]
        run("cc", SOURCE / "launch" / "examples" / "own_model.c", "-o", program, *self.cflags,
            self.prefix / "lib" / "liblockstep.a", *libraries)
        self.assertNotIn("liblockstep", run("readelf", "--wide", "--dynamic", program))
        self.assertEqual(self.run_example("with static", program=program), self.run_example("with shared"))

    def test_other_languages(self):
        """C++ with all its warnings; two of everything, at once where it may be; nothing printed."""
        program = self.folder / "use"
        run("g++", "-std=c++17", "-pedantic", *STRICT, HERE / "use.cpp", "-o", program, "-pthread", *self.packaged("--cflags", "--libs"))
        result = subprocess.run([program, self.folder / "data"], capture_output=True, text=True, cwd=self.folder,
                                env=dict(self.environment, LOCKSTEP_CUDA_MODULE=str(self.folder / "none")))
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))

    def test_cmake(self):
        project = self.folder / "a project"
        project.mkdir()
        shutil.copy(SOURCE / "launch" / "examples" / "own_model.c", project)
        (project / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.22)\nproject(own C)\nfind_package(lockstep 0.1 REQUIRED)\n"
            "add_executable(own_model own_model.c)\ntarget_link_libraries(own_model PRIVATE lockstep::lockstep)\n")
        run(CMAKE, "-G", "Ninja", "-S", project, "-B", project / "build", f"-DCMAKE_PREFIX_PATH={self.prefix}")
        run(CMAKE, "--build", project / "build")
        self.run_example("by cmake", "train.epochs=1", program=project / "build" / "own_model")

    def test_staged(self):
        """As packagers install: what is laid below DESTDIR knows nothing of it."""
        staged = self.folder / "staged here"
        run(CMAKE, "--install", BUILD, "--prefix", "/opt/lockstep", env=dict(os.environ, DESTDIR=str(staged)))
        root = staged / "opt" / "lockstep"
        self.assertEqual(sorted(path.name for path in root.iterdir()), ["bin", "include", "lib"])
        for path in root.rglob("*"):
            if path.suffix in (".pc", ".cmake", ".h"):
                text = path.read_text()
                for place in (str(staged), BUILD, str(SOURCE), "/opt/lockstep"):
                    self.assertNotIn(place, text, path)
        for name in ("bin/lockstep", "lib/liblockstep.so"):
            self.assertNotRegex(run("readelf", "--wide", "--dynamic", root / name), "R(UN)?PATH")
        self.assertIn("lockstep 0.", run(root / "bin" / "lockstep", "--version", env=lockstep.ENVIRONMENT))

    def test_headers(self):
        """Each stands alone, in C and in C++, with nothing but the installed ones."""
        headers = [str(path.relative_to(self.prefix / "include")) for path in (self.prefix / "include").rglob("*.h")]
        self.assertGreater(len(headers), 20)
        for header in headers:
            if header.endswith(("/begin.h", "/end.h")):  # each the half of a frame
                continue
            for compiler in (["cc", "-std=c17", "-xc"], ["g++", "-std=c++17", "-xc++"]):
                with self.subTest(header=header, compiler=compiler[0]):
                    run(*compiler, *STRICT, "-pedantic", "-fsyntax-only", *self.cflags, "-", input=f"#include <{header}>\n")

    def declared(self, folder, names):
        """Functions and data of these headers, inline ones left out."""
        text = "".join(f'#include "{name}"\n' for name in names)
        text = run("cc", "-std=c17", "-DLOCKSTEP_HAVE_ONEDNN", "-E", "-P", "-xc", "-I", folder, "-I", SOURCE, "-", input=text)
        text = re.sub(r"static inline [^{;]*\{.*?\n\}", "", text, flags=re.S)
        found = set(re.findall(r"^(?!typedef|static)[a-z_][\w\s*]*?\b(ls_\w+|lockstep_\w+)\(", text, flags=re.M))
        return found | set(re.findall(r"^extern [^;(]*?\b(ls_\w+)(?:\[\])?;", text, flags=re.M))

    def test_symbols(self):
        """The shared library shows what the headers declare, what the CUDA module takes, and nothing else."""
        shown = set(re.findall(r" [A-Z] (\w+)$", run("nm", "--dynamic", "--defined-only", self.library), flags=re.M))
        include = self.prefix / "include"
        declared = self.declared(include, [path.relative_to(include) for path in include.rglob("*.h")])
        shows = [path for path in (SOURCE / "src").rglob("*.h") if '"base/begin.h"' in path.read_text()]
        module = self.declared(SOURCE / "src", [path.relative_to(SOURCE / "src") for path in shows])
        absent = {"lockstep_cuda_module"} | {name for name in declared if name.startswith("ls_onednn")}  # the module's; where it is built in
        self.assertEqual(declared - shown - absent, set(), "declared, and not there")
        self.assertEqual(shown - declared - module, set(), "there, and not declared")
        name = re.search(r"SONAME.*\[(.*)\]", run("readelf", "--wide", "--dynamic", self.library)).group(1)
        abi = re.search(r"LS_ABI = (\d+)", (include / "lockstep" / "base" / "version.h").read_text()).group(1)
        self.assertEqual(name, f"liblockstep.so.{abi}")

    def test_opened_alone(self):
        """By a language binding, out of sight of others: the CUDA module finds its functions all the same."""
        module = os.environ["LOCKSTEP_FAKECUDA"]
        code = ("import ctypes, sys\nlibrary = ctypes.CDLL(sys.argv[1], ctypes.RTLD_LOCAL)\nwhy = ctypes.c_char_p()\n"
                "library.ls_gpu_module.restype = ctypes.c_void_p\n"
                "print('found' if library.ls_gpu_module(ctypes.byref(why)) else why.value)\n")
        environment = dict(self.environment, LOCKSTEP_CUDA_MODULE=module)
        self.assertEqual(run(sys.executable, "-c", code, self.library, env=environment), "found\n")

    def test_program_lives_by_it(self):
        """The program's own files, linked with nothing but the shared library: the linker found all that they call."""
        program = os.environ["LOCKSTEP_ON_LIBRARY"]
        self.assertIn("liblockstep.so", run("readelf", "--wide", "--dynamic", program))
        recipe = lockstep.recipe(self.folder, {"train.steps": 2})
        said = [run(which, "train", recipe, "--out", self.folder / f"by {name}", env=lockstep.ENVIRONMENT)
                for name, which in (("program", lockstep.PROGRAM), ("library", program))]
        self.assertEqual(*said)


if __name__ == "__main__":
    unittest.main(verbosity=2)
