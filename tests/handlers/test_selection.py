from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buffer.selector import Names, Operator, Requirement
from handlers.selection import (
    MAX_ALTERNATIVES,
    MAX_NAME_LENGTH,
    MAX_REQUIREMENTS,
    BadSelection,
    check_containers,
    check_labels,
    check_namespace,
    check_pods,
    label_requirement,
    parse_labels,
    parse_names,
    parse_workloads,
)

IN, NOT_IN, EXISTS, MISSING = Operator
MANY = MAX_ALTERNATIVES + 1

letters = "abcXYZ019"
keys = st.from_regex(r"([a-z0-9](-[a-z0-9])?(\.[a-z])?/)?[a-z0-9]([a-z0-9_.-]*[a-z0-9])?", fullmatch=True)
values = st.text(letters + "-_.", max_size=5)
patterns = st.lists(values | values.map("{}*".format), min_size=1, max_size=5)
requirements = st.one_of(
    st.builds(lambda key, found: Requirement(key, IN, Names.of(*found)), keys, patterns),
    st.builds(lambda key, found: Requirement(key, NOT_IN, Names.of(*found)), keys, patterns),
    st.builds(Requirement, keys, st.sampled_from([EXISTS, MISSING])),
)


def one(text: str) -> Requirement:
    (requirement,) = parse_labels([text])
    return requirement


def refused(parse: object, text: object) -> str:
    with pytest.raises(BadSelection) as caught:
        parse(text)  # type: ignore[operator]
    assert str(caught.value) == caught.value.problem
    return caught.value.problem


# Names


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web-0", Names.of("web-0")),
        ("web-0,web-1", Names.of("web-0", "web-1")),
        (" web-0 ,\tweb-1 ", Names.of("web-0", "web-1")),
        ("web-*", Names(prefixes=("web-",))),
        ("web-*,web-0,api-0", Names(frozenset({"api-0"}), ("web-",))),
        ("*", Names(prefixes=("",))),
    ],
)
def test_names_are_separated_by_commas_and_may_be_prefixes(text: str, expected: Names) -> None:
    assert parse_names(text) == expected


@pytest.mark.parametrize("text", ["", " ", ",", "a,", ",a", "a,,b", "x" * (MAX_NAME_LENGTH + 1)])
def test_a_name_has_1_to_253_characters(text: str) -> None:
    assert refused(parse_names, text) == "must have names of 1 to 253 characters"


@pytest.mark.parametrize("text", ["*a", "a*b", "**", "a,*b*"])
def test_an_asterisk_stands_only_at_the_end(text: str) -> None:
    assert refused(parse_names, text) == "may have * only at the end of a name"


def test_100_names_are_taken_and_101_are_not() -> None:
    assert len(parse_names(",".join(map(str, range(MAX_ALTERNATIVES)))).patterns) == MAX_ALTERNATIVES
    assert refused(parse_names, ",".join(map(str, range(MANY)))) == "must have at most 100 alternatives"


@given(patterns.filter(all))
def test_names_are_read_back_from_their_text(found: list[str]) -> None:
    assert parse_names(str(Names.of(*found))) == Names.of(*found)


# Workloads


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("deployment/web", ["deployment/web"]),
        ("Deployment/web, job/db-*", ["deployment/web", "job/db-*"]),
        ("cronjob/*", ["cronjob/*"]),
    ],
)
def test_a_workload_is_a_kind_and_a_name(text: str, expected: list[str]) -> None:
    assert parse_workloads(text).patterns == expected


@pytest.mark.parametrize("text", ["", "web", "deployment", "deployment/", "/web", "pod/web", "*/web", "deployment/a,"])
def test_what_is_no_workload_is_told_what_one_looks_like(text: str) -> None:
    assert refused(parse_workloads, text).startswith("must be like deployment/web, with one of deployment, ")


# Labels


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # kubernetes.io/docs/concepts/overview/working-with-objects/labels
        ("environment = production", [Requirement("environment", IN, Names.of("production"))]),
        ("tier != frontend", [Requirement("tier", NOT_IN, Names.of("frontend"))]),
        (
            "environment=production,tier!=frontend",
            [
                Requirement("environment", IN, Names.of("production")),
                Requirement("tier", NOT_IN, Names.of("frontend")),
            ],
        ),
        ("environment in (production, qa)", [Requirement("environment", IN, Names.of("production", "qa"))]),
        ("tier notin (frontend, backend)", [Requirement("tier", NOT_IN, Names.of("frontend", "backend"))]),
        ("partition", [Requirement("partition", EXISTS)]),
        ("!partition", [Requirement("partition", MISSING)]),
        (
            "partition,environment notin (qa)",
            [Requirement("environment", NOT_IN, Names.of("qa")), Requirement("partition", EXISTS)],
        ),
        ("environment==production", [Requirement("environment", IN, Names.of("production"))]),
        (
            "partition in (customerA, customerB),environment!=qa",
            [
                Requirement("environment", NOT_IN, Names.of("qa")),
                Requirement("partition", IN, Names.of("customerA", "customerB")),
            ],
        ),
        # The comment at labels.Parse in k8s.io/apimachinery
        (
            "x in (foo,,baz),y,z notin ()",
            [
                Requirement("x", IN, Names.of("foo", "", "baz")),
                Requirement("y", EXISTS),
                Requirement("z", NOT_IN, Names.of("")),
            ],
        ),
        # Ours
        ("app=web-*", [Requirement("app", IN, Names.of("web-*"))]),
        ("app in (web-*,api)", [Requirement("app", IN, Names.of("api", "web-*"))]),
        ("app=", [Requirement("app", IN, Names.of(""))]),
        ("app.kubernetes.io/name=web", [Requirement("app.kubernetes.io/name", IN, Names.of("web"))]),
        ("in in (in)", [Requirement("in", IN, Names.of("in"))]),
        ("notin", [Requirement("notin", EXISTS)]),
        ("a,a,a", [Requirement("a", EXISTS)]),
    ],
)
def test_labels_are_selected_as_with_kubectl(text: str, expected: list[Requirement]) -> None:
    assert parse_labels([text]) == tuple(expected)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ",",
        "=",
        "=web",
        "!",
        "!!app",
        "!app=web",
        "!app in (web)",
        "app=a=b",
        "app===web",
        "app!==web",
        "app>5",
        "app<5",
        "app=(web)",
        "app=web)",
        "app in web",
        "app in (web",
        "app in web)",
        "app in ((web))",
        "app in (web) x",
        "app IN (web)",
        "app=web in (web)",
        "a b",
        "in (web)",
        ")(",
    ],
)
def test_what_selects_no_labels_is_told_what_does(text: str) -> None:
    expected = "must be like app=web, app!=web, app in (web,api), app notin (web,api), app or !app"
    assert refused(parse_labels, [text]) == expected


@given(requirements)
def test_a_requirement_is_read_back_from_its_text(requirement: Requirement) -> None:
    assert one(str(requirement)) == requirement


@given(st.lists(requirements, min_size=1, max_size=6))
def test_requirements_are_read_back_from_one_text_or_several_in_any_order(found: list[Requirement]) -> None:
    texts = [str(requirement) for requirement in found]
    assert parse_labels([",".join(texts)]) == parse_labels(texts) == parse_labels(texts[::-1])
    assert set(parse_labels(texts)) == set(found)


@given(st.text("ab=!(), *innot\t", max_size=20))
def test_whatever_is_read_is_read_back_from_its_text(text: str) -> None:
    try:
        found = parse_labels([text])
    except BadSelection:
        return
    assert parse_labels([",".join(map(str, found))]) == found


def test_values_and_requirements_count_together_up_to_100() -> None:
    numbers = ",".join(map(str, range(MAX_ALTERNATIVES - 1)))
    assert len(parse_labels([f"a in ({numbers})", "b"])) == 2
    expected = "must have at most 100 values and requirements without values"
    assert refused(parse_labels, [f"a in ({numbers})", "b", "c"]) == expected


def test_there_are_at_most_20_requirements() -> None:
    keys = [f"k{number}" for number in range(MAX_REQUIREMENTS + 1)]
    assert len(parse_labels(keys[1:])) == MAX_REQUIREMENTS
    assert refused(parse_labels, keys) == "must have at most 20 requirements"


@pytest.mark.parametrize("text", ["k" * 318, f"a={'v' * 254}", f"a in (b,{'v' * 254})"])
def test_a_key_or_value_that_is_too_long_is_refused(text: str) -> None:
    assert refused(parse_labels, [text]).startswith("must have ")


@pytest.mark.parametrize(
    "text",
    [
        "a=" + " " * 60_000 + "=",
        "a" + " " * 60_000 + "!",
        "(" * 60_000,
        "a in (" + "(" * 60_000,
        "!" * 60_000,
        "=" * 60_000,
        "a in (b) " * 6000,
        "a in" + " " * 60_000,
    ],
    ids=lambda text: text[:9],
)
def test_no_text_takes_long_to_refuse(text: str) -> None:
    started = time.process_time()
    refused(parse_labels, [text])
    assert time.process_time() - started < 0.2


def test_the_value_of_a_member_may_be_several_or_a_prefix() -> None:
    assert label_requirement("app", "web,api-*") == Requirement("app", IN, Names.of("web", "api-*"))
    assert label_requirement("app", "") == Requirement("app", IN, Names.of(""))


# What Kubernetes allows


def test_names_that_kubernetes_allows_pass() -> None:
    check_namespace("my-app-2")
    check_pods(parse_names("web-0,web.example.com,api-*,*"))
    check_containers(parse_names("app,side-*"))
    check_labels(parse_labels(["a=", "example.com/App_1 in (X,y.z-0)", "!b", "c=web-*"]))


@pytest.mark.parametrize("name", ["My", "a_b", "a.b", "-a", "a-", "a/b", "*", "my*", "x" * 64, "a b", "é", "a\n"])
def test_a_namespace_is_a_dns_label(name: str) -> None:
    assert refused(check_namespace, name).startswith("must have names that Kubernetes allows, unlike ")


@pytest.mark.parametrize("text", ["Web", "a_b", "a..b", ".a", "a.", "-a", "a/b", "/*", "é*", "a b"])
def test_a_pod_is_a_dns_subdomain(text: str) -> None:
    assert refused(check_pods, parse_names(text)) == f"must have names that Kubernetes allows, unlike {text}"


def test_a_container_has_no_dot_in_its_name() -> None:
    assert refused(check_containers, parse_names("a.b")) == "must have names that Kubernetes allows, unlike a.b"


@pytest.mark.parametrize("text", ["-a=b", "a/b/c", "A.com/b", "/b", f"{'k' * 64}=a"])
def test_a_label_s_key_is_one_that_kubernetes_allows(text: str) -> None:
    assert refused(check_labels, parse_labels([text])).startswith("must have keys that Kubernetes allows, unlike ")


@pytest.mark.parametrize("value", ["-a", "a-", "a/b", "a b", "é", "v" * 64])
def test_a_label_s_value_is_one_that_kubernetes_allows(value: str) -> None:
    problem = refused(check_labels, [Requirement("a", IN, Names.of(value))])
    assert problem == f"must have values that Kubernetes allows, unlike {value[:64]}"
