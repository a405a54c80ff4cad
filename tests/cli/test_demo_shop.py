from __future__ import annotations

import datetime as dt
import itertools
import json
import random

from buffer.workload import workloads
from cli.demo_shop import CONTAINERS, NAMESPACE, posts
from ingest.fluentbit.decode import decode

_NOW = dt.datetime(2025, 11, 22, 8, 15, 1, 123457, tzinfo=dt.UTC)


def _some() -> list[list[dict[str, object]]]:
    return list(itertools.islice(posts(random.Random(1), lambda: _NOW), 300))


def test_every_post_is_read_by_the_server_whole() -> None:
    for post in _some():
        batches = list(decode(json.dumps(post).encode(), {}))
        assert [(len(batch.runs), batch.skipped) for batch in batches] == [(1, 0)]
        assert [run.texts for batch in batches for run in batch.runs] == [[record["log"] for record in post]]


def test_all_containers_write_into_one_namespace() -> None:
    written = {json.dumps(post[0]["kubernetes"], sort_keys=True) for post in _some()}
    metadata = [json.loads(text) for text in written]
    assert {one["namespace_name"] for one in metadata} == {NAMESPACE}
    assert {(one["pod_name"], one["container_name"]) for one in metadata} == {(one.pod, one.name) for one in CONTAINERS}


def test_every_pod_belongs_to_the_workload_that_its_name_tells() -> None:
    runs = [run for post in _some() for batch in decode(json.dumps(post).encode(), {}) for run in batch.runs]
    found = {run.source.pod: [*workloads(run.source)][-1:] for run in runs}
    assert found == {
        "web-7d4b9c6f5-x2x7k": ["deployment/web"],
        "web-7d4b9c6f5-lq9wd": ["deployment/web"],
        "checkout-5f6c8d7b9-4jn2p": ["deployment/checkout"],
        "worker-0": ["statefulset/worker"],
    }


def test_lines_come_on_both_outputs_as_json_as_text_and_with_a_stack_trace() -> None:
    records = [record for post in _some() for record in post]
    assert {record["stream"] for record in records} == {"stdout", "stderr"}
    texts = [str(record["log"]) for record in records]
    assert any(text.startswith("{") and json.loads(text) for text in texts)
    assert any("Traceback" in text and "\n" in text for text in texts)


def test_times_are_utc_to_the_nanosecond() -> None:
    first = _some()[0][0]
    assert first["timestamp"] == "2025-11-22T08:15:01.123457Z"
    assert len(str(first["time"])) == len("2025-11-22T08:15:01.123457790Z")
