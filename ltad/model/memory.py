"""The memory: exemplar patches of every class, so that what was seen once is known again.

Our addition to the paper: a transformer that learns for minutes rebuilds what is usual, and takes what is rare but
normal (a screw's tip, a print) for a defect. The exemplars cover a class's patches as evenly as they can (greedy
k-centre, as in PatchCore, Roth et al. 2022); their number is a budget that all classes share, so that it does not grow
with them.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from ltad.model.patches import image_weights

CANDIDATES = 60_000  # patches of a class among which its exemplars are chosen
FARTHEST = 512  # candidates among which the next exemplars are looked for
CHUNK = 64  # images
QUERIES = 1_024  # patches of an image that are looked up at once: what they give stays in the processor's cache
LEVELS = 127  # whole steps on either side of 0 that a byte holds


def spread_out(points: Tensor, count: int) -> Tensor:
    """Choose points (P, d) that leave none far from a chosen one: their indices (count,), or all where there are fewer.

    Greedy k-centre: after point 0, always the one that is farthest from those chosen before. It is looked for among
    the ``FARTHEST`` first, as long as the farthest of them is farther than all others were: distances only shrink.
    """
    if count >= len(points):
        return torch.arange(len(points), device=points.device)
    squares = points.square().sum(1)
    chosen = [torch.zeros(1, dtype=torch.long, device=points.device)]
    nearest, missing = torch.full_like(squares, torch.inf), count - 1
    while missing:
        last = chosen[-1]
        to_last = torch.addmm(squares[:, None] + squares[last], points, points[last].T, alpha=-2)
        nearest = torch.minimum(nearest, to_last.amin(1))
        distances, among = nearest.topk(min(FARTHEST, len(points)))
        others = distances[-1].item()
        few, own = points[among], squares[among]
        between = torch.addmm(own[:, None] + own, few, few.T, alpha=-2)
        picked = [int(distances.argmax())]
        while len(picked) < missing:
            distances = torch.minimum(distances, between[picked[-1]])
            farthest, index = distances.max(0)
            if farthest.item() <= others:
                break
            picked.append(int(index))
        chosen.append(among[torch.tensor(picked, device=among.device)])
        missing -= len(picked)
    return torch.cat(chosen)


def settled(points: Tensor, exemplars: Tensor) -> Tensor:
    """Exemplars (M, d), each moved to the mean of the points (P, d) that are nearer to it than to all others.

    Where points are dense, none that is far from the others lies in their middle, and by chance one lies nearer or
    farther: so would all distances there.
    """
    squares = exemplars.square().sum(1)
    parts = points.split(QUERIES)
    nearest = torch.cat([torch.addmm(squares, part, exemplars.T, alpha=-2).argmin(1) for part in parts])
    counts = nearest.bincount(minlength=len(exemplars))[:, None]
    means = torch.zeros_like(exemplars).index_add_(0, nearest, points) / counts.clamp(min=1)
    return torch.where(counts > 0, means, exemplars)


def nearest_distance(patches: Tensor, exemplars: Tensor) -> Tensor:
    """Distance of each patch (…, N, d) to the nearest exemplar (…, M, d): (…, N)."""
    products = (-2 * patches) @ exemplars.transpose(-1, -2)
    partial = products.add_(exemplars.square().sum(-1)[..., None, :]).amin(-1)  # but the patch's own square
    return (partial + patches.square().sum(-1)).clamp(min=0).sqrt()


class PatchMemory(nn.Module):
    """Exemplars of one of the foundation model's maps, seen through neighbourhoods of one size.

    layer: which map, of ``channels``. pool: side of the neighbourhood that is averaged around each of its patches.
    exemplars: (K, M, d), in whole steps of ``step`` (d,), one byte each; d coordinates are left of the channels.

    is_cosine: whether directions are compared, which brightness and contrast hardly change; else channels count by
    their spread. A patch that is weaker than ``usual_length`` (K,), the mean of its class, is divided by that and not
    by its own length: where there is next to nothing, a direction is noise.

    is_settled: whether exemplars lie in the middle of what they stand for. Ours, for what is seen finely: a memory
    holds so few of its patches that two draws of one put them up to 1.3 standard deviations nearer or farther;
    settled, 0.2.
    """

    usual_length: Tensor
    mean: Tensor
    basis: Tensor
    step: Tensor
    exemplars: Tensor

    def __init__(
        self,
        layer: int,
        channels: int,
        *,
        pool: int,
        is_cosine: bool,
        dim: int,
        classes: int,
        exemplars: int,
        is_settled: bool = False,
    ) -> None:
        super().__init__()
        self.layer, self.pool, self.is_cosine, self.is_settled = layer, pool, is_cosine, is_settled
        dim = min(dim, channels)
        if is_cosine:
            self.register_buffer("usual_length", torch.ones(classes))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("basis", torch.zeros(channels, dim))
        self.register_buffer("step", torch.ones(dim))
        self.register_buffer("exemplars", torch.zeros(classes, exemplars, dim, dtype=torch.int8))

    def _pooled(self, layer: Tensor) -> Tensor:
        """Every patch of maps (B, C, h, w), averaged with its neighbours: (B, h, w, C)."""
        pooled = layer.float()
        if self.pool > 1:
            pooled = avg_pool2d(pooled, self.pool, stride=1, padding=self.pool // 2, count_include_pad=False)
        return pooled.permute(0, 2, 3, 1)

    def _described(self, layer: Tensor, class_ids: Tensor) -> Tensor:
        """Every patch of maps (B, C, h, w) of these classes (B,) as it is compared: (B, h, w, C)."""
        patches = self._pooled(layer)
        if not self.is_cosine:
            return patches
        least = self.usual_length.to(patches.device)[class_ids.to(patches.device), None, None]
        return patches / torch.maximum(patches.norm(dim=-1), least)[..., None]

    def coordinates(self, layer: Tensor, class_ids: Tensor) -> Tensor:
        """Describe every patch of maps (B, C, h, w) of these classes (B,) by principal coordinates: (B, h, w, d)."""
        return (self._described(layer.to(self.mean.device), class_ids) - self.mean) @ self.basis

    @torch.no_grad()
    def remember(self, layer: Tensor, class_ids: Tensor, generator: torch.Generator) -> None:
        """Choose the exemplars of every class among the patches of its training images' maps (n, C, h, w).

        The maps lie in host memory and come over image by image.
        A class without so many patches repeats some, and one without any image keeps zeros.
        """
        present = class_ids.unique().tolist()
        for class_id in present:
            self._see_lengths(layer[class_ids == class_id], class_id)
        self._fit_coordinates(layer, class_ids)
        chosen = torch.zeros(self.exemplars.shape, device=self.exemplars.device)
        for class_id in present:
            chosen[class_id] = self._choose(self._candidates(layer[class_ids == class_id], class_id, generator))
        self.step.copy_((chosen.abs().amax((0, 1)) / LEVELS).clamp(min=1e-4).half())
        self.exemplars.copy_(self._in_steps(chosen))

    @torch.no_grad()
    def remember_finely(
        self, like: "PatchMemory", fine: Sequence[Tensor], class_ids: Tensor, generator: torch.Generator
    ) -> None:
        """Choose the exemplars of every class among the patches of fine maps, in the coordinates of another memory."""
        self._take_coordinates(like)
        for class_id in class_ids.unique().tolist():
            own = [fine[i] for i in (class_ids == class_id).nonzero()[:, 0].tolist()]
            self.remember_class(own, class_id, generator, keep=False)

    @torch.no_grad()
    def alone(self, maps: Sequence[Tensor], generator: torch.Generator, candidates: int) -> "PatchMemory":
        """A memory of one class, chosen among so many patches of maps (C, h, w), in the same coordinates."""
        one = self.like(1, is_settled=self.is_settled)
        one.remember_class(maps, 0, generator, keep=False, candidates=candidates)
        return one

    def like(self, classes: int, *, is_settled: bool) -> "PatchMemory":
        """An empty memory of so many classes, for such maps of any sizes, in the same coordinates."""
        empty = PatchMemory(
            self.layer,
            len(self.mean),
            pool=self.pool,
            is_cosine=self.is_cosine,
            dim=self.basis.shape[1],
            classes=classes,
            exemplars=self.exemplars.shape[1],
            is_settled=is_settled,
        ).to(self.mean.device)
        empty._take_coordinates(self)
        return empty

    def _take_coordinates(self, other: "PatchMemory") -> None:
        for mine, its in ((self.mean, other.mean), (self.basis, other.basis), (self.step, other.step)):
            mine.copy_(its)

    @torch.no_grad()
    def remember_class(
        self,
        maps: Sequence[Tensor],
        class_id: int,
        generator: torch.Generator,
        *,
        keep: bool,
        candidates: int = CANDIDATES,
    ) -> None:
        """Choose the exemplars of one class among the patches of its images' maps (C, h, w), and its own.

        The coordinates stay those of the classes that they were made for. keep: whether what the class has is among
        the candidates, beside so many patches of the images.
        """
        maps = [m for m in maps if m.numel()]
        if not keep:
            self._see_lengths(maps, class_id)
        patches = self._candidates(maps, class_id, generator, candidates)
        if keep:
            patches = torch.cat([self.exemplars[class_id] * self.step, patches])
        self.exemplars[class_id] = self._in_steps(self._choose(patches)).to(self.exemplars.dtype)

    def _see_lengths(self, maps: Sequence[Tensor] | Tensor, class_id: int) -> None:
        """Note how long the patches of a class's n maps (C, h, w) are on the average, where directions count."""
        if self.is_cosine:
            lengths = torch.stack([self._pooled(m[None]).norm(dim=-1).mean() for m in maps])
            self.usual_length[class_id] = lengths.mean().half()

    def _candidates(
        self, maps: Sequence[Tensor] | Tensor, class_id: int, generator: torch.Generator, count: int = CANDIDATES
    ) -> Tensor:
        """Coordinates (P, d) of about so many patches of a class's n maps (C, h, w)."""
        share, own = -(-count // len(maps)), torch.tensor([class_id], device=self.mean.device)
        return torch.cat([_some(self.coordinates(m[None], own).flatten(0, 2), share, generator) for m in maps])

    def _choose(self, candidates: Tensor) -> Tensor:
        """As many candidates as there are exemplars of a class, the first ones already as spread out as few can be."""
        count = self.exemplars.shape[1]
        chosen = candidates[spread_out(candidates, count)]
        if self.is_settled:
            chosen = settled(candidates, chosen)
        return chosen[torch.arange(count, device=chosen.device) % len(chosen)]

    def _in_steps(self, chosen: Tensor) -> Tensor:
        return (chosen / self.step).round().clamp(-LEVELS, LEVELS)

    def _fit_coordinates(self, layer: Tensor, class_ids: Tensor) -> None:
        """Find the principal directions of patches, each class counting the same; of standardised ones, if not cosine.

        It is done where the maps lie, in host memory: not every device has double precision.
        """
        channels = len(self.mean)
        mean, second = (layer.new_zeros(shape, dtype=torch.double) for shape in (channels, (channels, channels)))
        parts = (part.split(CHUNK) for part in (layer, class_ids, image_weights(class_ids)))
        for rows, ids, weights in zip(*parts, strict=True):
            patches = self._described(rows, ids).double().flatten(1, 2)  # (B, N, C)
            weighed = (patches * (weights / patches.shape[1])[:, None, None]).flatten(0, 1)
            mean += weighed.sum(0)
            second += weighed.T @ patches.flatten(0, 1)
        covariance = second - mean[:, None] * mean
        spread = torch.ones_like(mean) if self.is_cosine else covariance.diagonal().clamp(min=1e-8).sqrt()
        directions = torch.linalg.eigh(covariance / (spread[:, None] * spread)).eigenvectors.flip(1)
        self.mean.copy_(mean.half())
        self.basis.copy_((directions[:, : self.basis.shape[1]] / spread[:, None]).half())

    def forward(self, layer: Tensor, class_ids: Tensor) -> Tensor:
        """Distance of every patch of maps (B, C, h, w) to the nearest exemplar of its image's class (B,): (B, h, w)."""
        queries = self.coordinates(layer, class_ids)
        exemplars = self.exemplars[class_ids] * self.step  # (B, M, d)
        parts = queries.flatten(1, 2).split(QUERIES, dim=1)
        return torch.cat([nearest_distance(part, exemplars) for part in parts], 1).unflatten(1, queries.shape[1:3])


def _some(patches: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """At most ``count`` of the patches, drawn at random."""
    chosen = torch.randperm(len(patches), generator=generator)[:count]
    return patches[chosen.to(patches.device)]
