"""The field's words, each with what it means: shown when it is pointed at, and read to who cannot see it."""

import re
from html import escape

GLOSSARY = {
    "AUROC": "How surely a defective one scores higher than a good one: 100 is always, 50 is chance.",
    "head": "The classes with many training images.",
    "tail": "The classes with few training images.",
}


def explained(term: str) -> str:
    """A term as HTML with its meaning, an imbalance level such as exp100 too; what has none stays as it is."""
    said = GLOSSARY.get(term) or _level(term)
    return f'<abbr title="{escape(said)}">{escape(term)}</abbr>' if said else escape(term)


def explain_all(text: str) -> str:
    """A text as HTML, with every word of the glossary in it explained."""
    return re.sub(rf"\b({'|'.join(GLOSSARY)})\b", lambda found: explained(found[0]), escape(text))


def _level(imbalance: str) -> str:
    found = re.fullmatch(r"(exp|step)([\d.]+)(-reverse)?", imbalance)
    if not found:
        return ""
    shape = {
        "exp": "Class by class fewer training images, down to 1 in {} of the first class's.",
        "step": "Half of the classes keep 1 in {} of the first class's training images.",
    }
    return shape[found[1]].format(found[2])
