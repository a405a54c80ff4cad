"""The command `sign`: a token, what it opens, and the link for it."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from cli.claims import claims, described
from cli.command import finish, give_up
from cli.credential import Signer
from cli.diagnosis import diagnosed
from cli.errors import BadInput
from cli.options import add_namespace, add_selection, add_url, read_address, read_api_secret, read_scope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cli.address import Address
    from cli.credential import Signed

_EXAMPLES = """\
examples:
  python logurt.py sign myapp                                  all of a namespace, for as long as the server allows
  python logurt.py sign myapp -l app=web --expires-in 10m      only pods with a label, for ten minutes
  python logurt.py sign -n myapp -p 'web-*' -c app -w deployment/web
  LOGURT_TOKEN=$(python logurt.py sign myapp) python logurt.py tail

The token alone goes to standard output; what it opens, until when, and the links (one for programs, one for
browsers) go to standard error.
API_SECRET is taken from the environment or a .env file.
"""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `sign` to the commands."""
    parser = commands.add_parser(
        "sign",
        help="have a token signed, to give to somebody",
        description="Have a token signed that opens a namespace, or part of it, for a while.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    add_namespace(parser, "what the token opens")
    add_url(parser)
    add_selection(parser)
    parser.add_argument(
        "--expires-in", metavar="TIME", help="600, 90s, 10m, 1h30m (default: as long as the server allows)"
    )


def run(options: argparse.Namespace, variables: Mapping[str, str]) -> int:
    """Run `sign`; return the exit code."""
    try:
        server = read_address(options, variables)
        signer = Signer(server, read_api_secret(variables), read_scope(options))
    except BadInput as error:
        return give_up(error)

    async def sign() -> None:
        signed = await diagnosed(server, signer.sign())
        print(signed.token, flush=True)
        print(report(server, signed), file=sys.stderr, flush=True)

    return finish(sign())


def report(server: Address, signed: Signed) -> str:
    """Return what a token says that it opens, and the links for it, a line each."""
    links = [("link", server.resolve(signed.url) if signed.url else server.link(signed.token))]
    if signed.view:
        links.append(("view", server.resolve(signed.view)))
    rows = [*described(claims(signed.token)), *links]
    return "\n".join(["This token opens", *(f"  {name:<10} {text}" for name, text in rows)])
