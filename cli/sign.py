"""The command `sign`: a token, and the link that it opens."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING

from cli.credential import Signer
from cli.errors import Failure
from cli.options import add_selection, add_url, read_address, read_api_secret, read_scope
from cli.tail import give_up

if TYPE_CHECKING:
    from collections.abc import Mapping

_EXAMPLES = """\
examples:
  python logurt.py sign myapp                                      all of a namespace, for as long as the server allows
  python logurt.py sign myapp -l app=web --expires-in 10m          only pods with a label, for ten minutes
  LOGURT_TOKEN=$(python logurt.py sign myapp) python logurt.py tail

The token alone goes to standard output. API_SECRET is taken from the environment or a .env file.
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
    parser.add_argument("namespace", metavar="NAMESPACE")
    add_url(parser)
    add_selection(parser)
    parser.add_argument(
        "--expires-in", metavar="TIME", help="600, 90s, 10m, 1h30m (default: as long as the server allows)"
    )


def run(options: argparse.Namespace, variables: Mapping[str, str]) -> int:
    """Run `sign`; return the exit code."""
    try:
        server = read_address(options, variables)
        signed = asyncio.run(Signer(server, read_api_secret(variables), read_scope(options)).sign())
    except Failure as failure:
        return give_up(failure)
    print(signed.token, flush=True)
    print(f"opens {options.namespace} until {signed.expires_at}:\n{server.link(signed.token)}", file=sys.stderr)
    return 0
