"""What the README and its neighbours promise; every command of the README is run as it stands there."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce
from pathlib import Path

import numpy as np
import pytest
import yaml

from ltad.__main__ import main
from tests.hub import ALICE, Hub
from tests.toys import rings, save_picture, toy_picture

ROOT = Path(__file__).parent.parent
README, RESULTS, CHANGES, REQUIREMENTS, PROJECT, COMMANDS = (
    (ROOT / name).read_text(encoding="utf-8")
    for name in ("README.md", "RESULTS.md", "CHANGELOG.md", "requirements.txt", "pyproject.toml", "docs/commands.md")
)
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.M | re.S)
SNIPPETS = [f"python - <<'END'\n{text}END" for language, text in BLOCKS if language == "python"]
SNIPPETS += [text for language, text in BLOCKS if language == "sh"]
WEB = [text for text in SNIPPETS if "http://127.0.0.1:7860" in text]
FEWER_STEPS = {  # the lines do the same as without, in a twentieth of the time
    "python -m ltad train": "--set phase1.steps=5 --set phase2.steps=6 --set calibration.phase2_steps=6",
    "python -m ltad adapt": "--minutes 0.05",
}
HERE = [text for text in SNIPPETS if text not in WEB]
LINES = [line.split(" #")[0].strip() for language, text in BLOCKS if not language for line in text.splitlines() if line]
QUICK, SLOW, HUB, APP, TESTS, PIP = (
    [line for line in LINES if re.match(pattern, line)]
    for pattern in (
        r"python -m ltad (checkpoints|inspect|splits)\b",
        r"python -m ltad (train|evaluate|adapt)\b",
        r"(export HF_TOKEN=|python -m ltad (space|push)\b)",
        r"(make app|\.venv/bin/python app\.py)$",
        r"(make test|\.venv/bin/python -m pytest .*)$",
        r"(python3 -m venv|\.venv/bin/pip) ",
    )
)
PRINTED = sorted(set(re.findall(r"python -m benchmarks\.\w+ --table \S+\.json(?=`|$)", RESULTS, flags=re.M)))
BASH = ("bash", "-euo", "pipefail", "-c")
PATH = os.pathsep.join((os.path.dirname(sys.executable), os.environ["PATH"]))  # where “python” is the one of the tests
ENVIRONMENT = {"PATH": PATH, "PYTHONPATH": str(ROOT)}


def askew(class_name: str, seed: int, *, scratched: bool) -> np.ndarray:
    """A toy product that looks otherwise in every other position: it takes no turned copies, and less time."""
    picture = toy_picture(class_name, np.random.default_rng(seed))
    picture[:, :24], picture[-16:] = 30, 220
    if scratched:
        picture[30:50, 40:90] = 255
    return picture


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what a clone has, and with things of one's own under the names that the README gives them."""
    folder, good = tmp_path_factory.mktemp("place"), tmp_path_factory.mktemp("good")
    for class_name, seed in (("dots", 0), ("stripes", 100)):
        for kind, count in (("train/good", 4), ("test/good", 2), ("test/scratch", 2)):
            for number in range(count):
                picture = askew(class_name, seed + number, scratched=kind == "test/scratch")
                save_picture(picture, folder / "DIR" / class_name / kind / f"{number}.png")
    for seed in range(8):
        rings(seed).save(good / f"{seed}.png")
    shutil.make_archive(str(folder / "good"), "zip", good)
    rings(8).save(folder / "part.jpg", quality=92)
    (folder / "assets").symlink_to(ROOT / "assets")
    shutil.copytree(ROOT / "checkpoints", folder / "checkpoints", copy_function=os.symlink)  # new ones come beside them
    return folder


def said(text: str, folder: Path, **variables: str) -> str:
    environment = os.environ | ENVIRONMENT | variables
    done = subprocess.run([*BASH, text], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@contextmanager
def serving(line: str, port: int) -> Iterator[None]:
    """Run a line that opens the app until its page answers, and end all that it started."""
    variables = os.environ | ENVIRONMENT | {"GRADIO_SERVER_PORT": str(port)}
    with subprocess.Popen([*BASH, line], cwd=ROOT, env=variables, start_new_session=True) as server:
        try:
            said(f"curl -sSf --retry 180 --retry-delay 1 --retry-connrefused 127.0.0.1:{port}", ROOT)
            yield
        finally:
            os.killpg(server.pid, signal.SIGTERM)


def test_the_front_matter_makes_a_space_and_versions_are_pinned() -> None:
    front = yaml.safe_load(README.split("---")[1])
    pins = dict(re.findall(r"^([\w-]+)(?:\[\w+\])?==(\S+)$", REQUIREMENTS, flags=re.M))
    assert front["sdk"] == "gradio" and front["sdk_version"] == pins["gradio"]
    assert (ROOT / front["app_file"]).is_file() and len(front["short_description"]) <= 60
    assert all("==" in line for line in REQUIREMENTS.splitlines() if line and not line.startswith("#"))
    project = tomllib.loads(PROJECT)["project"]
    assert project["requires-python"] == ">=3.11,<3.14" and front["python_version"] in ("3.11", "3.12", "3.13")
    assert re.findall(r"^## (\S+)", CHANGES, flags=re.M)[0] == project["version"]


@pytest.mark.parametrize("paper", ["README.md", "RESULTS.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md"])
def test_links_lead_somewhere(paper: str) -> None:
    assert len(README.encode()) <= 12_000
    for file in ROOT.glob(paper):
        for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", file.read_text(encoding="utf-8")):
            aim = file.parent / target if target else file
            assert target.startswith("http") or aim.exists(), target
            if anchor and not target.startswith("http"):
                titles = re.findall(r"^#+ (.+)$", aim.read_text(encoding="utf-8").lower(), flags=re.M)
                assert anchor in [re.sub(r"[^\w -]", "", title).replace(" ", "-") for title in titles], anchor


@pytest.mark.parametrize("line", PRINTED)
def test_the_results_are_what_their_commands_print(line: str) -> None:
    rows = [row for row in said(line, ROOT).splitlines() if row.startswith("|")]
    assert rows and set(rows) <= set(RESULTS.splitlines())


def test_no_command_and_no_option_of_the_readme_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert sorted(QUICK + SLOW + HUB + APP + TESTS + PIP) == sorted(LINES)
    assert {language for language, _ in BLOCKS} == {"", "sh", "python", "bibtex"}  # the last is no command
    assert len(WEB) == 2 and len(HERE) == 1 and len(PRINTED) == 7
    commands = README.split("## Commands")[1].split("## Over the web")[0] + COMMANDS
    named = re.findall(r"--[a-z][a-z-]*", commands)
    for command in {line.split()[3] for line in QUICK + SLOW + HUB[1:]}:
        with pytest.raises(SystemExit, match="0"):
            main([command, "--help"])
    assert set(named) <= set(re.findall(r"--[a-z][a-z-]*", capsys.readouterr().out))


@pytest.mark.parametrize("text", QUICK + HERE + [pytest.param(line, marks=pytest.mark.slow) for line in SLOW])
def test_commands_run(text: str, place: Path) -> None:  # in the README's order: what “train” leaves is evaluated
    shorter = [fewer for line, fewer in FEWER_STEPS.items() if text.startswith(line)]
    assert said(" ".join([text, *shorter]), place)


@pytest.mark.slow
def test_the_lines_for_the_hub_make_a_space_and_send_a_checkpoint(hub: Hub, place: Path, tmp_path: Path) -> None:
    own = {"OWNER": "alice", "hf_...": ALICE, "push mine": "push demo-exp100"}
    text = reduce(lambda text, word: text.replace(word, own[word]), own, "\n".join(HUB))
    home = {"HF_HOME": str(tmp_path), "HF_ENDPOINT": hub.address, "HF_HUB_DISABLE_XET": "1"}
    assert said(text, place, **home).split() == [f"{hub.address}/spaces/alice/NAME", f"{hub.address}/alice/NAME"]


@pytest.mark.parametrize("lines", [APP, TESTS])
def test_make_does_what_the_lines_without_it_do(lines: list[str]) -> None:
    by_make, without = sorted(lines, reverse=True)
    assert without in said(f"{by_make} --dry-run", ROOT).splitlines()


@pytest.mark.slow
@pytest.mark.skipif(Path(sys.prefix) != ROOT / ".venv", reason="the tests do not run in the .venv of “make test”")
def test_the_lines_that_install_and_open_the_app_do() -> None:
    said("\n".join(PIP), ROOT)
    for line in APP:
        with serving(line, free_port()):
            pass


@pytest.mark.slow
def test_the_web_interface_answers_as_shown(place: Path) -> None:
    port = free_port()
    with serving("python app.py", port):
        for text in WEB:
            there = text.replace("127.0.0.1:7860", f"127.0.0.1:{port}")
            assert re.search(r"\b(ok|borderline|defect|unknown)\b", said(there, place))
