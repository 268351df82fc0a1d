"""What the Teach tab does where no browser is needed to see it."""

import pytest

from app.jobs.job import Job, State
from app.tabs.teach.tab import push_own
from ltad.checkpoint.folder import Checkpoint
from ltad.errors import HubError, JobError
from tests.hub import BOB, Hub


def job_of(checkpoint: Checkpoint, state: State) -> Job:
    folder = str(checkpoint.card.path)
    return Job(
        id="x" * 22, checkpoint="a", class_name="b", minutes=1, photographs=4, created=0, state=state, output=folder
    )


def test_a_visitors_checkpoint_goes_to_the_hub_in_their_name(hub: Hub, tiny_checkpoint: Checkpoint) -> None:
    assert push_own(job_of(tiny_checkpoint, "done"), " bob/rings ", f"{BOB}\n", True) == f"{hub.address}/bob/rings"
    assert hub.model("bob/rings").private


def test_without_a_token_of_their_own_nothing_goes_in_the_servers(hub: Hub, tiny_checkpoint: Checkpoint) -> None:
    for repository, token, missing in (("alice/rings", " ", "access token"), ("", BOB, "repository")):
        with pytest.raises(HubError, match=f"Give .* {missing}"):
            push_own(job_of(tiny_checkpoint, "done"), repository, token, False)
    with pytest.raises(JobError, match="There is no checkpoint yet"):
        push_own(job_of(tiny_checkpoint, "running"), "bob/rings", BOB, False)
    assert hub.asked == []
