from __future__ import annotations

import fnmatch
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

import settings
from server import StopBounds

ROOT = Path(__file__).parents[1]
MANIFESTS = ROOT / "manifests"
OVERLAY = MANIFESTS / "overlays" / "with-fluent-bit"
REPLICAS = MANIFESTS / "overlays" / "replicas"
EXAMPLE_SECRETS = {MANIFESTS / "base" / "secret.example.yaml", MANIFESTS / "nats" / "secret.example.yaml"}
KUBERNETES_VERSION = "1.34"

CONTAINER_ID = "0123456789abcdef" * 4


def documents(text: str) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(text) if document]


def kustomization(folder: Path) -> dict[str, Any]:
    (document,) = documents((folder / "kustomization.yaml").read_text())
    return document


FOLDERS = sorted(path.parent for path in MANIFESTS.rglob("kustomization.yaml"))
DATA_DIR = MANIFESTS / "data-dir"
LISTED = sorted(
    folder / name for folder in FOLDERS for name in kustomization(folder).get("resources", []) if name.endswith(".yaml")
)
OBJECTS = [(path, each) for path in [*LISTED, *sorted(EXAMPLE_SECRETS)] for each in documents(path.read_text())]


def only(kind: str, name: str | None = None) -> dict[str, Any]:
    (found,) = [each for _, each in OBJECTS if each["kind"] == kind and name in {None, each["metadata"]["name"]}]
    return found


DEPLOYMENT = only("Deployment")
DAEMON_SET = only("DaemonSet")
STATEFUL_SET = only("StatefulSet")
WORKLOADS = [
    pytest.param(DEPLOYMENT, id="logurt"),
    pytest.param(DAEMON_SET, id="fluent-bit"),
]
ALL_WORKLOADS = [*WORKLOADS, pytest.param(STATEFUL_SET, id="nats")]


def pod(workload: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = workload["spec"]["template"]["spec"]
    return found


def container(workload: dict[str, Any]) -> dict[str, Any]:
    (found,) = pod(workload)["containers"]
    return dict(found)


def environment(workload: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in container(workload)["env"]}


def literals(workload: dict[str, Any]) -> dict[str, str]:
    return {name: each["value"] for name, each in environment(workload).items() if "value" in each}


def running_settings() -> settings.Settings:
    """Return what the server would run with, given real secrets."""
    secrets = dict.fromkeys(only("Secret", "logurt")["stringData"], "x" * 64)
    return settings.from_mapping(literals(DEPLOYMENT) | secrets)


def fluent_bit() -> dict[str, Any]:
    (config,) = documents((MANIFESTS / "fluent-bit" / "fluent-bit.yaml").read_text())
    return config


def plugin(section: str, name: str) -> dict[str, Any]:
    (found,) = fluent_bit()["pipeline"][section]
    assert found["name"] == name
    return dict(found)


def mebibytes(quantity: str) -> int:
    assert quantity.endswith("Mi")
    return int(quantity.removesuffix("Mi"))


# All objects


@pytest.mark.parametrize(
    "manifest",
    [pytest.param(each, id=f"{path.stem}-{each['kind']}") for path, each in OBJECTS],
)
def test_every_object_fits_the_schema_of_kubernetes(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, KUBERNETES_VERSION, strict=True)


def test_the_schema_check_refuses_a_misspelt_member() -> None:
    wrong = DEPLOYMENT | {"spec": DEPLOYMENT["spec"] | {"replica": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, KUBERNETES_VERSION, strict=True)


def mentioned(folder: Path) -> set[Path]:
    """Return the files that a kustomization uses beside its resources."""
    content = kustomization(folder)
    names = [*content.get("configurations", []), *(patch["path"] for patch in content.get("patches", []))]
    names += [name for generator in content.get("configMapGenerator", []) for name in generator["files"]]
    return {folder / name for name in names}


def test_every_manifest_is_used_but_the_example_secrets() -> None:
    used = {*LISTED, *(folder / "kustomization.yaml" for folder in FOLDERS)}.union(*map(mentioned, FOLDERS))
    files = {path for path in MANIFESTS.rglob("*") if path.is_file()}
    assert files - used == EXAMPLE_SECRETS


def test_the_overlay_joins_the_base_and_the_component_in_the_namespace_it_makes() -> None:
    overlay = kustomization(OVERLAY)
    joined = {(OVERLAY / path).resolve() for path in [*overlay["resources"], *overlay["components"]]}
    assert joined == {MANIFESTS / "base", MANIFESTS / "fluent-bit", OVERLAY / "namespace.yaml"}
    assert only("Namespace")["metadata"]["name"] == overlay["namespace"]
    assert kustomization(MANIFESTS / "fluent-bit")["kind"] == "Component"


@pytest.mark.parametrize("workload", ALL_WORKLOADS)
def test_every_selector_matches_the_labels_of_its_pods(workload: dict[str, Any]) -> None:
    selector = workload["spec"]["selector"]["matchLabels"]
    assert selector.items() <= workload["spec"]["template"]["metadata"]["labels"].items()


def test_the_service_selects_logurt_alone_and_a_port_it_has() -> None:
    service = only("Service", "logurt")["spec"]
    (port,) = service["ports"]
    assert service["selector"] == DEPLOYMENT["spec"]["selector"]["matchLabels"]
    assert service["selector"].items().isdisjoint(DAEMON_SET["spec"]["selector"]["matchLabels"].items())
    assert (port["name"], port["targetPort"]) == ("http", container(DEPLOYMENT)["ports"][0]["name"])


# Security


@pytest.mark.parametrize("workload", ALL_WORKLOADS)
def test_no_container_can_gain_a_privilege_or_write_to_its_root(workload: dict[str, Any]) -> None:
    assert container(workload)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod(workload)["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}


def test_logurt_runs_as_the_user_of_its_image() -> None:
    context = pod(DEPLOYMENT)["securityContext"]
    (user,) = re.findall(r"^USER (.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert f"{context['runAsUser']}:{context['runAsGroup']}" == user
    assert context["runAsNonRoot"] is True


def test_logurt_holds_no_token_of_the_kubernetes_api() -> None:
    assert pod(DEPLOYMENT)["automountServiceAccountToken"] is False
    assert "serviceAccountName" not in pod(DEPLOYMENT)


def test_fluent_bit_may_get_pods_and_nothing_else() -> None:
    assert only("ClusterRole")["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]


def test_the_role_is_bound_to_the_account_of_fluent_bit() -> None:
    binding = only("ClusterRoleBinding")
    account = only("ServiceAccount")["metadata"]["name"]
    assert [subject["name"] for subject in binding["subjects"]] == [account]
    assert binding["roleRef"]["name"] == only("ClusterRole")["metadata"]["name"]
    assert pod(DAEMON_SET)["serviceAccountName"] == account


def test_the_binding_follows_the_account_into_the_namespace_of_any_overlay() -> None:
    account = only("ServiceAccount")["metadata"]
    (subject,) = only("ClusterRoleBinding")["subjects"]
    # kustomize rewrites a subject that names an account as its file has it: without a namespace, that is in `default`.
    assert subject["namespace"] == account.get("namespace", "default")


@pytest.mark.parametrize("workload", WORKLOADS)
def test_secrets_come_by_reference_from_members_the_secret_has(workload: dict[str, Any]) -> None:
    members = only("Secret", "logurt")["stringData"]
    for name, each in environment(workload).items():
        if "SECRET" not in name and "KEY" not in name:
            continue
        reference = each["valueFrom"]["secretKeyRef"]
        assert (reference["name"], reference["key"]) == (only("Secret", "logurt")["metadata"]["name"], name)
        assert name in members or (name.endswith("_PREVIOUS") and reference["optional"])


def test_the_server_refuses_each_value_of_the_example_secret() -> None:
    example = only("Secret", "logurt")["stringData"]
    with pytest.raises(settings.SettingsError) as caught:
        settings.from_mapping(example)
    assert {problem.split()[0] for problem in caught.value.problems} == set(example)
    assert all(len(value) < 32 for value in example.values())


# logurt


def test_every_variable_of_the_deployment_is_a_setting_the_server_takes() -> None:
    assert set(environment(DEPLOYMENT)) <= {variable.name for variable in settings.VARIABLES}
    assert running_settings().port == container(DEPLOYMENT)["ports"][0]["containerPort"]


@pytest.mark.parametrize(
    ("probe", "path"),
    [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")],
)
def test_the_probes_ask_the_health_routes_at_the_port_of_the_server(probe: str, path: str) -> None:
    request = container(DEPLOYMENT)[probe]["httpGet"]
    assert request == {"path": path, "port": container(DEPLOYMENT)["ports"][0]["name"]}


def test_the_pod_is_given_more_time_to_end_than_readers_are_drained_over() -> None:
    assert pod(DEPLOYMENT)["terminationGracePeriodSeconds"] > StopBounds.of(running_settings()).total


def test_the_memory_holds_the_ring_twice_and_a_request_of_the_largest_size() -> None:
    memory = container(DEPLOYMENT)["resources"]
    ring = running_settings().buffer_total_mib
    assert mebibytes(memory["requests"]["memory"]) >= 2 * ring
    assert mebibytes(memory["limits"]["memory"]) >= 2 * ring + 2 * running_settings().max_body_mib


def test_there_is_never_more_than_one_ring() -> None:
    assert DEPLOYMENT["spec"]["replicas"] == 1
    assert DEPLOYMENT["spec"]["strategy"] == {"type": "Recreate"}


def test_the_base_names_a_release_of_the_image() -> None:
    (image,) = kustomization(MANIFESTS / "base")["images"]
    assert image["name"] == container(DEPLOYMENT)["image"]
    assert re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", image["newTag"])


# The volume for DATA_DIR


def merged(base: Any, patch: Any) -> Any:
    """Return what a strategic merge makes of them: lists of named things are joined by name."""
    if isinstance(base, dict) and isinstance(patch, dict):
        return base | {key: merged(base.get(key), value) for key, value in patch.items()}
    if isinstance(base, list) and isinstance(patch, list):
        by_name = {each["name"]: each for each in base}
        return [*(by_name | {each["name"]: merged(by_name.get(each["name"]), each) for each in patch}).values()]
    return patch


def with_data_dir() -> dict[str, Any]:
    (patch,) = documents((DATA_DIR / "deployment.yaml").read_text())
    found: dict[str, Any] = merged(DEPLOYMENT, patch)
    return found


def test_the_component_adds_a_volume_to_the_deployment_and_leaves_the_rest() -> None:
    assert kustomization(DATA_DIR)["kind"] == "Component"
    workload = with_data_dir()
    kubernetes_validate.validate(workload, KUBERNETES_VERSION, strict=True)
    assert environment(workload).items() >= environment(DEPLOYMENT).items()
    assert pod(workload)["securityContext"].items() >= pod(DEPLOYMENT)["securityContext"].items()


def test_data_dir_is_where_the_claimed_volume_is_mounted_and_can_be_written() -> None:
    workload = with_data_dir()
    (mount,), (volume,) = container(workload)["volumeMounts"], pod(workload)["volumes"]
    assert literals(workload)["DATA_DIR"] == mount["mountPath"]
    assert mount["name"] == volume["name"]
    assert volume["persistentVolumeClaim"]["claimName"] == only("PersistentVolumeClaim")["metadata"]["name"]
    assert pod(workload)["securityContext"]["fsGroup"] == pod(workload)["securityContext"]["runAsGroup"]


def test_no_two_pods_ever_use_the_volume_together() -> None:
    assert with_data_dir()["spec"]["strategy"] == {"type": "Recreate"}
    assert with_data_dir()["spec"]["replicas"] == 1
    assert only("PersistentVolumeClaim")["spec"]["accessModes"] == ["ReadWriteOnce"]


def test_the_volume_holds_all_that_the_rings_may_and_twice_as_much() -> None:
    size = only("PersistentVolumeClaim")["spec"]["resources"]["requests"]["storage"]
    assert int(size.removesuffix("Gi")) * 1024 >= 3 * running_settings().buffer_total_mib


# Fluent Bit


def test_fluent_bit_is_pinned() -> None:
    assert container(DAEMON_SET)["image"] == "fluent/fluent-bit:5.1.1"


@pytest.mark.parametrize("workload", WORKLOADS)
def test_the_pods_ask_to_be_left_out_of_the_logs(workload: dict[str, Any]) -> None:
    assert workload["spec"]["template"]["metadata"]["annotations"] == {"fluentbit.io/exclude": "true"}
    assert plugin("filters", "kubernetes")["k8s-logging.exclude"] is True


@pytest.mark.parametrize(
    ("file", "left_out"),
    [
        ("logurt-6d5f7c9b8-x2x7k_logurt_logurt", True),
        ("logurt-6d5f7c9b8-x2x7k_monitoring_logurt", True),
        ("logurt-fluent-bit-4x9vz_logurt_fluent-bit", True),
        ("prod-logurt-6d5f7c9b8-x2x7k_logurt_logurt", True),
        ("prod-logurt-fluent-bit-4x9vz_logurt_fluent-bit", True),
        ("shop-logurt-0_shop_logurt", True),  # called alike, whoever made it
        ("web-0_myapp_web", False),
        ("logurt-viewer-0_logurt_web", False),
        ("fluent-bit-4x9vz_other_fluent-bit", False),
        ("logurt-demo_logurt-demo_web", False),
        ("prod-web-0_logurt_web", False),
    ],
)
def test_only_their_own_log_files_are_left_out_by_name(file: str, *, left_out: bool) -> None:
    patterns = plugin("inputs", "tail")["exclude_path"].split(",")
    path = f"/var/log/containers/{file}-{CONTAINER_ID}.log"
    assert any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns) is left_out


def test_fluent_bit_posts_to_the_service_with_the_ingest_secret_of_its_environment() -> None:
    output = plugin("outputs", "http")
    service = only("Service", "logurt")
    assert output["host"] == "${LOGURT_HOST}"
    assert literals(DAEMON_SET) == {"LOGURT_HOST": service["metadata"]["name"]}
    assert output["port"] == service["spec"]["ports"][0]["port"]
    assert (output["uri"], output["format"]) == ("/_ingest/fluentbit", "json")
    assert output["header"] == ["Authorization Token ${INGEST_SECRET}"]
    assert list(environment(DAEMON_SET)) == ["LOGURT_HOST", "INGEST_SECRET"]


def test_fluent_bit_sends_the_tag_for_records_without_metadata() -> None:
    assert plugin("outputs", "http")["header_tag"] == "Fluent-Tag"
    assert plugin("inputs", "tail")["tag"] == "kube.*"


def test_fluent_bit_tries_for_ever_and_at_least_every_ten_seconds() -> None:
    service = fluent_bit()["service"]
    assert plugin("outputs", "http")["retry_limit"] == "no_limits"
    # It waits a second more than a random number from base to cap. Beyond 10 s, waits are rounded up (flb_scheduler.h).
    assert 0 < service["scheduler.base"] <= service["scheduler.cap"] < 10 - 1


def test_fluent_bit_reads_files_it_has_not_seen_from_their_beginning_and_finds_them_soon() -> None:
    tail = plugin("inputs", "tail")
    assert tail["read_from_head"] is True
    assert tail["refresh_interval"] <= 1


def test_fluent_bit_keeps_chunks_and_places_in_the_one_folder_it_can_write_to() -> None:
    (writable,) = [each for each in container(DAEMON_SET)["volumeMounts"] if not each.get("readOnly")]
    (volume,) = [each for each in pod(DAEMON_SET)["volumes"] if each["name"] == writable["name"]]
    tail = plugin("inputs", "tail")
    assert tail["storage.type"] == "filesystem"
    assert Path(tail["db"]).parent == Path(writable["mountPath"])
    assert Path(fluent_bit()["service"]["storage.path"]).parent == Path(writable["mountPath"])
    assert "hostPath" in volume


def test_what_fluent_bit_keeps_has_a_bound() -> None:
    assert plugin("outputs", "http")["storage.total_limit_size"] == "512M"
    # 2 MB each, and as much again while they are turned into JSON.
    chunks = fluent_bit()["service"]["storage.max_chunks_up"]
    assert 4 * chunks <= mebibytes(container(DAEMON_SET)["resources"]["limits"]["memory"])


def test_lines_reach_logurt_as_text_with_labels_and_owners_and_without_annotations() -> None:
    kubernetes = plugin("filters", "kubernetes")
    assert {key: kubernetes[key] for key in ("merge_log", "labels", "owner_references", "annotations")} == {
        "merge_log": False,
        "labels": True,
        "owner_references": True,
        "annotations": False,
    }
    assert plugin("inputs", "tail")["multiline.parser"] == "docker, cri"


def test_fluent_bit_is_started_with_the_configuration_that_is_mounted() -> None:
    (generated,) = kustomization(MANIFESTS / "fluent-bit")["configMapGenerator"]
    (volume,) = [each for each in pod(DAEMON_SET)["volumes"] if "configMap" in each]
    (mount,) = [each for each in container(DAEMON_SET)["volumeMounts"] if each["name"] == volume["name"]]
    assert volume["configMap"]["name"] == generated["name"]
    assert container(DAEMON_SET)["args"] == [f"--config={mount['mountPath']}/{generated['files'][0]}"]


def test_fluent_bit_is_asked_at_the_port_of_its_http_server_whether_it_runs() -> None:
    (port,) = container(DAEMON_SET)["ports"]
    assert fluent_bit()["service"]["http_port"] == port["containerPort"]
    assert fluent_bit()["service"]["http_server"] is True
    assert container(DAEMON_SET)["livenessProbe"]["httpGet"] == {"path": "/", "port": port["name"]}


# What kustomize makes of it


def kustomized(folder: Path) -> list[dict[str, Any]]:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed; the files themselves are checked above")
    command = [kubectl, "kustomize", str(folder)]
    return documents(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.fixture(scope="module")
def built() -> list[dict[str, Any]]:
    return kustomized(OVERLAY)


@pytest.fixture(scope="module")
def with_volume(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Return the shipped overlay as another one has it that adds the volume for DATA_DIR."""
    folder = tmp_path_factory.mktemp("overlay").resolve()
    paths = {"resources": [os.path.relpath(OVERLAY, folder)], "components": [os.path.relpath(DATA_DIR, folder)]}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump({"namespace": "team-a", "namePrefix": "prod-"} | paths))
    return kustomized(folder)


@pytest.fixture(scope="module")
def renamed(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Return the shipped overlay as another overlay puts it into a namespace of its own, under other names."""
    folder = tmp_path_factory.mktemp("overlay").resolve()
    overlay = {"namespace": "team-a", "namePrefix": "prod-", "resources": [os.path.relpath(OVERLAY, folder)]}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    return kustomized(folder)


def one(kind: str, objects: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = [each for each in objects if each["kind"] == kind]
    return found


def test_kustomize_builds_objects_that_fit_the_schema(built: list[dict[str, Any]]) -> None:
    for manifest in built:
        kubernetes_validate.validate(manifest, KUBERNETES_VERSION, strict=True)
    kinds = {each["kind"] for each in built}
    assert kinds == {"Namespace", "Deployment", "Service", "ConfigMap", "DaemonSet"} | {
        *("ServiceAccount", "ClusterRole", "ClusterRoleBinding"),
    }


def test_kustomize_mounts_the_claimed_volume_under_any_name(with_volume: list[dict[str, Any]]) -> None:
    for manifest in with_volume:
        kubernetes_validate.validate(manifest, KUBERNETES_VERSION, strict=True)
    deployment, claim = one("Deployment", with_volume), one("PersistentVolumeClaim", with_volume)
    (volume,) = pod(deployment)["volumes"]
    assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"] == "prod-logurt-data"
    assert literals(deployment) == literals(with_data_dir())
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize(("overlay", "namespace"), [("built", "logurt"), ("renamed", "team-a")])
def test_kustomize_puts_everything_into_the_namespace_of_the_overlay(
    overlay: str, namespace: str, request: pytest.FixtureRequest
) -> None:
    objects = request.getfixturevalue(overlay)
    namespaced = [each for each in objects if each["kind"] not in {"Namespace", "ClusterRole", "ClusterRoleBinding"}]
    assert {each["metadata"]["namespace"] for each in namespaced} == {namespace}
    assert one("Namespace", objects)["metadata"]["name"] == namespace


@pytest.mark.parametrize(("overlay", "namespace"), [("built", "logurt"), ("renamed", "team-a")])
def test_kustomize_binds_the_role_to_the_account_that_fluent_bit_runs_as(
    overlay: str, namespace: str, request: pytest.FixtureRequest
) -> None:
    objects = request.getfixturevalue(overlay)
    (subject,) = one("ClusterRoleBinding", objects)["subjects"]
    assert (subject["name"], subject["namespace"]) == (
        pod(one("DaemonSet", objects))["serviceAccountName"],
        namespace,
    )


def test_kustomize_gives_fluent_bit_the_new_name_of_the_service(renamed: list[dict[str, Any]]) -> None:
    assert literals(one("DaemonSet", renamed)) == {"LOGURT_HOST": "prod-logurt"}
    assert one("Service", renamed)["metadata"]["name"] == "prod-logurt"


def test_kustomize_names_the_configuration_by_its_content(built: list[dict[str, Any]]) -> None:
    config = one("ConfigMap", built)
    (volume,) = [each for each in pod(one("DaemonSet", built))["volumes"] if "configMap" in each]
    assert volume["configMap"]["name"] == config["metadata"]["name"]
    assert re.fullmatch("logurt-fluent-bit-[a-z0-9]{10}", config["metadata"]["name"])


# Replicas


@pytest.fixture(scope="module")
def replicated() -> list[dict[str, Any]]:
    return kustomized(REPLICAS)


def named(kind: str, name: str, objects: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = [each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def nats_config() -> str:
    return (MANIFESTS / "nats" / "nats.conf").read_text()


def test_the_objects_of_replicas_fit_the_schema_and_are_in_one_namespace(replicated: list[dict[str, Any]]) -> None:
    for manifest in replicated:
        kubernetes_validate.validate(manifest, KUBERNETES_VERSION, strict=True)
    everywhere = {"Namespace", "ClusterRole", "ClusterRoleBinding"}
    assert {each["metadata"]["namespace"] for each in replicated if each["kind"] not in everywhere} == {"logurt"}


def test_replicas_are_replaced_one_by_one_and_none_is_missing_meanwhile(replicated: list[dict[str, Any]]) -> None:
    spec = named("Deployment", "logurt", replicated)["spec"]
    assert spec["replicas"] == 3
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def test_replicas_run_with_settings_that_the_server_takes(replicated: list[dict[str, Any]]) -> None:
    deployment = named("Deployment", "logurt", replicated)
    # Kubernetes puts values in place of $(NAME) where the variable stands before.
    values = dict[str, str]()
    for each in container(deployment)["env"]:
        value = each.get("value", "x" * 64)
        values[each["name"]] = re.sub(r"\$\((\w+)\)", lambda found: values[found[1]], value)
    running = settings.from_mapping({name: values[name] for name in values if not name.endswith("_PREVIOUS")})
    assert running.nats_url == (f"nats://logurt:{'x' * 64}@logurt-nats:4222",)
    assert running.nats_replicas == STATEFUL_SET["spec"]["replicas"]


def test_replicas_find_the_port_of_the_nats_servers(replicated: list[dict[str, Any]]) -> None:
    service = named("Service", "logurt-nats", replicated)["spec"]
    ports = {each["name"]: each["containerPort"] for each in container(STATEFUL_SET)["ports"]}
    assert service["selector"] == STATEFUL_SET["spec"]["selector"]["matchLabels"]
    assert [(each["port"], ports[each["targetPort"]]) for each in service["ports"]] == [(4222, 4222)]
    assert f"port: {ports['client']}\nhttp_port: {ports['http']}" in nats_config()


def test_the_nats_servers_know_each_other_by_the_headless_service() -> None:
    nodes = only("Service", "logurt-nats-nodes")["spec"]
    variables = literals(STATEFUL_SET)
    assert nodes["clusterIP"] == "None"
    assert nodes["publishNotReadyAddresses"] is True
    assert STATEFUL_SET["spec"]["serviceName"] == variables["NATS_NODES"] == "logurt-nats-nodes"
    assert STATEFUL_SET["metadata"]["name"] == variables["NATS_SET"]
    (routes,) = [each for each in container(STATEFUL_SET)["args"] if each.startswith("--routes=")]
    assert routes.count("nats://$(NATS_SET)-") == STATEFUL_SET["spec"]["replicas"]


def test_the_stream_fits_the_storage_of_the_nats_servers_and_that_fits_their_volumes() -> None:
    (claim,) = STATEFUL_SET["spec"]["volumeClaimTemplates"]
    volume = int(claim["spec"]["resources"]["requests"]["storage"].removesuffix("Gi"))
    (storage,) = re.findall(r"max_file_store: (\d+)GiB", nats_config())
    assert running_settings().nats_max_gib < int(storage) < volume


def test_a_nats_server_has_the_time_to_send_its_clients_away() -> None:
    (duration,) = re.findall(r"lame_duck_duration: (\d+)s", nats_config())
    assert pod(STATEFUL_SET)["terminationGracePeriodSeconds"] > int(duration) + 10


def test_only_logurt_and_the_servers_reach_nats() -> None:
    logurt, nats = (one["spec"]["selector"]["matchLabels"] for one in (DEPLOYMENT, STATEFUL_SET))
    clients, servers = only("NetworkPolicy")["spec"]["ingress"]
    assert [each["podSelector"]["matchLabels"] for each in clients["from"] + servers["from"]] == [logurt, nats]
    assert [each["port"] for each in clients["ports"]] == ["client"]


def test_one_pod_of_each_kind_goes_at_a_time() -> None:
    for workload in (DEPLOYMENT, STATEFUL_SET):
        budget = only("PodDisruptionBudget", workload["metadata"]["name"])["spec"]
        assert budget == {"maxUnavailable": 1, "selector": workload["spec"]["selector"]}
