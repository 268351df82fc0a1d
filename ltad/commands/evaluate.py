"""``ltad evaluate``: a checkpoint's figures on a data set's test images."""

import argparse
import json
from contextlib import closing

from ltad.commands import DONE, FAILED
from ltad.commands.options import (
    SOURCES,
    add_checkpoint,
    add_output,
    add_skip_broken,
    add_sources,
    list_data,
    open_predictor,
)
from ltad.commands.progress import told
from ltad.data.sources import list_dataset
from ltad.evaluation.table import evaluate, format_table, write_metrics

GIVEN, AUTO = "given", "auto"


def add_options(parser: argparse.ArgumentParser) -> None:
    """What is measured on what."""
    add_sources(parser)
    add_checkpoint(parser)
    telling = "tell the class or predict it; a NAME is that of the class of --normal, and is told"
    parser.add_argument("--class-name", default=GIVEN, metavar="given|auto|NAME", help=telling)
    add_skip_broken(parser, "so, too, but as a failure")
    again = "measure the same images once more, each mildly changed as another camera or program would"
    parser.add_argument("--harmless", action="store_true", help=again)
    passing = "count, too, how many good images of products that it does not know pass for known ones"
    parser.add_argument("--strangers", help=passing, **SOURCES)
    add_output(parser, "FILE", "write the table as JSON, too")


def run(options: argparse.Namespace) -> int:
    """Measure, and print the table; files that cannot be used are named, and the others are measured."""
    name = options.class_name
    dataset = list_data(options, None if name in (GIVEN, AUTO) else name)
    strangers = list_dataset(*options.strangers) if options.strangers else None
    faults = [*dataset.faults, *(strangers.faults if strangers else ())]
    predictor = open_predictor(options)
    with closing(told(options)) as progress:
        table = evaluate(
            dataset,
            predictor,
            auto=name == AUTO,
            harmless=options.harmless,
            strangers=strangers,
            tell=faults.append,
            progress=progress,
        )
    if options.output:
        write_metrics(table, options.output)
    print(json.dumps(table) if options.json else format_table(table))
    for fault in faults:
        progress.leave_out(fault.refusal)
    return FAILED if faults and not options.skip_broken else DONE
