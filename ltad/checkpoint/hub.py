"""A checkpoint on the Hugging Face Hub: ``hf://OWNER/NAME[@REVISION]``, from there once, then from this machine.

Whoever made it is not known: nothing but a checkpoint's own files is asked for, each with the most bytes that it may
have, and what arrives is read as strictly as any folder.
"""

from pathlib import Path

from huggingface_hub import HfApi, hf_hub_download, try_to_load_from_cache
from huggingface_hub.hf_api import RepoFile, ResolvedRevision

from ltad.checkpoint.card import CONFIG, HUB, MAX_TENSOR_FILE, METRICS, README, TENSORS
from ltad.errors import CheckpointError, HubError
from ltad.foundation.hub import asking_about

# The most bytes of each file, in the order in which they are brought: with the last one a checkpoint is whole. Of 600
# classes, config.json has some 10 MB.
MAX_BYTES = {TENSORS: MAX_TENSOR_FILE, METRICS: 32_000_000, README: 1_000_000, CONFIG: 32_000_000}


def from_the_hub(address: str) -> Path:
    """Give the folder of a checkpoint in the Hub's cache on this machine; what is missing there is brought.

    A branch or tag is looked up wherever there is a network, a commit only once. CheckpointError says what is wrong.
    """
    repository, _, revision = address.removeprefix(HUB).partition("@")
    try:
        with asking_about(repository):
            pinned = HfApi().resolve_revision(repository, revision=revision or None)
            whole = [try_to_load_from_cache(repository, name, revision=pinned.resolved) for name in (TENSORS, CONFIG)]
            if not all(isinstance(path, str) for path in whole):
                _bring(repository, pinned)
            return Path(hf_hub_download(repository, CONFIG, revision=pinned)).parent
    except HubError as error:
        raise CheckpointError(f"{address}: {error}") from error


def _bring(repository: str, revision: ResolvedRevision) -> None:
    """Bring a checkpoint's files into the cache, once all are known to be there and of a checkpoint's size."""
    there = HfApi().get_paths_info(repository, list(MAX_BYTES), revision=revision.resolved)
    sizes = {file.path: file.size for file in there if isinstance(file, RepoFile)}
    if missing := [name for name in (CONFIG, TENSORS) if name not in sizes]:
        raise HubError(f"“{repository}” is no LTAD checkpoint: it has no {' and no '.join(missing)}.")
    for name, size in sizes.items():
        if size > MAX_BYTES[name]:
            raise HubError(
                f"“{repository}” is no LTAD checkpoint: its {name} has {size / 1e6:,.0f} MB, and a checkpoint's at "
                f"most {MAX_BYTES[name] // 10**6}."
            )
    for name in MAX_BYTES:
        if name in sizes:
            hf_hub_download(repository, name, revision=revision)
