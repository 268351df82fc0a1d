"""What a product may be called, and the folder that its checkpoint lies in."""

import re
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.jobs.product import LONGEST, class_name_of, folder_of
from ltad.errors import JobError


@pytest.mark.parametrize(
    ("called", "class_name", "folder"),
    [
        ("hex nut", "hex_nut", "hex_nut"),
        (" hex \t nut\n", "hex_nut", "hex_nut"),
        ("bottle (brown)", "bottle_(brown)", "bottle_brown"),
        ("瓶底（棕色）", "瓶底（棕色）", "瓶底_棕色"),
        ("瓶底\u3000棕色", "瓶底_棕色", "瓶底_棕色"),
        ("M3×8, A2-70", "M3×8,_A2-70", "M3_8_A2-70"),
        ("-x", "-x", "x"),
        ("nul.x", "nul.x", "nul_x"),
        ("Bu\u0308gel", "Bügel", "Bügel"),
    ],
)
def test_ordinary_names_are_taken_and_have_a_folder(called: str, class_name: str, folder: str) -> None:
    assert class_name_of(called) == class_name
    assert folder_of(class_name) == folder


@pytest.mark.parametrize(
    ("called", "said"),
    [
        (None, "needs a name"),
        (" ", "needs a name"),
        ("x" * 41, "has 41 characters; 40 can be taken"),
        ("../evil", "sign “/”"),
        ("a\\b", "sign “"),
        ("<b>", "sign “<”"),
        ("a|b", "sign “|”"),
        ("a\x00b", re.escape("sign “U+0000”")),
        ("a\u202eb", re.escape("sign “U+202E”")),
        ("（）", "a letter or a digit"),
        ("auto", "Give it another name"),
    ],
)
def test_what_can_be_no_name_is_said_with_its_sign(called: str | None, said: str) -> None:
    with pytest.raises(JobError, match=said.replace("|", "[|]")):
        class_name_of(called)


@given(st.text(max_size=LONGEST + 5))
def test_whatever_is_taken_is_a_name_and_a_plain_folder(called: str) -> None:
    try:
        name = class_name_of(called)
    except JobError as refused:
        assert str(refused).endswith(".")
        return
    assert class_name_of(name) == name, "what was taken once is taken again"
    for path in (PurePosixPath(folder_of(name)), PureWindowsPath(folder_of(name))):
        assert len(path.parts) <= 1 and not path.is_absolute() and ".." not in path.parts
