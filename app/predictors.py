"""The predictors that all visitors share: read-only, on one foundation model each, within a byte budget."""

import logging
import re
import threading
import time
from collections import OrderedDict
from functools import lru_cache
from typing import Any

from PIL import Image

from app.jobs.queue import Jobs
from app.limits import MODEL_BYTES
from ltad.checkpoint.card import CheckpointCard
from ltad.checkpoint.folder import checkpoint_folders, load_checkpoint, read_card, shipped_checkpoint
from ltad.errors import CheckpointError, LTADError
from ltad.foundation import load_foundation
from ltad.inspection.predictor import Predictor

logger = logging.getLogger(__name__)


def order(card: CheckpointCard) -> tuple[bool, bool, float, str]:
    """Where a checkpoint stands in a list: real products first, then those seen whole, then the milder imbalance."""
    factor = re.search(r"\d+(\.\d+)?", card.data.imbalance)
    return card.data.is_rendered, card.is_fine, float(factor[0]) if factor else 1.0, card.name


class Predictors:
    """Predictors by checkpoint name, loaded when first asked for; those asked for least recently make room.

    Checkpoints are those that ship, which all visitors see, and those of finished jobs, which only one who knows their
    names can ask for.
    """

    def __init__(self, jobs: Jobs | None = None) -> None:
        self._jobs = jobs
        self._loading = threading.Lock()
        self._foundation = lru_cache(load_foundation)
        self._loaded: OrderedDict[str, Predictor] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._speeds: dict[str, str] = {}
        self._waiting: list[str] = []

    def names(self) -> list[str]:
        """The checkpoints that ship and can be read, in their order."""
        return [card.name for card in self.cards()]

    def cards(self) -> list[CheckpointCard]:
        """What is known of them; a broken one is logged and left out."""
        cards = []
        for folder in checkpoint_folders():
            try:
                cards.append(read_card(folder))
            except CheckpointError as error:
                logger.warning("%s", error)
        return sorted(cards, key=order)

    def first(self) -> str | None:
        """The checkpoint that the page begins with; None where there is none."""
        return next(iter(self.names()), None)

    def card(self, checkpoint: str) -> CheckpointCard:
        """What is known of a checkpoint, read without loading its model."""
        own = self._jobs.card(checkpoint) if self._jobs else None
        return own or read_card(shipped_checkpoint(checkpoint))

    def changes(self, checkpoint: str) -> dict[str, Any] | None:
        """What the job that taught a checkpoint measured, see ``before_and_after``; None where none of ours did."""
        return self._jobs.changes_of(checkpoint) if self._jobs else None

    def get(self, checkpoint: str) -> Predictor:
        """The predictor of a checkpoint; CheckpointError names those that ship.

        Only a name is taken, never a folder: visitors choose it.
        """
        with self._loading:
            if checkpoint not in self._loaded:
                self._loaded[checkpoint] = self._load(checkpoint)
                self._make_room()
            self._loaded.move_to_end(checkpoint)
            return self._loaded[checkpoint]

    def is_loaded(self, checkpoint: str) -> bool:
        """Whether an inspection would not have to wait for the model."""
        return checkpoint in self._loaded

    def speeds(self) -> dict[str, str]:
        """How long one image took, and on what, of every checkpoint that was loaded, in words."""
        return dict(self._speeds)

    def waiting(self) -> list[str]:
        """The checkpoints that ``warm_up`` has still to load."""
        return list(self._waiting)

    def warm_up(self) -> threading.Thread:
        """Load every checkpoint in the background, so that the first inspection need not wait."""
        first = self.first()
        self._waiting = sorted(self.names(), key=lambda name: name != first)
        thread = threading.Thread(target=self._load_all, args=[self._waiting], daemon=True)
        thread.start()
        return thread

    def _load_all(self, names: list[str]) -> None:
        for name in names:
            try:
                self.get(name)
            except (
                LTADError
            ) as error:  # such as a foundation model that is not here: the others are loaded all the same
                logger.warning("%s", error)
            self._waiting = [other for other in self._waiting if other != name]

    def _load(self, checkpoint: str) -> Predictor:
        card = self.card(checkpoint)
        foundation = self._foundation(card.foundation.name)
        predictor = Predictor(foundation, load_checkpoint(card.path, foundation))
        self._sizes[checkpoint] = (card.path / "model.safetensors").stat().st_size
        blank = Image.new("RGB", (card.foundation.image_size,) * 2)
        for _ in range(2):  # the first one also warms up
            start = time.perf_counter()
            predictor.predict(blank)
            milliseconds = 1000 * (time.perf_counter() - start)
        self._speeds[checkpoint] = f"{milliseconds:.0f} ms per image on {foundation.where}"
        return predictor

    def _make_room(self) -> None:
        while len(self._loaded) > 1 and sum(self._sizes[name] for name in self._loaded) > MODEL_BYTES:
            self._loaded.popitem(last=False)
