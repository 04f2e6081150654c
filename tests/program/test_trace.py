"""--trace: one Chrome trace of all ranks on one clock, and not a bit of the result changed."""
import json
import unittest

import lockstep


class Trace(lockstep.Case):
    def setUp(self):
        super().setUp()
        self.recipe = lockstep.recipe(self.folder, {"train.steps": 8, "train.bucket": "64KiB", "checkpoint.every": "1 steps"})

    def traced(self, ranks, *words):
        result = self.train(self.recipe, *words, ranks=ranks, out=f"traced{ranks}")
        return json.loads((self.folder / f"traced{ranks}" / "trace.json").read_text())["traceEvents"], lockstep.done_line(result)

    def test_the_result_is_the_same(self):
        plain = lockstep.done_line(self.train(self.recipe, out="plain"))
        self.assertFalse((self.folder / "plain" / "trace.json").exists())
        for ranks in (1, 3):
            events, done = self.traced(ranks, "--trace")
            self.assertEqual(done["params"], plain["params"])
            # Steps 3 to 8: the first two are left out, and the run ends before twenty.
            self.assertEqual({event["args"]["step"] for event in events if event["ph"] == "X"}, set(range(3, 9)))

    def test_spans(self):
        events, _ = self.traced(2, "--trace-steps", "3")
        names = {(event["pid"], event["args"]["name"]) for event in events if event["ph"] == "M"}
        for rank in (0, 1):
            self.assertTrue(any(pid == rank and name.startswith(f"rank {rank} on ") for pid, name in names))
            self.assertIn((rank, "communication"), names)
            spans = [event for event in events if event["ph"] == "X" and event["pid"] == rank]
            steps = {event["args"]["step"]: event for event in spans if event["name"].startswith("step ")}
            self.assertEqual(sorted(steps), [3, 4, 5])
            lanes = {event["name"] for event in spans if event["name"].startswith("lane ")}
            self.assertEqual({name.split(",")[0] for name in lanes}, {f"lane {lane}" for lane in range(4 * rank, 4 * rank + 4)})
            for event in spans:
                self.assertGreaterEqual(event["dur"], 0)
                step = steps[event["args"]["step"]]
                if event["cat"] in ("compute", "communication"):
                    self.assertGreaterEqual(event["ts"], step["ts"] - 1)
                    self.assertLessEqual(event["ts"] + event["dur"], step["ts"] + step["dur"] + 1)
            sums = [event for event in spans if event["name"].startswith("all-reduce bucket")]
            self.assertGreater(len({event["name"] for event in sums}), 1)
            for event in sums:
                self.assertGreater(event["args"]["bytes"], 0)
                self.assertEqual(event["cat"], "communication")
        # One clock: an all-reduce ends on either rank only after it has begun on both.
        begin, end = {}, {}
        for event in events:
            if event["ph"] == "X" and event["name"].startswith("all-reduce"):
                key = event["args"]["step"], event["name"]
                begin[key] = max(begin.get(key, 0), event["ts"])
                end[key] = min(end.get(key, 1e30), event["ts"] + event["dur"])
        for key in begin:
            self.assertGreater(end[key], begin[key] - 1000, f"{key}: clocks are more than a millisecond apart")

    def test_refusal(self):
        result = self.train(self.recipe, "--trace-steps", "-1", out="refused", expect=2)
        self.assertIn("--trace-steps", result.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
