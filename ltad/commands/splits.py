"""``ltad splits``: which training images a long tail leaves, as a file that other programs read, too."""

import argparse
import json

from ltad.commands import DONE
from ltad.commands.options import add_data, add_output, list_split
from ltad.data.longtail import draw_long_tail, tail_classes, write_split


def add_options(parser: argparse.ArgumentParser) -> None:
    """The data set, its tail, and the file."""
    add_data(parser)
    add_output(parser, "FILE", "the split, a training image a line", required=True)


def run(options: argparse.Namespace) -> int:
    """Write the split and draw it."""
    dataset = list_split(options).whole()
    write_split(dataset, options.output)
    counts = dataset.train_counts
    row = {"counts": counts, "tail": sorted(tail_classes(counts)), "total": len(dataset.train)}
    row |= {"imbalance_factor": max(counts.values()) / min(counts.values()), "output": str(options.output)}
    print(json.dumps(row) if options.json else draw_long_tail(counts))
    return DONE
