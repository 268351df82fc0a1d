"""``ltad adapt``: a checkpoint and a few good photographs in, a checkpoint that knows one product more out."""

import argparse
import json
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from ltad.checkpoint.card import summarise
from ltad.commands import DONE
from ltad.commands.options import (
    add_checkpoint,
    add_detail,
    add_features,
    add_harmless,
    add_output,
    add_skip_broken,
    harmless_set,
    open_features,
    open_predictor,
)
from ltad.commands.progress import Lines, told
from ltad.data import DEFECTIVE, GOOD
from ltad.data.listing import photograph_sample
from ltad.errors import CheckpointError
from ltad.evaluation.before_after import before_and_after, in_words
from ltad.files import write_text
from ltad.inspection.predictor import Predictor
from ltad.machine import AUTO
from ltad.photos.gather import gather
from ltad.training.adaptation import DEFAULT_MINUTES, adapt, steps_for
from ltad.training.check import check_photographs


def add_options(parser: argparse.ArgumentParser) -> None:
    """What is learned from, what it is called, how long it takes, and where it goes."""
    parser.add_argument(
        "--images", "--normal", required=True, type=Path, metavar="DIR|ZIP", help="good photographs, 4 at least"
    )
    add_checkpoint(parser)
    parser.add_argument("--class-name", required=True, metavar="NEW|EXISTING")
    add_output(parser, "DIR", "folder of the new checkpoint; a finished one is not replaced", required=True)
    parser.add_argument(
        "--minutes", type=float, default=DEFAULT_MINUTES, metavar="M", help="of training, on two CPU cores"
    )
    parser.add_argument("--start", metavar="WORD", help="from which the name starts; left out: the nearest known name")
    parser.add_argument(
        "--exclude", nargs="+", default=[], metavar="FILE", help="photographs that are not to be learned"
    )
    parser.add_argument("--checked", action="store_true", help="the photographs were looked at before: say nothing")
    parser.add_argument(
        "--defective",
        "--abnormal",
        type=Path,
        metavar="DIR|ZIP",
        help="defective ones, only to measure with; X_mask marks those of X",
    )
    parser.add_argument("--masks", type=Path, metavar="DIR|ZIP", help="masks of the defective ones, of the same names")
    add_skip_broken(parser, "so, too, but they are listed before the training only")
    add_output(parser, "FILE", "write what changed as JSON, too", flag="--report")
    parser.add_argument("--seed", type=int, default=0)
    add_detail(parser, "the checkpoint's own, if it is said at all: a class is seen as finely as the others are")
    add_harmless(parser)
    parser.add_argument("--no-replay", action="store_true", help="let the other classes fade, to see what replay does")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    add_features(parser)


def run(options: argparse.Namespace) -> int:
    """Adapt, measure what it changed, and print that."""
    store = open_features(options)
    store = {} if store is None else store  # each photograph is encoded once, wherever it is asked for
    parent = open_predictor(options, store)
    own = parent.card.config.detail.times
    if options.detail not in (None, AUTO, str(own)):
        raise CheckpointError(
            f"{parent.card.name} sees photographs at detail {own}, and so will what is taught to it: leave out "
            f"--detail, or train a checkpoint with --detail {options.detail}."
        )
    with TemporaryDirectory() as folder, closing(told(options)) as progress:
        good = gather([options.images], Path(folder, "good")).good().without(options.exclude)
        spoilt, masks = ([each] if each else [] for each in (options.defective, options.masks))
        defective = gather(spoilt, Path(folder, "defective")).with_masks()
        defective = defective.marked_by(gather(masks, Path(folder, "masks"))).readable()
        if options.checked:
            good = good.readable()
        else:
            check = check_photographs(good, parent.encoder, progress)
            for each in check.photographs:
                if each.remarks:
                    print(f"look at “{each.name}”: it {', and it '.join(each.remarks)}", file=sys.stderr)
            good = check.pile
        refused = (*good.refused, *defective.refused)
        for refusal in refused:
            progress.leave_out(refusal)
        normal, anomalous = (
            [photograph_sample(each, options.class_name, defect) for each in sorted(pile.photographs)]
            for pile, defect in ((good, GOOD), (defective, DEFECTIVE))
        )
        settings = replace(steps_for(options.minutes), seed=options.seed)
        checkpoint = adapt(
            parent.checkpoint,
            normal,
            options.class_name,
            parent.foundation,
            replace(settings, replayed=0) if options.no_replay else settings,
            options.output,
            command=options.command_line,
            start=options.start,
            harmless=harmless_set(parent.card.config, options).harmless,
            broken=[refusal.name for refusal in refused],
            resume=options.resume,
            store=store,
            progress=progress,
            watch=progress.watch if isinstance(progress, Lines) else None,
        )
        adapted = Predictor(parent.foundation, checkpoint, store)
        changes = before_and_after(parent, adapted, options.class_name, normal, anomalous, progress)
    if options.report:
        write_text(options.report, json.dumps(changes, indent=1))
    if options.json:
        print(json.dumps(summarise(checkpoint.card) | {"changes": changes}))
    else:
        print(f"wrote {options.output}\n{in_words(changes)}")
        for refusal in refused if options.skip_broken else ():
            progress.leave_out(refusal)
    return DONE
