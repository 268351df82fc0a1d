"""A training as HTML: what was found in the photographs, how it goes, and what it changed."""

from collections.abc import Sequence
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from app.jobs.job import LIVE, Job
from app.photograph import small_picture
from app.viewer import data_uri
from ltad.inspection.pictures import THRESHOLDS, overlay
from ltad.photos.frame import map_to_image
from ltad.photos.pile import Refusal
from ltad.training.adaptation import FEWEST
from ltad.training.check import Checked, DataCheck
from ltad.words import counted, left_out, percent, spoken

SIDE = 256  # pixels of the picture of a running training
WIDTH, HEIGHT, LEFT, BOTTOM = 460, 180, 34, 18  # the curve's drawing, in its own units
STRIP, ROW, TOP = 560, 46, 3.0  # the scores': its width, the height of a row, and multiples of the threshold shown
STAGES = {
    "check": "looking at the photographs",
    "encode": "encoding the photographs",
    "copies": "copying the photographs, a little changed",
    "name": "learning the name",
    "generator": "teaching the generator",
    "phase2": "learning what is normal",
    "measure": "measuring before and after",
    "evaluate": "measuring the other classes",
}
HALVES = {1: "to judge one half", 2: "to judge the other half"}  # by fold
HEADLINES = {
    "queued": "Waiting",
    "running": "Training",
    "done": "Done",
    "failed": "It failed",
    "cancelled": "Cancelled",
    "interrupted": "Interrupted",
}


def check_card(check: DataCheck, refused: Sequence[Refusal], promise: str) -> str:
    """What was found, what will stand behind the threshold (an element that says so), and what cannot be read."""
    count = len(check.photographs)
    said = [f"{counted(count, 'photograph')} to learn from."]
    if not check.is_enough:
        said.append(f"At least {FEWEST} are needed: add some.")
    else:
        said.append(f"Each is judged by a model that has not seen it. {promise}")
    odd = [c for c in check.photographs if c.remarks]
    rows = "".join(f"<li>{_remark(c)}</li>" for c in odd)
    broken = "".join(f"<li>{escape(left_out(*refusal))}</li>" for refusal in refused)
    looked = f"<p>Look at these, and leave out what does not belong:</p><ul>{rows}</ul>" if odd else ""
    return (
        f'<section class="card check" role="status"><h3>What was found</h3><p>{" ".join(said)}</p>{looked}'
        f"{f'<ul>{broken}</ul>' if broken else ''}</section>"
    )


def time_note(seconds: float) -> str:
    """How long a training will take, once its turn has come."""
    return f'<div class="card"><p class="quiet">It will take about {_minutes(seconds)} on this machine.</p></div>'


def _remark(checked: Checked) -> str:
    return f"<b>{escape(checked.name)}</b> {escape(', and '.join(checked.remarks))}"


def job_card(job: Job, before: int, photograph: Path | None) -> str:
    """How a training goes: state, steps, time left, the curve of its loss, and a photograph as it is rebuilt.

    before: how many trainings have their turn first. photograph: the one that ``job.map`` is of.
    """
    name = escape(spoken(job.class_name))
    head = f'<h3>{name}, from {escape(job.checkpoint)}</h3><p class="headline">{HEADLINES[job.state]}</p>'
    told = _told(job, before)
    bar = (
        f'<progress max="{job.steps}" value="{job.step}" aria-label="steps done"></progress>'
        if job.state != "queued"
        else ""
    )
    pictures = ""
    if job.losses and job.state != "done":
        pictures = f'<div class="progressing">{_curve(job.losses, job.steps)}{_rebuilt(job, photograph)}</div>'
    return f'<section class="card job {job.state}" role="status">{head}<p>{told}</p>{bar}{pictures}</section>'


def _told(job: Job, before: int) -> str:
    if job.state == "queued":
        return f"{before} training{'' if before == 1 else 's'} before it." if before else "It is the next."
    if job.state not in LIVE:
        usual = {
            "done": f"{job.photographs} photographs, {job.steps} steps.",
            "cancelled": "It can go on where it was.",
        }
        return "<br>".join(map(escape, [job.message or usual.get(job.state, ""), *job.left_out]))
    stage, count = job.doing
    doing = STAGES.get(stage.kind, stage.kind) or "starting"
    doing += f" ({HALVES[stage.fold]})" if stage.fold in HALVES else ""
    left = f"; about {_minutes(job.eta_seconds)} left" if job.eta_seconds is not None else ""
    return f"{escape(f'{doing.capitalize()} {count}'.strip())}{left}."


def _minutes(seconds: float) -> str:
    return f"{max(1, round(seconds))} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _curve(losses: Sequence[tuple[int, float]], steps: int) -> str:
    """The loss over all steps; the stages' losses differ in kind, so that it jumps where one ends."""
    top = max(loss for _, loss in losses) or 1.0
    points = " ".join(
        f"{LEFT + (WIDTH - LEFT) * step / steps:.1f},{5 + (HEIGHT - BOTTOM - 5) * (1 - loss / top):.1f}"
        for step, loss in losses
    )
    return (
        f'<figure><svg class="curves" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Loss over the steps">'
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH}" y1="{HEIGHT - BOTTOM}" y2="{HEIGHT - BOTTOM}"/>'
        f'<text x="{LEFT - 5}" y="12" text-anchor="end">{top:.2g}</text>'
        f'<text x="{LEFT - 5}" y="{HEIGHT - BOTTOM}" text-anchor="end">0</text>'
        f'<text x="{WIDTH}" y="{HEIGHT - 4}" text-anchor="end">{steps} steps</text>'
        f'<polyline class="head" points="{points}"/></svg><figcaption>Loss; it jumps where one stage ends and the '
        "next begins.</figcaption></figure>"
    )


def _rebuilt(job: Job, photograph: Path | None) -> str:
    """One of the photographs, and where the model does not rebuild it yet, on the scale of the first look."""
    if photograph is None or not job.map:
        return ""
    photo = _shown(photograph)
    error = map_to_image(np.array(job.map, dtype=np.float32), *photo.size)
    picture = data_uri(overlay(photo, error, job.map_top / THRESHOLDS))
    return (
        f'<figure><img src="{picture}" alt="one of the photographs with the error of its reconstruction">'
        "<figcaption>What it cannot rebuild yet of one of your photographs: it darkens as it learns.</figcaption>"
        "</figure>"
    )


@lru_cache(16)  # it is looked at every second
def _shown(photograph: Path) -> Image.Image:
    return small_picture(photograph, SIDE)


def changes_card(changes: dict[str, Any], promise: str) -> str:
    """What a training changed: the class's scores before and after, and what became of the others.

    promise: an element that says what stands behind the class's threshold.
    """
    before, after = changes["before"], changes["after"]
    name = escape(spoken(changes["class"]))
    rows = [("recognised", "recognised"), ("false_alarms", "good ones over the threshold")]
    rows += [("found", "defective ones over it")] if after["defective"] else []
    rows += [("image_auroc", "image AUROC")] if after["image_auroc"] is not None else []
    rows += [("pixel_auroc", "pixel AUROC")] if after["pixel_auroc"] is not None else []
    cells = "".join(
        f'<tr><th scope="row">{title}</th><td>{_share(before, key)}</td><td>{_share(after, key)}</td></tr>'
        for key, title in rows
    )
    judged = "as the class that it took them for" if changes["is_new"] else "as this class"
    return (
        f'<section class="card"><h3>{name}, before and after</h3>{_strips(before, after)}'
        f'<table class="figures"><thead><tr><th scope="col">per cent</th><th scope="col">before</th>'
        f'<th scope="col">after</th></tr></thead><tbody>{cells}</tbody></table>'
        f'<p class="quiet">Before, the photographs were judged {judged}. After, each good one was judged by a model '
        f'that had not seen it.</p><p class="quiet">{promise}</p></section>{_others(changes["others"])}'
    )


def _share(side: dict[str, Any], key: str) -> str:
    """A figure in per cent; of what was counted, how many it is of how many, too."""
    scores = {"false_alarms": side["good"], "found": side["defective"]}.get(key)
    return percent(side[key]) + (f" ({sum(s > 1 for s in scores)}/{len(scores)})" if scores else "")


def _strips(before: dict[str, Any], after: dict[str, Any]) -> str:
    """A mark for every photograph's score, good ones above the line and defective ones below it."""
    marks = []
    for row, (title, side) in enumerate((("before", before), ("after", after))):
        middle = ROW * row + ROW / 2 + 4
        marks.append(
            f'<text x="0" y="{middle + 4}">{title}</text>'
            f'<line class="grid" x1="60" x2="{STRIP}" y1="{middle}" y2="{middle}"/>'
        )
        for kind, up in (("good", -13), ("defective", 13)):
            marks += [
                f'<line class="{kind}" x1="{_x(score):.1f}" x2="{_x(score):.1f}" y1="{middle + up / 6:.1f}" '
                f'y2="{middle + up:.1f}"/>'
                for score in side[kind]
            ]
    bottom = 2 * ROW + 8
    marks.append(
        f'<line class="threshold" x1="{_x(1):.1f}" x2="{_x(1):.1f}" y1="0" y2="{bottom}"/>'
        f'<text x="{_x(1):.1f}" y="{bottom + 12}" text-anchor="middle">threshold</text>'
        f'<text x="{STRIP}" y="{bottom + 12}" text-anchor="end">{TOP:.0f} × or more</text>'
    )
    drawing = (
        f'<svg class="strips" viewBox="0 0 {STRIP} {bottom + 18}" role="img" aria-label="Scores before and after, in '
        f'thresholds">{"".join(marks)}</svg>'
    )
    return (
        f'<div class="sideways">{drawing}</div><p class="quiet strip-key"><i class="good"></i> good '
        f'<i class="defective"></i> defective</p>'
    )


def _x(score: float) -> float:
    return 60 + (STRIP - 64) * min(max(score, 0), TOP) / TOP


def _others(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return ""
    measured = any(row["image_auroc"] for row in rows)
    titles = ["class", "rebuilt", "recognised", *(["image AUROC", "as itself"] if measured else [])]
    body = "".join(
        f'<tr><th scope="row">{escape(spoken(row["name"]))}</th><td>{row["reconstruction"]:.2f} ×</td>'
        f"<td>{'yes' if row['recognised'] else 'no'}</td>"
        + (f"<td>{_pair(row['image_auroc'])}</td><td>{_pair(row['class_accuracy'])}</td>" if measured else "")
        + "</tr>"
        for row in rows
    )
    head = "".join(f'<th scope="col">{title}</th>' for title in titles)
    more = " Image AUROC, and images taken for their own class: on some of the demo factory's test images." * measured
    return (
        '<section class="card"><h3>The other classes</h3><div class="sideways"><table class="figures"><thead><tr>'
        f"{head}</tr></thead><tbody>{body}</tbody></table></div>"
        '<p class="quiet">Rebuilt: the error on images that the generator draws of the class, as a multiple of what it '
        f"was. Recognised: whether the mean of its training images still finds its own name.{more}</p></section>"
    )


def _pair(values: Sequence[float | None] | None) -> str:
    return " → ".join(map(percent, values)) if values else "n/a"
