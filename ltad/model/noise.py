"""Noise that is drawn where it is needed, and drawn again by a run that goes on."""

from collections.abc import Sequence

import torch
from torch import Tensor

SEEDS = 2**62


def normal_noise(shape: Sequence[int], generator: torch.Generator, device: torch.device) -> Tensor:
    """Draw N(0, 1) noise of a shape on a device.

    The generator lies on the CPU, so that its state, which a saved run keeps, means the same everywhere. Another device
    draws by itself, from a seed of the generator's: to draw there what a CPU draws would take longer than a step.
    """
    if device.type == "cpu":
        return torch.randn(shape, generator=generator)
    seed = int(torch.randint(SEEDS, (1,), generator=generator))
    return torch.randn(shape, generator=torch.Generator(device).manual_seed(seed), device=device)
