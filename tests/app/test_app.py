"""The app through its public door: a running server and ``gradio_client``."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio.utils import get_upload_folder
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from app import photograph as photograph_module
from app import ui, uploads
from app.examples.judged import examples_for
from app.predictors import Predictors
from app.ui import build_demo, launch_options
from benchmarks import load
from benchmarks.desk import photograph
from ltad.foundation.features import Store
from ltad.inspection.prediction import Prediction
from ltad.inspection.predictor import Predictor
from ltad.photos.archive import MAX_PACKED
from tests.toys import until

pytestmark = pytest.mark.filterwarnings("default")  # the server's libraries have warnings of their own
CHECKPOINT = "demo-exp100"
LIMIT = 1_000_000  # bytes of an upload to the tested page: to send more than is really allowed takes long
README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def predictors() -> Predictors:
    return Predictors()


@pytest.fixture(scope="module")
def client(predictors: Predictors) -> Iterator[Client]:
    demo = build_demo(predictors)
    options = launch_options() | {"mcp_server": False, "max_file_size": LIMIT}
    _, url, _ = demo.launch(**options, prevent_thread_lock=True, quiet=True)
    client = Client(url, verbose=False)
    yield client
    client.close()
    demo.close()


@pytest.fixture(scope="module")
def defective(predictors: Predictors) -> Path:
    return next(e.path for e in examples_for(predictors.card(CHECKPOINT)) if e.defect != "good")


def test_inspect_says_what_the_core_says(client: Client, predictors: Predictors, defective: Path) -> None:
    overlay, report = client.predict(handle_file(defective), CHECKPOINT, api_name="/inspect")
    expected = predictors.get(CHECKPOINT).predict(defective).report()
    assert report | {"seconds": None} == expected | {"seconds": None}
    with Image.open(overlay if isinstance(overlay, str) else overlay["path"]) as picture:
        assert picture.size == tuple(report["image_size"])


def test_the_class_can_be_given(client: Client, defective: Path) -> None:
    _, report = client.predict(handle_file(defective), CHECKPOINT, "zipper", api_name="/inspect")
    assert report["class"]["name"] == "zipper"


def test_match_class_ranks_every_class(client: Client, predictors: Predictors) -> None:
    card = predictors.card(CHECKPOINT)
    clean = [example for example in examples_for(card) if example.defect == "good"]
    hits = 0
    for example in clean:
        matches = client.predict(handle_file(example.path), CHECKPOINT, api_name="/match_class")
        assert {m["name"] for m in matches} == set(card.class_names)
        assert [m["similarity"] for m in matches] == sorted((m["similarity"] for m in matches), reverse=True)
        assert all(len(m["nearest_words"]) == 5 and m["group"] in ("head", "tail") for m in matches)
        hits += matches[0]["name"] == example.class_name
    assert hits >= 0.8 * len(clean)


def test_checkpoints_lists_what_ships(client: Client, predictors: Predictors) -> None:
    rows = client.predict(api_name="/checkpoints")
    assert [row["name"] for row in rows] == predictors.names()
    assert all(row["mean"]["all"]["image_auroc"] > 0.5 for row in rows)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((CHECKPOINT, "screwdriver"), "does not know the class"),
        (("demo-exp10", "auto"), "There is no checkpoint"),
        (("../demo-exp100", "auto"), "There is no checkpoint"),
        (("hf://works/nuts", "auto"), "There is no checkpoint"),  # what a server fetches is not for visitors to say
        ((str(Path("checkpoints", CHECKPOINT).resolve()), "auto"), "There is no checkpoint"),
    ],
)
def test_wrong_names_get_one_sentence(client: Client, defective: Path, arguments: tuple, sentence: str) -> None:
    with pytest.raises(AppError, match=sentence) as caught:
        client.predict(handle_file(defective), *arguments, api_name="/inspect")
    assert "Traceback" not in str(caught.value)


def named(path: str) -> dict[str, Any]:
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


WRONG = "What was sent is not what is taken here: "
REFUSED = [  # what may be sent to every endpoint, and what it answers
    ("inspect", [named("/etc/passwd"), CHECKPOINT, "auto"], "of no file that was uploaded here"),
    ("inspect", [named(f"{os.getcwd()}/app.py"), CHECKPOINT, "auto"], "of no file that was uploaded here"),
    ("inspect", [named("../../etc/passwd"), CHECKPOINT, "auto"], "of no file that was uploaded here"),
    (
        "inspect",
        [named("http://127.0.0.1:1/a.png"), CHECKPOINT, "auto"],
        "“http://127.0.0.1:1/a.png” cannot be fetched",
    ),
    ("inspect", ["/etc/passwd", CHECKPOINT, "auto"], f"{WRONG}image, checkpoint, class_name. A file is sent as"),
    ("inspect", [{"url": "x"}, CHECKPOINT, "auto"], "without a file"),
    ("inspect", [None, CHECKPOINT, "auto"], "No image was given"),
    ("inspect", [], WRONG),
    ("inspect", [None, None, None], "There is no checkpoint “”"),
    ("inspect", [named(f"{get_upload_folder()}/swept.png"), CHECKPOINT, "auto"], "not here any more"),
    ("adapt", [[named(f"{get_upload_folder()}/swept.png")], CHECKPOINT, "x", 1], "not here any more"),
    ("match_class", [named("/etc/passwd"), CHECKPOINT], "of no file that was uploaded here"),
    ("match_class", [7, CHECKPOINT], f"{WRONG}image, checkpoint."),
    ("match_class", [None, None], "There is no checkpoint “”"),
    ("adapt", [[named("/etc/passwd")], CHECKPOINT, "x", 1], "of no file that was uploaded here"),
    ("adapt", [[named("http://127.0.0.1:1/a.png")], CHECKPOINT, "x", 1], "cannot be fetched from here"),
    ("adapt", ["a", CHECKPOINT, "x", 1], f"{WRONG}files, checkpoint, class_name, minutes."),
    ("adapt", [[], CHECKPOINT, "x", "many"], "must be a number, not “many”"),
    ("adapt", [[], CHECKPOINT, None, None], "needs a name"),
    ("adapt", [None, None, None, None], "There is no checkpoint “”"),
    ("job", [None], "no training's id"),
    ("job", [{"a": 1}], "no training's id"),
    ("job", [], f"{WRONG}job."),
    ("job", [named("/etc/passwd")], "of no file that was uploaded here"),
    ("cancel", [None], "no training's id"),
    ("cancel", [named("/etc/passwd")], "of no file that was uploaded here"),
]


@pytest.mark.parametrize(("endpoint", "sent", "sentence"), REFUSED)
def test_every_refusal_is_a_sentence(client: Client, endpoint: str, sent: list[Any], sentence: str) -> None:
    calls = f"{client.src}gradio_api/call/{endpoint}"
    event = httpx.post(calls, json={"data": sent}).json()["event_id"]
    kind, data = httpx.get(f"{calls}/{event}", timeout=60).text.strip().split("\n")
    said = json.loads(data.removeprefix("data: "))["error"]
    assert kind == "event: error" and sentence in said and said.endswith((".", "s")) and "Traceback" not in said


def test_an_answer_that_cannot_be_written_is_said(
    client: Client, defective: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(photograph_module, "in_a_new_file", full)
    with pytest.raises(AppError, match="Something unexpected went wrong"):
        client.predict(handle_file(defective), CHECKPOINT, api_name="/inspect")


def test_a_broken_file_gets_one_sentence(client: Client, defective: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(defective.read_bytes()[:2000])
    with pytest.raises(AppError, match="cut off"):
        client.predict(handle_file(broken), CHECKPOINT, api_name="/inspect")


def test_uploads_are_bounded_and_this_machine_is_no_space(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "UPLOAD_BYTES", 1000)
    answer = httpx.post(f"{client.src.rstrip('/')}/gradio_api/upload", files={"files": bytes(2000)})
    assert (answer.status_code, answer.text.partition(";")[0]) == (413, "These are 0 MB")
    assert "teach-forgets" not in {part["props"].get("elem_id") for part in client.config["components"]}


def test_only_the_documented_endpoints_are_public(client: Client) -> None:
    named = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(named) == {"/inspect", "/match_class", "/checkpoints", "/adapt", "/job", "/cancel"}


def test_a_training_is_begun_looked_at_and_cancelled(client: Client, predictors: Predictors) -> None:
    files = [handle_file(e.path) for e in examples_for(predictors.card(CHECKPOINT)) if e.defect == "good"][:4]
    with pytest.raises(AppError, match="3 photographs are too few"):
        client.predict(files[:3], CHECKPOINT, "thing", 1, api_name="/adapt")
    job = client.predict(files, CHECKPOINT, "thing", 1, api_name="/adapt")["job"]
    assert client.predict(job, api_name="/job")["state"] in ("queued", "running")
    assert client.predict(job, api_name="/cancel")["state"] == "cancelled"
    with pytest.raises(AppError, match="is not there"):
        client.predict("x" * 22, api_name="/job")


def test_a_rotated_photograph_is_judged_upright(client: Client, defective: Path, tmp_path: Path) -> None:
    image = Image.open(defective).resize((200, 120))
    turned = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(turned, exif=exif)
    _, report = client.predict(handle_file(turned), CHECKPOINT, api_name="/inspect")
    assert report["image_size"] == [120, 200]
    assert any("EXIF" in note for note in report["notes"])


def test_shipped_checkpoints_judge_their_clean_and_defective_examples(predictors: Predictors) -> None:
    store: Store = {}  # most of the examples are of several checkpoints
    for name in predictors.names():
        shared = predictors.get(name)
        predictor = Predictor(shared.foundation, shared.checkpoint, store)
        scores: dict[bool, list[float]] = {True: [], False: []}
        lone = {c.name for c in predictor.card.classes if c.n_train == 1}  # what else they look like nobody could learn
        for class_name in set(predictor.card.class_names) - lone:
            examples = [example for example in examples_for(predictor.card) if example.class_name == class_name]
            predictions = predictor.predict_many([example.path for example in examples], class_name)
            for example, prediction in zip(examples, predictions, strict=True):
                assert isinstance(prediction, Prediction)
                scores[example.defect == "good"].append(prediction.judgement.p_value)
        assert sum(p > 0.05 for p in scores[True]) >= 0.7 * len(scores[True])
        assert sum(p <= 0.1 for p in scores[False]) >= 0.4 * len(scores[False])


@pytest.mark.parametrize(("language", "command"), [("python", [sys.executable]), ("sh", ["bash", "-s"])])
def test_the_snippets_of_the_readme_run(
    client: Client, defective: Path, tmp_path: Path, language: str, command: list[str]
) -> None:
    section = README.split("## Over the web")[1]
    snippet = (
        section.split(f"```{language}\n")[1].split("```")[0].replace("http://127.0.0.1:7860", client.src.rstrip("/"))
    )
    shutil.copy(defective, tmp_path / "part.jpg")
    done = subprocess.run(command, input=snippet, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
    assert "defect" in done.stdout and "0." in done.stdout, done.stdout + done.stderr


def test_an_upload_above_the_limit_is_refused_at_the_door(client: Client) -> None:
    assert launch_options()["max_file_size"] == MAX_PACKED
    for size, status in ((LIMIT, 200), (LIMIT + 1, 413)):
        files = {"files": ("large.zip", bytes(size))}
        assert httpx.post(f"{client.src}gradio_api/upload", files=files, timeout=60).status_code == status


@pytest.mark.parametrize(("name", "said"), [("LTAD_DEVICE", "no device “abacus”"), ("LTAD_ENGINE", "“abacus”; it may")])
def test_what_cannot_compute_is_refused_before_the_page_is_there(
    predictors: Predictors, name: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "abacus")
    with pytest.raises(SystemExit, match=said):
        build_demo(predictors)


def test_visitors_of_the_same_example_all_get_the_whole_picture(client: Client) -> None:
    """Gradio's own way with pictures gives one in fifty an empty file."""
    row = load.crowd(load.Server(f"{client.src.rstrip('/')}/gradio_api"), 10, 20, photograph())
    assert row["errors"] == [] and row["answers_per_second"] > 0


def test_a_full_queue_says_so(predictors: Predictors, defective: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui, "QUEUE_SIZE", 1)
    started, go_on = threading.Event(), threading.Event()
    predict = Predictor.predict

    def slow(*arguments: Any, **options: Any) -> Any:
        started.set()
        assert go_on.wait(60)
        return predict(*arguments, **options)

    demo = build_demo(predictors)
    _, url, _ = demo.launch(**launch_options() | {"mcp_server": False}, prevent_thread_lock=True, quiet=True)
    client = Client(url, verbose=False)
    monkeypatch.setattr(Predictor, "predict", slow)
    jobs = [client.submit(handle_file(defective), CHECKPOINT, api_name="/inspect") for _ in range(8)]
    assert started.wait(60)
    until(lambda: any(job.done() for job in jobs))
    go_on.set()
    refusals = [str(error) for job in jobs if (error := job.exception(timeout=60))]
    assert refusals and all("queue is full" in refusal.lower() for refusal in refusals)
    judged = [job for job in jobs if not job.exception()]
    assert judged and all(job.result()[1]["verdict"] == "defect" for job in judged)
    client.close()
    demo.close()
