"""logurt: live Kubernetes logs over WebSocket, for people who have no cluster access."""

from __future__ import annotations

import os
import signal

if __name__ == "__main__":
    # The kernel spares process 1 of a container from signals that it does not handle, and imports take most of a start.
    signal.signal(signal.SIGTERM, lambda number, _: os._exit(128 + number))

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import environment
import settings
from cli import demo, sign, tail
from fair_selector import new_event_loop
from protocol import VERSION
from server import log_to_stderr, serve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__version__ = VERSION

_EPILOG = """\
examples:
  python logurt.py demo            all of it at work, with made-up logs
  python logurt.py                 run the service
  python logurt.py tail myapp      follow a namespace
  python logurt.py sign myapp      a link for somebody else

`python logurt.py COMMAND --help` explains a command.
"""
_SERVE_EPILOG = """\
examples:
  python logurt.py serve                                        with the settings of the environment and .env
  PORT=9000 LOG_LEVEL=debug python logurt.py serve              variables go before what .env says

exit codes: 0 stopped by SIGTERM or Ctrl-C, 1 cannot listen, 2 bad settings
"""


class CommandParser(argparse.ArgumentParser):
    """The parser of one command: it refuses unknown options itself, with its own usage and not its parent's."""

    def parse_known_args(  # type: ignore[override]  # the types of its overloads are no concern here
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Return the options. Exits if there is anything else."""
        options, others = super().parse_known_args(args, namespace)
        if others:
            self.error(f"unrecognized arguments: {' '.join(others)}")
        return options, others


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="logurt.py",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"logurt {__version__}")
    parser.set_defaults(run=_run_server)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=CommandParser)
    commands.add_parser(
        "serve",
        help="run the service (the default)",
        description="Run the service until SIGTERM or Ctrl-C. It is set up by environment variables or a\n"
        ".env file: API_SECRET and JWT_SIGNING_KEY are required.",
        epilog=_SERVE_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for command in (tail, sign, demo):
        command.add_command(commands)
    options = parser.parse_args(arguments)
    try:
        variables = environment.load(os.environ, Path(".env"))
    except environment.BadFile as error:
        print(f"logurt: {error}", file=sys.stderr)
        return 2
    return int(options.run(options, variables))


def _run_server(_options: argparse.Namespace, variables: Mapping[str, str]) -> int:
    try:
        configuration = settings.from_mapping(variables)
    except settings.SettingsError as error:
        print(f"logurt: {error}", file=sys.stderr)
        return 2
    log_to_stderr(configuration.log_level, configuration.log_format)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(serve(configuration))


if __name__ == "__main__":
    sys.exit(main())
