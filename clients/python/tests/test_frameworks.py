"""Ray Data on a local cluster of two nodes, and a datatrove pipeline; skipped where they are not installed."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import signal
import threading
import time
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

from unroll_client import LocalDaemon

from .fixture import pids_with, some_text

SECONDS = 240
MODEL = os.environ["UNROLL_MODEL"]
PROGRAM = os.environ["UNROLLD"]
TEXTS = [some_text(1 + i % 9) + "x" * i for i in range(300)]


def pids() -> list[int]:
    """The daemons that are shared by this machine's processes."""
    return pids_with(f"--socket={gettempdir()}/unroll-{os.geteuid()}-")


class FrameworkTest(unittest.TestCase):
    expected: list[float]

    @classmethod
    def setUpClass(cls) -> None:
        with LocalDaemon(model=MODEL, program=PROGRAM) as daemon, daemon.client() as client:
            cls.expected = [score.bits_per_byte for score in client.score_many(TEXTS)]  # type: ignore[union-attr, misc]

    def setUp(self) -> None:
        signal.alarm(SECONDS)
        self.addCleanup(signal.alarm, 0)


@unittest.skipUnless(importlib.util.find_spec("ray"), "Ray is not installed")
class RayTest(FrameworkTest):
    def table(self, disturb: Any) -> list[float]:
        import ray
        from ray.cluster_utils import Cluster
        from unroll_client.ray import Score

        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        self.addCleanup(cluster.shutdown)
        second = cluster.add_node(num_cpus=1)
        root = str(Path(__file__).resolve().parents[1])
        ray.init(address=cluster.address, runtime_env={"env_vars": {"PYTHONPATH": root}}, log_to_driver=False)
        self.addCleanup(ray.shutdown)
        scored = ray.data.from_items(
            [{"id": i, "text": text} for i, text in enumerate(TEXTS)], override_num_blocks=30
        ).map_batches(
            Score,
            fn_constructor_kwargs={"model": MODEL, "program": PROGRAM, "in_flight": 4},
            batch_size=10,
            concurrency=(1, 2),
        )
        disturber = threading.Thread(target=disturb, args=(cluster, second))
        disturber.start()
        rows = sorted(scored.take_all(), key=lambda row: int(row["id"]))
        disturber.join()
        self.assertEqual([row["bytes"] for row in rows], [len(text.encode()) for text in TEXTS])
        self.assertEqual({row["unroll_error"] for row in rows}, {None})
        return [row["bits_per_byte"] for row in rows]

    def test_a_node_and_the_daemon_are_killed_in_the_middle(self) -> None:
        killed = []

        def disturb(cluster: Any, second: Any) -> None:
            while not pids():
                time.sleep(0.1)
            time.sleep(2)
            for pid in pids():
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
            time.sleep(1)
            cluster.remove_node(second, allow_graceful=False)

        self.assertEqual(self.table(disturb), self.expected)
        self.assertTrue(killed)


@unittest.skipUnless(importlib.util.find_spec("datatrove"), "datatrove is not installed")
class DatatroveTest(FrameworkTest):
    def test_a_pipeline_keeps_what_is_within_the_limits(self) -> None:
        from datatrove.executor import LocalPipelineExecutor
        from datatrove.pipeline.readers import JsonlReader
        from datatrove.pipeline.writers import JsonlWriter
        from unroll_client.datatrove import UnrollFilter
        from unroll_client.datatrove_stats import UnrollStats

        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        here = Path(folder.name)
        for shard in range(3):
            (here / "in").mkdir(exist_ok=True)
            rows = [{"id": str(i), "text": text} for i, text in enumerate(TEXTS) if i % 3 == shard]
            (here / "in" / f"{shard}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        low, high = sorted(self.expected)[50], sorted(self.expected)[250]
        how = {"model": MODEL, "program": PROGRAM}
        LocalPipelineExecutor(
            pipeline=[
                JsonlReader(str(here / "in")),
                UnrollFilter(low, high, exclusion_writer=JsonlWriter(str(here / "dropped")), **how),
                UnrollStats(str(here / "stats"), groups_to_compute=["summary"], **how),
                JsonlWriter(str(here / "kept")),
            ],
            tasks=3,
            workers=2,
            logging_dir=str(here / "logs"),
        ).run()
        kept = self.rows(here / "kept")
        self.assertEqual(set(kept), {str(i) for i, score in enumerate(self.expected) if low <= score <= high})
        self.assertEqual(
            {i: row["metadata"]["bits_per_byte"] for i, row in kept.items()}, {i: self.expected[int(i)] for i in kept}
        )
        self.assertEqual(len(kept) + len(self.rows(here / "dropped")), len(TEXTS))
        summaries = [json.loads(file.read_text()) for file in (here / "stats").rglob("*.json")]
        self.assertEqual(sum(summary["summary"]["n"] for summary in summaries), len(kept))

    def rows(self, folder: Path) -> dict[str, Any]:
        rows = {}
        for file in folder.glob("*.jsonl.gz"):
            for line in gzip.open(file, "rt"):
                row = json.loads(line)
                rows[row["id"]] = row
        return rows
