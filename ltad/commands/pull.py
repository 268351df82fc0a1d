"""``ltad pull``: a checkpoint from the Hugging Face Hub into a folder."""

import argparse
import json

from ltad.checkpoint.card import summarise
from ltad.checkpoint.folder import read_card
from ltad.commands import DONE
from ltad.commands.options import add_output
from ltad.deploy.hub import pull


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which checkpoint, and where to."""
    parser.add_argument("repository", metavar="OWNER/NAME[@REVISION]", help="of a checkpoint on the Hub")
    add_output(parser, "DIR", "its new folder; left out: checkpoints/NAME")


def run(options: argparse.Namespace) -> int:
    """Bring it, and print where it is."""
    folder = pull(options.repository, options.output)
    print(json.dumps(summarise(read_card(folder)) | {"output": str(folder)}) if options.json else folder)
    return DONE
