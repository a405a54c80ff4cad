"""What the commands for readers are given: options, environment variables, and a .env file."""

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


def add_url(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the server."""
    parser.add_argument(
        "--url",
        metavar="URL",
        help=f"where the server is, or the link that came with a token (default: LOGURT_URL, else {DEFAULT_URL})",
    )


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Add the options that narrow a namespace."""
    parser.add_argument("--pod", metavar="POD", help="only this pod")
    parser.add_argument("-c", "--container", metavar="NAME", help="only containers of this name")
    parser.add_argument(
        "-l",
        "--selector",
        "--label",
        dest="labels",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="only pods with this label; may be repeated, or several be separated by commas",
    )


def read_labels(texts: list[str]) -> dict[str, str]:
    """Read labels as kubectl takes them, of which only equality is known here. Raises BadInput."""
    read: dict[str, str] = {}
    for text in ",".join(texts).split(",") if texts else []:
        key, separator, value = text.strip().replace("==", "=", 1).partition("=")
        if not separator or not key or key.endswith("!"):
            raise BadInput(f"a label must be like app=web, not {text!r}")
        if read.setdefault(key, value) != value:
            raise BadInput(f"no pod can have two values of the label {key}")
    return read


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
    token = (options.token or server.token or variables.get("LOGURT_TOKEN", "")).strip()
    if token:
        if not _VISIBLE.fullmatch(token):
            raise BadInput("the token must be visible ASCII characters without spaces or line ends")
        return GivenToken(token)
    if "API_SECRET" not in variables:
        raise BadInput("a token is needed: give --token or LOGURT_TOKEN, or API_SECRET to have one signed")
    if not options.namespace:
        raise BadInput("NAMESPACE is needed, unless there is a token")
    return Signer(server, read_api_secret(variables), {"namespace": options.namespace})


def read_scope(options: argparse.Namespace) -> dict[str, Any]:
    """Return what a token is to open, as POST /api/sign takes it. Raises BadInput."""
    members = {
        "namespace": options.namespace,
        "pod": options.pod,
        "container": options.container,
        "labels": read_labels(options.labels),
        "expires_in": None if options.expires_in is None else read_seconds(options.expires_in),
    }
    return {name: value for name, value in members.items() if value not in (None, {})}
