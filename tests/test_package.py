"""What an installed package brings along: the commands work away from the checkout."""

import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
IT_TAKES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "requirements.txt", "ltad", "checkpoints")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the wheel of a copy of the checkout, which building leaves things in, was unpacked."""
    backend = next(iter(metadata.distributions(name="setuptools")), None)
    if backend is None or int(backend.version.split(".")[0]) < 77:
        pytest.skip("there is no setuptools, or an older one than pyproject.toml wants")
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    for name in IT_TAKES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    for words in (
        ["wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(source), str(source)],
        ["install", "--no-deps", "--no-index", "--find-links", str(source), "--target", str(folder), "ltad"],
    ):
        done = subprocess.run(pip + words, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


def said(installed: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What the installed command answers in a folder of its user's."""
    variables = os.environ | {"PYTHONPATH": str(installed)}
    return subprocess.run(
        [sys.executable, "-m", "ltad", *words], cwd=folder, env=variables, capture_output=True, text=True
    )


def test_a_photograph_is_judged_away_from_the_checkout(installed: Path, tmp_path: Path) -> None:
    done = said(
        installed, tmp_path, "inspect", str(ROOT / "assets/examples/gear-good.jpg"), "--checkpoint", "demo-exp100"
    )
    assert done.returncode == 0 and '"verdict": "ok"' in done.stdout, done.stderr
    shipped = installed / "ltad" / "shipped"
    assert [path.name for path in shipped.iterdir()] == ["demo-exp100"]
    for file in (ROOT / "checkpoints" / "demo-exp100").iterdir():
        assert (shipped / "demo-exp100" / file.name).read_bytes() == file.read_bytes()
    assert sorted(path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")) == ["bin", "ltad"]
