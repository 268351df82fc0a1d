"""``ltad train``: a data set in, a measured checkpoint out."""

import argparse
import json
from contextlib import closing

from ltad.checkpoint.card import DataCard
from ltad.checkpoint.folder import add_metrics, refuse_to_replace
from ltad.commands import DONE
from ltad.commands.options import (
    add_data,
    add_detail,
    add_device,
    add_features,
    add_harmless,
    add_output,
    add_skip_broken,
    detail_set,
    harmless_set,
    list_split,
    open_features,
    open_foundation,
    usable,
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
    add_skip_broken(parser, "nothing is trained")
    add_device(parser)
    parser.add_argument(
        "--foundation", default="align-mini", metavar="NAME", help="frozen model: align-mini, align, open_clip:ARCH/TAG"
    )
    add_output(parser, "DIR", "folder of the new checkpoint; a finished one is not replaced", required=True)
    parser.add_argument("--preset", default="default", choices=tuple(PRESETS), help="all settings at once")
    add_detail(
        parser,
        "how finely photographs are seen beside their whole frame: the shorter side of the fine view, in units of 256 "
        "pixels; 1 = not at all, the default; auto: as finely as they are, as far as there is time",
    )
    add_harmless(parser)
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE", help="one setting")
    parser.add_argument("--licence", default="", metavar="TEXT", help="licence of the data, for the model card")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted training of the same settings")
    add_features(parser)


def run(options: argparse.Namespace) -> int:
    """Train, measure, and print the table; what was skipped is named at the end."""
    config = harmless_set(PRESETS[options.preset]().override(*options.settings), options)
    dataset = list_split(options)
    foundation, store = open_foundation(options), open_features(options)
    refuse_to_replace(options.output, options.resume, lambda there: True)  # whether it is the same, “train” asks
    with closing(told(options)) as progress:
        dataset = usable(dataset, options, progress)  # looking may take minutes; whatever takes none is right by now
        config = detail_set(config, options, dataset, foundation)
        data = DataCard(
            name=dataset.name,
            imbalance=options.imbalance,
            order=options.order,
            split_hash=split_hash(dataset),
            licence=options.licence or dataset.licence,
            command=options.command_line,
            broken=tuple(fault.name for fault in dataset.faults),
        )
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
        faults, table = [*dataset.faults], None
        if dataset.test:
            table = evaluate(dataset, Predictor(foundation, checkpoint), tell=faults.append, progress=progress)
        for fault in faults:
            progress.leave_out(fault.refusal)
    if table:
        add_metrics(options.output, table)
    print(json.dumps(table) if options.json else format_table(table) if table else f"wrote {options.output}")
    return DONE
