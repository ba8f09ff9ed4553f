from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from psalm.conditions import CategoryCondition
from psalm.errors import WorkerError
from psalm.prelabel import label_folder, prelabel
from psalm.prelabel.cluster import ClusterEngine
from psalm.prelabel.questions import folder_prompts
from psalm.prelabel.records import ModelChoice
from tests.psalm.prelabel.fakes import FakePredictor, cluster_facts, cluster_label, make_images

distributed = pytest.importorskip("distributed")
CELLS = CategoryCondition(["cell", "coin"])
PROMPTS = folder_prompts([CELLS])


@pytest.fixture(scope="module")
def cluster() -> Iterator[distributed.LocalCluster]:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1", memory_limit=None
    ) as cluster:
        yield cluster


def engine_of(cluster, folder, seconds: float) -> ClusterEngine:
    return ClusterEngine(
        cluster.scheduler_address, ModelChoice(str(seconds)), folder, label=cluster_label, facts=cluster_facts
    )


def test_a_worker_that_is_killed_costs_only_its_image(tmp_path, content, cluster):
    folder = make_images(tmp_path / "images", 14)
    prelabel(folder, tmp_path / "one", [CELLS], FakePredictor())
    killed: list[int] = []

    def kill(done: int, total: int, name: str) -> None:
        if done == 4:
            killed.append(next(iter(cluster.workers.values())).pid)
            os.kill(killed[0], signal.SIGKILL)

    report = label_folder(folder, tmp_path / "two", PROMPTS, engine_of(cluster, folder, 0.1), progress=kill)
    assert killed
    assert (report.images, report.failures) == (14, ())
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_a_cluster_without_a_scheduler(tmp_path, monkeypatch):
    monkeypatch.setattr("psalm.prelabel.cluster._CONNECT_SECONDS", 0.5)
    folder = make_images(tmp_path / "images", 1)
    engine = ClusterEngine("tcp://127.0.0.1:9", ModelChoice("0"), folder)
    with pytest.raises(WorkerError, match="no Dask scheduler at"):
        label_folder(folder, tmp_path / "out", PROMPTS, engine)


def test_workers_that_cannot_do_it_end_the_run(tmp_path, cluster):
    folder = make_images(tmp_path / "images", 1)
    engine = ClusterEngine(cluster.scheduler_address, ModelChoice("no-such-model"), folder)
    with pytest.raises(Exception, match="no model 'no-such-model'"):
        label_folder(folder, tmp_path / "out", PROMPTS, engine)
