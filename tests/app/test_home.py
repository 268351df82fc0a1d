"""The page on a machine where nothing of its user's can be written, as in a container that runs as somebody."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.predictors import Predictors
from app.ui import build_demo

ROOT = Path(__file__).parents[2]
PAGE = """
from pathlib import Path
from runpy import run_path
from app.predictors import Predictors
Predictors.warm_up = lambda self: None
demo = run_path("app.py")["demo"]
import matplotlib
from app.answers import in_a_new_file
from tests.toys import rings
print(matplotlib.get_configdir(), demo.GRADIO_CACHE, in_a_new_file(rings(0), demo.GRADIO_CACHE), sep="\\n")
"""


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="on Windows a home can always be written")
def test_without_a_home_it_starts_and_says_in_one_line_where_things_are_kept(tmp_path: Path) -> None:
    (tmp_path / "gradio").touch()  # another user's: uploads cannot go there
    variables = {
        key: value for key, value in os.environ.items() if not key.startswith(("LTAD", "XDG", "GRADIO", "MPL"))
    }
    variables |= {"HOME": os.devnull, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", PAGE], cwd=ROOT, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ours = tmp_path / f"ltad-{os.getuid()}"
    assert done.stderr.startswith(f"Caches and trainings are kept in “{ours}”, since ") and done.stderr.count("\n") == 1
    matplotlibs, uploads, picture = done.stdout.splitlines()
    assert (ours / "jobs" / "1").is_dir() and matplotlibs == str(ours / "matplotlib")
    assert uploads == str(tmp_path / f"gradio-{os.getuid()}") and Path(picture).is_relative_to(uploads)


def test_a_folder_for_trainings_that_cannot_be_is_refused_before_the_page_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LTAD_JOBS", str(tmp_path / "file" / "jobs"))
    with pytest.raises(SystemExit, match=r"The page cannot start: “.*jobs” cannot be written: Not a directory"):
        build_demo(Predictors())
