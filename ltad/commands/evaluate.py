"""``ltad evaluate``: a checkpoint's figures on a data set's test images."""

import argparse
import json
from contextlib import closing

from ltad.commands import DONE
from ltad.commands.options import SOURCES, add_checkpoint, add_output, add_sources, open_predictor
from ltad.commands.progress import told
from ltad.data.sources import open_dataset
from ltad.evaluation.table import evaluate, format_table, write_metrics


def add_options(parser: argparse.ArgumentParser) -> None:
    """What is measured on what."""
    add_sources(parser)
    add_checkpoint(parser)
    parser.add_argument("--class-name", default="given", choices=("given", "auto"), help="tell the class or predict it")
    again = "measure the same images once more, each mildly changed as another camera or program would"
    parser.add_argument("--harmless", action="store_true", help=again)
    passing = "count, too, how many good images of products that it does not know pass for known ones"
    parser.add_argument("--strangers", help=passing, **SOURCES)
    add_output(parser, "FILE", "write the table as JSON, too")


def run(options: argparse.Namespace) -> int:
    """Measure, and print the table."""
    dataset = open_dataset(*options.data)
    strangers = open_dataset(*options.strangers) if options.strangers else None
    predictor = open_predictor(options)
    with closing(told(options)) as progress:
        table = evaluate(
            dataset,
            predictor,
            auto=options.class_name == "auto",
            harmless=options.harmless,
            strangers=strangers,
            progress=progress,
        )
    if options.output:
        write_metrics(table, options.output)
    print(json.dumps(table) if options.json else format_table(table))
    return DONE
