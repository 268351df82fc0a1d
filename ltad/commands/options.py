"""Options that several commands take, and what they stand for."""

import argparse
import sys
from pathlib import Path

from ltad.data import Dataset
from ltad.data.longtail import long_tail, read_split
from ltad.data.sources import open_dataset
from ltad.foundation import FoundationModel, load_foundation
from ltad.foundation.features import Store
from ltad.foundation.store import FeatureFolder
from ltad.inspection.predictor import Predictor
from ltad.machine import AUTO, DEVICES


def add_data(parser: argparse.ArgumentParser) -> None:
    """A data set, and how long its tail is to be."""
    parser.add_argument(
        "--data", required=True, metavar="DIR|demo|elpv", help="a folder as MVTec AD, VisA or DAGM is, or a name"
    )
    parser.add_argument(
        "--imbalance", default="none", metavar="none|expN|stepN[-reverse]", help="e.g. exp100; or a split file"
    )
    parser.add_argument(
        "--order", default="alphabetical", choices=("alphabetical", "size"), help="which class comes first"
    )


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """A checkpoint, its foundation model, and what computes."""
    add_device(parser)
    parser.add_argument("--checkpoint", required=True, metavar="NAME|DIR")
    parser.add_argument(
        "--foundation", metavar="NAME", help="the frozen model, where the checkpoint's name for it is not enough"
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """What it is computed on."""
    parser.add_argument("--device", default=AUTO, metavar=DEVICES, help="what computes; auto: the best there is")


def add_features(parser: argparse.ArgumentParser) -> None:
    """Where encoded photographs are kept."""
    parser.add_argument(
        "--features", type=Path, metavar="DIR", help="keep encoded photographs there, so that another run need not"
    )


def open_split(options: argparse.Namespace) -> Dataset:
    """The data set with the training images that the options leave it."""
    dataset = open_dataset(options.data)
    if Path(options.imbalance).is_file():
        return read_split(Path(options.imbalance), dataset)
    return long_tail(dataset, options.imbalance, options.order)


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
