"""The learned names: what the core says of them, and how the page shows it."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch

from app.tabs.names.cards import by_size, likeness_card, names_card, plane_card, word_card
from ltad.checkpoint.folder import load_checkpoint
from ltad.config import LTADConfig
from ltad.errors import ImageError
from ltad.foundation import FoundationModel
from ltad.foundation.vocabulary import NearWord
from ltad.inspection.names import (
    MAX_CHARACTERS,
    LearnedName,
    Plane,
    compare_words,
    describe_names,
    lay_out,
    name_similarities,
    rename,
)
from ltad.inspection.predictor import Predictor
from tests.toys import TrainToy

CLASSES = ("checker", "dots", "stripes")


def picture(class_name: str, folder: Path, kind: str = "blotch") -> Path:
    return folder / class_name / "test" / kind / "000.png"


@pytest.fixture(scope="module")
def described(predictor: Predictor) -> tuple[LearnedName, ...]:
    return describe_names(predictor, 3)


@pytest.fixture(scope="module")
def given(
    train_toy: TrainToy,
    tiny_config: LTADConfig,
    foundation: FoundationModel,
    tmp_path_factory: pytest.TempPathFactory,
) -> Predictor:
    """A checkpoint that was told the names in words and learned none."""
    names = "prompts.learned=false", "prompts.start={}"
    config = tiny_config.override(*names, "phase1.steps=2", "phase2.steps=2", "calibration.phase2_steps=2")
    return Predictor(foundation, train_toy(tmp_path_factory.mktemp("given") / "given", config=config))


def altered(predictor: Predictor, foundation: FoundationModel, **prompts: object) -> Predictor:
    """The same checkpoint, as if its configuration had said something else of the prompts."""
    checkpoint = load_checkpoint(predictor.card.path, foundation)
    config = replace(predictor.card.config, prompts=replace(predictor.card.config.prompts, **prompts))
    return Predictor(foundation, replace(checkpoint, card=replace(checkpoint.card, config=config)))


# What is known of the names


def test_a_name_is_described(described: tuple[LearnedName, ...]) -> None:
    assert [(n.name, n.n_train, n.group) for n in described] == [
        ("checker", 8, "head"), ("dots", 4, "head"), ("stripes", 1, "tail"),
    ]  # fmt: skip
    for name in described:
        assert [len(token) for token in name.tokens + name.start] == [3] * 4
        for token in name.tokens + name.start:
            similarities = [near.similarity for near in token]
            assert similarities == sorted(similarities, reverse=True) and -1 <= similarities[-1] <= 1
        assert name.start[0][0].word == name.start[1][0].word == "object"
        assert name.image_similarity > name.start_image_similarity  # what training was for
        assert -1 <= name.start_similarity < 0.999


def test_words_and_their_similarities_agree_with_what_matching_tells(predictor: Predictor) -> None:
    words, embeddings = predictor.foundation.vocabulary()
    token = predictor.checkpoint.model.prompts.class_tokens[1, 0]
    for near in describe_names(predictor)[1].tokens[0]:
        expected = torch.nn.functional.cosine_similarity(token, embeddings[words.index(near.word)], dim=0)
        assert near.similarity == pytest.approx(expected.item(), abs=1e-5)
    assert all(len(near) == 5 for near in predictor.nearest_words().values())


def test_names_that_were_not_learned_did_not_move(given: Predictor) -> None:
    for name in describe_names(given):
        assert name.start_similarity == pytest.approx(1, abs=1e-3)  # half precision
        assert [token[0].word for token in name.tokens] == [token[0].word for token in name.start]
        assert name.image_similarity == pytest.approx(name.start_image_similarity, abs=1e-3)
        assert len(name.tokens) == len(given.foundation.embed_words(name.name))
    assert describe_names(given)[1].tokens[0][0] == ("dots", pytest.approx(1, abs=1e-3))  # a word is its own nearest


def test_the_start_is_the_one_that_training_began_with(predictor: Predictor, foundation: FoundationModel) -> None:
    other = altered(predictor, foundation, start="apple")
    assert describe_names(other, 1)[0].start[0][0].word == "apple"


def test_similarities_of_names_are_cosines(predictor: Predictor) -> None:
    similarities = name_similarities(predictor)
    assert similarities.shape == (3, 3)
    assert np.allclose(similarities, similarities.T)
    assert similarities.diagonal() == pytest.approx([1, 1, 1], abs=1e-3)
    assert (np.abs(similarities) <= 1.001).all()


# The plane


def test_the_plane_has_every_name_class_and_image(predictor: Predictor, toy_folder: Path) -> None:
    embedding = predictor.embed(picture("dots", toy_folder, "good"))
    assert embedding.norm().item() == pytest.approx(1, abs=1e-5)
    plane = lay_out(predictor, embedding[None])
    assert plane.names.shape == plane.classes.shape == (3, 2) and plane.images.shape == (1, 2)
    assert plane.names.mean(0) == pytest.approx([0, 0], abs=1e-6)
    assert plane.classes.mean(0) == pytest.approx([0, 0], abs=1e-6)
    assert 0 < plane.share <= 1
    distances = np.linalg.norm(plane.classes - plane.images, axis=1)
    assert CLASSES[distances.argmin()] == "dots"


def test_a_photograph_does_not_turn_the_plane(predictor: Predictor, toy_folder: Path) -> None:
    without, again = lay_out(predictor), lay_out(predictor)
    withal = lay_out(predictor, predictor.embed(picture("dots", toy_folder))[None])
    assert without.images.shape == (0, 2)
    for one in (again, withal):
        assert np.array_equal(one.names, without.names) and np.array_equal(one.classes, without.classes)


def test_one_class_is_a_point(predictor: Predictor, foundation: FoundationModel) -> None:
    checkpoint = load_checkpoint(predictor.card.path, foundation)
    for buffer in ("name_features", "class_embeddings"):
        checkpoint.model.register_buffer(buffer, getattr(checkpoint.model, buffer)[:1])
    plane = lay_out(Predictor(foundation, checkpoint))
    assert plane.names.tolist() == plane.classes.tolist() == [[0, 0]] and plane.share == 1


# A typed word in the place of a name


def test_a_word_moves_similarity_and_semantics_only(predictor: Predictor, toy_folder: Path) -> None:
    source = picture("dots", toy_folder)
    words, learned, typed = compare_words(predictor, source, "dots", "  polka  dots ")
    assert words == "polka dots"
    assert learned.report() | {"seconds": 0} == predictor.predict(source, "dots").report() | {"seconds": 0}
    assert learned.part_scores["reconstruction"] == typed.part_scores["reconstruction"]
    assert learned.part_scores["semantic"] != typed.part_scores["semantic"]
    named = predictor.foundation.encode_prompts([predictor.foundation.embed_words("polka dots")])[0]
    assert typed.similarity == pytest.approx((named @ predictor.embed(source)).item(), abs=1e-4)
    others = [{m.name: m.similarity for m in p.matches if m.name != "dots"} for p in (learned, typed)]
    assert others[0] == others[1]


def test_a_file_that_is_open_is_read_once(predictor: Predictor, toy_folder: Path) -> None:
    with picture("dots", toy_folder).open("rb") as file:
        from_file = compare_words(predictor, file, "dots", "dots")
    from_path = compare_words(predictor, picture("dots", toy_folder), "dots", "dots")
    assert from_file.typed.image_score == from_path.typed.image_score


def test_the_predictor_itself_stays_as_it_is(predictor: Predictor, toy_folder: Path) -> None:
    before = {name: tensor.clone() for name, tensor in predictor.checkpoint.model.state_dict().items()}
    renamed = rename(predictor, "dots", "screw")
    assert all(torch.equal(before[k], t) for k, t in predictor.checkpoint.model.state_dict().items())
    changed = {k for k, t in renamed.checkpoint.model.state_dict().items() if not torch.equal(before[k], t)}
    assert changed == {"name_features", "text_features"}
    rows = (renamed.checkpoint.model.text_features != before["text_features"]).flatten(1).any(1)
    assert rows.tolist() == [name == "dots" for name in predictor.card.class_names]


def test_the_word_that_a_name_is_already_changes_nothing(given: Predictor, toy_folder: Path) -> None:
    _, learned, typed = compare_words(given, picture("dots", toy_folder), "dots", "dots")
    assert typed.similarity == pytest.approx(learned.similarity, abs=1e-3)
    assert typed.part_scores["semantic"] == pytest.approx(learned.part_scores["semantic"], rel=0.01, abs=0.02)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("", "No word was given"),
        (" \n\t", "No word was given"),
        ("\u200b", "nothing that the text tower reads"),
        ("screw" * 100_000, f"500000 characters, at most {MAX_CHARACTERS}"),
        ("药片", "cannot read “药片”"),
        ("pill 药片 😀", "cannot read “药片 😀”"),
        ("a b c d e f g h i j k l m n o p q", "17 text tokens, at most 16"),
    ],
)
def test_what_is_no_name_gets_one_sentence(predictor: Predictor, toy_folder: Path, words: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as caught:
        compare_words(predictor, picture("dots", toy_folder), "dots", words)
    assert len(str(caught.value)) < 200


def test_unknown_classes_and_broken_files_are_refused(predictor: Predictor, toy_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not know the class “dot”"):
        compare_words(predictor, picture("dots", toy_folder), "dot", "screw")
    (tmp_path / "a.png").write_text("no image")
    with pytest.raises(ImageError, match=r"a\.png"):
        compare_words(predictor, tmp_path / "a.png", "dots", "screw")


# The page


class Balance(HTMLParser):
    """Finds text, and whether every element that is opened is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.names.append(tag)
        if tag not in ("img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list) -> None:
        self.names.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def wicked(name: str, n_train: int = 3) -> LearnedName:
    words = ((NearWord(f"<em>{name}", 0.5),),)
    return LearnedName(
        name=f"<script>{name}",
        n_train=n_train,
        group="<u>",
        tokens=words,
        start=words,
        start_similarity=0.2,
        image_similarity=-0.4,
        start_image_similarity=0.0,
    )


def test_every_class_is_on_every_card(predictor: Predictor, described: tuple[LearnedName, ...]) -> None:
    cards = [
        names_card(described, {}),
        likeness_card(described, name_similarities(predictor)),
        plane_card(described, lay_out(predictor)),
    ]
    for card in cards:
        page = Balance(card)
        assert not page.open
        assert all(name in page.text for name in CLASSES)
    table = Balance(cards[0]).text
    assert all(f"{near.word} {near.similarity:z.2f}" in table for n in described for t in n.tokens for near in t)
    assert table.index("checker") < table.index("dots") < table.index("stripes")
    assert cards[1].count('scope="row"') == cards[1].count('scope="col"') == 3
    assert len(re.findall(r'<t[dh] class="(like|unlike|same)"', cards[1])) == 9
    assert cards[2].count("<line") == 3


def test_pictures_are_shown_where_there_are_some(described: tuple[LearnedName, ...], toy_folder: Path) -> None:
    card = names_card(described, {"dots": picture("dots", toy_folder, "good")})
    assert card.count("data:image/jpeg;base64,") == 1 and str(toy_folder) not in card


def test_the_photograph_is_marked(predictor: Predictor, described: tuple[LearnedName, ...], toy_folder: Path) -> None:
    embedding = predictor.embed(picture("dots", toy_folder))[None]
    with_photo, without = (plane_card(described, lay_out(predictor, e)) for e in (embedding, None))
    assert "<title>the photograph</title>" in with_photo and "the photograph" not in without


def test_texts_are_shown_and_never_obeyed(predictor: Predictor, toy_folder: Path) -> None:
    names = [wicked("a"), wicked("b")]
    plane = Plane(np.array([[0.0, 1], [1, 0]]), np.array([[1.0, 1], [0, 0]]), np.zeros((0, 2)), 0.5)
    comparison = compare_words(predictor, picture("dots", toy_folder), "dots", '<b onclick="x">')
    cards = [names_card(names, {}), likeness_card(names, np.eye(2)), plane_card(names, plane)]
    for card in (*cards, word_card(comparison, predictor.card)):
        page = Balance(card)
        assert not {"script", "em", "u"} & set(page.names)
        assert not page.open and "onclick" not in re.sub(r">[^<]*<", "><", card)
    assert "<script>a" in Balance(cards[0]).text and "<em>a" in Balance(cards[0]).text
    assert '“<b onclick="x">”' in Balance(word_card(comparison, predictor.card)).text


def test_points_and_labels_stay_in_the_drawing() -> None:
    generator = np.random.default_rng(0)
    names = [replace(wicked("n"), name=f"class_{i}") for i in range(24)]
    points = generator.normal(size=(2, 24, 2))
    card = plane_card(names, Plane(*points, generator.normal(size=(1, 2)) * 3, 0.5))
    width, height = map(float, re.search(r'viewBox="0 0 (\d+) (\d+)"', card).groups())
    spots = [(float(x), float(y)) for x, y in re.findall(r"translate\((\S+) (\S+)\)", card)]
    spots += [(float(x), float(y)) for x, y in re.findall(r'<text x="(\S+)" y="(\S+)"', card)]
    assert len(spots) == 24 + 1 + 24
    assert all(0 <= x <= width and 0 <= y <= height for x, y in spots)


def test_all_points_in_one_place_can_be_drawn() -> None:
    card = plane_card([wicked("a")], Plane(np.zeros((1, 2)), np.zeros((1, 2)), np.zeros((0, 2)), 1.0))
    assert "nan" not in card and "inf" not in card


def test_names_are_sorted_by_their_training_images() -> None:
    names = [wicked("c", 2), wicked("b", 9), wicked("a", 2)]
    assert by_size(names) == [1, 2, 0]


def test_a_word_is_judged_in_a_sentence(predictor: Predictor, foundation: FoundationModel, toy_folder: Path) -> None:
    comparison = compare_words(predictor, picture("dots", toy_folder), "dots", "cat")
    page = Balance(word_card(comparison, predictor.card))
    assert not page.open
    assert "“cat” fits this photograph" in page.text and "verdict" in page.text
    for prediction in (comparison.learned, comparison.typed):
        for number in (prediction.similarity, prediction.image_score, *prediction.part_scores.values()):
            assert f"{number:z.2f}".replace("-", "−") in page.text
    shared = altered(predictor, foundation, pair="shared")
    assert "no word changes its scores" in word_card(comparison, shared.card)
