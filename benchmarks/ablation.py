"""What each part adds: the paper's ablation, controls for the learned names, and our own parts, in one run.

``python -m benchmarks.ablation --data demo --imbalance exp100 --output benchmarks/ablation.json``

``--levers`` measures what might have been better than the default, one change at a time.

Every row is trained and measured anew, with the class given, from features that are encoded once. FILE is written after
every row, ``--resume`` goes on with it, and ``--table FILE`` prints it.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import command, tables
from benchmarks.compare import describe_run, describe_split, entry, train_ltad
from benchmarks.images import encode_once, shrink
from ltad.commands.progress import Bars
from ltad.config import LTADConfig
from ltad.data.longtail import long_tail
from ltad.data.sources import open_dataset
from ltad.evaluation.table import evaluate
from ltad.files import write_text
from ltad.foundation import load_foundation
from ltad.inspection.predictor import Predictor
from ltad.presets import default

MODULES = (
    "memory.per_class=0",
    "views.wanted=0",
    "scoring.semantic_weight=0.1",
)  # the paper's, in our form of the score
PLAIN = (*MODULES, "phase2.synthesis_probability=0")
GIVEN = ("prompts.start={}", "prompts.tokens=8", "prompts.learned=false")

ROWS: dict[str, tuple[str, ...]] = {
    "reconstruction only": (*PLAIN, "scoring.semantic_weight=0"),
    "+ semantics, given names": (*PLAIN, *GIVEN),
    "+ semantics, learned names": PLAIN,
    "+ synthesis: the paper's modules": MODULES,
    "… one pair of prompts for all classes": (*PLAIN, "prompts.pair=shared"),
    "… two random vectors as prompts": (*PLAIN, "prompts.pair=random"),
    "memory only": ("views.wanted=0", "scoring.reconstruction_weight=0", "scoring.semantic_weight=0"),
    "memory, reconstruction, semantics": ("views.wanted=0",),
    "+ views: the default": (),
}
LEVERS: dict[str, tuple[str, ...]] = {
    "the default": (),
    "finest grid, 2 × 2 patches a token": ("patches.grid=finest", "reconstruction.pack=2", "scoring.smoothing=0.8"),
    "two layers": ("reconstruction.depth=2",),
    "4 times the steps of phase 2": ("phase2.steps=2000", "calibration.phase2_steps=1000"),
    "4 times the reconstruction's weight": ("scoring.reconstruction_weight=1",),
    "a memory of stride 8, too": (
        "memory.strides=[8,16,16,32]",
        "memory.pools=[3,1,1,1]",
        'memory.metrics=["euclidean","euclidean","cosine","euclidean"]',
        "memory.weights=[0.5,1.0,1.0,0.5]",
    ),
    "no memory of directions": (
        "memory.strides=[16,32]",
        "memory.pools=[1,1]",
        'memory.metrics=["euclidean","euclidean"]',
        "memory.weights=[1.0,0.5]",
        "memory.per_class=3072",
        "memory.total=18432",
    ),
    "a latent without layout": ("synthesis.layout=1",),
    "synthesis for the tail more often": ("phase2.tail_synthesis_probability=0.5",),
    "one pair of wordings": (
        'prompts.normal=["a photo of a normal {}"]',
        'prompts.abnormal=["a photo of a damaged {}"]',
    ),
    "a linear semantic projection": ("semantic.hidden=0",),
}


def settings_of(row: str) -> LTADConfig:
    """The default with a row's changes."""
    return default().override(*(ROWS | LEVERS)[row])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the ablation, or print a finished one."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = command.parser("ablation", "What each part adds, in one run.", "ablation.json")
    command.add_tail(parser)
    command.add_seeds(parser, "of the split and the training")
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=[*ROWS, *LEVERS], metavar="ROW")
    command.add_resume(parser)
    parser.add_argument("--levers", dest="rows", action="store_const", const=list(LEVERS), help="what else was tried")
    options = parser.parse_args(arguments)
    with command.plainly("ablation"):
        if options.table:
            print(tables.means(command.written(options.table)))
        else:
            _run(options)


def _run(options: argparse.Namespace) -> None:
    dataset, bars, foundation = open_dataset(*options.data), Bars(), load_foundation(device=options.device)
    header = describe_run(dataset, options.order, foundation, default().override(*options.settings))
    runs = command.finished(options.output, header) if options.resume else []
    dataset = shrink(dataset, foundation.fingerprint.image_size)
    splits = {seed: long_tail(dataset, options.imbalance, options.order, seed) for seed in options.seeds}
    encoder = encode_once(foundation, splits.values(), bars)
    for seed, split in splits.items():
        card = describe_split(split, options.imbalance, options.order, "python -m benchmarks.ablation")
        made = {"imbalance": options.imbalance, "seed": seed, "split_hash": card.split_hash}
        run = next((each for each in runs if made.items() <= each.items()), None)
        if run is None:
            run = made | {"methods": {}}
            runs.append(run)
        for row in options.rows:
            if row in run["methods"]:
                continue
            config = settings_of(row).override(f"seed={seed}", *options.settings)
            with TemporaryDirectory() as folder:
                checkpoint, seconds, size = train_ltad(split, encoder, config, card, bars, Path(folder, "ltad"))
            table = evaluate(split, Predictor(foundation, checkpoint, encoder.store), progress=bars)
            run["methods"][row] = entry(table, seconds, size)
            write_text(options.output, json.dumps({"header": header, "runs": runs}, indent=1))
    bars.close()
    print(tables.means({"header": header, "runs": runs}))


if __name__ == "__main__":
    main()
