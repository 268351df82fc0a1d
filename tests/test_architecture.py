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
PURE = [name for name in FILES if name.startswith("ltad.model.")]
PURE += [f"ltad.{name}" for name in ("losses", "scoring", "metrics", "calibration", "config")]


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
    assert {"ltad.images", "ltad.metrics", "ltad.data", "ltad.predictor"} <= imports("ltad.evaluation")
    assert "ltad.training" in imports("ltad.__main__")  # imported in a function
    assert offences(["ltad.evaluation"], "ltad.files") == ["ltad.evaluation imports ltad.files"]


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
    allowed = ["ltad.config", "ltad.model"]
    if within(name, "ltad.model"):
        allowed.append("ltad.foundation.base")
    assert not [m for m in imports(name) if within(m, "ltad") and not within(m, *allowed)]


def test_what_is_published_is_measured_through_the_predictor() -> None:
    assert not offences(["ltad.evaluation"], "ltad.model", "ltad.training", "ltad.checkpoint", "ltad.scoring")


def test_training_and_predicting_are_apart() -> None:
    training = ["ltad.training", "ltad.stages", "ltad.crossfit", "ltad.features"]
    assert not offences(training, "ltad.predictor", "ltad.evaluation", "ltad.visualization")
    assert not offences(["ltad.predictor", "ltad.checkpoint"], *training)


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
