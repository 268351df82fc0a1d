"""The learned names as HTML: what they are near to, how alike they are, where they lie, how a typed word does."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from html import escape
from pathlib import Path

import numpy as np

from app.photograph import small_picture
from app.viewer import data_uri
from ltad.checkpoint.card import CheckpointCard
from ltad.foundation.vocabulary import NearWord
from ltad.inspection.names import Comparison, LearnedName, Plane
from ltad.words import spoken

THUMBNAIL = 96  # pixels
MOVED = ((0.1, "hardly"), (0.4, "a little"), (0.8, "far"), (2.1, "very far"))  # below each, in these words
STRONGEST = 0.5  # cosine at which a cell of the matrix has its full colour
WIDTH, HEIGHT, MARGIN = 580, 450, 44  # the plane's drawing, in its own units
LINE_STEPS = 9  # points that stand for the line of a pair where labels look for room
LETTER, LINE = 6.6, 15  # width of a letter and height of a line, in the same units

NO_CHECKPOINT = '<div class="card empty">No checkpoint is here yet.</div>'
NO_WORD = '<div class="card empty" role="status">Give a photograph and a word to see how the word would do.</div>'


def by_size(names: Sequence[LearnedName]) -> list[int]:
    """The places of the names, those with the most training images first."""
    return sorted(range(len(names)), key=lambda i: (-names[i].n_train, names[i].name))


def names_card(names: Sequence[LearnedName], pictures: Mapping[str, Path]) -> str:
    """Every learned name in a row: class, picture if there is one, nearest words, way gone, and fit."""
    rows = "".join(_row(names[i], pictures.get(names[i].name)) for i in by_size(names))
    heads = ("Class", "Nearest words of each token", "Moved", "Fits its images")
    head = "".join(f'<th role="columnheader" scope="col">{text}</th>' for text in heads)
    return (
        '<div class="card"><h3>The names that it made up</h3>'
        '<table class="names" role="table"><thead role="rowgroup">'
        f'<tr role="row">{head}</tr></thead><tbody role="rowgroup">{rows}</tbody></table>'
        f'<p class="sentence">{escape(translate(names))}</p>'
        '<p class="quiet">A name is a few vectors, its tokens, that stand where a word would stand. Beside each '
        "nearest word is its cosine similarity: 1 is that very word, and the lower, the less the word says. Moved: 1 "
        "minus the similarity of the name to what it was before training, as the text tower reads the two. Fits its "
        "images: the name's similarity to the mean of the class's training images, before and after training.</p></div>"
    )


def translate(names: Sequence[LearnedName]) -> str:
    """Say in a sentence whether the nearest words tell anything."""
    same = sum({token[0].word for token in n.tokens} <= {w.word for token in n.start for w in token} for n in names)
    best = max(token[0].similarity for n in names for token in n.tokens)
    moved = sum(_moved(n) >= MOVED[1][0] for n in names)
    if same > len(names) / 2 and moved > len(names) / 2:
        return (
            f"The words do not translate the names: for {same} of {len(names)} the nearest word is still one from the "
            f"start, and yet the text tower reads {moved} of them as something far from it."
        )
    return f"The best likeness of any token to any word is {_number(best)}: what a name means, words tell only in part."


def _row(name: LearnedName, picture: Path | None) -> str:
    shown = f'<img src="{_thumbnail(picture)}" alt="">' if picture else '<span class="no-picture"></span>'
    tokens = "".join(f"<li>{''.join(map(_near, token))}</li>" for token in name.tokens)
    moved = _moved(name)
    word = next(word for most, word in MOVED if moved < most)
    start = escape(", ".join(dict.fromkeys(token[0].word for token in name.start)))
    return (
        f'<tr role="row"><th role="rowheader" scope="row"><div>{shown}<span>{_plain(name.name)}<br>{_tag(name)}</span>'
        "</div></th>"
        f'<td role="cell" data-label="Nearest words"><ol>{tokens}</ol></td>'
        f'<td role="cell" data-label="Moved"><div><b>{_number(moved)}</b>, {word} from “{start}”</div></td>'
        '<td role="cell" data-label="Fits its images"><div class="fits">'
        f"{_meter('before', name.start_image_similarity)}{_meter('now', name.image_similarity)}</div></td></tr>"
    )


def _near(near: NearWord) -> str:
    share = 100 * min(max(near.similarity, 0), 1)
    return (
        f'<span class="near" style="--near:{share:.0f}%">{escape(near.word)} <b>{_number(near.similarity)}</b></span> '
    )


def _meter(label: str, similarity: float) -> str:
    width = 100 * min(max(similarity, 0), 1)
    return (
        f'<span class="{label}">{label}</span><span class="track"><i class="{label}" style="width:{width:.0f}%"></i>'
        f"</span><b>{_number(similarity)}</b>"
    )


def _moved(name: LearnedName) -> float:
    return 1 - name.start_similarity


def _number(value: float) -> str:
    return f"{value:z.2f}".replace("-", "−")


def _plain(class_name: str) -> str:
    return escape(spoken(class_name))


def _tag(name: LearnedName) -> str:
    return f'<span class="tag">{escape(name.group)} · {name.n_train}</span>'


@lru_cache(256)
def _thumbnail(path: Path) -> str:
    return data_uri(small_picture(path, THUMBNAIL))


def likeness_card(names: Sequence[LearnedName], similarities: np.ndarray) -> str:
    """How alike the names are, (K, K), as a table in colours."""
    order = by_size(names)
    head = "".join(f'<th scope="col"><span>{_plain(names[j].name)}</span></th>' for j in order)
    rows = "".join(
        f'<tr><th scope="row">{_plain(names[i].name)}</th>'
        + "".join(_cell(names[i], names[j], float(similarities[i, j])) for j in order)
        + "</tr>"
        for i in order
    )
    return (
        '<div class="card"><h3>How alike the names are</h3>'
        '<div class="sideways" tabindex="0" role="region" aria-label="Cosine similarity between the learned names">'
        f'<table class="likeness"><thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        f'<p class="sentence">{escape(_most_alike(names, similarities))}</p>'
        '<p class="quiet">Cosine similarity: <span class="key like"></span> alike, <span class="key unlike"></span> '
        "opposed, no colour: nothing in common. Where two names are alike, an image that fits one fits the other, too."
        "</p></div>"
    )


def _cell(row: LearnedName, column: LearnedName, similarity: float) -> str:
    if row is column:
        return '<td class="same"><span aria-label="the same">1</span></td>'
    sign = "unlike" if similarity < 0 else "like"
    strength = 100 * min(abs(similarity) / STRONGEST, 1)
    title = f"{_plain(row.name)} and {_plain(column.name)}: {_number(similarity)}"
    short = _number(similarity).replace("0.", ".")
    return f'<td class="{sign}" style="--strength:{strength:.0f}%" title="{title}">{short}</td>'


def _most_alike(names: Sequence[LearnedName], similarities: np.ndarray) -> str:
    if len(names) < 2:
        return "There is only one name."
    upper = np.where(np.triu(np.ones_like(similarities), 1) > 0, similarities, -np.inf)
    i, j = (int(k) for k in np.unravel_index(upper.argmax(), upper.shape))
    one, other = (spoken(names[k].name) for k in (i, j))
    return f"Most alike are {one} and {other}, with {_number(upper[i, j])}."


def plane_card(names: Sequence[LearnedName], plane: Plane) -> str:
    """Names, classes and perhaps photographs as points in a plane."""
    place = _placer(np.concatenate([plane.names, plane.classes, plane.images]))
    named, classes, images = (place(points) for points in (plane.names, plane.classes, plane.images))
    lines = [named + t * (classes - named) for t in np.linspace(0, 1, LINE_STEPS)]
    labels = _labels([spoken(n.name) for n in names], named, np.concatenate([*lines, images]))
    pairs = "".join(map(_pair, names, named, classes, labels))
    photographs = "".join(
        f'<path class="photo" transform="translate({x:.1f} {y:.1f})" d="M-8-8 8 8M8-8-8 8"><title>the photograph'
        "</title></path>"
        for x, y in images
    )
    key = _key('<path class="name" d="M0-6 6 0 0 6-6 0Z"/>', "learned name")
    key += _key('<circle class="class" r="5"/>', "mean of its training images")
    key += _key('<path class="photo" d="M-5-5 5 5M5-5-5 5"/>', "the photograph below") if len(images) else ""
    return (
        '<div class="card"><h3>Where names and images lie</h3>'
        '<div class="sideways" tabindex="0" role="region" aria-label="Names and images in a plane">'
        f'<svg class="plane" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="Each learned name joined to the mean of its training images">{pairs}{photographs}</svg></div>'
        f'<p class="key-row">{key}</p>'
        f'<p class="quiet">Two of many dimensions: they show {100 * plane.share:.0f} % of the spread. Names and images '
        "fill different corners of the joint space, so each kind is seen from its own mean. Tail classes in "
        '<span class="tail-ink">this colour</span>.</p></div>'
    )


def _placer(points: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Bring points of the plane into the drawing, one scale for both axes, y upwards."""
    low, high = points.min(0), points.max(0)
    room = np.array([WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN])
    scale = float((room / np.maximum(high - low, 1e-6)).min())
    middle = (low + high) / 2
    return lambda some: (some - middle) * [scale, -scale] + [WIDTH / 2, HEIGHT / 2]


def _pair(name: LearnedName, named: np.ndarray, mean: np.ndarray, label: np.ndarray) -> str:
    (x, y), (u, v), (left, top) = named, mean, label
    title = f"{_plain(name.name)}, {escape(name.group)}, {name.n_train} training images"
    return (
        f'<g class="pair {escape(name.group)}"><title>{title}: name and images {_number(name.image_similarity)} alike'
        "</title>"
        f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{u:.1f}" y2="{v:.1f}"/>'
        f'<circle class="class" cx="{u:.1f}" cy="{v:.1f}" r="5"/>'
        f'<path class="name" transform="translate({x:.1f} {y:.1f})" d="M0-6.5 6.5 0 0 6.5-6.5 0Z"/>'
        f'<text x="{left:.1f}" y="{top + 12:.1f}">{_plain(name.name)}</text></g>'
    )


def _key(mark: str, text: str) -> str:
    return f'<span><svg viewBox="-8 -8 16 16" class="plane" aria-hidden="true">{mark}</svg>{text}</span>'


def _labels(texts: Sequence[str], points: np.ndarray, marks: np.ndarray) -> list[np.ndarray]:
    """Find the upper left corner of each label: of the places around its point the one that covers least.

    marks: (n, 2), what is drawn already; lines as a row of points.
    """
    taken = [(x - 6, y - 6, x + 6, y + 6) for x, y in marks]
    corners = []
    for text, (x, y) in zip(texts, points, strict=True):
        width = LETTER * len(text)
        across = {-1: x - width - 9, 0: x - width / 2, 1: x + 9}
        down = {-1: y - LINE - 5, 0: y - LINE / 2, 1: y + 5}
        places = [
            (across[i], down[j]) for i, j in ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (1, 1), (-1, -1), (-1, 1))
        ]
        boxes = [(left, top, left + width, top + LINE) for left, top in places]
        best = min(boxes, key=lambda box: sum(_overlap(box, other) for other in taken) + _outside(box))
        taken.append(best)
        corners.append(np.array(best[:2]))
    return corners


Box = tuple[float, float, float, float]


def _overlap(a: Box, b: Box) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(width, 0) * max(height, 0)


def _outside(box: Box) -> float:
    left, top, right, bottom = box
    return LINE * (max(-left, 0) + max(right - WIDTH, 0)) + 10 * LINE * (max(-top, 0) + max(bottom - HEIGHT, 0))


def word_card(comparison: Comparison, card: CheckpointCard) -> str:
    """A typed word beside the learned name, on one photograph."""
    learned, typed = comparison.learned, comparison.typed
    rows = [("Similarity to the photograph", learned.similarity, typed.similarity)]
    for part in ("semantic", "reconstruction"):
        rows += [(f"{part.capitalize()} score", learned.part_scores[part], typed.part_scores[part])]
    rows += [("Image score", learned.image_score, typed.image_score)]
    body = "".join(
        f'<tr><th scope="row">{what}</th><td>{_number(a)}</td><td>{_number(b)}</td></tr>' for what, a, b in rows
    )
    return (
        f'<div class="card" role="status" aria-live="polite"><h3>{_plain(learned.class_name)}, by another name</h3>'
        '<table class="words"><thead><tr><td></td><th scope="col">learned name</th>'
        f'<th scope="col">“{escape(comparison.words)}”</th></tr></thead><tbody>{body}</tbody></table>'
        f'<p class="sentence">{escape(explain(comparison, card))}</p>'
        '<p class="quiet">Scores grow with abnormality. No name enters the reconstruction, so it is the same in both. '
        "What is normal was measured with the learned name: a word that moves all patches alike moves the semantic "
        "score of good parts, too. Try a good part and a defective one.</p></div>"
    )


def explain(comparison: Comparison, card: CheckpointCard) -> str:
    """Say in a sentence how the word does."""
    learned, typed, words = comparison.learned, comparison.typed, comparison.words
    gap = typed.similarity - learned.similarity
    fit = "as well as" if abs(gap) < 0.05 else "better than" if gap > 0 else "less well than"
    sentence = f"“{words}” fits this photograph {fit} the learned name. "
    if card.config.prompts.pair != "class":
        return sentence + "The prompts of this checkpoint hold no class names, so no word changes its scores."
    before, after = learned.verdict, typed.verdict
    if before == after:
        return sentence + f"The verdict stays “{before}”."
    return sentence + f"The verdict would change from “{before}” to “{after}”."
