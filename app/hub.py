"""A checkpoint onto the Hugging Face Hub, in a visitor's own name."""

from pathlib import Path

import httpx
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from ltad.errors import JobError


def push(folder: Path, repository: str, token: str, private: bool) -> str:
    """Upload a checkpoint folder to a model repository, made where it is missing, and give its address.

    The token is used for this and nothing else. Raises JobError, with what the Hub answered.
    """
    if not repository.strip() or not token.strip():
        raise JobError("Give the repository, such as name/screws, and an access token that may write to it.")
    hub = HfApi(token=token.strip())
    try:
        made = hub.create_repo(repository.strip(), private=private, exist_ok=True)
        hub.upload_folder(repo_id=made.repo_id, folder_path=folder, commit_message="Add an LTAD checkpoint")
    except HFValidationError as error:
        raise JobError(f"“{repository}” is no name of a repository: {error}") from None
    except HfHubHTTPError as error:
        reason = error.server_message or f"status {error.response.status_code}"
        raise JobError(f"The Hub refused: {reason}. Check the repository's name and the token's permission.") from None
    except (httpx.HTTPError, OSError) as error:
        raise JobError(f"The Hub cannot be reached from this server: {type(error).__name__}.") from None
    return str(made)
