"""What the semantic module is worth, by what it learns to call abnormal, beside a reconstruction trained to its end.

``python -m benchmarks.negatives --data demo|DIR [--imbalance exp100] [--steps N] --output FILE``

The reconstruction learns once, and so do names. The semantic module learns anew in every row, as in phase 2: clean
patches are normal, and these are not:

- ``noise``: the same patches, noised, as in the paper;
- ``other classes``: patches of another class's image, at the same place;
- ``drawn defects``: patches under defects that were drawn onto the training images;
- ``all three`` of them.

The names are learned, where nothing else is said. Image AUROC of its logits, each place standardised by the class's
training images, and of these and the reconstruction's error, standardised likewise, added in several weights.
``--resume`` keeps the rows that FILE has; ``--table FILE`` prints it.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from benchmarks import command
from benchmarks.ablation import GIVEN
from benchmarks.drawn import draw_defect
from benchmarks.recipes import PACKED, errors, learn, means, over_patches, patches_of, placed, untrained
from benchmarks.tables import markdown
from ltad.commands.progress import Bars
from ltad.config import LTADConfig
from ltad.data import Sample
from ltad.data.longtail import long_tail, tail_classes
from ltad.data.sources import open_dataset
from ltad.evaluation.metrics import image_auroc
from ltad.files import write_text
from ltad.foundation import FoundationModel, load_foundation
from ltad.foundation.features import Encoder, Features, Views
from ltad.judging.scoring import image_scores, smooth
from ltad.machine import in_words, settle
from ltad.model.losses import jitter, semantic_loss
from ltad.model.ltad import LTAD
from ltad.model.noise import normal_noise
from ltad.presets import default
from ltad.progress import Stage
from ltad.training.images import encode_samples
from ltad.training.optimisation import Optimisation, optimise
from ltad.training.phases import draw_balanced, phase1
from ltad.words import percent

RECIPE = "2 × 2 patches a token"  # by which the reconstruction learns
DRAWN = 2  # defects on each training image, one at a time
COVERED = 0.3  # of a patch that is abnormal, or as much as the defect covers of any
WEIGHTS = (0.0, 0.1, 0.25, 0.5, 1.0)
ALONE = "semantics alone"


class Drawn(NamedTuple):
    """Images with a defect: their features, ``DRAWN`` of each training image in turn, and which patches it covers."""

    features: Features
    covered: Tensor


class Abnormal(NamedTuple):
    """Patches (B, N, D) of images of some classes (B,), and which of them are abnormal (B, N)."""

    patches: Tensor
    class_ids: Tensor
    where: Tensor


class Clean(NamedTuple):
    """What is abnormal is made of: some training images (B,), their patches (B, N, D) and classes (B,)."""

    images: Tensor
    patches: Tensor
    class_ids: Tensor


Make = Callable[[LTAD, Clean, Drawn, LTADConfig, torch.Generator], Abnormal]


def noise(model: LTAD, clean: Clean, drawn: Drawn, config: LTADConfig, generator: torch.Generator) -> Abnormal:
    """The paper's: noise on every feature."""
    unit = normal_noise(clean.patches.shape, generator, model.device)
    noised = jitter(clean.patches, config.phase2.semantic_jitter, unit)
    return Abnormal(noised, clean.class_ids, torch.ones(noised.shape[:2], dtype=torch.bool, device=model.device))


def other_classes(model: LTAD, clean: Clean, drawn: Drawn, config: LTADConfig, generator: torch.Generator) -> Abnormal:
    """Patches that are normal elsewhere."""
    order = torch.randperm(len(clean.images), generator=generator).to(model.device)
    strange = clean.class_ids[order] != clean.class_ids
    return Abnormal(clean.patches[order], clean.class_ids, strange[:, None].expand(clean.patches.shape[:2]))


def drawn_defects(model: LTAD, clean: Clean, drawn: Drawn, config: LTADConfig, generator: torch.Generator) -> Abnormal:
    """Patches under a drawn defect."""
    rows = clean.images * DRAWN + torch.randint(DRAWN, clean.images.shape, generator=generator)
    batch = drawn.features.batch(rows, model.device)
    return Abnormal(patches_of(model, batch), clean.class_ids, drawn.covered[rows].to(model.device))


ABNORMAL: dict[str, tuple[Make, ...]] = {
    "noise": (noise,),
    "other classes": (other_classes,),
    "drawn defects": (drawn_defects,),
    "all three": (noise, other_classes, drawn_defects),
}
LEARNED: tuple[str, ...] = ()
RANDOM = ("prompts.pair=random",)
ROWS = {
    **{kind: (kind, LEARNED) for kind in ABNORMAL},
    "noise, given names": ("noise", GIVEN),
    "noise, two random vectors": ("noise", RANDOM),
    "drawn defects, given names": ("drawn defects", GIVEN),
    "drawn defects, two random vectors": ("drawn defects", RANDOM),
}


def with_defects(
    samples: Sequence[Sample], train: Features, encoder: Encoder, grid: tuple[int, int], progress: Bars, seed: int
) -> Drawn:
    """Draw onto every training image, and encode what comes of it; grid: of the patches."""
    side, generator, masks = encoder.foundation.fingerprint.image_size, np.random.default_rng(seed), list[Tensor]()

    def views() -> Iterator[Views]:
        for sample in samples:
            picture = sample.read().resize((side, side), Image.Resampling.BILINEAR)
            for _ in range(DRAWN):
                flawed, mask = draw_defect(picture, generator)
                masks.append(torch.from_numpy(mask))
                yield encoder.views([flawed])

    ids = train.class_ids.repeat_interleave(DRAWN)
    features = encoder.features(views(), ids, Stage("drawn defects"), progress, keep=False)
    shares = adaptive_avg_pool2d(torch.stack(masks)[:, None], grid).flatten(1)
    return Drawn(features, shares >= shares.amax(1, keepdim=True).clamp(max=COVERED))


def learn_semantics(
    model: LTAD,
    kinds: Sequence[Make],
    train: Features,
    drawn: Drawn,
    config: LTADConfig,
    steps: int,
    progress: Bars,
) -> None:
    """Teach the module what is abnormal, as phase 2 does."""
    settings = config.phase2

    def loss(generator: torch.Generator) -> Tensor:
        images = draw_balanced(train.class_ids, settings.batch_size, generator)
        batch = train.batch(images, model.device)
        clean = Clean(images, patches_of(model, batch), batch.class_ids)
        normal = model.semantic(clean.patches, model.text_features[clean.class_ids])
        made = [kind(model, clean, drawn, config, generator) for kind in kinds]
        losses = [
            semantic_loss(normal, model.semantic(each.patches, model.text_features[each.class_ids])[each.where])
            for each in made
            if each.where.any()
        ]
        return torch.stack(losses).mean() if losses else normal.sum() * 0.0  # a batch of one class has no other

    groups = [{"params": list(model.semantic.parameters()), "lr": settings.learning_rate}]
    clip, decay = settings.gradient_clip, settings.weight_decay
    optimise(
        Optimisation(Stage("semantics"), steps, model.semantic, groups, loss, clip, decay), config.seed, None, progress
    )


def logits(model: LTAD, features: Features) -> Tensor:
    """How abnormal every patch is (n, N), in host memory."""
    return over_patches(model, features, lambda patches, ids: model.semantic(patches, model.text_features[ids]))


def by_place(
    raw: Tensor, features: Features, usual: Tensor, train: Features, model: LTAD, config: LTADConfig
) -> Tensor:
    """Smoothed maps (n, N), each place standardised by the training images' own."""
    grid, sigma = model.patches.grid_size, config.scoring.smoothing
    smoothed, known = (smooth(rows.unflatten(1, grid), sigma).flatten(1) for rows in (raw, usual))
    return placed(smoothed, features.class_ids, known, train.class_ids)


def figures(maps: Tensor, class_ids: Tensor, labels: np.ndarray, config: LTADConfig) -> dict[int, float | None]:
    """Image AUROC of every class (by its number); None where it is undefined."""
    scores, found = image_scores(maps, config.scoring.top_fraction).numpy(), {}
    for class_id in class_ids.unique().tolist():
        own = (class_ids == class_id).numpy()
        found[class_id] = image_auroc(labels[own], scores[own]) if len(set(labels[own])) == 2 else None
    return found


def run(options: argparse.Namespace) -> None:
    """Encode and rebuild once, let every row learn, and write what is known after each."""
    config = default().override(*options.settings, *PACKED)
    foundation, bars = load_foundation(device=options.device), Bars()
    split = long_tail(open_dataset(*options.data), options.imbalance, options.order)
    header = {"data": split.name, "imbalance": options.imbalance, "order": options.order, "steps": options.steps}
    header |= {"rebuilt": options.rebuilt, "on": in_words(foundation.device), "config": config.to_dict()}
    rows = command.finished(options.output, header, "rows") if options.resume else []
    wanted = [name for name in options.rows if name not in [row["row"] for row in rows]]
    if not wanted:
        return
    encoder, names = Encoder(foundation), split.class_names
    train, test = (encode_samples(samples, names, encoder, bars) for samples in (split.train, split.test))
    labels, tail = np.array([sample.label for sample in split.test]), tail_classes(split.train_counts)
    model = untrained(foundation, train, config, names)
    drawn = with_defects(split.train, train, encoder, model.patches.grid_size, bars, config.seed)
    *_, (_, module, _, _) = learn(RECIPE, model, train, config, [options.rebuilt], bars)
    rebuilt = by_place(errors(module, model, test), test, errors(module, model, train), train, model, config)

    @cache
    def prompts(settings: tuple[str, ...]) -> Tensor:
        return learned_prompts(foundation, train, config.override(*settings), names, bars)

    for name in wanted:
        kind, settings = ROWS[name]
        model = untrained(foundation, train, config.override(*settings), names)
        model.text_features.copy_(prompts(settings))
        learn_semantics(model, ABNORMAL[kind], train, drawn, config, options.steps, bars)
        told = by_place(logits(model, test), test, logits(model, train), train, model, config)
        maps = {ALONE: told} | {str(weight): rebuilt + weight * told for weight in WEIGHTS}
        found = {key: figures(each, test.class_ids, labels, config) for key, each in maps.items()}
        classes = {names[k]: {key: each[k] for key, each in found.items()} for k in found[ALONE]}
        rows.append({"row": name, "mean": means(classes, tail, tuple(maps)), "classes": classes})
        print(name, rows[-1]["mean"]["all"], file=sys.stderr, flush=True)
        write_text(options.output, json.dumps({"header": header, "rows": rows}, indent=1))
    bars.close()


def learned_prompts(
    foundation: FoundationModel, train: Features, config: LTADConfig, class_names: Sequence[str], progress: Bars
) -> Tensor:
    """The pairs of prompts (K, 2, J) of names that phase 1 has learned, or of what stands in their place."""
    model = untrained(foundation, train, config, class_names)
    if config.prompts.learned and config.prompts.pair == "class":
        optimise(phase1(model, train, foundation, config, None), config.seed, None, progress)
    model.read_names(foundation)
    return model.text_features


def table(results: dict[str, Any]) -> str:
    """Image AUROC in per cent: alone over all, head and tail; and over all beside the reconstruction, by weight."""
    heads = ["abnormal is", ALONE, "head", "tail", *(f"{weight:g} beside" for weight in WEIGHTS)]
    lines = []
    for row in results["rows"]:
        mean = row["mean"]
        known = [*(each[ALONE] for each in mean.values()), *(mean["all"][str(weight)] for weight in WEIGHTS)]
        lines.append([row["row"], *("n/a" if value is None else percent(value) for value in known)])
    return markdown(heads, lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print, or print again."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = command.parser("negatives", "What the semantic module is worth, by what is abnormal.", "negatives.json")
    command.add_tail(parser)
    parser.add_argument("--steps", type=int, default=2_000, metavar="N", help="of the semantic module")
    parser.add_argument("--rebuilt", type=int, default=8_000, metavar="N", help="steps of the reconstruction")
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=ROWS, metavar="ROW")
    command.add_resume(parser)
    options = parser.parse_args(arguments)
    settle()
    command.carry_out("negatives", options, run, table)


if __name__ == "__main__":
    main()
