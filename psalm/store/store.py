"""The store of a dataset."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Self
from uuid import uuid4

from psalm.errors import StoreError
from psalm.store.making import copy_file, create_file
from psalm.store.protection import ProtectedTable

FILE_NAME = "psalm.db"


class AnnotationStore(ProtectedTable):
    """Images, categories, objects, review states and history of a dataset, in one file of its folder.

    Made by `create` or `open`, not by its constructor. Every change is a transaction of its own, or part of the block
    of `transaction`. Several processes may use a store at once: one changes it at a time, and readers never wait.
    """

    @classmethod
    def create(cls, dataset: Path | str, image_root: Path | str, *, actor: str = "") -> Self:
        """Make an empty store in a dataset folder, which is made when it is missing.

        Parameters
        ----------
        dataset : path
            Folder of the store.
        image_root : path
            Folder below which the images lie; paths in the store are relative to it.
        actor : str
            Who writes, for the history.

        Raises
        ------
        StoreError
            When the folder has a store already.
        OutputError
            When the folder cannot be written.
        """
        folder, root = Path(dataset), Path(image_root)
        create_file(
            folder / FILE_NAME, {"image_root": json.dumps(_places(folder, root)), "uid": json.dumps(uuid4().hex)}
        )
        return cls.open(folder, actor=actor)

    @classmethod
    def open(cls, dataset: Path | str, read_only: bool = False, *, actor: str = "") -> Self:
        """Open the store of a dataset folder; one that an earlier version wrote is brought up to date.

        Parameters
        ----------
        dataset : path
        read_only : bool
            For readers; works in a folder that may not be written, and while others write.
        actor : str
            Who writes, for the history.

        Raises
        ------
        StoreError
            When there is no store, the file is not one, or a newer psalm wrote it.
        OutputError
            When it may not be read or written.
        """
        return cls(Path(dataset) / FILE_NAME, read_only, actor)

    @classmethod
    def open_or_create(cls, dataset: Path | str, image_root: Path | str, *, actor: str = "") -> Self:
        """Open the store of a dataset folder, or make it when there is none.

        Raises
        ------
        StoreError
            When the store belongs to the images of another folder.
        """
        if not cls.exists(dataset):
            try:
                return cls.create(dataset, image_root, actor=actor)
            except StoreError:
                if not cls.exists(dataset):
                    raise
                # Another process was faster.
        store = cls.open(dataset, actor=actor)
        if store.image_root.resolve() != Path(image_root).resolve():
            known = store.image_root
            store.close()
            raise StoreError(
                f"{dataset} belongs to the images below {known}, not {image_root}: choose another dataset folder, or, "
                f"when the images were moved, run: psalm dataset images {dataset} {image_root}"
            )
        return store

    @staticmethod
    def exists(dataset: Path | str) -> bool:
        """Whether a folder has a store."""
        return (Path(dataset) / FILE_NAME).is_file()

    def copy(self, dataset: Path | str) -> None:
        """Copy the store, as it is at one moment, into another dataset folder; also while others write.

        A copy of the file alone may lack the latest changes, which SQLite keeps beside it for a while.

        Raises
        ------
        StoreError
            When that folder has a store.
        OutputError
            When it cannot be written.
        """
        with self._lock:
            copy_file(self._connection, Path(dataset) / FILE_NAME)
        with type(self).open(dataset, actor=self.actor) as copied, copied.transaction():
            copied.set_setting("image_root", _places(copied.dataset, self.image_root))

    @property
    def dataset(self) -> Path:
        """The dataset folder."""
        return self.file.parent

    @property
    def uid(self) -> str:
        """Tells this dataset from all others; with an object's id it names that object in exported files."""
        return str(self.setting("uid"))

    @property
    def image_root(self) -> Path:
        """Folder below which the images lie.

        Kept relative to the dataset folder, so that both may be moved together, and absolute, so that the dataset may
        be moved alone.
        """
        places = self.setting("image_root")
        relative = Path(os.path.normpath(self.dataset.resolve() / places["relative"]))
        absolute = Path(places["absolute"])
        return absolute if absolute.is_dir() and not relative.is_dir() else relative

    def set_image_root(self, image_root: Path | str) -> None:
        """Say where the images lie now; paths below it stay as they are."""
        with self.transaction():
            before = self.setting("image_root")
            self.set_setting("image_root", _places(self.dataset, Path(image_root)))
            self._remember("image_root", None, before, self.setting("image_root"))


def _places(dataset: Path, root: Path) -> dict[str, str]:
    absolute = root.resolve()
    try:
        relative = Path(os.path.relpath(absolute, dataset.resolve()))
    except ValueError:  # on another drive of Windows
        relative = absolute
    return {"relative": relative.as_posix(), "absolute": absolute.as_posix()}
