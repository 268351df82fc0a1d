"""``ltad checkpoints``: what is here, and how good it is."""

import argparse
import json
import sys
from typing import Any

from ltad.checkpoint.card import summarise
from ltad.checkpoint.folder import checkpoint_folders, read_card
from ltad.commands import DONE, FAILED
from ltad.errors import CheckpointError
from ltad.evaluation.table import in_words
from ltad.evaluation.working_point import SHARES
from ltad.words import percent


def add_options(parser: argparse.ArgumentParser) -> None:
    """There are none."""


def run(options: argparse.Namespace) -> int:
    """List every checkpoint that can be read, and say what is wrong with the others."""
    rows, status = [], DONE
    for folder in checkpoint_folders():
        try:
            rows.append(summarise(read_card(folder)))
        except CheckpointError as error:
            status = FAILED
            print(f"ltad checkpoints: {error}", file=sys.stderr)
    print(json.dumps(rows) if options.json else "\n".join(map(_describe, rows)) or "There is no checkpoint here yet.")
    return status


def _describe(row: dict[str, Any]) -> str:
    """Two lines on a checkpoint; older ones were not measured at their own rate."""
    everything = (row["mean"] or {}).get("all", {})
    at_work = ", ".join(f"{key.replace('_', ' ')} {percent(everything.get(key))}" for key in SHARES)
    return (
        f"{row['name']}: {row['data']}, {row['imbalance']}, {len(row['classes'])} classes on {row['foundation']}, "
        f"detail {row['detail']}\n"
        f"  image AUROC {in_words(row['mean'])}; {at_work}; {row['size'] / 1e6:.1f} MB, sha256 {row['sha256'][:16]}…"
    )
