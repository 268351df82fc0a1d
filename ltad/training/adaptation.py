"""One class more for a trained checkpoint, from a few good images of it and none of the others.

Ours, beyond the paper. A new class gets a pseudo name, learned against the names and the mean images that there are;
then phase 2 goes on with its images and with features of the parent's classes that the phase 1 generator draws from
their names (generative replay). The exemplars of all classes share the same budget as before. A class that the parent
has is refined in the same way under its own name.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from ltad.checkpoint.card import CheckpointCard, Parent
from ltad.checkpoint.folder import Checkpoint, refuse_to_replace, save_checkpoint
from ltad.config import AdaptConfig, HarmlessConfig
from ltad.data import Sample
from ltad.data.levels import levels_by_class, shown_by
from ltad.errors import DatasetError
from ltad.foundation.base import FoundationModel
from ltad.foundation.features import Encoder, Features, Store
from ltad.judging.scoring import ScoreStatistics
from ltad.machine import CPU
from ltad.model.ltad import LTAD, detail_of
from ltad.progress import Progress, Stage
from ltad.training.folds import fit_folds
from ltad.training.images import encode_samples, with_copies
from ltad.training.normals import fit_class_statistics
from ltad.training.optimisation import StageFolder
from ltad.training.student import Student, Watch, steps_of, watched

FEWEST = 4  # images: with fewer, half of them could not judge the other half
FOLDS = 2
DEFAULT_MINUTES = 3.0  # what the default steps take on two CPU cores


def steps_for(minutes: float) -> AdaptConfig:
    """The settings whose steps take about so many minutes on two CPU cores; no clock is read, so that all get the same.

    Raises ValueError for no time or more than an hour.
    """
    if not 0 < minutes <= 60:
        raise ValueError(f"minutes must be over 0 and at most 60, got {minutes:g}")
    base = AdaptConfig()
    steps = {
        name: max(10, round(getattr(base, name) * minutes / DEFAULT_MINUTES))
        for name in ("name_steps", "generator_steps", "steps")
    }
    return replace(base, **steps)


def steps_to_do(settings: AdaptConfig) -> dict[Stage, int]:
    """The stages of an adaptation in their order, with their steps; a class that the parent has learns no name."""
    stages = [Stage(kind, fold) for fold in (*range(1, FOLDS + 1), None) for kind in ("name", "generator", "phase2")]
    return {stage: steps for stage in stages if (steps := steps_of(settings, *stage))}


def adapt(
    parent: Checkpoint,
    samples: Sequence[Sample],
    class_name: str,
    foundation: FoundationModel,
    settings: AdaptConfig,
    output: Path,
    *,
    command: str,
    start: str | None = None,
    harmless: HarmlessConfig | None = None,
    broken: Sequence[str] = (),
    resume: bool = False,
    store: Store | None = None,
    progress: Progress,
    watch: Watch | None = None,
) -> Checkpoint:
    """Teach a checkpoint a class from good images of it, and write the new checkpoint's folder.

    start: a word for a new class, from which its name starts; None = the name that its images are most like.
    harmless: what may change in its photographs; None = what may in the parent's. broken: the names of photographs that
    could not be used, for the card.
    Stage states lie in ``output/.training`` until the checkpoint is whole; with ``resume`` those of the same
    adaptation are gone on with, see ``train``. store: where the images' features are kept, too. watch: shown the first
    image, every few steps of phase 2. Raises DatasetError for fewer than ``FEWEST`` images, and CheckpointError where
    the folder holds a finished checkpoint; with ``resume`` one of the same command is made once more.
    """
    if len(samples) < FEWEST:
        raise DatasetError(
            f"{len(samples)} images are too few to learn “{class_name}”: at least {FEWEST} good ones are needed, and "
            "20 or more promise fewer false alarms."
        )
    card, seed = parent.card, settings.seed
    is_new = class_name not in card.class_names
    names = (*card.class_names, class_name) if is_new else card.class_names
    class_id = names.index(class_name)
    samples = [replace(sample, class_name=class_name) for sample in samples]
    levels = levels_by_class(samples) | dict(card.levels)
    samples = shown_by(samples, levels)
    read = hashlib.sha256("\n".join(sample.name for sample in samples).encode()).hexdigest()[:16]
    config = replace(card.config, seed=seed, harmless=harmless or card.config.harmless)
    source = Parent(name=card.name, sha256=card.sha256())
    data = card.data.with_images(class_name, read, is_new=is_new, command=command, broken=broken)
    refuse_to_replace(output, resume, lambda there: (there.parent, there.data) == (source, data))
    encoder, shown = Encoder(foundation, store, detail=detail_of(config, foundation)), hashlib.sha256()
    features = encode_samples(samples, names, encoder, progress, shown.update)
    identity = [vars(settings), source.sha256, foundation.fingerprint.to_dict(), class_name, start, read]
    identity += [vars(config.harmless), shown.hexdigest()]
    with StageFolder(output, identity, resume=resume) as stages:
        images = with_copies(samples, features, encoder, config, progress)
        first = images.features.batch(torch.zeros_like(images.features.class_ids[:1]), foundation.device)

        def learn(seen: Features, fold: int | None) -> LTAD:
            student = Student(parent, class_id, seen, foundation, settings, fold)
            told = watched(student.model, first, samples[0].name, watch, progress) if watch else progress
            return student.learn(start, stages, told)

        folds, final = fit_folds(images, FOLDS, seed, learn)
        normals = fit_class_statistics(
            folds, images.judged(), parent.statistics.to(CPU), card.config, card.calibration.familiar_by
        )
        before = 0 if is_new else card.classes[class_id].n_train
        adapted = CheckpointCard(
            path=output,
            config=card.config,
            foundation=card.foundation,
            classes=card.classes_with(class_name, len(samples)),
            data=data,
            calibration=card.calibration.with_held_out(normals.by_class((class_name,))),
            metrics=None,
            parent=source,
            levels=levels,
        )
        share = len(samples) / (len(samples) + before)
        statistics = _with_class(parent.statistics.to(CPU), normals.statistics, class_id, share)
        checkpoint = Checkpoint(card=adapted, model=final, statistics=statistics.to(foundation.device))
        save_checkpoint(checkpoint)
    return checkpoint


def _with_class(parent: ScoreStatistics, own: ScoreStatistics, class_id: int, share: float) -> ScoreStatistics:
    """The statistics with a class's own as a further row; those of a class that has one move by ``share`` to them."""
    rows = []
    for table, row in zip(parent[1:], own[1:], strict=True):
        if class_id == len(table):
            rows.append(torch.cat([table, row]))
        else:
            moved = table.clone()
            moved[class_id] = ((1 - share) * table[class_id] + share * row[0]).half().float()
            rows.append(moved)
    return ScoreStatistics(parent.basis, *rows)
