"""The commands: ``python -m ltad COMMAND``, or ``ltad COMMAND`` once installed."""

import argparse
import importlib
import logging
import shlex
import sys
from collections.abc import Sequence

from ltad.commands import COMMANDS, FAILED
from ltad.commands.printing import everything_printed
from ltad.errors import LTADError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 = done, 1 = failed with one sentence on stderr, 2 = wrong usage."""
    words = sys.argv[1:] if arguments is None else arguments
    with everything_printed() as out:
        options = _parser(words).parse_args(words)
        status = _run(options, words)
        if out and (lost := out.lost()):
            print(f"ltad {options.command}: what was printed is lost: {lost}", file=sys.stderr)
            status = FAILED
    return status


def _run(options: argparse.Namespace, words: Sequence[str]) -> int:
    # What makes a checkpoint again, whether or not it was interrupted this time.
    options.command_line = shlex.join(["python", "-m", "ltad", *(word for word in words if word != "--resume")])
    logging.basicConfig(level=logging.DEBUG if options.debug else logging.WARNING)
    from ltad.commands.options import refuse_outputs  # bring torch, which --help need not wait for
    from ltad.machine import settle

    try:
        settle()
        refuse_outputs(options)
        return options.run(options)
    except (LTADError, ValueError, OSError) as error:
        if options.debug:
            raise
        print(f"ltad {options.command}: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print(f"ltad {options.command}: interrupted", file=sys.stderr)
        return FAILED


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """The parser for what is asked: only the command that is named is loaded, so that ``--help`` is quick."""
    parser = argparse.ArgumentParser(
        prog="ltad", description="Long-tailed anomaly detection with learnable class names."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, what in COMMANDS.items():
        command = commands.add_parser(name, help=what, description=what)
        command.add_argument("--json", action="store_true", help="print JSON for machines")
        command.add_argument("--debug", action="store_true", help="show tracebacks")
        if name in words:
            module = importlib.import_module(f"ltad.commands.{name}")
            module.add_options(command)
            command.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
