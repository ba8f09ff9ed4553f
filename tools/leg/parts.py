"""A model folder in parts of limited size, and whole again."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile

from psalm.errors import CheckpointError
from psalm.files import replacing, write_text
from tools.leg.budget import MIB

MANIFEST, LOG = "manifest.json", "log.jsonl"
PART_BYTES = 15 * MIB
_MODEL_FILES = ("config.json", "model.safetensors", "tokenizer.json", "info.json")


def split_folder(model: Path, out: Path, told: dict[str, Any], part_bytes: int = PART_BYTES) -> list[Path]:
    """Write a model folder as ``model.zip.0``, ``model.zip.1``, … with a manifest.

    Parameters
    ----------
    model : Path
        The folder.
    out : Path
        Gets the files, the manifest last.
    told : dict
        Plain JSON about the training, for the manifest.
    part_bytes : int
        Most bytes of a part.
    """
    buffer = io.BytesIO()
    with ZipFile(buffer, "w", ZIP_STORED) as archive:
        for name in _MODEL_FILES:
            archive.write(model / name, name)
    content = buffer.getvalue()
    parts = []
    for number, start in enumerate(range(0, len(content), part_bytes)):
        part = out / f"model.zip.{number}"
        with replacing(part) as temporary:
            temporary.write_bytes(content[start : start + part_bytes])
        parts.append(part)
    listed = [{"file": p.name, "bytes": p.stat().st_size, "sha256": _sha256(p.read_bytes())} for p in parts]
    write_text(out / MANIFEST, json.dumps({"training": told, "parts": listed}, indent=2) + "\n")
    return parts


def join(folder: Path, out: Path) -> dict[str, Any]:
    """Check the parts and make a model folder of them, with the log of the training beside the model's files.

    Parameters
    ----------
    folder : Path
        What `run` wrote.
    out : Path
        The model folder; an older model in it is replaced.

    Returns
    -------
    dict
        What the manifest tells of the training.

    Raises
    ------
    CheckpointError
        When a part is missing or damaged; nothing is written then.
    """
    manifest = _read_manifest(folder / MANIFEST)
    content = b"".join(_checked(folder, part) for part in manifest["parts"])
    try:
        with ZipFile(io.BytesIO(content)) as archive:
            files = {name: archive.read(name) for name in _MODEL_FILES}
    except (BadZipFile, KeyError) as error:
        raise CheckpointError(f"The parts in {folder} make no model ({error}): copy the folder again.") from error
    for name, value in files.items():
        with replacing(out / name) as temporary:
            temporary.write_bytes(value)
    if (folder / LOG).exists():
        with replacing(out / LOG) as temporary:
            shutil.copyfile(folder / LOG, temporary)
    return manifest["training"]


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        parts = [{"file": str(p["file"]), "sha256": str(p["sha256"])} for p in manifest["parts"]]
        return {"training": dict(manifest["training"]), "parts": parts}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is no manifest of a leg ({error}): copy the folder again.") from error


def _checked(folder: Path, part: dict[str, str]) -> bytes:
    path = folder / Path(part["file"]).name
    if not path.exists():
        raise CheckpointError(f"The part {path} is missing: copy the folder again.")
    content = path.read_bytes()
    if _sha256(content) != part["sha256"]:
        raise CheckpointError(f"The part {path} is damaged, its checksum differs: copy the folder again.")
    return content


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
