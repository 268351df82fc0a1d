"""Good photographs that are held out for testing, where nobody said which are."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from ltad.photos.pile import Photograph

SHARE = 5  # our choice: one in so many, so that 20 leave 4 to count false alarms with, and the most to learn from


def hold_out(photographs: Sequence[Photograph], seed: int = 0) -> tuple[tuple[Photograph, ...], tuple[Photograph, ...]]:
    """Split a class's good photographs into those to learn from and those to test with, each in the given order.

    One in ``SHARE`` is for testing, rounded down: of fewer than ``SHARE`` none. The choice depends on the seed and the
    files' own names alone, so that it is the same wherever they lie, and one more of them hardly moves another.
    """

    def draw(photograph: Photograph) -> tuple[bytes, str]:
        own = PurePosixPath(photograph.name).name
        return hashlib.sha256(f"{seed}/{own}".encode()).digest(), photograph.name

    drawn = sorted(photographs, key=draw)
    tested = set(drawn[: len(photographs) // SHARE])
    return tuple(p for p in photographs if p not in tested), tuple(p for p in photographs if p in tested)


def in_words(classes: Mapping[str, tuple[int, int]]) -> str:
    """The sentence that says how many good photographs of each class are held out, of how many."""
    some = [f"{held} of the {count} of {name}" for name, (held, count) in classes.items() if held]
    none = [name for name, (held, _) in classes.items() if not held]
    if not some:
        return f"No good photographs are held out for testing: {', '.join(none)} would need {SHARE}."
    few = f"; none of {', '.join(none)}, of which there are fewer than {SHARE}" if none else ""
    return f"Held out for testing, one in {SHARE} good photographs, chosen by their names: {', '.join(some)}{few}."
