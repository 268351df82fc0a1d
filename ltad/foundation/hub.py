"""Files from the Hugging Face hub, or from its cache on this machine."""

from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.constants import HF_HUB_CACHE

from ltad.errors import FoundationError


def fetch(repository: str, *patterns: str, otherwise: str) -> Path:
    """Bring the files of a repository that match into the cache, and give the folder that holds them.

    Without a network, or with ``HF_HUB_OFFLINE=1``, the cache must have them. One request decides, so that a machine
    without a network learns it at once; asking for each file would be tried again for half a minute.
    otherwise: the other way to provide them, the end of the error's sentence.
    """
    try:
        return Path(snapshot_download(repository, allow_patterns=list(patterns)))
    except Exception as error:  # whatever the network provokes
        raise FoundationError(
            f"{repository} was looked for on the Hugging Face hub and in its cache {HF_HUB_CACHE}, and cannot be had "
            f"from either: run this once with a network, or {otherwise}."
        ) from error
