"""Checkpoints on the model hub: fetched when asked for, found on this computer ever after."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from psalm.errors import CheckpointError

#: Short names of published checkpoints.
PUBLISHED = {"psalm-1.3b": "EnmingZhang/PSALM"}

_NEEDED = re.compile(r"[^/]*\.(json|txt|model)|model[^/]*\.safetensors|pytorch_model[^/]*\.bin")
_AGAIN = "run the same command again, it goes on where it stopped"
_CHUNK = 1024 * 1024


@dataclass(frozen=True)
class _File:
    """A file on the hub, with the checksum that the hub states."""

    name: str
    size: int | None
    sha256: str | None
    git_sha1: str | None


def fetch(name: str, revision: str | None = None, offline: bool = False) -> Path:
    """Download a checkpoint, as far as it is not on this computer yet.

    Parameters
    ----------
    name : str
        Of a repository on the hub (``owner/name``), or one of `PUBLISHED`.
    revision : str, optional
        A branch, tag or commit; the newest when not given.
    offline : bool
        Never use the network: only say where the checkpoint is.

    Returns
    -------
    Path
        The folder with the files.

    Raises
    ------
    CheckpointError
        When the checkpoint cannot be had, or a file differs from the hub's checksum; such a file is removed.
    """
    repository = PUBLISHED.get(name, name)
    if offline or os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        folder = cached(name, revision)
        if folder is None:
            raise CheckpointError(f"{repository} is not on this computer: fetch it once without the offline mode.")
        return folder
    files = _listing(repository, revision)
    if "config.json" not in {file.name for file in files}:
        raise CheckpointError(f"{repository} holds no config.json, so it is no model: check the name.")
    paths = [_download(repository, file, revision) for file in files]
    return paths[0].parent


def cached(name: str, revision: str | None = None) -> Path | None:
    """The folder of a checkpoint that was fetched before; None when it was not. Never uses the network."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    repository = PUBLISHED.get(name, name)
    if repository.count("/") != 1:
        return None
    try:
        return Path(snapshot_download(repository, revision=revision, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError):
        return None


def _listing(repository: str, revision: str | None) -> list[_File]:
    """The files of a revision that a model needs."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError

    try:
        info = HfApi(endpoint=_endpoint()).model_info(repository, revision=revision, files_metadata=True)
    except HFValidationError as error:
        raise CheckpointError(f"{repository!r} is no name of a repository: give it as owner/name.") from error
    except _network_errors() as error:
        raise CheckpointError(_cure(repository, error)) from error
    files = []
    for entry in info.siblings or ():
        if _NEEDED.fullmatch(entry.rfilename):
            sha256 = entry.lfs.sha256 if entry.lfs else None
            files.append(_File(entry.rfilename, entry.size, sha256, None if sha256 else entry.blob_id))
    if any(file.name.endswith(".safetensors") for file in files):
        files = [file for file in files if ".bin" not in file.name]
    return sorted(files, key=lambda file: file.name)


def _download(repository: str, file: _File, revision: str | None) -> Path:
    """One file, checked; nothing is downloaded twice."""
    from huggingface_hub import hf_hub_download

    try:
        if file.sha256:
            _transfer(repository, file, revision)
        path = Path(hf_hub_download(repository, file.name, revision=revision, endpoint=_endpoint()))
    except _network_errors() as error:
        raise CheckpointError(_cure(f"{repository}/{file.name}", error)) from error
    _check(path, repository, file)
    return path


def _transfer(repository: str, file: _File, revision: str | None) -> None:
    """Bring a large file to its place in the cache, from where an earlier run stopped.

    The hub's own library begins again with each run, which is no small matter for gigabytes.
    """
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
    from huggingface_hub.file_download import http_get, repo_folder_name
    from huggingface_hub.utils import WeakFileLock, build_hf_headers

    url = hf_hub_url(repository, file.name, revision=revision, endpoint=_endpoint())
    found = get_hf_file_metadata(url, endpoint=_endpoint())
    blobs = Path(constants.HF_HUB_CACHE, repo_folder_name(repo_id=repository, repo_type="model"), "blobs")
    target, partial = blobs / f"{file.sha256}", blobs / f"{file.sha256}.partial"
    blobs.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(blobs / f"{file.sha256}.lock"):
        if target.exists():
            return
        same_host = urlsplit(found.location).netloc == urlsplit(url).netloc
        with partial.open("ab") as stream:
            headers = build_hf_headers() if same_host else {}
            http_get(found.location, stream, resume_size=stream.tell(), headers=headers, expected_size=file.size)
        _check(partial, repository, file)
        partial.replace(target)


def _check(path: Path, repository: str, file: _File) -> None:
    """Compare a file with the hub's checksum, and remove it when it differs."""
    if not _is_whole(path, file):
        path.resolve().unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        raise CheckpointError(
            f"{repository}/{file.name} differs from the checksum that the hub states, so it was removed: {_AGAIN}. "
            "If this happens twice, something between the hub and this computer alters files."
        )


def _is_whole(path: Path, file: _File) -> bool:
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        return False
    if file.sha256:
        digest, expected = hashlib.sha256(), file.sha256
    elif file.git_sha1:
        # Git names a file by the checksum of its size and content.
        digest, expected = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False), file.git_sha1
    else:
        return True
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest() == expected


def _endpoint() -> str | None:
    """Another address of the hub, where the environment names one."""
    return os.environ.get("HF_ENDPOINT") or None


def _network_errors() -> tuple[type[Exception], ...]:
    """What may go wrong on the way: the hub's own errors, and those of its HTTP library, from which they derive."""
    from huggingface_hub.errors import HfHubHTTPError

    return (OSError, HfHubHTTPError, *HfHubHTTPError.__bases__)


def _cure(what: str, error: Exception) -> str:
    from huggingface_hub.errors import (
        GatedRepoError,
        RemoteEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if isinstance(error, GatedRepoError):
        return f"{what} is open only to those who accepted its terms: do so on the hub, then run `hf auth login`."
    if isinstance(error, RevisionNotFoundError):
        return f"{what} has no such revision: leave --revision out, or check it on the hub."
    if isinstance(error, RepositoryNotFoundError):
        return f"There is no {what} on the hub (or it is private): check the name, as owner/name."
    if isinstance(error, RemoteEntryNotFoundError):
        return f"{what} is missing on the hub: choose another --revision, or ask its owner."
    return f"{what} could not be fetched ({reason}): check the connection and {_AGAIN}."
