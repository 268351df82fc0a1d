"""What a product may be called, and the folder that its checkpoint lies in."""

import re
import unicodedata

from ltad.errors import JobError
from ltad.inspection.predictor import AUTO

LONGEST = 40  # characters
RESERVED = "/\\<>|`"  # signs of paths, of HTML, and of the tables in a model card


def class_name_of(called: str | None) -> str:
    """The class name of what a visitor calls a product, with underscores for spaces; JobError for what can be none.

    Any letters and signs may stand in it, those of other scripts and full-width ones, too.
    """
    name = unicodedata.normalize("NFC", "_".join((called or "").split()))
    if not name:
        raise JobError(f"The product needs a name of up to {LONGEST} characters, such as “hex nut”.")
    if len(name) > LONGEST:
        raise JobError(f"This name has {len(name)} characters; {LONGEST} can be taken. Shorten it.")
    if wrong := next((sign for sign in name if sign in RESERVED or not sign.isprintable()), None):
        shown = wrong if wrong.isprintable() else f"U+{ord(wrong):04X}"
        raise JobError(f"The sign “{shown}” cannot stand in a product's name. Leave it out.")
    if not any(sign.isalnum() for sign in name):
        raise JobError("A product's name needs a letter or a digit. Add one.")
    if name == AUTO:
        raise JobError(f"“{AUTO}” means that the product is to be recognised. Give it another name.")
    return name


def folder_of(class_name: str) -> str:
    """How the name of a class's folder begins: only its letters, digits, underscores and hyphens.

    So it is one on every system: on Windows “nul.x” would be no folder, but a device.
    """
    return re.sub(r"([^\w-]|_)+", "_", class_name).strip("_-")
