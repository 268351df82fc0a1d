"""From a data set to a checkpoint: phase 1, phase 2, and the statistics of what is normal."""

from dataclasses import replace
from pathlib import Path

import torch

from ltad.checkpoint.card import CheckpointCard, ClassCard, DataCard
from ltad.checkpoint.folder import Checkpoint, save_checkpoint
from ltad.config import LTADConfig
from ltad.data import Dataset
from ltad.data.longtail import tail_classes
from ltad.errors import DatasetError
from ltad.foundation.base import FoundationModel
from ltad.foundation.features import Encoder, Features, Store
from ltad.judging.calibration import Calibration
from ltad.model.ltad import LTAD, build_model
from ltad.progress import Progress
from ltad.training.folds import fit_folds
from ltad.training.images import see
from ltad.training.normals import fit_statistics
from ltad.training.optimisation import StageFolder
from ltad.training.phases import fit


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
    are gone on with, otherwise they are thrown away first. store: where the images' features are kept, too.
    """
    names, counts = dataset.class_names, dataset.train_counts
    if max(counts.values()) < 2:
        raise DatasetError(f"{dataset.name} has one training image per class: at least one class needs two.")
    # What does not fit together is refused before hours of encoding, and before anything is thrown away.
    build_model(config, foundation, torch.zeros(len(names), config.prompts.tokens, foundation.token_size))
    shorter = replace(config, phase2=replace(config.phase2, steps=config.calibration.phase2_steps))
    identity = [config.to_dict(), foundation.fingerprint.to_dict(), data.split_hash, names]
    with StageFolder(output, identity, resume=resume) as stages:

        def learn(seen: Features, fold: int | None) -> LTAD:
            how_long = shorter if fold else config
            return fit(seen, foundation, counts, how_long, fold=fold, folder=stages, progress=progress)

        images = see(dataset.train, names, Encoder(foundation, store), config.views, config.seed, progress)
        folds, final = fit_folds(images, config.calibration.folds, config.seed, learn)
        statistics, held_out = fit_statistics(folds, final, images.features, config)
        tail = tail_classes(counts)
        card = CheckpointCard(
            path=output,
            config=config,
            foundation=foundation.fingerprint,
            classes=tuple(ClassCard(name=n, n_train=counts[n], group="tail" if n in tail else "head") for n in names),
            data=data,
            calibration=Calibration({}, {}).with_figures(*held_out.by_class(names)),
            metrics=None,
        )
        checkpoint = Checkpoint(card=card, model=final, statistics=statistics.to(foundation.device))
        save_checkpoint(checkpoint)
    return checkpoint
