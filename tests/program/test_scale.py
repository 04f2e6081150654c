"""A scaling study, and a bench of reductions, from outside."""
import csv
import json
import unittest

import lockstep


class Scale(lockstep.Case):
    def setUp(self):
        super().setUp()
        self.recipe = lockstep.recipe(self.folder, {"train.batch": 64, "train.timeout": "60s"})
        lockstep.ENVIRONMENT.pop("SLURM_JOB_ID", None)

    def study(self, *words, expect=0):
        result = lockstep.run("scale", self.recipe, "-o", self.folder / "deep" / "study", *words, starts_ranks=True)
        self.assertEqual(result.returncode, expect, result.stderr)
        return result

    def test_a_study(self):
        self.study("--ranks", "2,1", "--both", "--repeats", "2", "--steps", "10", "--forecast", "8", "--price", "3", "data.prefetch=2")
        folder = self.folder / "deep" / "study"
        with open(folder / "scaling.csv") as file:
            rows = list(csv.DictReader(file))
        measured = [(row["mode"], row["ranks"], row["batch"], row["lanes"]) for row in rows if row["kind"] == "measured"]
        self.assertEqual(measured, [("strong", "1", "64", "8"), ("strong", "2", "64", "8"), ("weak", "1", "64", "8"), ("weak", "2", "128", "16")])
        self.assertEqual({row["params"] for row in rows if row["mode"] == "strong" and row["kind"] == "measured"}, {rows[0]["params"]})
        forecast = [(row["mode"], row["ranks"]) for row in rows if row["kind"] == "forecast"]
        self.assertEqual(forecast, [("strong", "4"), ("strong", "8"), ("weak", "4"), ("weak", "8")])
        for row in rows:
            self.assertLessEqual(float(row["step_ms_low"]), float(row["step_ms"]))
            self.assertLessEqual(float(row["step_ms"]), float(row["step_ms_high"]))
            whole = float(row["compute_ms"]) + float(row["comm_exposed_ms"]) + float(row["data_wait_ms"])
            if row["kind"] == "measured":
                self.assertAlmostEqual(whole, float(row["step_ms"]), places=4)
        table = json.loads((folder / "scaling.json").read_text())
        self.assertEqual(len(table["measured"]), 4)
        self.assertEqual(len(table["forecast"]), 4)
        report = (folder / "report.md").read_text()
        for words in ("Strong scaling", "Weak scaling", "Forecast (not measured)", "bit for bit", "cost", "says nothing of a network"):
            self.assertIn(words, report)
        # Runs that are there are kept: nothing is started.
        again = self.study("--ranks", "1,2", "--both", "--repeats", "2", "--steps", "10", "--collect", "data.prefetch=2")
        self.assertNotIn("strong scaling on", again.stderr)

    def test_params_that_differ_are_an_error(self):
        self.study("--ranks", "1", "--repeats", "2", "--steps", "5")
        path = self.folder / "deep" / "study" / "runs" / "strong-1-ranks-2" / "metrics.jsonl"
        text = path.read_text()
        at = text.index('"params_hash":"') + len('"params_hash":"')
        path.write_text(text[:at] + "0" * 16 + text[at + 16:])
        result = self.study("--ranks", "1", "--repeats", "2", "--steps", "5", expect=3)
        self.assertIn("they must be the same", result.stderr)

    def test_the_slurm_array_makes_what_is_collected(self):
        words = ("--ranks", "1,2", "--both", "--repeats", "1", "--steps", "5", "data.prefetch=2")
        self.study("--slurm-array", *words)
        script = self.folder / "deep" / "study" / "array.sbatch"
        self.assertIn("#SBATCH --array=1,2\n", script.read_text())
        # A stand-in for srun: what follows its options, under mpirun.
        (self.folder / "srun").write_text('#!/bin/bash\nwhile [[ $1 == --* ]]; do [[ $1 == --ntasks=* ]] && n=${1#*=}; shift; done\n'
                                          f'exec {" ".join(lockstep.MPIRUN)} -n $n "$@"\n')
        (self.folder / "srun").chmod(0o755)
        for ranks in (1, 2):
            environment = dict(lockstep.WITH_MPI, PATH=f"{self.folder}:{lockstep.os.environ['PATH']}", SLURM_ARRAY_TASK_ID=str(ranks),
                               SLURM_NTASKS_PER_NODE="1")
            result = lockstep.subprocess.run(["bash", script], env=environment, capture_output=True, text=True, timeout=300)
            self.assertEqual(result.returncode, 0, result.stderr)
        self.study("--collect", *words)
        with open(self.folder / "deep" / "study" / "scaling.csv") as file:
            measured = [(row["mode"], row["ranks"], row["batch"]) for row in csv.DictReader(file) if row["kind"] == "measured"]
        self.assertEqual(measured, [("strong", "1", "64"), ("strong", "2", "64"), ("weak", "1", "64"), ("weak", "2", "128")])

    def test_refusals(self):
        for words, says in ((["--ranks", "1,16"], "16 ranks share train.lanes: 8"), (["--ranks", "1,x"], "expected up to"),
                            (["--ranks", "2,2"], "stands there twice"), ([], "needs --ranks"),
                            (["--ranks", "1", "--price", "-1"], "--price"), (["--ranks", "1", "--steps", "2"], "--steps"),
                            (["--ranks", "3,4", "--weak"], "no whole number of lanes"),
                            (["--ranks", "1,2", "--fit", "1,4"], "--fit: 4 ranks are none of --ranks"),
                            (["--ranks", "1,2", "--launcher", "mpirun -n 2"], "--launcher: expected %n in it"),
                            (["--ranks", "1", "--collect"], "no run that came to its end")):
            with self.subTest(words=words):
                self.assertIn(says, self.study(*words, expect=2).stderr)
        self.assertFalse((self.folder / "deep").exists())

    def test_runs_of_another_study_are_refused(self):
        words = ("--ranks", "1", "--repeats", "1")
        self.study(*words, "--steps", "5")
        refused = self.study(*words, "--steps", "6", expect=2).stderr
        self.assertIn("strong-1-ranks-1: holds a run of 5 steps of 64 samples in 8 lanes on 1 rank; expected 6 steps", refused)

    def test_as_many_words_as_there_are(self):
        self.study("--ranks", "1", "--repeats", "1", "--steps", "5", *["data.prefetch=2"] * 300)

    def test_a_failed_run_is_named(self):
        result = self.study("--ranks", "1", "--steps", "5", "data.input=nothing", expect=2)
        self.assertIn("strong scaling on 1 rank ended with 2", result.stderr)
        self.assertIn("nothing", result.stderr)

    def test_bench_reduce(self):
        result = lockstep.run("bench", "reduce", "--sizes", "4096,100000", "--ms", "20", "--json", ranks=3)
        self.assertEqual(result.returncode, 0, result.stderr)
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual([(line["algorithm"], line["bytes"]) for line in lines],
                         [(name, size) for size in (4096, 100000) for name in ("ordered", "fast", "mpi")])
        for line in lines:
            ordered = next(other for other in lines if (other["algorithm"], other["bytes"]) == ("ordered", line["bytes"]))
            self.assertAlmostEqual(line["ordered_ratio"], ordered["p50_ms"] / line["p50_ms"], delta=0.001)  # digits printed
            self.assertAlmostEqual(line["algorithm_gb_s"], line["bytes"] / line["p50_ms"] / 1e6, places=3)
            self.assertAlmostEqual(line["bus_gb_s"], line["algorithm_gb_s"] * 4 / 3, places=3)
            self.assertLessEqual(line["p50_ms"], line["p99_ms"])
        self.assertEqual(lockstep.run("bench", "reduce").returncode, 2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
