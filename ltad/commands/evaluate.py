"""``ltad evaluate``: a checkpoint's figures on a data set's test images."""

import argparse
import json
from pathlib import Path

from ltad.commands import DONE
from ltad.commands.options import add_checkpoint, open_predictor
from ltad.commands.progress import Bars
from ltad.data.sources import open_dataset
from ltad.evaluation.table import evaluate, format_table, write_metrics


def add_options(parser: argparse.ArgumentParser) -> None:
    """What is measured on what."""
    parser.add_argument("--data", required=True, metavar="DIR|demo|elpv")
    add_checkpoint(parser)
    parser.add_argument("--class-name", default="given", choices=("given", "auto"), help="tell the class or predict it")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the table as JSON, too")


def run(options: argparse.Namespace) -> int:
    """Measure, and print the table."""
    bars, predictor = Bars(), open_predictor(options)
    table = evaluate(open_dataset(options.data), predictor, auto=options.class_name == "auto", progress=bars)
    bars.close()
    if options.output:
        write_metrics(table, options.output)
    print(json.dumps(table) if options.json else format_table(table))
    return DONE
