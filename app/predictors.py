"""The predictors that all visitors share: read-only, loaded once, on one foundation model each."""

import logging
import threading
from functools import lru_cache

from ltad.checkpoint import CheckpointCard, checkpoint_folders, load_checkpoint, read_card, shipped_checkpoint
from ltad.errors import CheckpointError
from ltad.foundation import load_foundation
from ltad.predictor import Predictor

logger = logging.getLogger(__name__)
MODELS_IN_MEMORY = 8  # checkpoints; about 10 MB each beside the foundation model


class Predictors:
    """Predictors by checkpoint name, loaded when first asked for."""

    def __init__(self) -> None:
        self._loading = threading.Lock()
        self._foundation = lru_cache(load_foundation)
        self._predictor = lru_cache(MODELS_IN_MEMORY)(self._load)

    def names(self) -> list[str]:
        """The checkpoints that ship and can be read, in alphabetical order; a broken one is logged and left out."""
        names = []
        for folder in checkpoint_folders():
            try:
                names.append(read_card(folder).name)
            except CheckpointError as error:
                logger.warning("%s", error)
        return names

    def card(self, checkpoint: str) -> CheckpointCard:
        """What is known of a checkpoint, read without loading its model."""
        return read_card(shipped_checkpoint(checkpoint))

    def get(self, checkpoint: str) -> Predictor:
        """The predictor of a checkpoint that ships; CheckpointError names those that exist.

        Only a name is taken, never a folder: visitors choose it.
        """
        with self._loading:
            return self._predictor(checkpoint)

    def warm_up(self) -> threading.Thread:
        """Load every checkpoint in the background, so that the first inspection need not wait."""
        thread = threading.Thread(target=lambda: [self.get(name) for name in self.names()], daemon=True)
        thread.start()
        return thread

    def _load(self, checkpoint: str) -> Predictor:
        card = self.card(checkpoint)
        foundation = self._foundation(card.foundation.name)
        return Predictor(foundation, load_checkpoint(card.path, foundation))
