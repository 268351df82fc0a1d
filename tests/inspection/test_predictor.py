"""A photograph in, a prediction out, the same alone, in a batch, and in the published figures."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from ltad.data import Dataset, Sample
from ltad.errors import ImageError
from ltad.evaluation import metrics
from ltad.foundation.features import Views
from ltad.inspection.predictor import Predictor
from ltad.judging.regions import EVERYWHERE
from ltad.photos.frame import map_to_image
from ltad.presets import paper
from tests.toys import HEIGHT, WIDTH


def blotched(class_name: str, folder: Path) -> Path:
    return folder / class_name / "test" / "blotch" / "000.png"


def views(predictor: Predictor, samples: list[Sample]) -> Views:
    return predictor.encoder.views([sample.read() for sample in samples])


@pytest.fixture(scope="module")
def mixed(toy_data: Dataset) -> list[Sample]:
    """A good and a bad image of each class."""
    return [s for s in toy_data.test if s.name.endswith("000.png")]


def test_photographs_and_batches_are_scored_alike(predictor: Predictor, mixed: list[Sample], toy_folder: Path) -> None:
    scored = predictor.predict_views(views(predictor, mixed))
    for i, sample in enumerate(mixed):
        prediction = predictor.predict(toy_folder / sample.name)
        assert prediction.class_name == predictor.card.class_names[scored.class_ids[i]]
        assert prediction.image_score == pytest.approx(scored.image_scores[i].item(), abs=1e-5, rel=1e-5)
        parts = {part: scores[i].item() for part, scores in scored.part_scores.items()}
        assert prediction.part_scores == pytest.approx(parts, abs=1e-5, rel=1e-5)
        at_image_size = map_to_image(scored.anomaly_maps[i].numpy(), WIDTH, HEIGHT)
        np.testing.assert_allclose(prediction.anomaly_map, at_image_size, atol=1e-4, rtol=1e-5)


def test_a_batch_of_one_is_a_batch_of_many(predictor: Predictor, mixed: list[Sample]) -> None:
    batch = views(predictor, mixed)
    together = predictor.predict_views(batch)
    for i in range(len(mixed)):
        alone = predictor.predict_views(Views(batch.whole[i : i + 1]))
        for one, many in ((alone.image_scores, together.image_scores), (alone.whole_maps, together.whole_maps)):
            torch.testing.assert_close(one, many[i : i + 1], atol=1e-4, rtol=1e-4)
        for part, maps in alone.part_maps.items():
            torch.testing.assert_close(maps, together.part_maps[part][i : i + 1], atol=1e-4, rtol=1e-4)


def test_the_published_figures_are_those_of_predictions(
    predictor: Predictor, toy_folder: Path, toy_data: Dataset
) -> None:
    samples = [s for s in toy_data.test if s.class_name == "checker"]
    predictions = [predictor.predict(toy_folder / s.name, "checker") for s in samples]
    published = predictor.card.metrics["classes"]["checker"]
    labels, scores = [s.label for s in samples], [p.image_score for p in predictions]
    assert published["image_ap"] == pytest.approx(metrics.average_precision(labels, scores), abs=1e-5)
    maps = [p.anomaly_map for p in predictions]
    masks = [s.read_mask() if s.label else np.zeros((HEIGHT, WIDTH), bool) for s in samples]
    assert published["pixel_ap"] == pytest.approx(metrics.pixel_average_precision(masks, maps), abs=1e-5)


def test_the_class_may_be_given_or_found(predictor: Predictor, toy_folder: Path) -> None:
    found = predictor.predict(blotched("dots", toy_folder))
    given = predictor.predict(blotched("dots", toy_folder), "dots")
    assert found.class_name == "dots"
    assert given.report() | {"seconds": 0} == found.report() | {"seconds": 0}
    other = predictor.predict(blotched("dots", toy_folder), "checker")
    assert (other.class_name, other.matches[0].name) == ("checker", "dots")
    assert other.image_score != found.image_score
    assert other.margin < 0 < found.margin == found.matches[0].similarity - found.matches[1].similarity


def test_unknown_classes_and_broken_files(predictor: Predictor, toy_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"toy does not know the class “dot”; it knows dots, .*checker"):
        predictor.predict(blotched("dots", toy_folder), "dot")
    (tmp_path / "a.png").write_text("no image")
    with pytest.raises(ImageError, match=r"a\.png"):
        predictor.predict(tmp_path / "a.png")


def test_the_report_has_exactly_the_promised_keys(predictor: Predictor, toy_folder: Path) -> None:
    report = predictor.predict(blotched("dots", toy_folder)).report()
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert list(report) == [
        "verdict", "provisional", "image_score", "threshold", "p_value", "normals", "class", "top_classes", "scores",
        "regions", "checkpoint", "foundation", "image_size", "notes", "seconds",
    ]  # fmt: skip
    assert report["class"].keys() == {"name", "similarity", "margin", "known"}
    assert [match.keys() for match in report["top_classes"]] == [{"name", "similarity"}] * 3
    assert report["scores"].keys() == {"reconstruction", "semantic"}
    assert all(region.keys() == {"box", "area", "peak"} for region in report["regions"])
    assert report["seconds"].keys() == {"decode", "encode", "score", "render"}
    assert (report["checkpoint"], report["foundation"]) == ("toy", "align-mini")
    assert report["image_size"] == [WIDTH, HEIGHT]
    assert report["verdict"] == "defect" and report["regions"]


def test_the_map_shows_the_blotch_where_it_is(predictor: Predictor, toy_data: Dataset, toy_folder: Path) -> None:
    for sample in (s for s in toy_data.test if s.label):
        prediction, mask = predictor.predict(toy_folder / sample.name), sample.read_mask()
        assert (prediction.anomaly_map.shape, prediction.anomaly_map.dtype) == (mask.shape, np.float32)
        assert mask[np.unravel_index(prediction.anomaly_map.argmax(), mask.shape)], sample.name
        x, y, width, height = prediction.regions[0].box
        rows, columns = np.nonzero(mask)
        assert x <= columns.mean() < x + width and y <= rows.mean() < y + height


def test_numbers_are_of_the_image_as_shown_upright(predictor: Predictor, toy_folder: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(blotched("checker", toy_folder)) as image:
        image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    turned, upright = predictor.predict(tmp_path / "turned.png"), predictor.predict(blotched("checker", toy_folder))
    assert turned.notes[0] == "rotated as its EXIF data says"
    assert turned.photo.image.size == (WIDTH, HEIGHT)
    assert turned.regions == upright.regions
    assert np.array_equal(turned.anomaly_map, upright.anomaly_map)


def test_a_strangers_photograph_is_not_known(predictor: Predictor, mixed: list[Sample], toy_folder: Path) -> None:
    for name in ("china.jpg", "flower.jpg"):
        prediction = predictor.predict(Image.fromarray(load_sample_image(name)))
        assert not prediction.known and not prediction.report()["class"]["known"]
        assert any("unknown product" in note for note in prediction.notes)
    for sample in (s for s in mixed if s.class_name != "stripes"):  # one image cannot tell what is usual
        prediction = predictor.predict(toy_folder / sample.name)
        assert prediction.known
        assert not any("unknown product" in note for note in prediction.notes)


def test_a_wrongly_given_class_is_not_called_an_unknown_product(predictor: Predictor, toy_folder: Path) -> None:
    prediction = predictor.predict(blotched("dots", toy_folder), "checker")
    assert not any("none of the learned classes" in note for note in prediction.notes)


def test_red_and_blue_are_not_the_same(predictor: Predictor, toy_folder: Path) -> None:
    with Image.open(blotched("checker", toy_folder)) as image:
        right, swapped = image.copy(), Image.merge("RGB", image.split()[::-1])
    scored = predictor.predict_views(predictor.encoder.views((right, swapped)))
    assert (scored.similarities[0] - scored.similarities[1]).abs().max() > 0.01


def test_thresholds_follow_the_false_alarm_rate(predictor: Predictor, toy_folder: Path) -> None:
    rates = (0.12, 0.25, 0.5)
    judgements = [predictor.predict(blotched("checker", toy_folder), "checker", rate).judgement for rate in rates]
    thresholds = [judgement.threshold for judgement in judgements]
    assert thresholds == sorted(thresholds, reverse=True) and len(set(thresholds)) == 3
    assert [judgement.promised_rate for judgement in judgements] == list(rates)
    assert predictor.predict(blotched("checker", toy_folder), "checker").judgement == judgements[0]  # the default


def test_a_class_of_few_images_is_provisional_and_says_so(predictor: Predictor, toy_folder: Path) -> None:
    prediction = predictor.predict(blotched("stripes", toy_folder))
    normals = prediction.judgement.normals
    assert prediction.judgement.provisional and (normals.own, normals.images, normals.played) == (0, 12, None)
    assert prediction.report()["provisional"] is True
    assert any("provisional: “stripes” was learned from 1 image," in note for note in prediction.notes)
    assert not predictor.predict(blotched("checker", toy_folder)).judgement.provisional


def test_what_is_unusual_everywhere_is_said_and_has_no_places(predictor: Predictor, toy_folder: Path) -> None:
    found = predictor.predict(blotched("checker", toy_folder))
    assert found.verdict == "defect" and found.regions and not found.everywhere
    flat = found.whole_map * 0
    limit = EVERYWHERE * (1 - found.card.config.scoring.background)
    lit = replace(found, whole_map=flat + limit + 0.1)
    assert (
        lit.everywhere
        and lit.verdict == lit.report()["verdict"] == "unknown"
        and lit.regions == ()
        and lit.report()["regions"] == []
    )
    assert any("unusual everywhere at once" in note for note in lit.notes)
    assert not any("unusual everywhere at once" in note for note in found.notes)
    assert lit.at(0.9).everywhere  # whatever may be flagged
    assert not replace(found, whole_map=flat + limit - 0.1).everywhere
    large = flat + limit - 0.1
    large[: len(large) // 2] = 50.0
    assert not replace(found, whole_map=large).everywhere  # half of it is a place
    by_paper = replace(lit.card, config=paper())
    assert not replace(lit, card=by_paper).everywhere


def test_many_visitors_get_what_one_gets(predictor: Predictor, mixed: list[Sample], toy_folder: Path) -> None:
    paths = [toy_folder / sample.name for sample in mixed]
    alone = [predictor.predict(path).image_score for path in paths]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda path: predictor.predict(path).image_score, paths * 2)) == alone * 2


def test_matching_tells_the_words_nearest_to_a_name(predictor: Predictor, toy_folder: Path) -> None:
    rows = predictor.match_classes(blotched("stripes", toy_folder))
    assert rows[0]["name"] == "stripes" and {row["name"] for row in rows} == {"checker", "dots", "stripes"}
    similarities = [row["similarity"] for row in rows]
    assert similarities == sorted(similarities, reverse=True)
    assert (rows[0]["n_train"], rows[0]["group"]) == (1, "tail")
    assert all(len(set(row["nearest_words"])) == 5 for row in rows)
    assert rows[0].keys() == {"name", "similarity", "nearest_words", "n_train", "group"}
    assert json.loads(json.dumps(rows)) == rows


def test_a_predictor_is_made_from_a_name_or_folder(
    toy_checkpoint: Path, toy_folder: Path, predictor: Predictor
) -> None:
    fresh = Predictor.from_checkpoint(str(toy_checkpoint))
    one, other = (p.predict(blotched("dots", toy_folder)).report() for p in (fresh, predictor))
    assert one | {"seconds": 0} == other | {"seconds": 0}
