"""One seeded optimisation that writes its state every few steps.

An interrupted one goes on where it stopped and ends with the very bits it would have had.
"""

import hashlib
import json
import logging
import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ltad.errors import TrainingError
from ltad.files import whole_file
from ltad.progress import Progress, Stage

logger = logging.getLogger(__name__)

SAVE_EVERY = 100  # steps


class StageFolder:
    """Where the stages of one training keep their states until its checkpoint is whole: ``.training`` in its folder.

    What identifies the training is written beside each state, so that another configuration or split finds nothing.
    resume: whether states that are there are gone on with; otherwise they are thrown away. The folder goes when the
    block ends well.
    """

    def __init__(self, output: Path, identity: list[Any], *, resume: bool) -> None:
        self.folder = output / ".training"
        self.identity = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
        self._resume = resume

    def __enter__(self) -> Self:
        if not self._resume:
            shutil.rmtree(self.folder, ignore_errors=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def save(self, stage: Stage, step: int, tensors: dict[str, Tensor]) -> None:
        """Write a stage's state, whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with whole_file(self.folder / f"{stage}.safetensors") as partial:
            save_file(tensors, partial, metadata={"identity": self.identity, "step": str(step)})

    def load(self, stage: Stage) -> tuple[int, dict[str, Tensor]] | None:
        """Read a stage's step and state, if it was saved by this very training; of a damaged one a warning."""
        path = self.folder / f"{stage}.safetensors"
        if not path.is_file():
            return None
        try:
            with safe_open(path, "pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("identity") != self.identity:
                    return None
                # Copies, since a tensor from a file is the file itself, which Windows then does not let be replaced.
                return int(metadata["step"]), {key: file.get_tensor(key).clone() for key in file.keys()}
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            logger.warning("“%s” is damaged (%s): %s is learned again from its beginning.", path, error, stage)
            return None


class Optimisation(NamedTuple):
    """What a stage minimises: which loss, how long, and which parameters at which learning rate.

    groups are AdamW's; muon_groups, of matrices alone, Muon's (Jordan et al. 2024).
    """

    stage: Stage
    steps: int
    module: nn.Module
    groups: list[dict[str, Any]]
    loss: Callable[[torch.Generator], Tensor]
    gradient_clip: float = math.inf
    weight_decay: float = 0.0
    muon_groups: Sequence[dict[str, Any]] = ()

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Everything that is learned."""
        return [parameter for group in (*self.groups, *self.muon_groups) for parameter in group["params"]]

    def optimisers(self) -> list[torch.optim.Optimizer]:
        """What changes the weights."""
        chosen: list[torch.optim.Optimizer] = [torch.optim.AdamW(self.groups, weight_decay=self.weight_decay)]
        if self.muon_groups:
            chosen.append(torch.optim.Muon(self.muon_groups, weight_decay=self.weight_decay))
        return chosen


def learning_rate_factor(step: int, steps: int) -> float:
    """Linear warm-up over the first tenth, then a cosine down to zero."""
    warm_up = max(1, steps // 10)
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


def optimise(task: Optimisation, seed: int, folder: StageFolder | None, progress: Progress) -> None:
    """Minimise to the end, from the stage's saved state if there is one; the module is changed in place.

    On CUDA the loss is computed in bfloat16 where that is safe; weights and their moments stay in float32. Raises
    TrainingError where the loss is no number.
    """
    generator = torch.Generator().manual_seed(seed)
    device = next(task.module.parameters()).device
    optimisers = task.optimisers()
    first = 0
    if folder and (saved := folder.load(task.stage)):
        try:
            first = _restore(saved, task.module, optimisers, generator)
        except (KeyError, ValueError, RuntimeError) as error:  # of a header whose names are wrong
            raise TrainingError(
                f"The state of {task.stage} in “{folder.folder}” is damaged: remove that file, and --resume goes on "
                "with the others."
            ) from error
    groups = [group for optimiser in optimisers for group in optimiser.param_groups]
    rates = [group["lr"] for group in groups]
    for step in range(first, task.steps):
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate * learning_rate_factor(step, task.steps)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = task.loss(generator)
        if not loss.isfinite():
            raise TrainingError(
                f"The loss of {task.stage} is {loss.item()} at step {step + 1}, so nothing can be learned from it. "
                "What was learned up to the last saved step is kept; go on from there with smaller learning rates."
            )
        task.module.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(task.parameters, task.gradient_clip)
        for optimiser in optimisers:
            optimiser.step()
        progress(task.stage, step + 1, task.steps, loss.item())
        if folder and ((step + 1) % SAVE_EVERY == 0 or step + 1 == task.steps):
            state = _state(task.module, optimisers, generator)
            folder.save(task.stage, step + 1, state)


def _state(
    module: nn.Module, optimisers: Sequence[torch.optim.Optimizer], generator: torch.Generator
) -> dict[str, Tensor]:
    tensors = {f"module.{name}": tensor for name, tensor in module.state_dict().items()}
    for number, optimiser in enumerate(optimisers):
        for i, state in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{number}.{i}.{key}": tensor for key, tensor in state.items()}
    return tensors | {"generator": generator.get_state()}


def _restore(
    saved: tuple[int, dict[str, Tensor]],
    module: nn.Module,
    optimisers: Sequence[torch.optim.Optimizer],
    generator: torch.Generator,
) -> int:
    step, tensors = saved
    module.load_state_dict({k.removeprefix("module."): t for k, t in tensors.items() if k.startswith("module.")})
    states = [optimiser.state_dict() for optimiser in optimisers]
    for key, tensor in tensors.items():
        if key.startswith("optimiser."):
            _, number, index, name = key.split(".")
            states[int(number)]["state"].setdefault(int(index), {})[name] = tensor
    for optimiser, state in zip(optimisers, states, strict=True):
        optimiser.load_state_dict(state)
    generator.set_state(tensors["generator"])
    return step
