"""A made-up shop whose pods write what real pods write, in the shape that Fluent Bit posts."""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

from cli.demo_lines import (
    Record,
    arriving,
    burst,
    cache,
    checkout,
    leaving,
    payments,
    search,
    web,
    worker,
)

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

NAMESPACE = "demo"

# Of what the containers do, so many times: then a pod is replaced, or a job has much to say.
_TURNS_OF_A_POD = 90
_TURNS_TO_A_BURST = 130
# What the names of pods end with (Kubernetes, apimachinery/pkg/util/rand).
_SUFFIX_CHARACTERS = "bcdfghjklmnpqrstvwxz2456789"


class Container(NamedTuple):
    """A container of a pod: what it writes, and how often compared with others."""

    app: str
    pod: str
    name: str
    write: Callable[[random.Random], list[Record]]
    weight: int = 0


CONTAINERS = (
    Container("web", "web-7d4b9c6f5-x2x7k", "nginx", web, 6),
    Container("web", "web-7d4b9c6f5-lq9wd", "nginx", web, 6),
    Container("checkout", "checkout-5f6c8d7b9-4jn2p", "app", checkout, 4),
    Container("checkout", "checkout-5f6c8d7b9-4jn2p", "cache", cache, 1),
    Container("payments", "payments-66d9f4b7c8-t5rwl", "app", payments, 3),
    Container("search", "search-0", "app", search, 3),
    Container("worker", "worker-0", "app", worker, 3),
)
JOB = Container("prices", "prices-29401260-h7zqm", "import", burst)


def posts(chance: random.Random, now: Callable[[], dt.datetime]) -> Iterator[list[dict[str, Any]]]:
    """Yield, without end, what one container has just written, as Fluent Bit's output `http` in format json has it."""
    containers = list(CONTAINERS)
    for turn in itertools.count(1):
        if turn % _TURNS_OF_A_POD == 0:
            old = chance.choice([one for one in containers if one.app == "web"])
            new = old._replace(pod=_successor(old.pod, chance))
            containers[containers.index(old)] = new
            yield _post(old, leaving(chance), chance, now())
            yield _post(new, arriving(chance), chance, now())
        elif turn % _TURNS_TO_A_BURST == 0:
            yield _post(JOB, JOB.write(chance), chance, now())
        else:
            one = chance.choices(containers, [one.weight for one in containers])[0]
            yield _post(one, one.write(chance), chance, now())


def _successor(pod: str, chance: random.Random) -> str:
    return f"{pod.rpartition('-')[0]}-{''.join(chance.choices(_SUFFIX_CHARACTERS, k=5))}"


def _post(container: Container, records: list[Record], chance: random.Random, now: dt.datetime) -> list[dict[str, Any]]:
    metadata = _metadata(container)
    time = now.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return [
        {
            "timestamp": time,
            # The container runtime's own, to the nanosecond.
            "time": f"{time[:-1]}{chance.randrange(1000):03}Z",
            "stream": record.stream,
            "_p": "F",
            "log": record.text,
            "kubernetes": metadata,
        }
        for record in records
    ]


def _metadata(container: Container) -> dict[str, Any]:
    """Return what Fluent Bit's filter `kubernetes` adds to each record."""
    digest = hashlib.sha256(f"{container.pod}/{container.name}".encode()).hexdigest()
    image = f"registry.example.com/shop/{container.name}:2.4.1"
    return {
        "pod_name": container.pod,
        "namespace_name": NAMESPACE,
        "pod_id": f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-a{digest[17:20]}-{digest[20:32]}",
        "labels": {"app": container.app, **_controller(container.pod)},
        "host": "node-a",
        "pod_ip": f"10.42.3.{int(digest[:2], 16)}",
        "container_name": container.name,
        "docker_id": digest,
        "container_hash": f"{image.partition(':')[0]}@sha256:{digest[::-1]}",
        "container_image": image,
    }


def _controller(pod: str) -> dict[str, str]:
    """Return the label that a pod has from its StatefulSet, its Job, or the ReplicaSet of its Deployment."""
    name, _, suffix = pod.rpartition("-")
    if suffix.isdecimal():
        return {"statefulset.kubernetes.io/pod-name": pod}
    kind = name.rpartition("-")[2]
    return {"batch.kubernetes.io/job-name": name} if kind.isdecimal() else {"pod-template-hash": kind}
