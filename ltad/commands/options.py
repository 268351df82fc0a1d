"""Options that several commands take, and what they stand for."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from ltad.config import HARMLESS_OFF, HarmlessConfig, LTADConfig
from ltad.data import Dataset
from ltad.data.given import given_dataset
from ltad.data.longtail import long_tail, read_split
from ltad.data.look import look_at
from ltad.data.sources import list_dataset
from ltad.files import refuse_unwritable
from ltad.foundation import FoundationModel, load_foundation
from ltad.foundation.features import Store
from ltad.foundation.store import FeatureFolder
from ltad.inspection.predictor import Predictor
from ltad.machine import AUTO, DEVICES
from ltad.progress import Progress
from ltad.training.detail import affordable

# Of an option for data sets.
SOURCES: dict[str, Any] = {"nargs": "+", "action": "extend", "metavar": "DIR|demo|demo-large|elpv"}


def add_data(parser: argparse.ArgumentParser) -> None:
    """A data set, and how long its tail is to be."""
    add_sources(parser)
    parser.add_argument("--class-name", metavar="NAME", help="with --normal: of the class; left out: the folder's")
    parser.add_argument(
        "--imbalance", default="none", metavar="none|expN|stepN[-reverse]", help="e.g. exp100; or a split file"
    )
    parser.add_argument(
        "--order", default="alphabetical", choices=("alphabetical", "size"), help="which class comes first"
    )


def add_sources(parser: argparse.ArgumentParser) -> None:
    """One data set, or several as one, or the folders of one class."""
    layouts = "a folder of OK and NG photographs, or as MVTec AD, VisA or DAGM is, or a name; several are joined"
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--data", help=layouts, **SOURCES)
    where.add_argument("--normal", type=Path, metavar="DIR", help="instead: good photographs of one class")
    parser.add_argument("--abnormal", type=Path, metavar="DIR", help="with --normal: defective ones, to test with")
    parser.add_argument("--masks", type=Path, metavar="DIR", help="with --abnormal: masks, of the same names")
    parser.set_defaults(refuse=parser.error)


def add_skip_broken(parser: argparse.ArgumentParser, otherwise: str) -> None:
    """That files may be left out; otherwise: what is done where it is not said."""
    skip = f"go on without files that cannot be used, and list them at the end; without this, {otherwise}"
    parser.add_argument("--skip-broken", action="store_true", help=skip)


def add_output(
    parser: argparse.ArgumentParser, kind: str, what: str, *, flag: str = "--output", required: bool = False
) -> None:
    """Where something is written: a DIR or a FILE. ``refuse_outputs`` looks at all of them before any work."""
    option = parser.add_argument(flag, required=required, type=Path, metavar=kind, help=what)
    parser.set_defaults(outputs={**(parser.get_default("outputs") or {}), option.dest: kind})


def refuse_outputs(options: argparse.Namespace) -> None:
    """Raise WriteError where something of the command can never be written."""
    for name, kind in getattr(options, "outputs", {}).items():
        if path := getattr(options, name):
            refuse_unwritable(path, is_folder=kind == "DIR")


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """A checkpoint, its foundation model, and what computes."""
    add_device(parser)
    parser.add_argument("--checkpoint", required=True, metavar="NAME|DIR|hf://OWNER/NAME[@REVISION]")
    parser.add_argument(
        "--foundation", metavar="NAME", help="the frozen model, where the checkpoint's name for it is not enough"
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """What it is computed on."""
    parser.add_argument("--device", default=AUTO, metavar=DEVICES, help="what computes; auto: the best there is")


def add_harmless(parser: argparse.ArgumentParser) -> None:
    """What cameras and programs may change without a part being another."""
    parser.add_argument(
        "--harmless",
        nargs="+",
        default=[],
        metavar="none|[CLASS:]KEY=STRENGTH",
        help=f"changes that are normal: {', '.join(HARMLESS_OFF)}; CLASS:KEY=0 where it is not for a class",
    )


def harmless_set(config: LTADConfig, options: argparse.Namespace) -> LTADConfig:
    """The configuration with the harmless changes that the options name, one after the other."""
    harmless = config.harmless
    for word in options.harmless:
        harmless = HarmlessConfig.none() if word == "none" else _with_change(harmless, word)
    return replace(config, harmless=harmless)


def _with_change(harmless: HarmlessConfig, word: str) -> HarmlessConfig:
    """KEY=STRENGTH sets a change; CLASS:KEY=0 leaves one out for a class."""
    key, _, strength = word.partition("=")
    class_name, _, kind = key.rpartition(":")
    if kind not in HARMLESS_OFF or not strength:
        keys = ", ".join(HARMLESS_OFF)
        raise ValueError(
            f"“{word}” is no harmless change: give none, KEY=STRENGTH or CLASS:KEY=0, with a KEY of {keys}."
        )
    try:
        value = float(strength)
    except ValueError as error:
        raise ValueError(f"“{word}”: {strength} is no number.") from error
    if not class_name:
        change: dict[str, Any] = {kind: value}
        return replace(harmless, **change)
    if value != HARMLESS_OFF[kind]:
        off = f"{key}={HARMLESS_OFF[kind]:g}"
        raise ValueError(f"“{word}”: for one class a change can only be left out, with {off}.")
    return replace(harmless, without=(*harmless.without, key))


def add_detail(parser: argparse.ArgumentParser, help_: str) -> None:
    """How finely photographs are seen."""
    parser.add_argument("--detail", choices=("1", "2", "4", AUTO), help=help_)


def detail_set(
    config: LTADConfig, options: argparse.Namespace, dataset: Dataset, foundation: FoundationModel
) -> LTADConfig:
    """The configuration with the detail that the options name; one that is chosen for the photographs is said."""
    if options.detail is None:
        return config
    if options.detail == AUTO:
        look = affordable(dataset.train, foundation)
        print(f"ltad {options.command}: {look}", file=sys.stderr)
        return config.override(f"detail.times={look.times}")
    return config.override(f"detail.times={options.detail}")


def add_features(parser: argparse.ArgumentParser) -> None:
    """Where encoded photographs are kept."""
    add_output(parser, "DIR", "keep encoded photographs there, so that another run need not", flag="--features")


def list_data(options: argparse.Namespace, class_name: str | None) -> Dataset:
    """The data set that the options name, with its faults; what was decided about it is said.

    class_name: of the class whose folders are given; None = the folder's.
    """
    if not options.normal and (options.abnormal or options.masks or class_name):
        options.refuse("--abnormal, --masks and the name of a class go with --normal")
    if options.masks and not options.abnormal:
        options.refuse("--masks goes with --abnormal")
    if options.normal:
        dataset = given_dataset(options.normal, options.abnormal, options.masks, class_name)
    else:
        dataset = list_dataset(*options.data)
    for note in dataset.notes:
        print(f"ltad {options.command}: {note}", file=sys.stderr)
    return dataset


def list_split(options: argparse.Namespace) -> Dataset:
    """The data set with the training images that the options leave it, and its faults."""
    dataset = list_data(options, options.class_name)
    if Path(options.imbalance).is_file():
        return read_split(Path(options.imbalance), dataset)
    return long_tail(dataset, options.imbalance, options.order)


def usable(dataset: Dataset, options: argparse.Namespace, progress: Progress) -> Dataset:
    """What of a data set can be used, all of its files looked at.

    Raises DatasetError with all faults, unless they are to be skipped and something is left to learn from.
    """
    looked = look_at(dataset, progress)
    if options.skip_broken and looked.train:
        return looked
    return looked.whole("Mend or remove what is named, or go on without it with “--skip-broken”.")


def open_features(options: argparse.Namespace) -> Store | None:
    """Where the options say that features are kept."""
    return FeatureFolder(options.features) if options.features else None


def open_foundation(options: argparse.Namespace) -> FoundationModel:
    """The foundation model that is named, on the device that is; where it computes is said."""
    return _told(load_foundation(options.foundation, options.device), options)


def open_predictor(options: argparse.Namespace, store: Store | None = None) -> Predictor:
    """The predictor of the checkpoint, on the foundation model and the device that are named; where it is, is said."""
    predictor = Predictor.from_checkpoint(options.checkpoint, options.foundation, store, options.device)
    _told(predictor.foundation, options)
    return predictor


def _told(foundation: FoundationModel, options: argparse.Namespace) -> FoundationModel:
    """Say where it computes to a person; a program that reads stderr finds only what is wrong there."""
    if sys.stderr.isatty():
        print(f"ltad {options.command}: on {foundation.where}", file=sys.stderr)
    return foundation
