"""A Hugging Face Space of a checkout: what it needs of it, and nothing else."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from huggingface_hub import SpaceHardware

from ltad import __version__
from ltad.checkpoint.card import HUB, README, CheckpointCard
from ltad.checkpoint.folder import find_checkpoint, read_card
from ltad.checkpoint.hub import MAX_BYTES
from ltad.deploy.hub import KEPT, Info, Sent, send
from ltad.errors import HubError
from ltad.words import nearest_first

CHECKPOINTS = ("demo-exp100",)  # rendered, so that no licence of its data binds; the others are six megabytes each
FILES = ("app.py", "requirements.txt", "LICENSE")
FOLDERS = {  # and what of them: never what a run leaves there
    "app": (".py", ".css", ".js"),
    "ltad": (".py", ".safetensors", ".typed"),
    "assets/examples": (".jpg", ".json"),
}
MARK = "ltad/__init__.py"  # by which a Space is known as one of ours
HARDWARE = tuple(each.value for each in SpaceHardware)


def publish(
    repository: str,
    *,
    checkpoints: Sequence[str] = CHECKPOINTS,
    private: bool = False,
    hardware: str | None = None,
    token: str | None = None,
) -> Sent:
    """Make a Space, OWNER/NAME, of this checkout and some checkpoints, or make it what they are now.

    What is there and no longer part of it is removed, in the same commit. hardware: one of ``HARDWARE``; None leaves
    it. Raises HubError, CheckpointError, or ValueError for hardware that there is not.
    """
    if hardware is not None and hardware not in HARDWARE:
        raise ValueError(f"There is no hardware “{hardware}”; there is {nearest_first(hardware, HARDWARE)}.")
    files = space_files(checkout(), checkpoints)
    return send(
        files,
        repository,
        "space",
        f"LTAD {__version__}",
        is_ours=_holds_the_page,
        private=private,
        mirror=True,
        hardware=hardware,
        token=token,
    )


def checkout() -> Path:
    """The folder that this package and the page lie side by side in; HubError where the page is not there."""
    root = Path(__file__).parents[2]
    if missing := [name for name in (*FILES, README, *FOLDERS) if not (root / name).exists()]:
        raise HubError(
            f"The page is not here: beside the package in {root} there is no {', '.join(missing)}. A Space is made "
            "from a checkout of the project: run “python -m ltad space” in its folder."
        )
    return root


def space_files(root: Path, checkpoints: Sequence[str]) -> dict[str, Path | bytes]:
    """What is sent, by its path in the Space: the page, the package, the pictures to click and the checkpoints."""
    files: dict[str, Path | bytes] = {name: root / name for name in FILES}
    for folder, suffixes in FOLDERS.items():
        files |= {path.relative_to(root).as_posix(): path for path in _below(root / folder, suffixes)}
    cards: dict[str, CheckpointCard] = {}
    for word in checkpoints:
        card = read_card(find_checkpoint(word))
        name = _name_on_the_space(card)
        if name in cards:
            raise HubError(f"Two of the checkpoints are called “{name}”: a Space can have one of them.")
        cards[name] = card
        files |= {f"checkpoints/{name}/{each}": card.path / each for each in MAX_BYTES if (card.path / each).is_file()}
    files[README] = _readme((root / README).read_text(encoding="utf-8"), cards).encode()
    return files


def _readme(text: str, cards: Mapping[str, CheckpointCard]) -> str:
    """The front matter and what the project's README begins with; the rest shows and links what a Space has not."""
    begin = "\n".join(line for line in text.partition("\n## ")[0].splitlines() if not line.startswith("|"))
    licences = [f"- `{name}`: {card.data.licence or 'not stated'}" for name, card in cards.items()]
    return "\n\n".join([begin.strip(), "Its checkpoints, and the licences of their data:", "\n".join(licences)]) + "\n"


def _below(folder: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
    """The files of some kinds below a folder, but what is hidden."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith((".", "__pycache__")) for part in path.relative_to(folder).parts)
        if path.is_file() and path.suffix in suffixes and not hidden:
            yield path


def _name_on_the_space(card: CheckpointCard) -> str:
    """A checkpoint's name; of one from the Hub the last word of its repository's."""
    return card.name.partition("@")[0].rpartition("/")[2] if card.name.startswith(HUB) else card.name


def _holds_the_page(info: Info) -> bool:
    """Whether a Space is one of these, or is still as the Hub makes a new one."""
    there = {sibling.rfilename for sibling in info.siblings or ()}
    return MARK in there or not there - {KEPT, README}
