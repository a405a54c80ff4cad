"""The command `tail`: lines in a terminal, or into a pipe."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from typing import TYPE_CHECKING, BinaryIO

from cli.ansi import harmless
from cli.credential import claims
from cli.errors import BadInput, Failure
from cli.options import add_selection, add_url, read_address, read_credential, read_labels
from cli.output import Output, Style
from cli.signals import die_of, die_quietly, die_with_reader
from cli.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from cli.address import Address
    from cli.credential import Credential

_EXAMPLES = """\
examples:
  python logurt.py tail myapp                          the last lines of a namespace, and what follows
  python logurt.py tail myapp -l app=web --tail 20     only pods with a label, fewer lines to begin with
  python logurt.py tail myapp --since 5m -i '(?i)error' -e healthz --no-follow
  python logurt.py tail --url 'https://logs.example.com/logs?token=...'     the link that somebody gave you

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
    parser.add_argument("namespace", nargs="?", metavar="NAMESPACE", help="may be left out if there is a token")
    add_url(parser)
    parser.add_argument(
        "--token", metavar="TOKEN", help="others can see it in the list of processes: LOGURT_TOKEN is safer"
    )
    add_selection(parser)
    _add_choice(parser)
    _add_looks(parser)


def _add_choice(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which lines there are to be."""
    add = parser.add_argument
    add("--stream", choices=("stdout", "stderr"), help="only lines of this output")
    add(
        "--tail", metavar="N", help="lines to begin with: a number, or all (default: the server's, or all with --since)"
    )
    add("--since", "--since-time", metavar="TIME", help="lines not older than 90s, 5m, 1h30m, or an RFC 3339 time")
    add(
        "-i",
        "--include",
        action="append",
        default=[],
        metavar="RE",
        help="only lines that match (RE2); any, if repeated",
    )
    add("-e", "--exclude", action="append", default=[], metavar="RE", help="no lines that match (RE2); may be repeated")
    add(
        "-f",
        "--follow",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="go on with live lines (default: yes)",
    )


def _add_looks(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what the lines look like."""
    add = parser.add_argument
    add("-t", "--timestamps", action="store_true", help="show when each line was written")
    add("--prefix", action=argparse.BooleanOptionalAction, default=True, help="show pod/container (default: yes)")
    add(
        "-o",
        "--output",
        choices=("text", "json"),
        default="text",
        help="json: an object a line, as the server sends it",
    )
    add(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="auto: in terminals, unless NO_COLOR is set",
    )


def run(options: argparse.Namespace, variables: Mapping[str, str]) -> int:
    """Run `tail`; return the exit code."""
    try:
        server = read_address(options, variables)
        credential = read_credential(options, variables, server)
        query = query_of(options)
    except BadInput as error:
        return give_up(error)
    die_quietly()
    return finish(follow(options, variables, server, credential, query))


def finish(following: Coroutine[None, None, None]) -> int:
    """Run a coroutine that shows lines to its end; return the exit code. Dies if nobody reads the output any more."""
    # Whatever there is to say of connections is said here.
    logging.getLogger("tornado").setLevel(logging.CRITICAL)
    try:
        asyncio.run(following)
    except BrokenPipeError:
        die_of(signal.SIGPIPE)
    except Failure as failure:
        return give_up(failure)
    except OSError as error:
        tell(f"cannot write: {error.strerror}")
        return 1
    return 0


async def follow(
    options: argparse.Namespace,
    variables: Mapping[str, str],
    server: Address,
    credential: Credential,
    query: dict[str, list[str]],
) -> None:
    """Show lines on standard output."""
    _warn_of_other_namespace(options.namespace, claims(await credential.token()).get("namespace"))
    with open_stdout() as stdout:
        die_with_reader(stdout.fileno())
        output = make_output(stdout, options, variables)
        await Stream(server, credential, query, output.show, tell=tell).run()


def open_stdout() -> BinaryIO:
    """Return standard output as a writer of our own: that of sys.stdout may be unbuffered, and then writes in part."""
    return open(sys.stdout.fileno(), "wb", closefd=False)


def make_output(stdout: BinaryIO, options: argparse.Namespace, variables: Mapping[str, str]) -> Output:
    """Return what writes lines to a file as the options ask for."""
    return Output(stdout, sys.stderr, style_of(stdout, options, variables))


def style_of(stdout: BinaryIO, options: argparse.Namespace, variables: Mapping[str, str]) -> Style:
    """Return how lines look: with colours in a terminal, unless told otherwise (no-color.org)."""
    is_terminal = stdout.isatty()
    can_colour = is_terminal and not variables.get("NO_COLOR") and variables.get("TERM") != "dumb"
    return Style(
        as_json=options.output == "json",
        timestamps=options.timestamps,
        prefix=options.prefix,
        is_terminal=is_terminal,
        coloured=options.color == "always" or (options.color == "auto" and can_colour),
    )


def query_of(options: argparse.Namespace) -> dict[str, list[str]]:
    """Return the parameters of GET /logs that the options stand for. Raises BadInput."""
    # kubectl writes -1 for all.
    tail = "all" if options.tail == "-1" else options.tail
    single = {
        "pod": options.pod,
        "container": options.container,
        "stream": options.stream,
        "tail": tail,
        "since": options.since,
        "follow": None if options.follow else "false",
    }
    labels = [f"{key}={value}" for key, value in read_labels(options.labels).items()]
    several = {"label": labels, "include": options.include, "exclude": options.exclude}
    query = {name: [value] for name, value in single.items() if value is not None}
    return query | {name: values for name, values in several.items() if values}


def tell(sentence: str) -> None:
    """Tell the user something that is not a line."""
    print(f"logurt: {sentence}", file=sys.stderr, flush=True)


def give_up(failure: Failure) -> int:
    """Tell the user of a failure; return the exit code."""
    tell(str(failure))
    return failure.exit_code


def _warn_of_other_namespace(asked: str | None, opened: object) -> None:
    if asked and isinstance(opened, str) and opened != asked:
        tell(f"the token is for the namespace {harmless(opened)}, not {asked}: showing {harmless(opened)}")
