"""launch/run: which command it chooses, with stand-ins for mpirun and srun on the PATH."""
import os
import pathlib
import subprocess
import unittest

import lockstep

RUN = pathlib.Path(__file__).resolve().parents[2] / "launch" / "run"


class Launch(lockstep.Case):
    def setUp(self):
        super().setUp()
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        self.program("nproc", "echo 4")
        self.program("nvidia-smi", "exit 1")
        self.program("lockstep", "exit 0")
        self.mpirun("4.1.4")

    def program(self, name, body):
        path = self.bin / name
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)

    def mpirun(self, version, status=0):
        self.program("mpirun", f'[ "$1" = --version ] && echo "mpirun (Open MPI) {version}" && exit\nexit {status}')

    def srun(self, plugins):
        self.program("srun", f'[ "$1" = --mpi=list ] && echo "{plugins}" >&2 && exit\nexit 75')

    def launch(self, *words, **variables):
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "LAUNCH"))}
        environment.update(variables, PATH=f"{self.bin}:/usr/bin:/bin", LOCKSTEP=str(self.bin / "lockstep"))
        return subprocess.run([RUN, *words], capture_output=True, text=True, env=environment, cwd=self.folder, timeout=60)

    def command(self, *words, **variables):
        result = self.launch("--dry-run", *words, "train", "a b.yaml", **variables)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertTrue(result.stderr.startswith("+ "), result.stderr)
        self.assertTrue(result.stderr.endswith("lockstep train a\\ b.yaml\n"), result.stderr)
        return result.stderr

    def test_one_host(self):
        text = self.command("-n", "4")
        self.assertIn("mpirun -n 4 --bind-to none", text)
        self.assertIn("--mca mpi_yield_when_idle 1", text)
        self.assertNotIn("OVERSUBSCRIBE", text)
        self.assertIn("--map-by :OVERSUBSCRIBE", self.command("-n", "5"))
        self.assertIn("mpirun -n 1 ", self.command())

    def test_a_rank_a_gpu(self):
        self.program("nvidia-smi", 'echo "GPU 0: a"; echo "GPU 1: b"')
        self.assertIn("mpirun -n 2 ", self.command())

    def test_hosts(self):
        text = self.command("--hosts", "n1:4,n2:2,n3")
        self.assertIn("mpirun -n 7 --host n1:4\\,n2:2\\,n3", text)
        self.assertNotIn("OVERSUBSCRIBE", text)
        (self.folder / "my hosts").write_text("# ours\nn1 slots=3\n\nn2 slots=2 max_slots=2 # new\nn3\n")
        self.assertIn("mpirun -n 6 --hostfile my\\ hosts", self.command("--hosts", "my hosts"))

    def test_both_versions_of_open_mpi(self):
        text = self.command("-n", "2", "--interface", "ib0")
        self.assertIn("--mca btl_tcp_if_include ib0 --mca oob_tcp_if_include ib0", text)
        self.assertIn("--mca oob_tcp_keepalive_time 5", text)
        self.mpirun("5.0.7")
        text = self.command("-n", "2", "--interface", "ib0")
        self.assertIn("--mca btl_tcp_if_include ib0 --prtemca oob_tcp_if_include ib0", text)
        self.assertIn("--prtemca oob_tcp_keepalive_time 5", text)

    def test_in_slurm(self):
        self.srun("none pmi2 pmix pmix_v4")
        self.assertIn("+ srun --mpi=pmix --kill-on-bad-exit=1 ", self.command(SLURM_JOB_ID="1", SLURM_NTASKS="6"))
        self.assertIn("--kill-on-bad-exit=1 --ntasks=3 ", self.command("-n", "3", SLURM_JOB_ID="1", SLURM_NTASKS="6"))
        self.assertIn("+ mpirun -n 4 ", self.command("-n", "4"))  # no allocation
        self.srun("none pmi2")
        self.assertIn("+ mpirun -n 6 ", self.command(SLURM_JOB_ID="1", SLURM_NTASKS="6"))

    def test_exit_status(self):
        for status in (0, 2, 3, 4, 75):
            self.mpirun("4.1.4", status)
            self.assertEqual(self.launch("-n", "2", "train", "r.yaml").returncode, status)
        self.srun("pmix")
        self.assertEqual(self.launch("train", "r.yaml", SLURM_JOB_ID="1").returncode, 75)

    def test_own_flags(self):
        self.assertIn("--mca pml ob1 ", self.command("-n", "2", LAUNCH_FLAGS="--mca pml ob1"))

    def test_refusals(self):
        for words in (["-n", "0", "train"], ["-n", "x", "train"], ["-n", "1x2", "train"], ["-n"], ["--no-such", "train"], []):
            self.assertEqual(self.launch(*words).returncode, 2, words)
        self.assertIn("--hosts n1:4,n2:4", self.launch("--help").stdout)


if __name__ == "__main__":
    unittest.main()
