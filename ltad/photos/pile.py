"""A pile of photographs, as a person gives it: each with the name to show, its file and its mask, and what is refused.

A picture that is named like another of its folder, with ``_mask`` before the suffix, is that one's mask:
``a/7_mask.png`` marks ``a/7.jpg`` and nothing else.
"""

from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Self

from ltad.errors import LTADError
from ltad.photos.content import content_of
from ltad.photos.decode import open_photo
from ltad.photos.masks import MASK, pair_masks, read_mask


class Photograph(NamedTuple):
    """A photograph on disk that no one has looked into yet.

    name: what its user calls it, a path with forward slashes where it came in a folder or an archive; for people, and
    need not be unique. mask: the file that marks its defects.
    """

    name: str
    path: Path
    mask: Path | None = None


class Refusal(NamedTuple):
    """A file that cannot be used: its name, and the sentence that says why without naming it again."""

    name: str
    reason: str


class Pile(NamedTuple):
    """The photographs of one upload, folder or archive in its order, and what of it cannot be used."""

    photographs: tuple[Photograph, ...] = ()
    refused: tuple[Refusal, ...] = ()

    def with_masks(self) -> Self:
        """The photographs, each with its mask; a mask that cannot tell two photographs apart is refused."""
        names = [PurePosixPath(photograph.name) for photograph in self.photographs]
        bare = {(name.parent, name.stem) for name in names}
        is_mask = [n.stem.endswith(MASK) and (n.parent, n.stem.removesuffix(MASK)) in bare for n in names]
        images = [i for i, mask in enumerate(is_mask) if not mask]
        masks = [i for i, mask in enumerate(is_mask) if mask]
        pairs, problems = pair_masks([names[i] for i in images], [names[i] for i in masks], beside=True)
        files = {images[own]: self.photographs[masks[mark]].path for own, mark in pairs.items()}
        paired = tuple(self.photographs[i]._replace(mask=files.get(i)) for i in images)
        refused = tuple(Refusal(self.photographs[masks[mark]].name, reason) for mark, reason in problems)
        return type(self)(paired, self.refused + refused)

    def marked_by(self, masks: "Pile") -> Self:
        """The photographs, each that has no mask yet with the one of its name among others, whatever their folders."""
        names, marks = ([PurePosixPath(each.name) for each in pile.photographs] for pile in (self, masks))
        pairs, problems = pair_masks(names, marks, beside=False)
        files = {own: masks.photographs[mark].path for own, mark in pairs.items()}
        paired = tuple(each._replace(mask=each.mask or files.get(i)) for i, each in enumerate(self.photographs))
        refused = tuple(Refusal(masks.photographs[mark].name, reason) for mark, reason in problems)
        return type(self)(paired, (*self.refused, *masks.refused, *refused))

    def good(self) -> Self:
        """The photographs of good parts: masks, which such have none of, are refused."""
        paired = self.with_masks()
        masks = {image.mask: image.name for image in paired.photographs if image.mask}
        refused = [
            Refusal(each.name, f"It is the mask of “{masks[each.path]}”, and good photographs have none.")
            for each in self.photographs
            if each.path in masks
        ]
        images = tuple(image._replace(mask=None) for image in paired.photographs)
        return type(self)(images, (*paired.refused, *refused))

    def without(self, names: Collection[str]) -> Self:
        """The photographs but those of these names, given whole or as the file's own."""
        kept = (p for p in self.photographs if not {p.name, PurePosixPath(p.name).name} & {*names})
        return self._replace(photographs=tuple(kept))

    def readable(self) -> Self:
        """The photographs that can be read, their masks too; every one is opened."""
        refused = dict(self._broken())
        kept = tuple(photograph for photograph in self.photographs if photograph not in refused)
        return type(self)(kept, (*self.refused, *refused.values()))

    def _broken(self) -> Iterator[tuple[Photograph, Refusal]]:
        for photograph in self.photographs:
            try:
                size = open_photo(content_of(photograph.path)).image.size
                if photograph.mask:
                    read_mask(photograph.mask, size)
            except LTADError as error:
                yield photograph, Refusal(photograph.name, str(error))
