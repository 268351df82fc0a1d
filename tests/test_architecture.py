"""Who may import whom, read from the source; and what no file may contain."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(p): p for folder in ("ltad", "app") for p in sorted((ROOT / folder).rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}
# The rooms from the ground up: imports run down this list, and rooms of one floor do not know each other.
FLOORS = (
    ("ltad", "ltad.config", "ltad.errors", "ltad.words", "ltad.progress"),
    ("ltad.files", "ltad.presets"),
    ("ltad.machine",),
    ("ltad.photos",),
    ("ltad.data", "ltad.foundation"),
    ("ltad.model",),
    ("ltad.judging",),
    ("ltad.checkpoint",),
    ("ltad.training", "ltad.inspection"),
    ("ltad.evaluation",),
    ("ltad.deploy",),
    ("ltad.commands",),
    ("ltad.__main__",),
    ("app",),
)
PURE = [
    name for name in FILES if name.startswith(("ltad.model.", "ltad.judging.")) or name == "ltad.evaluation.metrics"
]


def floor(module: str) -> tuple[int, str]:
    """How high a module's room is, and which."""
    rooms = [(height, room) for height, rooms in enumerate(FLOORS) for room in rooms if within(module, room)]
    return max(rooms, key=lambda found: len(found[1]))


def imports(name: str) -> set[str]:
    """Every module that a module imports, inside functions, too; “from a import b” gives a.b where that is a module."""
    found = set()
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = name if FILES[name].name == "__init__.py" else name.rpartition(".")[0]
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            base = ".".join(part for part in (base, node.module) if part)
            found |= {full if (full := f"{base}.{alias.name}") in FILES else base for alias in node.names}
    return found


def within(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


def offences(names: Iterator[str] | list[str], *forbidden: str) -> list[str]:
    return [f"{name} imports {m}" for name in names for m in sorted(imports(name)) if within(m, *forbidden)]


def test_the_reader_of_imports_reads() -> None:
    assert {"ltad.evaluation.metrics", "ltad.data", "ltad.inspection.predictor"} <= imports("ltad.evaluation.table")
    assert "ltad.data.demo" in imports("ltad.data.sources")  # imported in a function
    assert offences(["ltad.evaluation.table"], "ltad.files") == ["ltad.evaluation.table imports ltad.files"]
    assert floor("ltad.photos.pile") == (3, "ltad.photos") and floor("ltad.__main__")[1] == "ltad.__main__"


@pytest.mark.parametrize("name", FILES)
def test_imports_run_down(name: str) -> None:
    height, room = floor(name)
    for module in imports(name):
        if module in FILES and module != "ltad" and not within(module, room):
            below, other = floor(module)
            assert below < height, f"{name} in {room} imports {module} of {other}, which is not below it"


def test_every_room_is_on_a_floor() -> None:
    packages = {name for name, path in FILES.items() if path.name == "__init__.py" and name.count(".") == 1}
    rooms = {room for floor in FLOORS for room in floor}
    assert {name for name in packages if name.startswith("ltad.")} <= rooms


def test_tests_mirror_the_rooms() -> None:
    rooms = {name.split(".")[1] for name, path in FILES.items() if path.name == "__init__.py" and name.count(".") == 1}
    mirrored = {path.parent.name for path in (ROOT / "tests").rglob("test_*.py")}
    assert rooms - {"viewer"} <= mirrored  # which runs in browsers


def test_the_model_package_knows_no_app() -> None:
    assert not offences([name for name in FILES if within(name, "ltad")], "app", "gradio", "gradio_client")


def test_only_the_app_knows_gradio() -> None:
    others = [*(ROOT / "benchmarks").rglob("*.py"), *(ROOT / "ltad").rglob("*.py"), ROOT / "app.py"]
    assert not [p for p in others if re.search(r"^\s*(import|from) gradio\b", p.read_text(encoding="utf-8"), re.M)]


def test_the_entry_point_is_thin_and_nobody_can_import_it() -> None:
    assert (ROOT / "app" / "__init__.py").is_file()  # so that “import app” is the package, never app.py
    assert len((ROOT / "app.py").read_text(encoding="utf-8").splitlines()) <= 20


@pytest.mark.parametrize("name", PURE)
def test_the_pure_modules_know_no_file_and_no_image(name: str) -> None:
    assert not offences([name], "PIL", "os", "io", "pathlib", "shutil", "safetensors", "timm", "transformers")
    allowed = ["ltad.config", "ltad.model", "ltad.words"]
    allowed += ["ltad.foundation.base"] if within(name, "ltad.model") else ["ltad.judging"]
    assert not [m for m in imports(name) if within(m, "ltad") and not within(m, *allowed)]


def calls(name: str) -> list[tuple[str, str]]:
    """Every function or method that a module calls, by its last name, with where."""
    found = []
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
            found.append((called, f"{name}:{node.lineno}"))
    return found


@pytest.mark.parametrize("function", ["encode_image", "fine_map", "to_bytes"])
def test_there_is_one_way_from_pictures_to_features(function: str) -> None:
    places = [where for name in FILES for called, where in calls(name) if called == function]
    assert {where.partition(":")[0] for where in places} == {"ltad.foundation.features"}, places


@pytest.mark.parametrize("word", ["defect", "borderline"])
def test_there_is_one_judge(word: str) -> None:
    """Only calibration makes a verdict; others show it."""
    made = [
        name
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.IfExp) and any(isinstance(n, ast.Constant) and n.value == word for n in ast.walk(node))
    ]
    assert set(made) == {"ltad.judging.calibration"}


def test_what_is_published_is_measured_through_the_predictor() -> None:
    measuring = [f"ltad.evaluation.{name}" for name in ("table", "scored", "working_point", "harmless", "strangers")]
    assert not offences(measuring, "ltad.model", "ltad.training", "ltad.checkpoint", "ltad.judging")


def test_the_demo_factory_needs_arrays_and_pictures_only() -> None:
    allowed = {*sys.stdlib_module_names, "numpy", "scipy", "PIL"}
    for name in (name for name in FILES if within(name, "ltad.data.demo")):
        wrong = [m for m in imports(name) if m.split(".")[0] not in allowed and not within(m, "ltad.data")]
        assert not wrong, name


def test_no_module_imports_itself_by_a_detour() -> None:
    edges = {name: {m for m in imports(name) if m in FILES and m != name} for name in FILES}
    TopologicalSorter(edges).prepare()  # CycleError names the way round


def test_no_drawer_for_everything() -> None:
    assert not [name for name in FILES if {"utils", "util", "common", "helpers", "core"} & set(name.split("."))]


@pytest.mark.parametrize("name", FILES)
def test_what_no_file_may_contain(name: str) -> None:
    assert not offences([name], "pickle", "cPickle", "dill", "joblib", "shelve", "marshal")
    for node in ast.walk(TREES[name]):
        where = f"{FILES[name].relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
        assert not isinstance(node, ast.Assert), f"{where} asserts; raise an error with a sentence"
        assert not (isinstance(node, ast.ExceptHandler) and node.type is None), f"{where} catches everything"
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("torch.load", "np.load", "numpy.load"):
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            safe = keywords.get("weights_only") == "True" or keywords.get("allow_pickle") == "False"
            assert safe, f"{where} may unpickle"


TEXT = {"read_text": 0, "write_text": 1}  # where these take an encoding
ONE_SYSTEMS = ("fcntl", "grp", "msvcrt", "pwd", "resource", "termios", "tty", "winreg")


@pytest.mark.parametrize("name", FILES)
def test_every_file_means_the_same_on_every_system(name: str) -> None:
    """Text is read and written in an encoding that is said, and nothing needs one system's own ways."""
    assert not offences([name], *ONE_SYSTEMS)
    for node in ast.walk(TREES[name]):
        if not isinstance(node, ast.Call):
            continue
        where, keywords = (
            f"{name}:{node.lineno}",
            {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords},
        )
        called = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
        assert called not in ("fork", "forkpty", "killpg", "setsid", "mkfifo", "symlink", "symlink_to"), where
        binary = any(isinstance(a, ast.Constant) and isinstance(a.value, str) and "b" in a.value for a in node.args)
        opens_text = called == "open" and not binary and ast.unparse(node.func) not in ("Image.open", "self._zip.open")
        if called in TEXT or opens_text or keywords.get("text") == "True":
            assert "encoding" in keywords or ast.unparse(node.func) in ("write_text",), where


def test_importing_needs_neither_gradio_nor_network() -> None:
    code = """
import socket, sys
def refuse(*arguments, **options): raise SystemExit("tried to reach the network")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
import ltad
raise SystemExit("gradio" in sys.modules and "gradio was imported" or None)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
