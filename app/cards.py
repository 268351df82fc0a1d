"""The result in words and small pictures: verdict, pseudo class, notes. Prediction in, HTML out."""

from html import escape

import numpy as np

from app.viewer import viewer
from ltad.checkpoint import CheckpointCard
from ltad.predictor import Prediction

WIDTH, HEIGHT, BASE = 480, 96, 70  # the score scale's drawing, in its own units
BINS = 40

WORDS = {
    "ok": "OK",
    "borderline": "Borderline",
    "defect": "Defect",
    "unknown": "Unknown product",
}
ICONS = {
    "ok": '<circle cx="12" cy="12" r="10"/><path d="m7.5 12.5 3 3 6-6.5"/>',
    "borderline": '<path d="M12 3 2.5 20h19Z"/><path d="M12 10v4.5M12 17v.5"/>',
    "defect": '<circle cx="12" cy="12" r="10"/><path d="m8.5 8.5 7 7m0-7-7 7"/>',
    "unknown": '<circle cx="12" cy="12" r="10"/><path d="M9.5 9.5a2.5 2.5 0 1 1 3 2.5c-.5.3-.5.6-.5 1.2M12 16.5v.5"/>',
}
EMPTY = '<div class="card empty" role="status">Drop a photograph or click an example to see a verdict.</div>'


def result_cards(prediction: Prediction, card: CheckpointCard) -> str:
    """Everything that the page shows of a prediction, the verdict first."""
    cards = verdict_card(prediction, card), viewer(prediction), class_card(prediction, card), notes_card(prediction)
    return "".join(cards)


def state(prediction: Prediction) -> str:
    """The verdict, or "unknown" where the product is none that was learned."""
    return prediction.judgement.verdict if prediction.known else "unknown"


def verdict_card(prediction: Prediction, card: CheckpointCard) -> str:
    """Verdict in icon, words and colour, and the score among the scores of normal images."""
    shown = state(prediction)
    headline = "Another product" if not prediction.known and _nearest(prediction) else WORDS[shown]
    icon = f'<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2">{ICONS[shown]}</svg>'
    return (
        f'<div class="card verdict {shown}" role="status" aria-live="polite">'
        f'<div class="headline">{icon}<span>{headline}</span></div>'
        f"<p>{escape(explain(prediction))}</p>{_scale(prediction, card, shown)}"
        f'<p class="quiet">{escape(_source(prediction))}</p></div>'
    )


def _nearest(prediction: Prediction) -> str:
    """The nearest learned class in words, where another one was given; empty where it is the same."""
    nearest = prediction.matches[0].name
    return "" if nearest == prediction.class_name else nearest.replace("_", " ")


def explain(prediction: Prediction) -> str:
    """Say in a sentence what the verdict rests on."""
    judgement, name = prediction.judgement, prediction.class_name.replace("_", " ")
    if not prediction.known and (nearest := _nearest(prediction)):
        return (
            f"The image does not look like {name}, as which it was judged; it looks most like {nearest}. "
            f"As {name} it would be “{WORDS[judgement.verdict]}”."
        )
    if not prediction.known:
        return (
            f"The image fits none of the learned classes. The nearest is {name}; judged as that it would be "
            f"“{WORDS[judgement.verdict]}”, which means little."
        )
    beaten = round((1 - judgement.p_value) * (judgement.normals + 1))
    share = f"{100 * beaten / judgement.normals:.1f} % of" if beaten < judgement.normals else "all"
    places = len(prediction.regions)
    where = f" {places} place{'s' * (places != 1)} stand{'s' * (places == 1)} out." if places else ""
    return f"More unusual than {share} {judgement.normals} normal images, judged as {name}.{where}"


def _source(prediction: Prediction) -> str:
    judgement = prediction.judgement
    whose = "all classes, since this one has too few of its own" if judgement.borrowed else "this class"
    return (
        f"Score {prediction.image_score:.2f}, threshold {judgement.threshold:.2f}: at most "
        f"{100 * judgement.promised_rate:.1f} % of good parts exceed it, by {judgement.normals} held-out normal "
        f"images of {whose}. Reconstruction {prediction.part_scores['reconstruction']:.2f}, "
        f"semantics {prediction.part_scores['semantic']:.2f}."
    )


def _scale(prediction: Prediction, card: CheckpointCard, shown: str) -> str:
    """The histogram of normal scores, the threshold, and where this image stands."""
    judgement = prediction.judgement
    rate = card.config.calibration.false_alarm_rate
    normals = np.array(card.calibration.normals(prediction.class_name, rate)[0])
    low = float(min(normals.min(), 0))
    high = low + 2.2 * (judgement.threshold - low)
    counts, edges = np.histogram(np.clip(normals, low, high), bins=BINS, range=(low, high))

    def x(value: float) -> float:
        return 8 + (WIDTH - 16) * (min(max(value, low), high) - low) / (high - low)

    bars = "".join(
        f'<rect class="normals" x="{x(left):.1f}" y="{BASE - 56 * n / counts.max():.1f}" '
        f'width="{(WIDTH - 16) / BINS - 1:.1f}" height="{56 * n / counts.max():.1f}"/>'
        for n, left in zip(counts, edges, strict=False)
        if n
    )
    mark, score = x(judgement.threshold), x(prediction.image_score)
    label = "this image" if prediction.image_score <= high else f"this image ({prediction.image_score:.1f}) ▸"
    anchor = "end" if score > WIDTH - 60 else "start" if score < 60 else "middle"
    return (
        f'<svg class="scale" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="Score {prediction.image_score:.2f}, threshold {judgement.threshold:.2f}">{bars}'
        f'<line class="axis" x1="8" x2="{WIDTH - 8}" y1="{BASE}" y2="{BASE}"/>'
        f'<line class="threshold" x1="{mark:.1f}" x2="{mark:.1f}" y1="12" y2="{BASE}"/>'
        f'<text x="{mark + 4:.1f}" y="20">threshold</text><text x="8" y="{HEIGHT - 6}">normal images</text>'
        f'<path class="score {shown}" d="M{score:.1f} {BASE - 2}l-6 12h12z"/>'
        f'<text x="{score:.1f}" y="{HEIGHT - 4}" text-anchor="{anchor}">{label}</text></svg>'
    )


def class_card(prediction: Prediction, card: CheckpointCard) -> str:
    """The pseudo class that the image matched, the next four, and the margin."""
    classes = {c.name: c for c in card.classes}
    rows = "".join(
        f'<tr class="{"chosen" if match.name == prediction.class_name else ""}">'
        f'<td class="name">{escape(match.name.replace("_", " "))}</td>'
        f'<td class="meter"><i style="width:{100 * max(match.similarity, 0):.0f}%"></i></td>'
        f'<td class="number">{match.similarity:z.2f}</td>'
        f'<td><span class="tag">{classes[match.name].group} · {classes[match.name].n_train}</span></td></tr>'
        for match in prediction.matches[:5]
    )
    return (
        f'<div class="card"><h3>Matched pseudo class</h3><table class="matches">{rows}</table>'
        f'<p class="quiet">Cosine similarity of the image to each learned name; margin {prediction.margin:+.2f}. '
        "Head or tail, and the number of training images.</p></div>"
    )


def notes_card(prediction: Prediction) -> str:
    """What was done to the file and what to keep in mind; empty where there is nothing to say."""
    if not prediction.notes:
        return ""
    items = "".join(f"<li>{escape(note)}</li>" for note in prediction.notes)
    return f'<div class="card"><h3>Notes</h3><ul class="notes">{items}</ul></div>'
