"""Pushing a checkpoint to the Hub, with a Hub that is not there."""

from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from app import hub
from ltad.errors import JobError

TOKEN = "hf_secret"


class FakeHub:
    """Takes what is uploaded, or fails."""

    error: Exception | None = None
    asked: ClassVar[list[tuple[str, Any]]] = []

    def __init__(self, token: str) -> None:
        self.asked.append(("token", token))

    def create_repo(self, name: str, private: bool, exist_ok: bool) -> Any:
        if self.error:
            raise self.error
        self.asked.append(("repository", (name, private, exist_ok)))
        return type("Url", (str,), {"repo_id": name})(f"https://hub/{name}")

    def upload_folder(self, repo_id: str, folder_path: Path, commit_message: str) -> None:
        self.asked.append(("folder", (repo_id, folder_path)))


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeHub]:
    monkeypatch.setattr(FakeHub, "asked", [])
    monkeypatch.setattr(hub, "HfApi", FakeHub)
    return FakeHub


def test_a_folder_is_pushed_with_the_visitors_token(fake: type[FakeHub], tmp_path: Path) -> None:
    assert hub.push(tmp_path, " me/screws ", f" {TOKEN}\n", True) == "https://hub/me/screws"
    assert fake.asked == [
        ("token", TOKEN),
        ("repository", ("me/screws", True, True)),
        ("folder", ("me/screws", tmp_path)),
    ]


def refusal() -> HfHubHTTPError:
    response = httpx.Response(403, request=httpx.Request("POST", "https://hub"), headers={"x": TOKEN})
    return HfHubHTTPError(f"Bearer {TOKEN}", response=response, server_message="no rights")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (refusal(), "refused: no rights"),
        (HFValidationError("too long"), "no name of a repository"),
        (httpx.ConnectError(TOKEN), "cannot be reached"),
    ],
)
def test_what_fails_gets_a_sentence_without_the_token(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, sentence: str
) -> None:
    monkeypatch.setattr(FakeHub, "error", error)
    with pytest.raises(JobError, match=sentence) as caught:
        hub.push(tmp_path, "me/screws", TOKEN, True)
    assert TOKEN not in str(caught.value) and caught.value.__suppress_context__


def test_repository_and_token_are_asked_for(tmp_path: Path) -> None:
    for repository, token in (("", TOKEN), ("me/screws", " ")):
        with pytest.raises(JobError, match="Give the repository"):
            hub.push(tmp_path, repository, token, False)
