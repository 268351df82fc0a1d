"""``ltad space``: the page and some checkpoints as a Hugging Face Space."""

import argparse
import json

from ltad.commands import DONE
from ltad.deploy.space import CHECKPOINTS, publish


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the Space is called, has and runs on."""
    parser.add_argument("repository", metavar="OWNER/NAME", help="the Space; it is made, or made what is here now")
    parser.add_argument("--private", action="store_true", help="let nobody else see it")
    parser.add_argument("--hardware", metavar="NAME", help="such as cpu-basic, zero-a10g; left out: as it is")
    parser.add_argument(
        "--checkpoints",
        nargs="+",
        default=CHECKPOINTS,
        metavar="NAME|DIR",
        help=f"what it judges with; left out: {', '.join(CHECKPOINTS)}",
    )


def run(options: argparse.Namespace) -> int:
    """Send it, and print its address."""
    sent = publish(
        options.repository, checkpoints=options.checkpoints, private=options.private, hardware=options.hardware
    )
    print(json.dumps(sent._asdict()) if options.json else sent.address)
    return DONE
