"""Make the file that aligns the two towers of ``align-mini``: ``python -m ltad.foundation.alignment``.

The rows of EfficientNet's ImageNet classifier are 1,000 visual prototypes, and ImageNet gives each a name. The
joint space is spanned by the principal directions of the centred prototypes; a ridge regression maps MiniLM's
sentence "a photo of a NAME" onto them. Closed form, no training run, no images.
"""

from collections.abc import Sequence

import torch
from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import normalize

from ltad.foundation.align_mini import ALIGNMENT_FILE, TextTower, image_network

JOINT_DIM = 256
RIDGE = 3.0  # from 0.3, 1, 3, 10: the best rank-1 and rank-5 of unseen names
FOLDS = 5


def fit_alignment(prototypes: Tensor, sentences: Tensor) -> dict[str, Tensor]:
    """Fit the maps of both towers into the joint space.

    prototypes: (C, 1280), one per named class. sentences: (C, 384), the same classes in words.
    Returns image_basis (1280, J), text_mean (384,), text_map (384, J).
    """
    centred = prototypes - prototypes.mean(0)
    basis = torch.linalg.svd(centred, full_matrices=False).Vh[:JOINT_DIM].T
    mean = sentences.mean(0)
    words = sentences - mean
    gram = words.T @ words + RIDGE * torch.eye(words.shape[1])
    text_map = torch.linalg.solve(gram, words.T @ normalize(centred @ basis, dim=-1))
    return {"image_basis": basis.contiguous(), "text_mean": mean, "text_map": text_map.contiguous()}


def name_sentences(tower: TextTower, names: Sequence[str]) -> Tensor:
    """Embed "a photo of a NAME" for each name: (names, 384)."""
    with torch.no_grad():
        batches = [names[i : i + 100] for i in range(0, len(names), 100)]
        return torch.cat([tower([tower.embed(f"a photo of a {name}") for name in batch]) for batch in batches])


def unseen_ranks(prototypes: Tensor, sentences: Tensor) -> Tensor:
    """Rank of each class's own name among the unseen names of its fold: (C,), 1 = first.

    Five folds; the alignment is fitted on the other four, so neither the class nor its name was seen.
    """
    order = torch.randperm(len(prototypes), generator=torch.Generator().manual_seed(0))
    ranks = torch.empty(len(prototypes), dtype=torch.long)
    for unseen in order.chunk(FOLDS):
        seen = torch.ones(len(prototypes), dtype=torch.bool)
        seen[unseen] = False
        maps = fit_alignment(prototypes[seen], sentences[seen])
        images = normalize((prototypes[unseen] - prototypes[seen].mean(0)) @ maps["image_basis"], dim=-1)
        texts = normalize((sentences[unseen] - maps["text_mean"]) @ maps["text_map"], dim=-1)
        similarity = images @ texts.T
        ranks[unseen] = (similarity >= similarity.diag()[:, None]).sum(1)
    return ranks


def main() -> None:
    """Write the alignment file and print how well unseen names are found."""
    prototypes = image_network().classifier.weight.detach()  # what it looks for in each class: (1000, 1280)
    sentences = name_sentences(TextTower(), IMAGENET_CLASSNAMES)
    ranks = unseen_ranks(prototypes, sentences)
    print(f"unseen names: rank 1 {(ranks == 1).float().mean():.3f}, rank 5 {(ranks <= 5).float().mean():.3f}")
    save_file(fit_alignment(prototypes, sentences), ALIGNMENT_FILE)
    print(f"wrote {ALIGNMENT_FILE} ({ALIGNMENT_FILE.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
