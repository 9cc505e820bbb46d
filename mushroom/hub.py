"""The checkpoint folder and the Hugging Face Hub: addresses, fetching, sending."""

import errno
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from httpx2 import HTTPError
from huggingface_hub import CommitOperationAdd, HfApi, get_token, snapshot_download
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    RevisionResolutionError,
)
from huggingface_hub.utils import validate_repo_id

from mushroom.checkpoint import CONFIG_FILE, HISTORY_FILE, HUB_PREFIX, PREDICTIONS_FILE, REPORT_FILE, WEIGHTS_FILE
from mushroom.dataset import BACKGROUND_FILE, DATASET_FILE, HUB_DATASET, MANIFEST_FILE, load_prepared
from mushroom.errors import HubError

FETCHED_FILES = (WEIGHTS_FILE, CONFIG_FILE, REPORT_FILE)
"""What is taken from a stranger's repository to load its model: nothing that could run, and nothing beside."""

RECORDS = (PREDICTIONS_FILE, HISTORY_FILE)
"""What the app takes, too, to show how the model learned and what it answered: tables, read as such."""


@dataclass(frozen=True)
class HubAddress:
    """A repository ``user/name``, at a branch, tag or commit where ``revision`` is not None."""

    repo: str
    revision: str | None = None


# --- There and back -----------------------------------------------------------------------------------------


def parse_address(text: str) -> HubAddress:
    """``hf://user/name`` of a model or ``hf://datasets/user/name``, with ``@revision`` or not; HubError otherwise."""
    repo, _, revision = text.removeprefix(HUB_DATASET).removeprefix(HUB_PREFIX).partition("@")
    try:
        validate_repo_id(repo)
        valid = repo.count("/") == 1 and (not revision or re.fullmatch(r"[\w./-]+", revision) is not None)
    except HFValidationError:
        valid = False
    if not valid:
        prefix = HUB_DATASET if text.startswith(HUB_DATASET) else HUB_PREFIX
        raise HubError(f"{text!r} is no address on the Hub: write {prefix}user/name or {prefix}user/name@v1.")
    return HubAddress(repo, revision or None)


def fetch(address: HubAddress, *, records: bool = False) -> Path:
    """The checkpoint folder of a model repository, in the Hub's cache: pinned to one commit, there again offline.

    Weights, config and report; with ``records`` also the tables of what it answered and how it learned. Raises
    HubError with a sentence.
    """
    files = [*FETCHED_FILES, *(RECORDS if records else ())]
    with _sentences(address.repo):
        return Path(snapshot_download(address.repo, revision=address.revision, allow_patterns=files))


def fetch_test_photos(address: HubAddress) -> Path:
    """The prepared folder of a dataset repository, with the photos of its test split and no others.

    Raises HubError with a sentence, and DatasetError where the repository holds no prepared folder.
    """
    with _sentences(address.repo):
        tables = _fetch_dataset(address, [MANIFEST_FILE, BACKGROUND_FILE, DATASET_FILE])
        prepared = load_prepared(tables)
        if not prepared.root.resolve().is_relative_to(tables.resolve()):
            raise HubError(f"The dataset {address.repo} does not hold its own photos: prepare and send them together.")
        test = prepared.manifest[prepared.manifest.split == "test"].to_dict("records")
        photos = [prepared.photo_path(row) for row in test]
        return _fetch_dataset(
            # The commit that the tables are of, whatever has been sent there since.
            HubAddress(address.repo, tables.name),
            [path.relative_to(tables).as_posix() for path in photos],
        )


def _fetch_dataset(address: HubAddress, files: Sequence[str]) -> Path:
    # Names are matched as patterns: in a photo's name, brackets would be more than brackets.
    patterns = [re.sub(r"([*?[])", r"[\1]", name) for name in files]
    return Path(
        snapshot_download(address.repo, repo_type="dataset", revision=address.revision, allow_patterns=patterns)
    )


def send(repo: str, files: Sequence[CommitOperationAdd], message: str, *, private: bool = False) -> str:
    """Send files to a model repository in one commit, making it where there is none; the address of what is there then.

    Raises HubError with a sentence; then none of the files is published.
    """
    if not get_token():
        raise HubError("Not logged in to the Hugging Face Hub: run `hf auth login` first, or set HF_TOKEN.")
    api = HfApi()
    with _sentences(repo):
        api.create_repo(repo, private=private, exist_ok=True)
        done = api.create_commit(repo, list(files), commit_message=message)
    return f"{HUB_PREFIX}{repo}@{done.oid}"


@contextmanager
def _sentences(repo: str) -> Iterator[None]:
    """Turn what can go wrong with the Hub into a HubError with a sentence."""
    try:
        yield
    except RevisionNotFoundError as error:
        raise HubError(f"The repository {repo} has no such branch, tag or commit.") from error
    except RepositoryNotFoundError as error:
        raise HubError(
            f"There is no repository {repo} on the Hugging Face Hub, or it is private and not yours: "
            "check the name, or log in with `hf auth login`."
        ) from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            raise HubError(
                f"The Hugging Face Hub refused access to {repo} ({status}): log in with `hf auth login`, with a token "
                "that may write there."
            ) from error
        raise HubError(f"The Hugging Face Hub answered with an error ({status}): try again later.") from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, RevisionResolutionError) as error:
        raise HubError(
            f"The Hugging Face Hub could not be reached, and {repo} is not in the cache of this machine."
        ) from error
    except (OSError, HTTPError, RuntimeError) as error:
        # An upload's own errors arrive wrapped in a RuntimeError.
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise HubError(f"The disk is full: {repo} could not be stored.") from error
        raise HubError(
            f"The transfer of {repo} broke off: try again, and see that the network is there and the token may write."
        ) from error
