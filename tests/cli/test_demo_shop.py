from __future__ import annotations

import datetime as dt
import itertools
import json
import random
from typing import Any

from buffer.workload import workloads
from cli.demo_shop import CONTAINERS, JOB, NAMESPACE, posts
from ingest.fluentbit.decode import decode

_NOW = dt.datetime(2025, 11, 22, 8, 15, 1, 123457, tzinfo=dt.UTC)


def _some() -> list[list[dict[str, Any]]]:
    return list(itertools.islice(posts(random.Random(1), lambda: _NOW), 300))


def test_every_post_is_read_by_the_server_whole() -> None:
    for post in _some():
        batches = list(decode(json.dumps(post).encode(), {}))
        assert [(len(batch.runs), batch.skipped) for batch in batches] == [(1, 0)]
        assert [run.texts for batch in batches for run in batch.runs] == [[record["log"] for record in post]]


def _metadata() -> list[dict[str, Any]]:
    written = {json.dumps(post[0]["kubernetes"], sort_keys=True) for post in _some()}
    return [json.loads(text) for text in written]


def test_all_containers_write_into_one_namespace() -> None:
    assert {one["namespace_name"] for one in _metadata()} == {NAMESPACE}
    containers = {(one["pod_name"], one["container_name"]) for one in _metadata()}
    assert containers >= {(one.pod, one.name) for one in (*CONTAINERS, JOB)}


def test_every_pod_belongs_to_the_workload_that_its_name_tells() -> None:
    runs = [run for post in _some() for batch in decode(json.dumps(post).encode(), {}) for run in batch.runs]
    found = {run.source.pod: [*workloads(run.source)][-1:] for run in runs if "-7d4b9c6f5-" not in run.source.pod}
    assert found == {
        "checkout-5f6c8d7b9-4jn2p": ["deployment/checkout"],
        "payments-66d9f4b7c8-t5rwl": ["deployment/payments"],
        "search-0": ["statefulset/search"],
        "worker-0": ["statefulset/worker"],
        "prices-29401260-h7zqm": ["cronjob/prices"],
    }
    assert {name for run in runs if "-7d4b9c6f5-" in run.source.pod for name in workloads(run.source)} == {
        "replicaset/web-7d4b9c6f5",
        "deployment/web",
    }


def test_a_pod_that_is_replaced_says_so_and_is_not_heard_of_again() -> None:
    texts = [(post[0]["kubernetes"]["pod_name"], post[0]["log"]) for post in _some()]
    leaving = [index for index, (_, text) in enumerate(texts) if "SIGTERM" in text]
    assert len(leaving) == 3
    for index in leaving:
        old, new = texts[index][0], texts[index + 1][0]
        assert old.rpartition("-")[0] == new.rpartition("-")[0]
        assert '"starting"' in texts[index + 1][1]
        assert old not in {pod for pod, _ in texts[index + 1 :]}
        assert new not in {pod for pod, _ in texts[:index]}


def test_a_burst_comes_now_and_then() -> None:
    assert [len(post) for post in _some() if len(post) > 100] == [120] * 2


def test_times_are_utc_to_the_nanosecond() -> None:
    first = _some()[0][0]
    assert first["timestamp"] == "2025-11-22T08:15:01.123457Z"
    assert len(str(first["time"])) == len("2025-11-22T08:15:01.123457790Z")
