"""Options that several commands have, and what they and the environment variables stand for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from cli.address import DEFAULT_URL, Address
from cli.credential import GivenToken, Signer
from cli.errors import BadInput
from protocol import parse_duration

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from cli.credential import Credential

_VISIBLE = re.compile(r"[!-~]+")


def add_namespace(parser: argparse.ArgumentParser, help_text: str) -> None:
    """Add the namespace, as an argument and, as kubectl has it, as an option."""
    parser.add_argument("namespace", nargs="?", metavar="NAMESPACE", help=help_text)
    parser.add_argument(
        "-n", "--namespace", dest="namespace_option", metavar="NAMESPACE", help="the same, written as for kubectl"
    )


def add_url(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the server."""
    parser.add_argument(
        "--url",
        metavar="URL",
        help=f"where the server is, or a link that you were given (default: LOGURT_URL, else {DEFAULT_URL})",
    )


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Add the options that narrow a namespace. All of them may be repeated; the server reads what they say."""
    group = parser.add_argument_group(
        "which part of the namespace",
        "NAMES are separated by commas, and one that ends in * is a prefix. All of these may be repeated.",
    )
    add = group.add_argument
    add("-p", "--pod", action="append", metavar="NAMES", help="only these pods, as in web-0 or 'web-*'")
    add("-c", "--container", action="append", metavar="NAMES", help="only containers of these names")
    add(
        "-l",
        "--selector",
        "--label",
        dest="label",
        action="append",
        metavar="LABELS",
        help="only pods with these labels, as for kubectl: app=web,tier!=test or 'app in (web,api),!canary'",
    )
    add(
        "-w",
        "--workload",
        action="append",
        metavar="NAMES",
        help="only pods of these workloads, as in deployment/web or 'job/import-*'",
    )


def read_namespace(options: argparse.Namespace) -> str:
    """Return the namespace; empty if none is given. Raises BadInput if two are."""
    given = [one for one in (options.namespace, options.namespace_option) if one is not None]
    if len(set(given)) > 1:
        raise BadInput(f"two namespaces are given, {given[0]} and {given[1]}")
    return given[0] if given else ""


def read_selection(options: argparse.Namespace) -> dict[str, list[str]]:
    """Return the parameters of GET /logs that narrow a namespace."""
    given = {name: getattr(options, name) for name in ("pod", "container", "label", "workload")}
    return {name: values for name, values in given.items() if values is not None}


def read_seconds(text: str) -> int:
    """Read a duration such as 600, 90s, 10m or 1h30m. Raises BadInput."""
    duration = parse_duration(text if text.endswith(("d", "h", "m", "s")) else f"{text}s")
    if duration is None:
        raise BadInput(f"a duration must be like 600, 90s, 10m or 1h30m, not {text!r}")
    return duration


def read_address(options: argparse.Namespace, variables: Mapping[str, str]) -> Address:
    """Return where the server is. Raises BadInput."""
    return Address.parse(options.url or variables.get("LOGURT_URL") or DEFAULT_URL)


def read_api_secret(variables: Mapping[str, str]) -> str:
    """Return the secret that signs tokens. Raises BadInput, also if there is none."""
    secret = variables.get("API_SECRET")
    if not secret:
        raise BadInput("API_SECRET is missing, in the environment and in .env")
    if not _VISIBLE.fullmatch(secret):
        raise BadInput("API_SECRET must be visible ASCII characters without spaces or line ends")
    return secret


def read_credential(options: argparse.Namespace, variables: Mapping[str, str], server: Address) -> Credential:
    """Return the token that is given, or else what signs one for the namespace. Raises BadInput."""
    namespace = read_namespace(options)
    token = (options.token or server.token or variables.get("LOGURT_TOKEN", "")).strip()
    if token:
        if not _VISIBLE.fullmatch(token):
            raise BadInput("the token must be visible ASCII characters without spaces or line ends")
        return GivenToken(token)
    if "API_SECRET" not in variables:
        raise BadInput("a token is needed: give --token or LOGURT_TOKEN, or API_SECRET to have one signed")
    if not namespace:
        raise BadInput("NAMESPACE is needed, unless there is a token")
    return Signer(server, read_api_secret(variables), {"namespace": namespace})


def read_scope(options: argparse.Namespace) -> dict[str, Any]:
    """Return what a token is to open, as POST /api/sign takes it. Raises BadInput."""
    namespace = read_namespace(options)
    if not namespace:
        raise BadInput("NAMESPACE is needed")
    narrowing = {name: ",".join(values) for name, values in read_selection(options).items()}
    if "label" in narrowing:
        narrowing["labels"] = narrowing.pop("label")
    expires_in = {} if options.expires_in is None else {"expires_in": read_seconds(options.expires_in)}
    return {"namespace": namespace, **narrowing, **expires_in}
