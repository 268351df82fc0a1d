"""What the Teach tab does where no browser is needed to see it."""

from dataclasses import replace

import pytest

from app.jobs.job import Job, State
from app.tabs.teach.cards import changes_card, job_card, time_note
from app.tabs.teach.tab import push_own
from app.viewer import promise
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


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "about 1 s left"), (40, "about 40 s left"), (660, "about 11 min left")]
)
def test_a_running_training_never_has_no_time_left(tiny_checkpoint: Checkpoint, seconds: float, said: str) -> None:
    job = replace(job_of(tiny_checkpoint, "running"), stage="evaluate 30/254", eta_seconds=seconds)
    assert f"Measuring the other classes 30/254; {said}." in job_card(job, 0, None)
    assert said.replace(" left", " on this machine") in time_note(seconds)


def test_results_are_counted_and_say_what_stands_behind_the_threshold(tiny_checkpoint: Checkpoint) -> None:
    figures = {"recognised": 1.0, "image_auroc": None, "pixel_auroc": None, "defective": [], "found": None}
    side = figures | {"good": [0.5] * 9 + [1.5], "false_alarms": 0.1}
    changes = {"class": "dots", "is_new": True, "before": side, "after": side, "others": []}
    html = changes_card(changes, promise(tiny_checkpoint.card, "dots"))
    assert html.count("<td>10.0 (1/10)</td>") == 2 and "<td>100.0</td>" in html
    assert html.count("<ltad-promise data-facts=") == 1
