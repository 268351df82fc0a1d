"""``ltad push``: a checkpoint onto the Hugging Face Hub."""

import argparse
import json

from ltad.checkpoint.folder import find_checkpoint
from ltad.commands import DONE
from ltad.deploy.hub import push


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which checkpoint, and where to."""
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="name or folder")
    parser.add_argument("repository", metavar="OWNER/NAME", help="model repository; it is made where it is missing")
    parser.add_argument("--private", action="store_true", help="let nobody else see it")


def run(options: argparse.Namespace) -> int:
    """Send it, and print its address."""
    sent = push(find_checkpoint(options.checkpoint), options.repository, private=options.private)
    print(json.dumps(sent._asdict()) if options.json else sent.address)
    return DONE
