"""Every number of the method in one place: frozen, checked, written as JSON beside the weights.

The paper's text leaves many of these numbers open. Those marked "our choice" were not taken from it; the
measurement that decided them is named. Whole configurations are in ``ltad.presets``.
"""

import dataclasses
import json
import math
import typing
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, ClassVar, Literal, Self

NORMAL_STATES = ("a photo of a flawless {}", "a photo of a perfect {}", "a photo of a normal {}")
ABNORMAL_STATES = ("a photo of a damaged {}", "a photo of a defective {}", "a photo of an abnormal {}")
METRICS = ("euclidean", "cosine")  # of a memory: between patches as they are, or between their directions


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


class _Section:
    """What holds for every value of every section.

    ``LIMITS`` gives the largest whole number that makes sense, by name; ``OFF`` names those that 0 switches off.
    """

    LIMITS: ClassVar[dict[str, int]] = {}
    OFF: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        kinds = typing.get_type_hints(type(self))
        for name, value in vars(self).items():
            if type(value) is int:
                least, most = int(name not in self.OFF), self.LIMITS.get(name, 1_000_000)
                _require(least <= value <= most, f"{name} must be {least} to {most}, got {value}")
            if type(value) is float:
                _require(math.isfinite(value) and value >= 0, f"{name} must be finite and not negative, got {value}")
                _require(value <= 1 or not name.endswith("probability"), f"{name} must be in [0, 1], got {value}")
            if typing.get_origin(kinds[name]) is Literal:
                choices = typing.get_args(kinds[name])
                _require(value in choices, f"{name} must be one of {', '.join(map(str, choices))}, got {value!r}")
            if name.endswith(("learning_rate", "temperature", "gradient_clip")):
                _require(value > 0, f"{name} must be greater than 0, got {value}")


@dataclass(frozen=True, kw_only=True)
class PatchConfig(_Section):
    """Which feature maps make a patch."""

    strides: tuple[int, ...] = (8, 16)  # all maps of each; the paper: all layers but the last; which layers: unknown
    grid: Literal["finest", "coarsest"] = "coarsest"  # of the strides (UniAD); finest is no better, at 4 x the cost
    pool: int = 3  # patches, odd: neighbourhood averaged around each patch; 1 = none

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self.pool % 2 == 1, f"patches.pool must be odd, got {self.pool}")


@dataclass(frozen=True, kw_only=True)
class PromptConfig(_Section):
    """The pseudo class names and the sentences around them."""

    tokens: int = 2  # our choice: vectors per name; one is enough, two is safe
    start: str = "object"  # our choice: the word each vector starts from; {} = the class's name in the data set
    spread: float = 0.02  # standard deviation around a word; a name in the data set is taken as it is
    learned: bool = True  # the paper; false keeps the names as they start, its ablation
    pair: Literal["class", "shared", "random"] = "class"  # the paper: a pair of prompts per class; others are controls
    normal: tuple[str, ...] = NORMAL_STATES  # the paper: static prompts, wording unknown
    abnormal: tuple[str, ...] = ABNORMAL_STATES

    LIMITS: ClassVar[dict[str, int]] = {"tokens": 8}

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self.start.strip() != "", f"prompts.start must be a word or {{}}, got {self.start!r}")
        for template in self.normal + self.abnormal:
            _require(template.count("{}") == 1, f"a prompt must hold {{}} once, for the name, got {template!r}")


@dataclass(frozen=True, kw_only=True)
class SynthesisConfig(_Section):
    """The conditional VAE that draws features of a class."""

    latent: int = 32  # our choice: channels of the latent
    layout: int = 8  # our choice: the latent is layout x layout; 1 is the paper's global vector
    layouts: int = 16  # our choice: learned ones that a name mixes; 0 is the paper's none
    width: int = 96  # channels of the decoder
    kl_weight: float = 1e-2

    LIMITS: ClassVar[dict[str, int]] = {"latent": 1024, "layout": 64, "layouts": 256, "width": 2048}
    OFF: ClassVar[frozenset[str]] = frozenset({"layouts"})


@dataclass(frozen=True, kw_only=True)
class ReconstructionConfig(_Section):
    """The transformer that rebuilds a patch from the others (UniAD's layout, which the paper builds on)."""

    dim: int = 128  # UniAD has 256: too slow for two CPU cores
    depth: int = 1  # encoder layers, and as many decoder layers; UniAD has 4; 2 were no better in so few steps
    heads: int = 4
    pack: int = 1  # pack x pack patches make one token, which makes a fine grid affordable
    neighbourhood: int = 7  # tokens: a token may not look at the window of this side around itself (UniAD); 0 = it may
    layer_queries: bool = True  # a learned query per decoder layer (UniAD); false = one for all of them

    LIMITS: ClassVar[dict[str, int]] = {"dim": 2048, "depth": 32, "heads": 64, "pack": 8}
    OFF: ClassVar[frozenset[str]] = frozenset({"neighbourhood"})

    def __post_init__(self) -> None:
        super().__post_init__()
        fits = self.dim % 2 == 0 and self.dim % self.heads == 0
        _require(fits, f"reconstruction.dim must be even and divisible by heads, got {self.dim} and {self.heads}")
        side = self.neighbourhood
        _require(side % 2 == 1 or side == 0, f"reconstruction.neighbourhood must be odd or 0, got {side}")


@dataclass(frozen=True, kw_only=True)
class ViewsConfig(_Section):
    """Turned and mirrored copies of a class's few images, as far as its own images show that they are normal."""

    wanted: int = 400  # our choice: images of a class, copies counted, up to which copies are made; 0 = none
    tolerance: float = 1.08  # our choice: how much farther a copy may be from other images than an image as it is

    OFF: ClassVar[frozenset[str]] = frozenset({"wanted"})


HARMLESS_OFF: dict[str, Any] = {
    "shift": 0.0,
    "turn": 0.0,
    "zoom": 0.0,
    "brightness": 0.0,
    "contrast": 0.0,
    "colour": 0.0,
    "noise": 0.0,
    "blur": 0.0,
    "jpeg": 100.0,
}
MOST_HARMLESS = {"shift": 32.0, "turn": 45.0, "zoom": 50.0, "noise": 64.0, "blur": 8.0, "jpeg": 100.0}


@dataclass(frozen=True, kw_only=True)
class HarmlessConfig(_Section):
    """How far a camera or a program may change a photograph without the part being another: how much each may be.

    0 switches a change off (jpeg: 100). Pixels are those of a frame of 256. Where a change is what is wrong with a
    class's parts, such as a shift, ``without`` names both.
    """

    shift: float = 3.0  # pixels to either side, and up or down
    turn: float = 1.5  # degrees to either side
    zoom: float = 1.5  # per cent, larger or smaller
    brightness: float = 6.0  # per cent, brighter or darker
    contrast: float = 6.0  # per cent, around the mean
    colour: float = 3.0  # per cent, of each channel
    noise: float = 5.0  # grey levels of 255, standard deviation
    blur: float = 0.7  # pixels, standard deviation
    jpeg: float = 70.0  # the lowest quality that a file may be saved with; 100 = as it is
    without: tuple[str, ...] = ()  # CLASS:CHANGE, a change that is not harmless for a class

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, off in HARMLESS_OFF.items():
            value, most = getattr(self, name), MOST_HARMLESS.get(name, 90.0)
            _require(0 <= value <= most, f"harmless.{name} must be 0 to {most:g} ({off:g} = off), got {value:g}")
        for each in self.without:
            kind = each.rpartition(":")[2]
            known = each != kind and kind in HARMLESS_OFF
            changes = ", ".join(HARMLESS_OFF)
            _require(known, f"harmless.without must name CLASS:CHANGE, with one of {changes}, got {each!r}")

    @classmethod
    def none(cls) -> Self:
        """No change at all."""
        return cls(**HARMLESS_OFF)

    @property
    def is_any(self) -> bool:
        """Whether any change is on."""
        return any(getattr(self, name) != off for name, off in HARMLESS_OFF.items())

    def of_class(self, class_name: str) -> Self:
        """What is harmless for a class."""
        excluded = {kind for name, _, kind in (each.rpartition(":") for each in self.without) if name == class_name}
        return dataclasses.replace(self, **{name: HARMLESS_OFF[name] for name in excluded})


@dataclass(frozen=True, kw_only=True)
class MemoryConfig(_Section):
    """Our memories of exemplar patches; the lists say of each memory what it holds and what it counts."""

    strides: tuple[int, ...] = (16, 16, 32)  # of the map
    pools: tuple[int, ...] = (1, 1, 1)  # patches, odd: neighbourhood averaged around each patch
    metrics: tuple[str, ...] = ("euclidean", "cosine", "euclidean")  # how far off a patch is, or only its direction
    weights: tuple[float, ...] = (1.0, 1.0, 0.5)  # in the score, beside scoring.reconstruction_weight
    dim: int = 120  # principal coordinates that are kept of the channels
    per_class: int = 2048  # exemplars of a class at most; 0 = no memory
    total: int = 12_288  # exemplars of all classes together

    OFF: ClassVar[frozenset[str]] = frozenset({"per_class"})

    def __post_init__(self) -> None:
        super().__post_init__()
        lengths = {len(self.strides), len(self.pools), len(self.metrics), len(self.weights)}
        lists = "memory.strides, memory.pools, memory.metrics and memory.weights"
        _require(len(lengths) == 1, f"{lists} must be of one length")
        known = set(self.metrics) <= set(METRICS)
        _require(known, f"memory.metrics must be of {', '.join(METRICS)}, got {list(self.metrics)}")
        odd = all(pool > 0 and pool % 2 == 1 for pool in self.pools)
        _require(odd, f"memory.pools must be odd and positive, got {list(self.pools)}")
        weighed = all(math.isfinite(weight) and weight >= 0 for weight in self.weights)
        _require(weighed, f"memory.weights must be finite and not negative, got {list(self.weights)}")

    @property
    def fine_weights(self) -> list[float]:
        """The weights of those memories that look at what is seen finely, too: those of the finest stride."""
        pairs = zip(self.strides, self.weights, strict=True)
        return [weight for stride, weight in pairs if stride == min(self.strides)]


@dataclass(frozen=True, kw_only=True)
class DetailConfig(_Section):
    """How finely photographs are seen beside their whole frame; ours."""

    times: Literal[1, 2, 4] = 1  # the shorter side of the fine view, in image sizes of the tower; 1 = there is none


@dataclass(frozen=True, kw_only=True)
class SemanticConfig(_Section):
    """The normal / abnormal classifier in the joint space of image and text."""

    projection: Literal["joint", "stride"] = "joint"  # our choice: of the whole patch; the paper: one per stride
    hidden: int = 256  # our choice: one hidden layer; a linear projection (0) cannot separate zero-mean noise
    temperature: float = 0.07

    LIMITS: ClassVar[dict[str, int]] = {"hidden": 8192}
    OFF: ClassVar[frozenset[str]] = frozenset({"hidden"})


@dataclass(frozen=True, kw_only=True)
class Phase1Config(_Section):
    """Learning the names and the generator."""

    steps: int = 400  # our choice: from there on draws are nearer to unseen images than their class's mean is
    batch_size: int = 16
    learning_rate: float = 2e-3
    name_learning_rate: float = 1e-2
    contrastive_weight: float = 0.1  # our choice: without it a class is not recognised from its image
    temperature: float = 0.07


@dataclass(frozen=True, kw_only=True)
class Phase2Config(_Section):
    """Learning reconstruction and semantics."""

    steps: int = 500  # our choice: what a few minutes on two CPU cores allow; longer is better
    batch_size: int = 8
    optimiser: Literal["adamw", "muon"] = "adamw"  # muon: for the transformer's hidden matrices; AdamW for the rest
    learning_rate: float = 1e-3
    muon_learning_rate: float = 1e-2
    weight_decay: float = 1e-4
    gradient_clip: float = 1.0
    reconstruction_jitter: float = 5.0  # UniAD's scale of feature noise; UniAD has 20
    semantic_jitter: float = 20.0  # the noise that stands for "abnormal"
    same_noise: bool = False  # the paper: one draw for both, each at its scale; false = our choice: a draw for each
    semantic_patches: int = 256  # per image and step, drawn at random; all of them teach the same and cost more
    synthesis_source: Literal["posterior", "prior"] = "posterior"  # unknown: around a real image, or from the name only
    synthesis_probability: float = 0.25  # how often a synthesised image replaces the real one
    tail_synthesis_probability: float | None = None  # the same for tail classes; null = no other (the paper: one p)
    semantic_weight: float = 1.0  # of its loss beside the reconstruction loss


@dataclass(frozen=True, kw_only=True)
class ScoringConfig(_Section):
    """From residuals, distances and logits to one map and one number."""

    form: Literal["standardised", "paper"] = (
        "standardised"  # ours; the paper: squared norm + λ · probability as they are
    )
    reconstruction_weight: float = 0.15  # our choice: of the transformer's residual beside memory.weights
    semantic_weight: float = 0.03  # lambda, on standardised scores
    top_fraction: float = 0.02  # the image score is the mean of this fraction of the patches
    smoothing: float = 0.4  # patches, standard deviation of the Gaussian over the map; 0 = none
    background: float = 0.5  # our choice: how much is taken away of what three quarters of a map exceed, see scoring

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(0 < self.top_fraction <= 1, f"scoring.top_fraction must be in (0, 1], got {self.top_fraction}")
        _require(self.background < 1, f"scoring.background must be under 1, got {self.background}")


@dataclass(frozen=True, kw_only=True)
class CalibrationConfig(_Section):
    """How held-out normal images set the scale and the threshold."""

    folds: int = 2  # each normal image is scored by a model that has not seen it
    phase2_steps: int = 250  # our choice: those models learn half as long as the final one
    false_alarm_rate: float = 0.05  # of normal images, at the default threshold

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self.folds >= 2, f"calibration.folds must be at least 2, got {self.folds}")
        rate = self.false_alarm_rate
        _require(0 < rate < 1, f"calibration.false_alarm_rate must be in (0, 1), got {rate}")


@dataclass(frozen=True, kw_only=True)
class AdaptConfig(_Section):
    """Adapting a trained model to one class more (ours; not part of a checkpoint's own configuration)."""

    seed: int = 0
    name_steps: int = 100  # learning the class's pseudo name, the others kept
    generator_steps: int = 100  # teaching the generator to draw the class, too
    steps: int = 150  # of phase 2
    batch_size: int = 8
    replayed: int = 4  # of a batch, drawn by the generator for the other classes; 0 = no replay, they fade
    learning_rate: float = 3e-4  # a third of phase 2's: what was learned is not to be lost
    name_learning_rate: float = 1e-2

    LIMITS: ClassVar[dict[str, int]] = {"batch_size": 256, "replayed": 255}
    OFF: ClassVar[frozenset[str]] = frozenset({"seed", "generator_steps", "replayed"})

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self.replayed < self.batch_size, f"replayed must be under batch_size, got {self.replayed}")


@dataclass(frozen=True, kw_only=True)
class LTADConfig:
    """The whole method."""

    seed: int = 0
    patches: PatchConfig = field(default_factory=PatchConfig)
    prompts: PromptConfig = field(default_factory=PromptConfig)
    synthesis: SynthesisConfig = field(default_factory=SynthesisConfig)
    reconstruction: ReconstructionConfig = field(default_factory=ReconstructionConfig)
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    detail: DetailConfig = field(default_factory=DetailConfig)
    views: ViewsConfig = field(default_factory=ViewsConfig)
    harmless: HarmlessConfig = field(default_factory=HarmlessConfig)
    semantic: SemanticConfig = field(default_factory=SemanticConfig)
    phase1: Phase1Config = field(default_factory=Phase1Config)
    phase2: Phase2Config = field(default_factory=Phase2Config)
    scoring: ScoringConfig = field(default_factory=ScoringConfig)
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)

    def __post_init__(self) -> None:
        weights = [self.scoring.reconstruction_weight, *(self.memory.weights if self.memory.per_class else ())]
        _require(sum(weights) > 0, "scoring.reconstruction_weight and memory.weights cannot all be 0")
        has_memory = self.memory.per_class > 0 and sum(self.memory.fine_weights) > 0
        _require(self.detail.times == 1 or has_memory, "detail.times over 1 needs a memory: what is fine is looked up")

    def to_dict(self) -> dict[str, Any]:
        """The configuration as plain JSON values."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Build from ``to_dict``'s result; ValueError names every unknown and missing key."""
        return build_section(cls, values, "config")

    def override(self, *assignments: str) -> Self:
        """Change values by ``section.key=value``, all at once; keys must exist and values must be of their types."""
        values = self.to_dict()
        for assignment in assignments:
            _assign(values, assignment)
        return self.from_dict(values)


def _assign(values: dict[str, Any], assignment: str) -> None:
    path, separator, text = assignment.partition("=")
    *sections, key = path.strip().split(".")
    holder: Any = values
    for section in sections:
        holder = holder.get(section) if isinstance(holder, dict) else None
    if not separator or not isinstance(holder, dict) or key not in holder or isinstance(holder[key], dict):
        keys = ", ".join(_leaves(values))
        raise ValueError(f"cannot set “{assignment}”: expected KEY=VALUE with KEY one of {keys}")
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = text
    is_text = isinstance(holder[key], str) and not isinstance(value, str)  # such as the start word {}
    holder[key] = text if is_text else value


def _leaves(values: dict[str, Any], prefix: str = "") -> list[str]:
    names: list[str] = []
    for key, value in values.items():
        names += _leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else [prefix + key]
    return names


def build_section(cls: type, values: dict[str, Any], where: str) -> Any:
    """Make the dataclass ``cls`` from plain JSON values; ValueError names every unknown, missing or mistyped key."""
    hints = typing.get_type_hints(cls)
    types = {f.name: hints[f.name] for f in dataclasses.fields(cls)}
    unknown, missing = sorted(values.keys() - types.keys()), sorted(types.keys() - values.keys())
    if unknown or missing:
        raise ValueError(f"{where} does not fit this version: unknown keys {unknown}, missing keys {missing}")
    may_be_empty = {f.name for f in dataclasses.fields(cls) if f.default == ()}
    for key, value in values.items():
        _require(value != [] or key in may_be_empty, f"{where}.{key} must be a list, got []")
    return cls(**{key: _convert(types[key], value, f"{where}.{key}") for key, value in values.items()})


def _convert(kind: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(kind):
        _require(isinstance(value, dict), f"{where} must be a section, got {value!r}")
        return build_section(typing.cast(type, kind), value, where)
    if typing.get_origin(kind) is tuple:
        (item, _) = typing.get_args(kind)
        _require(isinstance(value, list), f"{where} must be a list, got {value!r}")
        return tuple(_convert(item, element, where) for element in value)
    if typing.get_origin(kind) is UnionType:  # float | None
        return None if value is None else _convert(typing.get_args(kind)[0], value, where)
    if typing.get_origin(kind) is Literal:
        return value  # the section knows its choices
    if kind is float and type(value) is int:
        return float(value)
    _require(type(value) is kind, f"{where} must be of type {kind.__name__}, got {value!r}")
    return value
