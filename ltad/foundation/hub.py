"""Files from the Hugging Face Hub, or from its cache on this machine, and what the Hub refuses, in sentences."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    RevisionResolutionError,
)
from huggingface_hub.utils import (
    are_progress_bars_disabled,
    disable_progress_bars,
    enable_progress_bars,
    logging,
)

from ltad.errors import FoundationError, HubError

PAID = "a free account may have a Space on --hardware zero-a10g"  # by the Hub's own documentation


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
            f"{repository} was looked for on the Hugging Face hub and in its cache {constants.HF_HUB_CACHE}, and "
            f"cannot be had from either: run this once with a network, or {otherwise}."
        ) from error


@contextmanager
def asking_about(repository: str) -> Iterator[None]:
    """Make one sentence, a HubError, of whatever the Hub, its client or the network answers about a repository.

    No sentence holds more of an answer than the Hub's own message: requests and their errors carry tokens. The client's
    remarks are dropped, and its bars drawn only for a person, so that a program finds on stderr only what is wrong.
    """
    verbosity, unasked = logging.get_verbosity(), not are_progress_bars_disabled() and not sys.stderr.isatty()
    logging.set_verbosity_error()
    if unasked:
        disable_progress_bars()
    try:
        with _in_a_sentence(repository):
            yield
    finally:
        logging.set_verbosity(verbosity)
        if unasked:
            enable_progress_bars()


@contextmanager
def _in_a_sentence(repository: str) -> Iterator[None]:
    try:
        yield
    except HFValidationError:
        raise HubError(
            f"“{repository}” is no name of a repository: give OWNER/NAME, of letters, digits, “-”, “_” and “.”."
        ) from None
    except RevisionNotFoundError:
        raise HubError(
            f"“{repository}” on the Hugging Face Hub has no such revision: give a branch, a tag or a commit of it."
        ) from None
    except GatedRepoError:
        raise HubError(f"“{repository}” is gated: ask for access on its page on the Hugging Face Hub.") from None
    except RepositoryNotFoundError:
        raise HubError(
            f"There is no “{repository}” on the Hugging Face Hub, or it is private and your token may not see it."
        ) from None
    except RevisionResolutionError:
        raise HubError(
            f"“{repository}” is not in this machine's cache {constants.HF_HUB_CACHE}, and {constants.ENDPOINT} cannot "
            "be reached: ask for it once with a network."
        ) from None
    except HfHubHTTPError as error:
        raise HubError(_refusal(repository, error)) from None
    except RuntimeError as error:  # a large file did not get through; huggingface_hub tells why only by the cause
        if isinstance(error.__cause__, HfHubHTTPError):
            raise HubError(_refusal(repository, error.__cause__)) from None
        reason = type(error.__cause__ or error).__name__
        raise HubError(f"A file of “{repository}” broke off on its way ({reason}): try again.") from None
    except (HTTPError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # this machine's disk, not the network
            raise
        raise HubError(
            f"{constants.ENDPOINT} cannot be reached ({type(error).__name__}). Check the network, and try again."
        ) from None
    except ValueError as error:  # what it answered is not what a Hub answers, or it does not like a README
        raise HubError(f"The Hub's answer about “{repository}”: {' '.join(str(error).split())}") from None


def _refusal(repository: str, error: HfHubHTTPError) -> str:
    """A refusal's sentence, by its status: who may not do what, and what to do."""
    status = error.response.status_code
    said = (error.server_message or "").strip().rstrip(".") or f"status {status}"
    what_to_do = {
        401: f"The token is not valid: make one at {constants.ENDPOINT}/settings/tokens",
        402: f"It asks for a paid plan; {PAID}",
        403: f"The token may not write to “{repository}”: check its permissions, and the name",
        412: f"“{repository}” has just been changed by somebody else: try again",
        429: "It was asked too often: wait a few minutes",
    }.get(status, "Try again later" if status >= 500 else f"Check the name “{repository}” and the token's permissions")
    return f"The Hub refused: {said}. {what_to_do}."
