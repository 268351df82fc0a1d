"""From a data set to a checkpoint: phase 1, phase 2, and the statistics of what is normal."""

import hashlib
from dataclasses import replace
from pathlib import Path

import torch

from ltad.checkpoint.card import CheckpointCard, ClassCard, DataCard
from ltad.checkpoint.folder import Checkpoint, refuse_to_replace, save_checkpoint
from ltad.config import LTADConfig
from ltad.data import Dataset
from ltad.data.levels import levels_by_class, shown_by
from ltad.data.longtail import tail_classes
from ltad.errors import DatasetError
from ltad.foundation.base import FoundationModel
from ltad.foundation.features import Encoder, Features, Store
from ltad.judging.calibration import DIGITS, Calibration
from ltad.machine import CPU
from ltad.model.ltad import LTAD, build_model, detail_of
from ltad.progress import Progress
from ltad.training.familiarity import reach
from ltad.training.folds import fit_folds
from ltad.training.images import encode_samples, with_copies
from ltad.training.normals import fit_statistics
from ltad.training.optimisation import StageFolder
from ltad.training.phases import fit
from ltad.training.rehearsal import copies_needed, plays, rehearse


def train(
    dataset: Dataset,
    foundation: FoundationModel,
    config: LTADConfig,
    output: Path,
    *,
    data: DataCard,
    resume: bool = False,
    store: Store | None = None,
    progress: Progress,
) -> Checkpoint:
    """Train on a data set's normal images and write the checkpoint folder.

    Stage states lie in ``output/.training`` until the checkpoint is whole; with ``resume`` those of the same training
    are gone on with, otherwise they are thrown away first. Those of images that show something else, under whatever
    names, are another's. store: where the images' features are kept, too. Raises CheckpointError where the folder
    holds a finished checkpoint; with ``resume`` one of the same settings is made once more.
    """
    names, counts = dataset.class_names, dataset.train_counts
    if max(counts.values()) < 2:
        raise DatasetError(f"{dataset.name} has one training image per class: at least one class needs two.")
    # What does not fit together is refused before hours of encoding, and before anything is thrown away.
    build_model(config, foundation, torch.zeros(len(names), config.prompts.tokens, foundation.token_size))
    asked = (config, foundation.fingerprint, data.split_hash, names)
    refuse_to_replace(
        output, resume, lambda card: (card.config, card.foundation, card.data.split_hash, card.class_names) == asked
    )
    shorter = replace(config, phase2=replace(config.phase2, steps=config.calibration.phase2_steps))
    levels = levels_by_class(dataset.train)
    samples = shown_by(dataset.train, levels)
    encoder, shown = Encoder(foundation, store, detail=detail_of(config, foundation)), hashlib.sha256()
    features = encode_samples(samples, names, encoder, progress, shown.update)
    identity = [config.to_dict(), foundation.fingerprint.to_dict(), data.split_hash, names, shown.hexdigest()]
    with StageFolder(output, identity, resume=resume) as stages:

        def learn(seen: Features, fold: int | None) -> LTAD:
            how_long = shorter if fold else config
            return fit(seen, foundation, counts, how_long, fold=fold, folder=stages, progress=progress)

        listed = plays(features.class_ids, config.seed, config.detail.times)
        images = with_copies(samples, features, encoder, config, progress, copies_needed(listed, config))
        judged = images.judged()
        folds, final = fit_folds(images, config.calibration.folds, config.seed, learn)
        normals = fit_statistics(folds, final, judged, config)
        rehearsals = rehearse(listed, images, judged, final, normals, names, config, progress)
        calibration = Calibration({}, rehearsals).with_held_out(normals.by_class(names))
        reached = reach(calibration, names, features, final.class_embeddings.to(CPU))
        tail = tail_classes(counts)
        card = CheckpointCard(
            path=output,
            config=config,
            foundation=foundation.fingerprint,
            classes=tuple(ClassCard(name=n, n_train=counts[n], group="tail" if n in tail else "head") for n in names),
            data=data,
            calibration=replace(calibration, reach=round(reached, DIGITS)),
            metrics=None,
            levels=levels,
        )
        checkpoint = Checkpoint(card=card, model=final, statistics=normals.statistics.to(foundation.device))
        save_checkpoint(checkpoint)
    return checkpoint
