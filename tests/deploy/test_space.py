"""A Space of this checkout: what is sent, what is refused, and that it starts as a Space starts it."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from gradio_client import Client, handle_file

from ltad.__main__ import main
from ltad.checkpoint.folder import Checkpoint
from ltad.deploy.space import checkout, publish, space_files
from ltad.errors import HubError
from tests.deploy.obstacles import Obstacle, fault, no_network, no_token, nothing, readers_token
from tests.hub import Hub
from tests.toys import until

ROOT = Path(__file__).parents[2]
DEMO = {f"checkpoints/demo-exp100/{name}" for name in ("config.json", "model.safetensors", "metrics.json", "README.md")}
TEST_PACKAGES = re.findall(r"^([\w-]+)==", (ROOT / "tests" / "requirements.txt").read_text(encoding="utf-8"), re.M)
NOBODY = 65534  # an ordinary user, where the tests run as root
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
MISSING = """
from importlib.machinery import PathFinder
found = PathFinder.find_spec
PathFinder.find_spec = lambda name, path=None, target=None: (
    None if name.partition(".")[0] in {names} else found(name, path, target)
)
"""
SPACES = """
import os, sys
assert "torch" not in sys.modules or not os.environ.get("SPACES_ZERO_GPU"), "torch came first"
def GPU(function):
    return function
gradio_auto_wrap = GPU  # what Gradio makes of every handler on a Space
"""
HAS_WHAT_IT_NEEDS = "import sys, importlib.util as u; sys.exit(not all(map(u.find_spec, ('gradio', 'torch'))))"


# What is sent


def test_a_space_holds_what_it_needs_and_nothing_else(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["space", "alice/parts", "--private", "--hardware", "zero-a10g"]) == 0
    told = capsys.readouterr()
    assert (told.out, told.err) == (f"{hub.address}/spaces/alice/parts\n", "")
    space = hub.space("alice/parts")
    made = {key: space.made_with[key] for key in ("sdk", "hardware", "visibility")}
    assert made == {"sdk": "gradio", "hardware": "zero-a10g", "visibility": "private"}
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "app", "ltad", "assets/examples"]
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is no git checkout")
    wanted = {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()}
    wanted |= DEMO | {"app.py", "requirements.txt", "LICENSE", "README.md", ".gitattributes"}
    assert space.files.keys() == wanted
    for name in wanted - {"README.md", ".gitattributes"}:
        assert space.files[name] == (ROOT / name).read_bytes(), name
    assert {"ltad/foundation/align_mini.safetensors", "checkpoints/demo-exp100/model.safetensors"} < space.commits[
        -1
    ].large


def test_its_readme_is_a_spaces_and_leads_nowhere_that_is_not_there(hub: Hub) -> None:
    publish("alice/parts", checkpoints=["demo-exp100", "industrial-exp100"])
    text = hub.space("alice/parts").files["README.md"].decode()
    project = (ROOT / "README.md").read_text(encoding="utf-8")
    assert yaml.safe_load(text.split("---")[1]) == yaml.safe_load(project.split("---")[1])
    assert "](" not in text and "\n# LTAD" in text
    assert "- `demo-exp100`: Apache-2.0" in text and re.search(r"- `industrial-exp100`: .*CC BY-NC-SA 4.0", text)


def test_what_a_run_leaves_behind_stays_here(tmp_path: Path) -> None:
    left = ["app/__pycache__/ui.cpython-311.pyc", "app/.gradio/upload.py", "app/photo.png", "app/photograph.pyi"]
    left += ["ltad/data/part.jpg", "ltad/job.json", "jobs/1/good.jpg", "tests/test_ui.py", "benchmarks/cost.json"]
    left += [".env", "checkpoints/mine/config.json", "assets/screenshot.jpg", "assets/examples/notes.txt"]
    needed = ["app.py", "requirements.txt", "LICENSE", "app/ui.py", "ltad/__init__.py", "assets/examples/nut-good.jpg"]
    for name in (*left, *needed):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "README.md").write_text("---\ntitle: x\n---\n")
    assert space_files(tmp_path, []).keys() == {*needed, "README.md"}


def test_only_what_changed_is_sent_and_what_is_no_longer_part_is_removed(hub: Hub, tiny_checkpoint: Checkpoint) -> None:
    tiny = tiny_checkpoint.card.path
    publish("alice/parts", checkpoints=["demo-exp100", str(tiny)])
    space = hub.space("alice/parts")
    assert "checkpoints/tiny/config.json" in space.files
    first = space.commits[-1].sha
    assert str(tiny) not in space.commits[-1].message  # where it lay is nobody's business
    hub.asked.clear()
    assert not publish("alice/parts", checkpoints=["demo-exp100", str(tiny)]).changed
    assert space.commits[-1].sha == first and not any("PUT" in line for line in hub.asked)
    space.commit("by hand", space.files | {"app/ui.py": b"old", "packages.txt": b"x"}, space.commits[-1].large)
    sent = publish("alice/parts", hardware="cpu-basic")
    assert sent.changed and sent.commit == space.commits[-1].sha and len(space.commits) == 4
    assert space.files["app/ui.py"] == (ROOT / "app" / "ui.py").read_bytes()
    assert not {"packages.txt", "checkpoints/tiny/config.json"} & space.files.keys() and space.files.keys() > DEMO
    assert not any("PUT" in line for line in hub.asked) and space.made_with["hardware"] == "cpu-basic"


def test_a_checkpoint_of_the_hub_has_its_short_name_there(hub: Hub, tiny_checkpoint: Checkpoint) -> None:
    files = {path.name: path.read_bytes() for path in tiny_checkpoint.card.path.iterdir()}
    hub.make("model", "works/nuts", files)
    publish("alice/parts", checkpoints=["hf://works/nuts"])
    assert "checkpoints/nuts/model.safetensors" in hub.space("alice/parts").files
    with pytest.raises(HubError, match="Two of the checkpoints are called “nuts”"):
        space_files(checkout(), ["hf://works/nuts", "hf://works/nuts@main"])


# What is refused


def another_space(hub: Hub, patch: pytest.MonkeyPatch) -> None:
    hub.make("space", "alice/chat", {"app.py": b"chat", "README.md": b"---\nsdk: gradio\n---\n"})


def public_space(hub: Hub, patch: pytest.MonkeyPatch) -> None:
    hub.make("space", "alice/parts", {"README.md": b"---\nsdk: gradio\n---\n"})


def readers_space(hub: Hub, patch: pytest.MonkeyPatch) -> None:
    public_space(hub, patch)
    readers_token(hub, patch)


@pytest.mark.parametrize(
    ("lies_there", "words", "sentence"),
    [
        (no_token, ["alice/parts"], "There is no access token. Make one that may write at"),
        (readers_token, ["alice/parts"], "The token may not write to “alice/parts”"),
        (readers_space, ["alice/parts"], "The token may not write to “alice/parts”"),
        (no_network, ["alice/parts"], "http://127.0.0.1:9 cannot be reached (ConnectError)"),
        (nothing, ["bob/parts"], "“bob” is somebody else: your token may write to what belongs to alice, works."),
        (another_space, ["alice/chat"], "“alice/chat” is there already and is another space. Choose another name."),
        (public_space, ["alice/parts", "--private"], "“alice/parts” is there already, for all to see."),
        (nothing, ["alice/parts", "--hardware", "cpu-basik"], "There is no hardware “cpu-basik”; there is cpu-basic,"),
        (nothing, ["alice/parts", "--checkpoints", "demo-exp10"], "There is no checkpoint “demo-exp10”; those that"),
        (fault("repos/create", 402, "PRO is required"), ["alice/parts"], "It asks for a paid plan; a free account may"),
        (fault("/commit/", 403, "no"), ["alice/parts"], "The Hub refused: no. The token may not write to"),
        (fault("PUT", 403, "full"), ["alice/parts"], "The Hub refused: full."),
    ],
)
def test_a_refusal_is_one_sentence_and_nothing_is_half_done(
    hub: Hub,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    lies_there: Obstacle,
    words: list[str],
    sentence: str,
) -> None:
    lies_there(hub, monkeypatch)
    before = {name: [c.sha for c in repository.commits] for name, repository in hub.repositories.items()}
    assert main(["space", *words]) == 1
    told = capsys.readouterr()
    assert told.out == "" and told.err.startswith("ltad space: ") and told.err.count("\n") == 1
    assert sentence in told.err and "hf_" not in told.err
    assert {name: [c.sha for c in repository.commits] for name, repository in hub.repositories.items()} == before


def test_an_installed_package_without_the_page_says_so(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "ltad", tmp_path / "ltad", ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run(
        [sys.executable, "-m", "ltad", "space", "alice/parts"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr.startswith("ltad space: The page is not here: beside the package in")
        and done.stderr.count("\n") == 1
    )


# That it starts


@pytest.fixture
def container() -> Iterator[Path]:
    """What a Space's container has besides its files: a home and an empty disk of an ordinary user."""
    folder = Path(tempfile.mkdtemp(prefix="ltad-space-"))
    for name in ("app", "home", "site"):
        (folder / name).mkdir()
    (folder / "site" / "sitecustomize.py").write_text(MISSING.format(names=TEST_PACKAGES))
    yield folder
    shutil.rmtree(folder)


def interpreter(space: Path) -> list[str]:
    """The front matter's Python, where it is here with what the page needs, otherwise this one; an ordinary user's.

    Root's own is taken only where no other user may run it.
    """
    front = yaml.safe_load((space / "README.md").read_text(encoding="utf-8").split("---")[1])
    pythons = [path for path in (shutil.which(f"python{front['python_version']}"), sys.executable) if path]
    users = [AS_NOBODY, []] if os.geteuid() == 0 and shutil.which(AS_NOBODY[0]) else [[]]
    choices = [[*user, python] for user in users for python in pythons]
    return next(c for c in choices if not subprocess.run([*c, "-c", HAS_WHAT_IT_NEEDS], capture_output=True).returncode)


@contextmanager
def started(container: Path, **environment: str) -> Iterator[str]:
    """Run what lies in the container as a Space does, until its page answers; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    variables = {key: os.environ[key] for key in ("PATH", "OMP_NUM_THREADS", "LANG") if key in os.environ}
    variables |= {"HOME": f"{container}/home", "TMPDIR": f"{container}/home", "PYTHONPATH": f"{container}/site"}
    variables |= {"SPACE_ID": "alice/parts", "SYSTEM": "spaces", "HF_HUB_OFFLINE": "1"}
    variables |= {"GRADIO_SERVER_NAME": "0.0.0.0", "GRADIO_SERVER_PORT": str(port)} | environment
    python = interpreter(container / "app")
    for path in (container, *container.rglob("*")) if python[0] == AS_NOBODY[0] else ():
        os.chown(path, NOBODY, NOBODY)
    address, log = f"http://127.0.0.2:{port}", container / "log"  # another address: 0.0.0.0 is every one
    options: dict[str, Any] = {"cwd": container / "app", "env": variables, "start_new_session": True}
    with log.open("w") as said, subprocess.Popen([*python, "app.py"], stdout=said, stderr=said, **options) as page:
        try:
            until(lambda: page.poll() is not None or answers(address), log.read_text)
            assert page.poll() is None, log.read_text()
            assert python[0] != AS_NOBODY[0] or os.stat(f"/proc/{page.pid}").st_uid == NOBODY
            yield address
        finally:
            if page.poll() is None:
                os.killpg(page.pid, signal.SIGTERM)


def answers(address: str) -> bool:
    try:
        return httpx.get(address).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize(
    "environment", [{}, pytest.param({"SPACES_ZERO_GPU": "true"}, id="zero", marks=pytest.mark.slow)]
)
def test_what_is_sent_starts_as_a_space_starts_it_and_judges(
    hub: Hub, container: Path, environment: dict[str, str]
) -> None:
    publish("alice/parts")
    for name, content in hub.space("alice/parts").files.items():
        path = container / "app" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (container / "site" / "spaces.py").write_text(SPACES)
    example = container / "app" / "assets" / "examples" / "gear-missing_tooth.jpg"
    with started(container, **environment) as address:
        client = Client(address, verbose=False)
        assert [row["name"] for row in client.predict(api_name="/checkpoints")] == ["demo-exp100"]
        _, report = client.predict(handle_file(example), "demo-exp100", api_name="/inspect")
        assert report["verdict"] == "defect" and report["class"]["name"] == "gear"
        config = httpx.get(f"{address}/config").json()
        client.close()
    assert "teach-forgets" in {part["props"].get("elem_id") for part in config["components"]}
    assert list((container / "home").glob(".cache/ltad/jobs/*"))
    said = (container / "log").read_text()
    assert ("ZeroGPU: " in said) == bool(environment)
