"""ZeroGPU: hardware of the Hub's that lends a GPU to a decorated function for the time of a call.

The page computes on the CPU there. A call that borrows the GPU waits for one, starts a process for it and brings the
model over, which takes seconds, and it spends the visitor's share of a few minutes a day; an inspection on the CPU
takes some hundredths of a second, and a lesson a few minutes in a process of its own, which no visitor's call can lend
a GPU to. What is asked of a page there is that it imports ``spaces`` before torch and has something decorated.
"""

import importlib
import os
from typing import Any

import ltad as ltad  # before torch, which spaces imports: it says how torch's threads wait


def settle_on_zero_gpu() -> bool:
    """Meet what ZeroGPU asks and stay on the CPU, and say so; False where the page runs on something else.

    It must come before torch is imported.
    """
    if os.environ.get("SPACES_ZERO_GPU", "").lower() not in ("1", "t", "true"):
        return False
    spaces: Any = importlib.import_module("spaces")  # installed there, and nowhere else
    spaces.GPU(_nothing)
    os.environ.setdefault("LTAD_DEVICE", "cpu")
    print("ZeroGPU: an inspection is quicker on the CPU than a GPU is lent, so the models run on the CPU.")
    return True


def _nothing() -> None:
    """What a GPU would be lent to."""
