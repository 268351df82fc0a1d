"""Checkpoints to the Hub and back, against the stand-in."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ltad.__main__ import main
from ltad.checkpoint.folder import Checkpoint, load_checkpoint
from ltad.deploy.hub import pull, push
from ltad.errors import CheckpointError, HubError
from tests.deploy.obstacles import Obstacle, fault, no_network, no_token, nothing, readers_token, wrong_token
from tests.hub import BOB, PART, Hub
from tests.toys import TinyFoundation

OURS = {"config.json", "model.safetensors", "metrics.json", "README.md"}
FIGURES = {"image_auroc": 0.98765, "pixel_auroc": None, "aupro_30": 0.5}


@pytest.fixture
def screws(tiny_checkpoint: Checkpoint, tmp_path: Path) -> Path:
    """A folder with a checkpoint that was measured, and with what else lay there."""
    folder = shutil.copytree(tiny_checkpoint.card.path, tmp_path / "screws")
    (folder / "metrics.json").write_text(json.dumps({"classes": {}, "mean": {"all": FIGURES}}))
    (folder / "notes.txt").write_text("not for others")
    return folder


def front_matter(content: bytes) -> dict:
    return yaml.safe_load(content.decode().split("---\n")[1])


def test_a_checkpoint_is_pushed_in_one_commit_and_only_once(
    hub: Hub, screws: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (screws / "model.safetensors").stat().st_size > PART  # so that it goes up in parts
    assert main(["push", str(screws), "alice/screws", "--private"]) == 0
    told = capsys.readouterr()
    assert (told.out, told.err) == (f"{hub.address}/alice/screws\n", "")
    there = hub.model("alice/screws")
    assert there.private and len(there.commits) == 2 and there.commits[-1].message == "LTAD checkpoint screws"
    assert there.files.keys() == OURS | {".gitattributes"} and there.commits[-1].large == {"model.safetensors"}
    for name in OURS - {"README.md"}:
        assert there.files[name] == (screws / name).read_bytes()
    hub.asked.clear()
    assert main(["push", str(screws), "alice/screws", "--private", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changed"] is False
    assert len(there.commits) == 2 and not any("PUT" in line or "/commit/" in line for line in hub.asked)


def test_its_card_gets_what_the_hub_reads_and_keeps_its_own_words(hub: Hub, screws: Path) -> None:
    (screws / "README.md").write_text("---\ntags: [mine]\n---\n\n# Screws\n\nMade by hand.\n")
    push(screws, "alice/screws")
    card = hub.model("alice/screws").files["README.md"]
    assert card.decode().endswith("---\n\n# Screws\n\nMade by hand.\n")
    told = front_matter(card)
    assert (told["library_name"], told["pipeline_tag"], told["license"]) == ("ltad", "image-segmentation", "cc0-1.0")
    ((model,),) = [told["model-index"]]
    assert model["name"] == "screws" and model["results"][0]["dataset"]["type"] == "toy"
    assert [(m["type"], m["value"]) for m in model["results"][0]["metrics"]] == [("roc_auc", 0.9877), ("aupro_30", 0.5)]


def test_what_else_is_there_stays(hub: Hub, screws: Path) -> None:
    hub.make("model", "works/screws", {"README.md": b"# to be\n", "pictures/one.txt": b"1"})
    push(screws, "works/screws")
    assert hub.model("works/screws").files["pictures/one.txt"] == b"1"
    (screws / "notes.txt").unlink()
    push(screws, "works/screws")
    assert len(hub.model("works/screws").commits) == 2


def test_a_visitors_token_is_used_and_no_other(hub: Hub, screws: Path) -> None:
    push(screws, "bob/screws", token=BOB)
    assert ("model", "bob/screws") in hub.repositories
    with pytest.raises(HubError, match="“alice” is somebody else: your token may write to what belongs to bob"):
        push(screws, "alice/screws", token=BOB)


def another_model(hub: Hub, patch: pytest.MonkeyPatch) -> None:
    hub.make("model", "alice/bert", {"config.json": b"{}", "README.md": b"---\nlibrary_name: transformers\n---\n"})


def public(hub: Hub, patch: pytest.MonkeyPatch) -> None:
    hub.make("model", "alice/screws", {"README.md": b"# to be\n"})


@pytest.mark.parametrize(
    ("lies_there", "words", "sentence"),
    [
        (no_token, ["alice/screws"], "There is no access token. Make one that may write at"),
        (wrong_token, ["alice/screws"], "The token is not valid: make one at"),
        (readers_token, ["alice/screws"], "The token may not write to “alice/screws”"),
        (no_network, ["alice/screws"], "http://127.0.0.1:9 cannot be reached (ConnectError). Check the network"),
        (nothing, ["bob/screws"], "“bob” is somebody else: your token may write to what belongs to alice, works."),
        (nothing, ["screws"], "“screws” does not say whose it is to be: give OWNER/NAME."),
        (nothing, ["alice/screws and nuts"], "“alice/screws and nuts” is no name of a repository"),
        (another_model, ["alice/bert"], "“alice/bert” is there already and is another model. Choose another name."),
        (public, ["alice/screws", "--private"], "“alice/screws” is there already, for all to see."),
        (fault("PUT", 403, "full"), ["alice/screws"], "The Hub refused: full. The token may not write to"),
        (fault("/commit/", 500, "oh"), ["alice/screws"], "The Hub refused: oh. Try again later."),
        (fault("/commit/", 412, "oh"), ["alice/screws"], "“alice/screws” has just been changed by somebody else"),
        (
            fault("validate-yaml", 400, "no"),
            ["alice/screws"],
            "The Hub's answer about “alice/screws”: Invalid metadata",
        ),
    ],
)
def test_what_is_refused_is_one_sentence_and_nothing_is_half_done(
    hub: Hub,
    screws: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    lies_there: Obstacle,
    words: list[str],
    sentence: str,
) -> None:
    lies_there(hub, monkeypatch)
    before = {name: [c.sha for c in repository.commits] for name, repository in hub.repositories.items()}
    assert main(["push", str(screws), *words]) == 1
    told = capsys.readouterr()
    assert told.out == "" and told.err.startswith("ltad push: ") and told.err.count("\n") == 1
    assert sentence in told.err and "hf_" not in told.err
    assert {name: [c.sha for c in repository.commits] for name, repository in hub.repositories.items()} == before


def test_what_is_no_checkpoint_is_not_pushed(hub: Hub, screws: Path) -> None:
    (screws / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="not valid JSON"):
        push(screws, "alice/screws")
    assert hub.asked == []


def test_what_was_pushed_is_pulled(
    hub: Hub,
    screws: Path,
    tiny_foundation: TinyFoundation,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    commit = push(screws, "alice/screws").commit
    here = screws.parent
    monkeypatch.chdir(here)
    assert main(["pull", "alice/screws"]) == 0
    told = capsys.readouterr()
    assert (told.out, told.err) == ("checkpoints/screws\n", "")
    assert {path.name for path in (here / "checkpoints" / "screws").iterdir()} == OURS
    assert load_checkpoint("screws", tiny_foundation).card.metrics == {"classes": {}, "mean": {"all": FIGURES}}
    assert main(["pull", f"hf://alice/screws@{commit}", "--output", "there", "--json"]) == 0
    told_json = json.loads(capsys.readouterr().out)
    assert (told_json["name"], told_json["output"]) == ("there", "there")
    assert main(["pull", "alice/screws"]) == 1
    assert "“checkpoints/screws” is there already: choose another --output" in capsys.readouterr().err


@pytest.mark.slow
def test_it_goes_as_a_person_types_it_and_offline_afterwards(hub: Hub, screws: Path, tmp_path: Path) -> None:
    """With nothing set but what huggingface_hub itself reads when it is imported."""
    variables = os.environ | {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}

    def said(*words: str, **more: str) -> str:
        command, options = [sys.executable, "-m", "ltad", *words], {"cwd": screws.parent, "env": variables | more}
        return subprocess.run(command, **options, capture_output=True, text=True, check=True).stdout.strip()

    variables["PYTHONPATH"] = str(Path(__file__).parents[2])
    assert said("push", "screws", "alice/screws") == f"{hub.address}/alice/screws"
    assert said("pull", "alice/screws", "--output", "again") == "again"
    offline = said("pull", "hf://alice/screws@main", "--output", "offline", HF_HUB_OFFLINE="1", HF_TOKEN="")
    assert (screws.parent / offline / "config.json").read_bytes() == (screws / "config.json").read_bytes()


def test_what_cannot_be_pulled_leaves_nothing(hub: Hub, tmp_path: Path) -> None:
    hub.make("model", "works/bert", {"config.json": b'{"model_type": "bert"}', "model.safetensors": b"?"})
    for address, said in (("works/bert", "no LTAD checkpoint"), ("works/bolts", "There is no “works/bolts”")):
        with pytest.raises(CheckpointError, match=said):
            pull(address, tmp_path / "new")
        assert not (tmp_path / "new").exists()
