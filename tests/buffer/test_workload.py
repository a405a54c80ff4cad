from __future__ import annotations

import pytest

from buffer.workload import KINDS, workloads
from tests.buffer.factories import source

TEMPLATE = {"pod-template-hash": "5d4f9c7b8"}
REVISION = {"controller-revision-hash": "6d5f", "pod-template-generation": "1"}


@pytest.mark.parametrize(
    ("owner", "labels", "expected"),
    [
        ("replicaset/web-5d4f9c7b8", TEMPLATE, ["replicaset/web-5d4f9c7b8", "deployment/web"]),
        ("replicaset/web", {}, ["replicaset/web"]),
        ("replicaset/web", TEMPLATE, ["replicaset/web"]),
        ("statefulset/db", {}, ["statefulset/db"]),
        ("daemonset/agent", {}, ["daemonset/agent"]),
        ("job/import", {}, ["job/import"]),
        ("job/import-28912345", {}, ["job/import-28912345", "cronjob/import"]),
    ],
)
def test_an_owner_is_a_workload_and_so_is_what_owns_it(owner: str, labels: dict[str, str], expected: list[str]) -> None:
    assert list(workloads(source(owner=owner, **labels))) == expected


@pytest.mark.parametrize(
    ("pod", "labels", "expected"),
    [
        ("web-5d4f9c7b8-x2x4z", TEMPLATE, ["replicaset/web-5d4f9c7b8", "deployment/web"]),
        ("db-0", {"statefulset.kubernetes.io/pod-name": "db-0"}, ["statefulset/db"]),
        ("agent-x2x4z", REVISION, ["daemonset/agent"]),
        ("import-x2x4z", {"batch.kubernetes.io/job-name": "import"}, ["job/import"]),
        ("import-x2x4z", {"job-name": "import"}, ["job/import"]),
        ("import-28912345-x2x4z", {"job-name": "import-28912345"}, ["job/import-28912345", "cronjob/import"]),
    ],
)
def test_labels_tell_the_workload_where_no_owner_is_named(
    pod: str, labels: dict[str, str], expected: list[str]
) -> None:
    assert list(workloads(source(pod=pod, **labels))) == expected


@pytest.mark.parametrize(
    ("pod", "labels"),
    [
        ("web-0", {}),
        ("web", TEMPLATE),
        ("web-another-x2x4z", TEMPLATE),
        ("db-0", {"statefulset.kubernetes.io/pod-name": "db-1"}),
        ("", {"statefulset.kubernetes.io/pod-name": ""}),
        ("agent", REVISION),
        ("agent-x2x4z", {"controller-revision-hash": "6d5f"}),
        ("import-x2x4z", {"job-name": ""}),
    ],
)
def test_a_pod_without_telling_labels_has_no_workload(pod: str, labels: dict[str, str]) -> None:
    assert list(workloads(source(pod=pod, **labels))) == []


def test_every_kind_that_is_found_is_one_that_can_be_asked_for() -> None:
    owners = ["replicaset/web-5d4f9c7b8", "statefulset/db", "daemonset/agent", "job/import-28912345"]
    found = [one for owner in owners for one in workloads(source(owner=owner, **TEMPLATE))]
    assert {one.partition("/")[0] for one in found} == set(KINDS)
