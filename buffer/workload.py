"""Workloads: which Deployment, StatefulSet or other controller a pod belongs to, as its owner or its labels tell.

Fluent Bit names the owner where its filter has `owner_references`; the labels that the controllers of Kubernetes put on
their pods tell nearly as much, together with how they name them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from buffer.source import Source

KINDS = ("deployment", "replicaset", "statefulset", "daemonset", "job", "cronjob")

# A pod's name is its controller's, a dash and five characters; so that it fits into 63, the front is cut
# (Kubernetes, apiserver/pkg/storage/names).
_LONGEST_FRONT = 58
_SUFFIX = "[a-z0-9]{5}"
# A CronJob names its jobs after itself and the minute they are scheduled for.
_SCHEDULED_JOB = re.compile(r"(.+)-[0-9]{8,11}")


def workloads(source: Source) -> Iterator[str]:
    """Yield the workloads that a source's pod belongs to, each as `kind/name` in small letters."""
    kind, _, name = source.owner.partition("/")
    labels = dict(source.labels)
    if kind:
        yield source.owner
        yield from _above(kind, name, labels)
    else:
        yield from _from_labels(source.pod, labels)


def _above(kind: str, name: str, labels: dict[str, str]) -> Iterator[str]:
    """Yield the workload that owns this owner."""
    template = labels.get("pod-template-hash", "")
    if kind == "replicaset" and template and name.endswith(f"-{template}"):
        yield f"deployment/{name.removesuffix(f'-{template}')}"
    if kind == "job" and (scheduled := _SCHEDULED_JOB.fullmatch(name)):
        yield f"cronjob/{scheduled[1]}"


def _from_labels(pod: str, labels: dict[str, str]) -> Iterator[str]:
    name = pod[:-6] if re.fullmatch(rf".+-{_SUFFIX}", pod) else ""
    template = labels.get("pod-template-hash", "")
    if template and name:
        if name.endswith(f"-{template}"):
            yield f"replicaset/{name}"
            yield from _above("replicaset", name, labels)
    elif labels.get("statefulset.kubernetes.io/pod-name") == pod != "":
        yield f"statefulset/{pod.rpartition('-')[0]}"
    elif "controller-revision-hash" in labels and "pod-template-generation" in labels and name:
        yield f"daemonset/{name}"
    job = labels.get("batch.kubernetes.io/job-name") or labels.get("job-name")
    if job:
        yield f"job/{job}"
        yield from _above("job", job, labels)
