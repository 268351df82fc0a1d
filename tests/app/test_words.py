"""The server's sentences, and what they become for who reads Chinese."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

from app.viewer import HERE

ROOT = Path(__file__).parents[2]
# Where the sentences that a visitor may meet are made.
SOURCES = (
    "ltad/photos/archive.py", "ltad/photos/content.py", "ltad/photos/decode.py", "ltad/photos/gather.py",
    "ltad/photos/masks.py", "ltad/photos/pile.py", "ltad/inspection/names.py", "ltad/inspection/prediction.py",
    *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "app").rglob("*.py")) if path.name != "cards.py"),
)  # fmt: skip
# Calls whose text a visitor reads, by the name of what is called.
SAYING = re.compile(r"\w*Error|_?Refus\w*|append|needed|left_out|PlainTextResponse")
NOT_SAID = re.compile(r"[^A-Za-z]*|[\w.:-]+|.*\{\}[^A-Za-z]*\{\}[^A-Za-z]*")  # nothing, one word, or what others say


def pairs() -> dict[str, str]:
    """The English and the Chinese side of everything that the server says."""
    lines = "".join((HERE / name).read_text(encoding="utf-8") for name in ("cards.js", "sentences.js")).splitlines()
    found = (re.match(r"\s*(\[.*\]),", line) for line in lines)
    return dict(json.loads(pair[1]) for pair in found if pair)


def template(node: ast.expr) -> str:
    """A text as it stands in the source, {} for what changes; empty where there is none."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(template(part) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return ""


def sentences() -> Iterator[tuple[str, str]]:
    """What the sources say to a visitor, and where."""
    for source in SOURCES:
        for node in ast.walk(ast.parse((ROOT / source).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args:
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                said = template(node.args[-1])
                if SAYING.fullmatch(called) and " " in said and "<" not in said and not NOT_SAID.fullmatch(said):
                    yield said, f"{source}:{node.lineno}"


# Read when the tests are collected, before any test starts a thread: Python 3.11 counts the depth of all threads that
# parse in one place, and calls a parse that another one overlaps a "recursion depth mismatch".
SAID = dict(sentences())


def test_every_sentence_of_the_server_has_its_chinese() -> None:
    known = {re.sub(r"\{#\}", "{}", english) for english in pairs()}
    assert len(SAID) > 60, "the sources are read"
    assert [f"{place}: {sentence}" for sentence, place in SAID.items() if sentence not in known] == []


def test_both_sides_of_a_pair_hold_the_same() -> None:
    for english, chinese in pairs().items():
        assert re.findall(r"\{#?\}", english) == re.findall(r"\{#?\}", chinese), english
        assert re.search(r"[\u4e00-\u9fff（）：，、。～]", chinese) or not re.search(r"[A-Za-z]{3}", english), english
