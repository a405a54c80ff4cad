"""The command `tail`: lines in a terminal, or into a pipe."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from cli.claims import claims, namespace_of
from cli.command import finish, give_up, open_stdout, tell
from cli.errors import BadInput
from cli.options import add_namespace, add_selection, add_url, read_address, read_credential, read_namespace
from cli.output import Output
from cli.query import add_choice, read_query
from cli.signals import die_quietly, die_with_reader
from cli.stream import Stream
from cli.style import add_style, fitted, read_style

if TYPE_CHECKING:
    from collections.abc import Mapping

_EXAMPLES = """\
examples:
  python logurt.py tail myapp                              the last lines of a namespace, and what follows
  python logurt.py tail -n myapp -p 'web-*' --tail 20      only some pods, fewer lines to begin with
  python logurt.py tail myapp -l 'app in (web,api),!canary' -w deployment/web
  python logurt.py tail myapp --since 5m -i '(?i)error' -e healthz --no-follow
  python logurt.py tail myapp -t --timezone local -H '[45][0-9][0-9]' -H timeout
  python logurt.py tail myapp --template '{timestamp} {pod:<30.30} {log}'
  python logurt.py tail --url 'https://logs.example.com/logs?token=...' --tail 500
                                                           a link that you were given; options go before what it says

A token is taken from --token, the link or LOGURT_TOKEN. Without one, API_SECRET signs it, from the environment or a
.env file. After a cut the stream goes on where it was; lines that were lost meanwhile are counted.

exit codes: 0 all sent (--no-follow), 1 refused or not reachable, 2 wrong usage
"""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `tail` to the commands. Its options are named as kubectl and stern name theirs."""
    parser = commands.add_parser(
        "tail",
        help="show the lines of a namespace, and follow them",
        description="Show the recent lines of a namespace, and follow what its pods write.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    add_namespace(parser, "may be left out if there is a token")
    add_url(parser)
    parser.add_argument(
        "--token", metavar="TOKEN", help="others can see it in the list of processes: LOGURT_TOKEN is safer"
    )
    add_selection(parser)
    add_choice(parser)
    add_style(parser)


def run(options: argparse.Namespace, variables: Mapping[str, str]) -> int:
    """Run `tail`; return the exit code."""
    try:
        server = read_address(options, variables)
        credential = read_credential(options, variables, server)
        query = read_query(options, server.query)
        style = read_style(options, server.query)
    except BadInput as error:
        return give_up(error)

    async def follow() -> None:
        with open_stdout() as stdout:
            die_with_reader(stdout.fileno())
            stream = Stream(server, credential, query, tell=tell)
            opened = namespace_of(claims(await stream.token()))
            _warn_of_other_namespace(read_namespace(options), opened)
            look = fitted(style, stdout, variables, options.color)._replace(namespace=opened)
            await stream.run(Output(stdout, sys.stderr, look).show)

    die_quietly()
    return finish(follow())


def _warn_of_other_namespace(asked: str, opened: str) -> None:
    if asked and opened and opened != asked:
        tell(f"the token is for the namespace {opened}, not {asked}: showing {opened}")
