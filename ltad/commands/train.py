"""``ltad train``: a data set in, a measured checkpoint out."""

import argparse
import json
from contextlib import closing

from ltad.checkpoint.card import DataCard
from ltad.checkpoint.folder import add_metrics
from ltad.commands import DONE
from ltad.commands.options import (
    add_data,
    add_device,
    add_features,
    add_harmless,
    add_output,
    harmless_set,
    open_features,
    open_foundation,
    open_split,
)
from ltad.commands.progress import told
from ltad.data.longtail import split_hash
from ltad.evaluation.table import evaluate, format_table
from ltad.inspection.predictor import Predictor
from ltad.presets import PRESETS
from ltad.training.training import train


def add_options(parser: argparse.ArgumentParser) -> None:
    """What it is trained on, how, and where it goes."""
    add_data(parser)
    add_device(parser)
    parser.add_argument(
        "--foundation", default="align-mini", metavar="NAME", help="frozen model: align-mini, align, open_clip:ARCH/TAG"
    )
    add_output(parser, "DIR", "folder of the new checkpoint; a finished one is not replaced", required=True)
    parser.add_argument("--preset", default="default", choices=("default", "paper"), help="all settings at once")
    add_harmless(parser)
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE", help="one setting")
    parser.add_argument("--licence", default="", metavar="TEXT", help="licence of the data, for the model card")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted training of the same settings")
    add_features(parser)


def run(options: argparse.Namespace) -> int:
    """Train, measure, and print the table."""
    config = harmless_set(PRESETS[options.preset]().override(*options.settings), options)
    dataset = open_split(options)
    foundation = open_foundation(options)
    data = DataCard(
        name=dataset.name,
        imbalance=options.imbalance,
        order=options.order,
        split_hash=split_hash(dataset),
        licence=options.licence or dataset.licence,
        command=options.command_line,
    )
    store = open_features(options)
    with closing(told(options)) as progress:
        checkpoint = train(
            dataset,
            foundation,
            config,
            options.output,
            data=data,
            resume=options.resume,
            store=store,
            progress=progress,
        )
        table = evaluate(dataset, Predictor(foundation, checkpoint), progress=progress) if dataset.test else None
    if table:
        add_metrics(options.output, table)
    print(json.dumps(table) if options.json else format_table(table) if table else f"wrote {options.output}")
    return DONE
