"""What the README and the Space's front matter promise."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from ltad.__main__ import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
REQUIREMENTS = (ROOT / "requirements.txt").read_text(encoding="utf-8")


def test_the_front_matter_makes_a_space() -> None:
    front = yaml.safe_load(README.split("---")[1])
    pins = dict(re.findall(r"^([\w-]+)(?:\[\w+\])?==(\S+)$", REQUIREMENTS, flags=re.M))
    assert front["sdk"] == "gradio"
    assert front["sdk_version"] == pins["gradio"]
    assert (ROOT / front["app_file"]).is_file()
    assert len(front["short_description"]) <= 60
    python = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert python == ">=3.11,<3.14"
    assert front["python_version"] in ("3.11", "3.12", "3.13")


def test_every_requirement_is_pinned() -> None:
    lines = [line for line in REQUIREMENTS.splitlines() if line and not line.startswith("#")]
    assert lines
    assert all("==" in line for line in lines)


def test_linked_files_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target


@pytest.mark.parametrize("command", ["inspect", "checkpoints", "splits", "train", "evaluate", "adapt"])
def test_the_commands_shown_exist(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert re.search(rf"^ltad {command}\b", README, flags=re.M)
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    shown = set(re.findall(rf"^ltad {command}.*$", README, flags=re.M).pop().split())
    known = capsys.readouterr().out
    assert all(word in known for word in shown if word.startswith("--"))
