"""The images of a dataset and how far each is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from psalm.errors import ImageError, StoreError
from psalm.store.history import HistoryTable
from psalm.store.records import ImageState, StoredImage

_COLUMNS = "id, path, page, height, width, content_hash, state, error"
_CHUNK = 1000
# More pixels than the RLE of COCO can count.
_MAX_PIXELS = 2**31 - 1


class ImageTable(HistoryTable):
    """The part of the store that knows the images."""

    def ensure_image(
        self, path: str, page: int = 0, height: int = 0, width: int = 0, content_hash: str = ""
    ) -> StoredImage:
        """The image at `path` and `page`; it is added, as todo, when the store does not know it.

        What the store does not know yet of an image (size 0, empty hash) is filled in. What it knows is kept: compare
        `content_hash` to learn that the file has changed, and call `update_image`.

        Parameters
        ----------
        path : str
            Relative to `image_root`, with forward slashes.
        page : int
            Page of a multi-page file, from 0.
        height, width : int
            Pixels as the image is shown; 0 while they are not known.
        content_hash : str
            Of the file's bytes, see `psalm.store.content_hash`.

        Raises
        ------
        ImageError
            When the path is not inside the root, or a number is out of range.
        """
        path = check_path(path)
        _check_numbers(path, page, height, width)
        known = self.find_image(path, page)
        if known and (known.height or not height) and (known.content_hash or not content_hash):
            return known
        with self.transaction():
            self._write(
                "INSERT OR IGNORE INTO images (path, page, height, width, content_hash, state) "
                "VALUES (?, ?, ?, ?, ?, 'todo')",
                [path, page, height, width, content_hash],
            )
            self._write(
                "UPDATE images SET height = ?, width = ? WHERE path = ? AND page = ? AND height = 0",
                [height, width, path, page],
            )
            self._write(
                "UPDATE images SET content_hash = ? WHERE path = ? AND page = ? AND content_hash = ''",
                [content_hash, path, page],
            )
            return _image(self._found(self._at(path, page), path))

    def image(self, image_id: int) -> StoredImage:
        """The image with this id.

        Raises
        ------
        StoreError
            When there is none.
        """
        row = self._row(f"SELECT {_COLUMNS} FROM images WHERE id = ?", [image_id])
        return _image(self._found(row, f"image {image_id}"))

    def find_image(self, path: str, page: int = 0) -> StoredImage | None:
        """The image at a path; None when the store does not know it."""
        row = self._at(path, page)
        return None if row is None else _image(row)

    def find_content(self, content_hash: str) -> list[StoredImage]:
        """Images whose file had these bytes, for files that were moved or copied; ordered by path and page."""
        rows = self._rows(f"SELECT {_COLUMNS} FROM images WHERE content_hash = ? ORDER BY path, page", [content_hash])
        return [_image(row) for row in rows]

    def images(self, state: ImageState | None = None, after: StoredImage | None = None) -> Iterator[StoredImage]:
        """Images ordered by path and page, read a thousand at a time, so the store may be changed meanwhile.

        Parameters
        ----------
        state : ImageState, optional
            Only those in this state.
        after : StoredImage, optional
            Only those behind this one.
        """
        last: tuple[str, int] = ("", -1) if after is None else (after.path, after.page)
        where, values = ("", []) if state is None else ("state = ? AND", [ImageState(state).value])
        while True:
            rows = self._rows(
                f"SELECT {_COLUMNS} FROM images WHERE {where} (path, page) > (?, ?) ORDER BY path, page LIMIT ?",
                [*values, *last, _CHUNK],
            )
            yield from map(_image, rows)
            if len(rows) < _CHUNK:
                return
            last = (rows[-1][1], rows[-1][2])

    def image_ids(self, state: ImageState | None = None) -> list[int]:
        """Ids in the order of `images`."""
        where, values = ("", []) if state is None else ("WHERE state = ?", [ImageState(state).value])
        return [row[0] for row in self._rows(f"SELECT id FROM images {where} ORDER BY path, page", values)]

    def counts(self) -> dict[ImageState, int]:
        """How many images are in each state; every state is there."""
        found = dict(self._rows("SELECT state, count(*) FROM images GROUP BY state"))
        return {state: found.get(state.value, 0) for state in ImageState}

    def set_state(self, image_id: int, state: ImageState, error: str | None = None) -> StoredImage:
        """Change how far an image is.

        Parameters
        ----------
        image_id : int
        state : ImageState
        error : str, optional
            Why it failed.

        Raises
        ------
        StoreError
            When there is no such image.
        """
        state, error = ImageState(state), error or ""
        with self.transaction():
            image = self.image(image_id)
            if (image.state, image.error) != (state, error):
                self._write("UPDATE images SET state = ?, error = ? WHERE id = ?", [state.value, error, image_id])
                self._remember("state", image_id, _state(image.state, image.error), _state(state, error))
            return self.image(image_id)

    def update_image(
        self,
        image_id: int,
        *,
        path: str | None = None,
        page: int | None = None,
        height: int | None = None,
        width: int | None = None,
        content_hash: str | None = None,
    ) -> StoredImage:
        """Change what is given: the file was moved, or its content is another.

        Raises
        ------
        StoreError
            When there is no such image, another image has the path, or the size would change under stored objects.
        """
        with self.transaction():
            image = self.image(image_id)
            new: dict[str, Any] = {
                "path": image.path if path is None else check_path(path),
                "page": image.page if page is None else page,
                "height": image.height if height is None else height,
                "width": image.width if width is None else width,
                "content_hash": image.content_hash if content_hash is None else content_hash,
            }
            old = {name: getattr(image, name) for name in new}
            _check_numbers(new["path"], new["page"], new["height"], new["width"])
            other = self.find_image(new["path"], new["page"])
            if other and other.id != image_id:
                raise StoreError(f"{other.path} (page {other.page}) is image {other.id} already: choose another path.")
            resized = (new["height"], new["width"]) != image.size
            if resized and self._row("SELECT 1 FROM objects WHERE image_id = ? LIMIT 1", [image_id]):
                raise StoreError(
                    f"{image.path} has objects of size {image.size}, which do not fit {new['height']} x {new['width']} "
                    "pixels: remove the objects first."
                )
            if new != old:
                changes = ", ".join(f"{name} = ?" for name in new)
                self._write(f"UPDATE images SET {changes} WHERE id = ?", [*new.values(), image_id])
                self._remember("image", image_id, old, new)
            return self.image(image_id)

    def _at(self, path: str, page: int) -> tuple[Any, ...] | None:
        return self._row(f"SELECT {_COLUMNS} FROM images WHERE path = ? AND page = ?", [path, page])


def check_path(path: str) -> str:
    """A path inside the image root, with forward slashes and without detours.

    Raises
    ------
    ImageError
        When it is empty, absolute, leaves the root, or is not Unicode.
    """
    readings = PurePosixPath(path), PureWindowsPath(path)
    leaves = any(".." in reading.parts or reading.is_absolute() or reading.anchor for reading in readings)
    if leaves or not readings[0].parts or "\0" in path:
        raise ImageError(f"The image path {path!r} is not usable: give a path inside the image root, relative to it.")
    try:
        path.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ImageError(f"The file name {path!r} is not valid Unicode: rename the file.") from error
    return str(readings[0])


def _check_numbers(path: str, page: int, height: int, width: int) -> None:
    if min(page, height, width) < 0 or (height == 0) != (width == 0) or height * width > _MAX_PIXELS or page >= 2**31:
        raise ImageError(
            f"{path}: page {page} with {height} x {width} pixels is not usable: pages count from 0, sizes are positive "
            f"and at most {_MAX_PIXELS} pixels in all."
        )


def _image(row: tuple[Any, ...]) -> StoredImage:
    return StoredImage(row[0], row[1], row[2], row[3], row[4], row[5], ImageState(row[6]), row[7])


def _state(state: ImageState, error: str) -> dict[str, str]:
    return {"state": state.value} | ({"error": error} if error else {})
