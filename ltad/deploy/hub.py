"""The one door to the Hugging Face Hub: what leaves goes there in one commit, or not at all."""

import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, constants, get_token
from huggingface_hub.errors import HTTPError, RepositoryNotFoundError
from huggingface_hub.hf_api import ModelInfo, SpaceInfo

from ltad.checkpoint.card import CONFIG, HUB, METRICS, README, TENSORS
from ltad.checkpoint.folder import find_checkpoint, read_card
from ltad.checkpoint.hub import MAX_BYTES
from ltad.checkpoint.readme import PACKAGE, with_front_matter
from ltad.errors import HubError
from ltad.files import whole_folder
from ltad.foundation.hub import asking_about

Kind = Literal["model", "space"]
Info = ModelInfo | SpaceInfo
Files = Mapping[str, Path | bytes]  # by their paths in the repository: a file here, or its bytes

KEPT = ".gitattributes"  # the Hub's own: which files are large


class Sent(NamedTuple):
    """Where something now is on the Hub; commit: the one that has it; changed: whether anything had to be sent."""

    address: str
    commit: str
    changed: bool


def push(folder: Path, repository: str, *, private: bool = False, token: str | None = None) -> Sent:
    """Put a checkpoint's four files into a model repository, OWNER/NAME, which is made where it is missing.

    Its model card gets what the Hub reads of one. Other files that are there stay.
    token: None takes this machine's. Raises CheckpointError for what is none, HubError with what the Hub refuses.
    """
    card = read_card(folder)
    text = (folder / README).read_text(encoding="utf-8") if (folder / README).is_file() else f"# {card.name}\n"
    files: dict[str, Path | bytes] = {
        name: folder / name for name in (CONFIG, TENSORS, METRICS) if (folder / name).is_file()
    }
    files[README] = with_front_matter(text, card).encode()
    message = f"LTAD checkpoint {card.name}"
    return send(files, repository, "model", message, is_ours=_holds_a_checkpoint, private=private, token=token)


def pull(address: str, output: Path | None = None) -> Path:
    """Copy a checkpoint, OWNER/NAME[@REVISION], from the Hub into a new folder, and give it.

    output: where, or ``checkpoints/NAME``. Raises CheckpointError for what is no checkpoint, HubError where
    something is in the way.
    """
    address = address.removeprefix(HUB)
    output = output or Path("checkpoints", address.partition("@")[0].rpartition("/")[2])
    if output.exists():
        raise HubError(f"“{output}” is there already: choose another --output, or remove it.")
    folder = find_checkpoint(HUB + address)
    read_card(folder)
    with whole_folder(output) as partial:
        for name in MAX_BYTES:
            if (folder / name).is_file():
                shutil.copyfile(folder / name, partial / name)
    return output


def send(
    files: Files,
    repository: str,
    kind: Kind,
    message: str,
    *,
    is_ours: Callable[[Info], bool],
    private: bool = False,
    mirror: bool = False,
    hardware: str | None = None,
    token: str | None = None,
) -> Sent:
    """Make a repository, OWNER/NAME, hold files, in one commit of what is not there yet.

    Everything that can be known is asked before anything is changed, and a repository that was made for a commit that
    then failed is taken away again. is_ours: whether one that is there may be written to. mirror: remove what is not
    among the files. hardware: of a Space; None leaves it, or takes what the Hub gives a new one. For a Space that is
    there it is asked for last: where it is refused, the files have arrived.
    """
    token = (token or get_token() or "").strip()
    if not token:
        raise HubError(
            f"There is no access token. Make one that may write at {constants.ENDPOINT}/settings/tokens, and "
            "set HF_TOKEN to it, or run “hf auth login”."
        )
    additions = [CommitOperationAdd(path, content) for path, content in sorted(files.items())]
    hub = HfApi(token=token)
    with asking_about(repository):
        _refuse_a_strangers(hub, repository)
        info = _info(hub, repository, kind)
        if info is not None:
            _refuse_to_overwrite(info, repository, kind, is_ours, private)
        there = {sibling.rfilename for sibling in info.siblings or ()} if info is not None else set()
        gone = sorted(there - files.keys() - {KEPT}) if mirror else []
        operations: list[CommitOperationAdd | CommitOperationDelete]
        operations = [*(CommitOperationDelete(path) for path in gone), *additions]
        if info is None:
            made: dict[str, Any] = {"space_sdk": "gradio", "space_hardware": hardware} if kind == "space" else {}
            hub.create_repo(repository, repo_type=kind, private=private or None, **made)  # None: its owner's way
        parent = info.sha if info is not None else None
        try:
            commit = hub.create_commit(
                repository, operations, commit_message=message, repo_type=kind, parent_commit=parent
            ).oid
        except BaseException:
            if info is None:
                with suppress(HTTPError):  # an empty one may stay where the network is gone: it is filled the next time
                    hub.delete_repo(repository, repo_type=kind, missing_ok=True)
            raise
        if info is not None and hardware:
            hub.request_space_hardware(repository, hardware)  # type: ignore[arg-type]  # a name that it may not know
    where = "spaces/" if kind == "space" else ""
    return Sent(f"{constants.ENDPOINT}/{where}{repository}", commit, commit != parent)


def _refuse_a_strangers(hub: HfApi, repository: str) -> None:
    """Refuse a name that is none, or whose owner the token does not belong to."""
    owner, slash, _ = repository.partition("/")
    if not slash:
        raise HubError(f"“{repository}” does not say whose it is to be: give OWNER/NAME.")
    me = hub.whoami()
    own = [me["name"], *(organisation["name"] for organisation in me.get("orgs", ()))]
    if owner.lower() not in (name.lower() for name in own):
        raise HubError(f"“{owner}” is somebody else: your token may write to what belongs to {', '.join(own)}.")


def _info(hub: HfApi, repository: str, kind: Kind) -> Info | None:
    """What the Hub knows of a repository; None where there is none."""
    try:
        return cast(Info, hub.repo_info(repository, repo_type=kind))
    except RepositoryNotFoundError:
        return None


def _refuse_to_overwrite(
    info: Info, repository: str, kind: Kind, is_ours: Callable[[Info], bool], private: bool
) -> None:
    """Refuse a repository that holds something else, or shows to all what was to be private."""
    if not is_ours(info):
        raise HubError(f"“{repository}” is there already and is another {kind}. Choose another name.")
    if private and not info.private:
        raise HubError(
            f"“{repository}” is there already, for all to see. Make it private in its settings, or send it without "
            "asking for that."
        )


def _holds_a_checkpoint(info: Info) -> bool:
    """Whether a model repository is an LTAD checkpoint's, or has no model yet."""
    there = {sibling.rfilename for sibling in info.siblings or ()}
    return not there & {CONFIG, TENSORS} or getattr(info, "library_name", None) == PACKAGE
