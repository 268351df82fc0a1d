"""Strangers: good photographs of products that a checkpoint never saw, and how many it takes for one of its own."""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ltad.data import Dataset, Sample
from ltad.errors import DatasetError
from ltad.evaluation import metrics
from ltad.evaluation.scored import Told, decide, score
from ltad.inspection.predictor import Predictor
from ltad.words import percent

Strangers = Mapping[str, Sequence[Sample]]  # by class


def strangers_in(dataset: Dataset, predictor: Predictor) -> Strangers:
    """The good test images of the classes that the checkpoint does not know; DatasetError where there are none."""
    card = predictor.card
    good: dict[str, list[Sample]] = {}
    for sample in dataset.test:
        if not sample.label and sample.class_name not in card.class_names:
            good.setdefault(sample.class_name, []).append(sample)
    if not good:
        raise DatasetError(
            f"{dataset.name} has no good test images of a class that {card.name} does not know: "
            f"give data of products other than {', '.join(card.class_names)}."
        )
    return {name: good[name] for name in sorted(good)}


def measure_strangers(strangers: Strangers, predictor: Predictor, told: Told) -> dict[str, Any] | None:
    """Measure how many strangers get a verdict, as one of the nearest class; None where none of them can be read.

    ``classes`` has of each ``n`` images the share ``taken`` for known, ``mean`` is that over classes, and
    ``mean_interval`` its 95 % bootstrap interval over images.
    """
    rows, draws = {}, []
    for name, samples in strangers.items():
        taken: list[bool] = []
        for *_, scored in score(samples, predictor, None, told):
            taken += [not each.refused for each in decide(scored, predictor)]
        if not taken:
            continue
        rows[name] = {"n": len(taken), "taken": metrics.share(taken)}
        seed = zlib.crc32(f"{predictor.card.config.seed}/{name}/taken".encode())
        draws.append(metrics.bootstrap_share(taken, seed=seed))
    if not rows:
        return None
    mean = float(np.mean([row["taken"] for row in rows.values()]))
    return {"classes": rows, "mean": mean, "mean_interval": metrics.interval(np.mean(draws, axis=0))}


def strangers_in_words(measured: dict[str, Any]) -> str:
    """How many strangers are taken for known, in a line, and the class of which most are."""
    rows, (low, high) = measured["classes"], measured["mean_interval"]
    name, worst = max(rows.items(), key=lambda item: item[1]["taken"])
    return (
        f"strangers taken for known: {percent(measured['mean'])} % ({percent(low)}–{percent(high)}) "
        f"over {len(rows)} {'class' if len(rows) == 1 else 'classes'}, most of {name}: {percent(worst['taken'])} %"
    )
