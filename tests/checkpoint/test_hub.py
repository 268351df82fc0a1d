"""Checkpoints that are named by where they are on the Hub, against the stand-in."""

import json
import shutil
from pathlib import Path

import pytest
from huggingface_hub import constants

from ltad.__main__ import main
from ltad.checkpoint.folder import Checkpoint, find_checkpoint, read_card
from ltad.errors import CheckpointError
from ltad.inspection.predictor import Predictor
from tests.hub import BOB, Hub, Repository
from tests.toys import TinyFoundation, rings

OURS = {"config.json", "model.safetensors", "metrics.json", "README.md"}
ADDRESS = "hf://works/nuts"


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def nuts(hub: Hub, tiny_checkpoint: Checkpoint) -> Repository:
    """A checkpoint on the Hub, among files that are none of its own."""
    others = {"training.pkl": b"pickle", "more/model.safetensors": b"no"}
    return hub.make("model", "works/nuts", files_of(tiny_checkpoint.card.path) | others)


def test_it_judges_as_the_folder_does_and_is_called_by_its_commit(
    nuts: Repository, tiny_checkpoint: Checkpoint, tiny_foundation: TinyFoundation
) -> None:
    predictor = Predictor.from_checkpoint(ADDRESS, tiny_foundation)
    report = predictor.predict(rings(1)).report()
    assert report["checkpoint"] == f"{ADDRESS}@{nuts.commits[-1].sha}"
    expected = Predictor(tiny_foundation, tiny_checkpoint).predict(rings(1)).report()
    assert report | {"seconds": 0, "checkpoint": 0} == expected | {"seconds": 0, "checkpoint": 0}
    assert find_checkpoint(predictor.card.name) == predictor.card.path


def test_only_a_checkpoints_own_files_are_brought_and_only_once(hub: Hub, nuts: Repository) -> None:
    folder = find_checkpoint(ADDRESS)
    assert {path.name for path in folder.iterdir()} == OURS - {"metrics.json"}  # this one was not measured
    asked = [line for line in hub.asked if "/resolve/" in line or "/storage/" in line]
    assert asked and not any("pkl" in line or "more" in line for line in asked)
    hub.asked.clear()
    assert find_checkpoint(ADDRESS) == folder and hub.asked == ["GET /api/models/works/nuts"]
    hub.asked.clear()
    assert find_checkpoint(f"{ADDRESS}@{nuts.commits[-1].sha}") == folder and hub.asked == []


def test_after_the_first_time_no_network_is_needed(nuts: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = find_checkpoint(ADDRESS)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # where nobody listens
    assert find_checkpoint(ADDRESS) == folder
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert find_checkpoint(ADDRESS) == folder


def test_what_broke_off_is_brought_the_next_time(hub: Hub, nuts: Repository) -> None:
    hub.faults["GET .*config.json"] = (403, "not now")
    with pytest.raises(CheckpointError, match="not now"):
        find_checkpoint(ADDRESS)
    hub.faults.clear()
    assert read_card(find_checkpoint(ADDRESS)).class_names


def test_a_cache_that_cannot_be_written_is_told_as_what_it_is(
    nuts: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "file"))
    with pytest.raises(OSError, match=r"file"):
        find_checkpoint(ADDRESS)


def test_a_branch_moves_and_a_tag_stays(nuts: Repository) -> None:
    nuts.tags["v1"] = nuts.commits[-1].sha
    first = find_checkpoint(ADDRESS)
    nuts.commit("a word more", nuts.files | {"README.md": b"# nuts, again\n"}, {"model.safetensors"})
    assert (find_checkpoint(ADDRESS) / "README.md").read_text() == "# nuts, again\n"
    assert find_checkpoint(f"{ADDRESS}@v1") == find_checkpoint(f"{ADDRESS}@{first.name}") == first


def another_programs(hub: Hub, files: dict[str, bytes]) -> None:
    hub.make("model", "works/bert", {"config.json": b'{"model_type": "bert"}', "model.safetensors": b"?"})


def large(hub: Hub, files: dict[str, bytes]) -> None:
    hub.make("model", "works/large", files | {"model.safetensors": bytes(64_000_001)})


def without_tensors(hub: Hub, files: dict[str, bytes]) -> None:
    hub.make("model", "works/half", {"config.json": files["config.json"]})


def secret(hub: Hub, files: dict[str, bytes]) -> None:
    hub.make("model", "bob/secret", files, private=True)


def hostile_metrics(hub: Hub, files: dict[str, bytes]) -> None:
    hub.make("model", "works/odd", files | {"metrics.json": json.dumps({"classes": [], "mean": "high"}).encode()})


def as_it_was(hub: Hub, files: dict[str, bytes]) -> None:
    pass


@pytest.mark.parametrize(
    ("there", "address", "sentence"),
    [
        (as_it_was, "hf://works/bolts", "There is no “works/bolts” on the Hugging Face Hub, or it is private"),
        (as_it_was, "hf://works/nuts@v7", "“works/nuts” on the Hugging Face Hub has no such revision"),
        (as_it_was, "hf://works/nuts@" + "0" * 40, "has no such revision"),
        (as_it_was, "hf://works/nuts/more", "“works/nuts/more” is no name of a repository: give OWNER/NAME"),
        (as_it_was, "hf://", "“” is no name of a repository"),
        (secret, "hf://bob/secret", "There is no “bob/secret” on the Hugging Face Hub, or it is private"),
        (another_programs, "hf://works/bert", "is no LTAD checkpoint: its config.json is another program's"),
        (without_tensors, "hf://works/half", "is no LTAD checkpoint: it has no model.safetensors"),
        (large, "hf://works/large", "its model.safetensors has 64 MB, and a checkpoint's at most 64"),
        (hostile_metrics, "hf://works/odd", "metrics.json is not a table that “evaluate” wrote"),
    ],
)
def test_what_is_no_checkpoint_is_one_sentence(
    hub: Hub, nuts: Repository, tiny_checkpoint: Checkpoint, there: object, address: str, sentence: str
) -> None:
    assert callable(there)
    there(hub, files_of(tiny_checkpoint.card.path))
    with pytest.raises(CheckpointError) as caught:
        read_card(find_checkpoint(address))
    assert sentence in str(caught.value) and "\n" not in str(caught.value)
    assert not any(line.startswith("GET /storage") for line in hub.asked) or "large" not in address


def test_without_a_network_or_a_cache_it_says_both(nuts: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(
        CheckpointError, match=r"not in this machine's cache .* and http://127.0.0.1:9 cannot be reached"
    ):
        find_checkpoint(ADDRESS)


def test_a_private_one_is_had_with_its_owners_token(
    hub: Hub, tiny_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret(hub, files_of(tiny_checkpoint.card.path))
    monkeypatch.setenv("HF_TOKEN", BOB)
    assert read_card(find_checkpoint("hf://bob/secret")).class_names == tiny_checkpoint.card.class_names


def test_tensors_and_foundation_are_checked_as_of_any_folder(
    hub: Hub, tiny_checkpoint: Checkpoint, tiny_foundation: TinyFoundation, foundation: object
) -> None:
    files = files_of(tiny_checkpoint.card.path)
    hub.make("model", "works/torn", files | {"model.safetensors": files["model.safetensors"][:-9]})
    with pytest.raises(CheckpointError, match=r"hf://works/torn@[0-9a-f]{40}/model.safetensors is damaged"):
        Predictor.from_checkpoint("hf://works/torn", tiny_foundation)
    hub.make("model", "works/nuts", files)
    with pytest.raises(CheckpointError, match="was trained on tiny"):
        Predictor.from_checkpoint(ADDRESS, foundation)  # type: ignore[arg-type]


def test_every_command_that_takes_a_checkpoint_takes_one_of_the_hub(
    hub: Hub, toy_checkpoint: Path, toy_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.make("model", "works/toy", files_of(toy_checkpoint))
    image = str(toy_folder / "dots" / "test" / "good" / "000.png")
    assert main(["inspect", image, "--checkpoint", "hf://works/toy"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["checkpoint"].startswith("hf://works/toy@") and told.err == ""
    data = shutil.copytree(toy_folder / "dots", tmp_path / "one" / "dots").parent
    assert main(["evaluate", "--data", str(data), "--checkpoint", "hf://works/toy", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["checkpoint"].startswith("hf://works/toy@")
    assert main(["inspect", image, "--checkpoint", "hf://works/bolts"]) == 1
    told = capsys.readouterr()
    assert (
        told.out == ""
        and told.err.startswith("ltad inspect: hf://works/bolts: There is no")
        and told.err.count("\n") == 1
    )
