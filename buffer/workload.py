"""Workloads: the Deployment, StatefulSet or other controller that a pod belongs to, judging by its owner or its labels.

Fluent Bit names the owner if its filter has `owner_references`. Otherwise, the labels that the controllers of
Kubernetes put on their pods, and the way they name them, tell nearly as much.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from buffer.source import Source

KINDS = ("deployment", "replicaset", "statefulset", "daemonset", "job", "cronjob")

# A pod is named after its controller, with a dash and five characters appended. Where that would exceed 63 characters,
# the front is cut, dash included, and tells nothing (Kubernetes, apiserver/pkg/storage/names).
_SUFFIX = "[a-z0-9]{5}"
# A CronJob names its jobs after itself and the minute they are scheduled for.
_SCHEDULED_JOB = re.compile(r"(.+)-[0-9]{8,11}")


def workloads(source: Source) -> Iterator[str]:
    """Yield the workloads that a source's pod belongs to, each as `kind/name` in lower case."""
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
    """Yield the workloads that a pod without a known owner belongs to."""
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
