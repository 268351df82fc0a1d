"""ZeroGPU, with a stand-in for the package that is installed there."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
STAND_IN = """
import sys
assert "torch" not in sys.modules, "torch came first"
decorated = []
def GPU(function):
    decorated.append(function)
    return function
"""
ASK = """
import os, sys
from app.zero import settle_on_zero_gpu
print(settle_on_zero_gpu(), os.environ.get("LTAD_DEVICE"), len(getattr(sys.modules.get("spaces"), "decorated", ())))
from ltad.machine import choose_device
print(choose_device())
"""


def said(folder: Path, **environment: str) -> list[str]:
    (folder / "spaces.py").write_text(STAND_IN)
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("SPACES_", "LTAD_DEVICE"))}
    paths = os.pathsep.join([str(ROOT), str(folder)])
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        env=clean | {"PYTHONPATH": paths} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_the_page_meets_what_zero_gpu_asks_and_computes_on_the_cpu(tmp_path: Path) -> None:
    sentence, state, device = said(tmp_path, SPACES_ZERO_GPU="true")
    assert sentence.startswith("ZeroGPU: ") and "on the CPU" in sentence
    assert (state, device) == ("True cpu 1", "cpu")


def test_elsewhere_nothing_of_it_happens(tmp_path: Path) -> None:
    state, _ = said(tmp_path)
    assert state == "False None 0"
