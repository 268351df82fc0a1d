"""Checkpoints on the page: cards, the family over imbalance levels, two compared, and the models behind them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app import predictors, texts
from app.examples.judged import examples_for, judged_before
from app.glossary import explain_all, explained
from app.predictors import Predictors
from app.tabs.checkpoints.cards import checkpoint_cards, compare_in_words, difference_card, family
from ltad.checkpoint.card import CheckpointCard
from ltad.inspection.prediction import Prediction
from ltad.inspection.predictor import Predictor
from ltad.words import percent
from tests.toys import toy_picture


@pytest.fixture(scope="module")
def prediction(predictor: Predictor) -> Prediction:
    return predictor.predict(Image.fromarray(toy_picture("dots", np.random.default_rng(0)).astype(np.uint8)), "dots")


def named(card: CheckpointCard, imbalance: str, tail: float | None) -> CheckpointCard:
    """The card of a further level, with another figure for the tail."""
    assert card.metrics
    mean = {group: dict(row) for group, row in card.metrics["mean"].items()}
    mean["tail"] |= {"image_auroc": tail, "image_auroc_interval": tail and (tail - 0.1, tail + 0.05)}
    metrics = card.metrics | {"mean": mean}
    return replace(card, data=replace(card.data, imbalance=imbalance), metrics=metrics)


def test_a_card_has_every_class_and_every_figure(predictor: Predictor) -> None:
    card = predictor.card
    html = checkpoint_cards([card], {card.name: "42 ms per image on cpu"})
    for each in card.classes:
        assert f"{each.name}: {each.n_train} training images, {each.group}" in html
        figures = (card.metrics or {})["classes"][each.name]
        cells = "".join(f"<td>{percent(figures[key])}</td>" for key in ("image_auroc", "false_alarms", "found"))
        assert f"<td>{each.n_train} {explained(each.group)}</td>{cells}" in html
    assert card.sha256() in html and "42 ms per image" in html
    assert card.metrics and f"{100 * card.metrics['mean']['all']['image_auroc']:.1f}" in html
    alarms = card.metrics["mean"]["head"]["false_alarms"], card.metrics["mean"]["head"]["false_alarms_interval"]
    low, high = (f"{100 * end:.1f}" for end in alarms[1])
    assert f"<td>{100 * alarms[0]:.1f} <small>{low} to {high}</small></td>" in html
    assert "not measured" in checkpoint_cards([replace(card, metrics=None)], {})


def test_a_card_of_older_figures_shows_those_that_it_has(predictor: Predictor) -> None:
    card = predictor.card
    assert card.metrics
    mean = {
        group: {key: value for key, value in row.items() if not key.startswith(("false_alarms", "found"))}
        for group, row in card.metrics["mean"].items()
    }
    html = checkpoint_cards([replace(card, metrics=card.metrics | {"mean": mean})], {})
    assert f"{100 * mean['all']['image_auroc']:.1f}" in html
    for title in ("false alarms", "defects found"):
        assert f'<th scope="row">{explain_all(title)}</th>' + "<td>n/a </td>" * 3 in html


def test_a_card_shows_what_harmless_change_and_strangers_do_where_it_was_measured(predictor: Predictor) -> None:
    card = predictor.card
    assert card.metrics and "After harmless change" not in checkpoint_cards([card], {})
    changed = {"image_auroc": 0.876, "false_alarms": 0.043, "found": 0.654, "found_interval": [0.5, 0.75]}
    mean = {group: row | {"harmless": changed} for group, row in card.metrics["mean"].items()}
    strangers = {"classes": {"nut": {}, "cap": {}}, "mean": 0.021, "mean_interval": [0.01, 0.034]}
    html = checkpoint_cards([replace(card, metrics=card.metrics | {"mean": mean, "strangers": strangers})], {})
    after = html.split("After harmless change")[1].split("</details>")[0]
    for title, cell in (
        ("image AUROC", "87.6 "),
        ("false alarms", "4.3 "),
        ("defects found", "65.4 <small>50.0 to 75.0</small>"),
    ):
        assert f'<th scope="row">{explain_all(title)}</th>' + f"<td>{cell}</td>" * 3 in after
    assert "Strangers taken for a known product: 2.1 % (1.0 to 3.4), mean over 2 products." in html


def test_what_a_data_set_is_called_is_escaped(predictor: Predictor) -> None:
    strange = replace(predictor.card, data=replace(predictor.card.data, name="<script>", licence="<b>"))
    html = checkpoint_cards([strange], {}) + family([strange, named(strange, "exp10", 0.8)])
    assert "<script>" not in html and "<b>" not in html


def test_the_family_goes_from_balanced_to_the_longest_tail(predictor: Predictor) -> None:
    card = predictor.card
    html = family([named(card, "exp200", 0.7), named(card, "none", 0.9), named(card, "exp50", 0.8)])
    assert html.index(">none<") < html.index(">exp50<") < html.index(">exp200<")
    assert all(f"{100 * tail:.1f}" in html for tail in (0.7, 0.8, 0.9))
    assert html.count("<circle") == 6
    assert family([named(card, "none", None), named(card, "exp50", 0.8)]).count("<circle") == 3  # undefined is no point
    assert "no data set" in family([card])


def test_two_predictions_are_compared_in_words_and_in_a_map(prediction: Prediction) -> None:
    card = replace(prediction.card, path=Path("other"))
    score = prediction.image_score + prediction.judgement.threshold
    judgement = card.calibration.judge(score, prediction.class_name, card.config.calibration.false_alarm_rate)
    higher = replace(prediction, card=card, image_score=score, judgement=judgement)
    words = compare_in_words(prediction, higher)
    assert "1.00 thresholds higher" in words and "other" in words
    assert "as high" in compare_in_words(prediction, prediction)
    assert difference_card(prediction, higher).count("<tr>") == 3


def test_models_make_room_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = Predictors()
    first, second = shared.names()[:2]
    kept = shared.get(first)
    assert shared.get(first) is kept and shared.is_loaded(first)
    monkeypatch.setattr(predictors, "MODEL_BYTES", 1)
    shared.get(second)
    assert shared.is_loaded(second) and not shared.is_loaded(first)
    assert set(shared.speeds()) == {first, second}


def test_a_model_that_cannot_be_loaded_keeps_no_other_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = Predictors()
    names = shared.names()
    monkeypatch.setattr(shared, "names", lambda: ["missing", names[0]])
    monkeypatch.setattr(shared, "first", lambda: "missing")
    shared.warm_up().join()
    assert shared.waiting() == [] and shared.is_loaded(names[0])


def test_examples_that_were_judged_before_are_those_of_the_checkpoint() -> None:
    shared = Predictors()
    card = shared.card("industrial-natural")
    example = next(e for e in examples_for(card) if e.defect != "good")
    before = judged_before(example, card)
    now = shared.get(card.name).predict(example.path)
    assert before and before["report"]["class"]["name"] == now.class_name
    assert before["report"]["image_score"] == pytest.approx(now.image_score, abs=1e-3)
    other = shared.card("industrial-exp100")
    assert judged_before(example, other) is None


def test_every_text_is_there_in_both_languages() -> None:
    assert all(english and chinese and english != chinese for english, chinese in texts.TEXTS.values())
    with pytest.raises(KeyError):
        texts.say("nothing")
