"""``psalm dataset``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from psalm.cli.console import console
from psalm.errors import StoreError

if TYPE_CHECKING:
    from psalm.store import AnnotationStore, Change

dataset = typer.Typer(help="Look into a dataset folder and keep it in order.", no_args_is_help=True)

DatasetArgument = Annotated[
    Path, typer.Argument(help="Folder with the annotations, made by prelabel or the annotator.")
]
_ACTOR = "psalm dataset"


@dataset.command()
def show(folder: DatasetArgument) -> None:
    """Say how far the images are, and how many objects each category has."""
    from psalm.store import AnnotationStore

    with AnnotationStore.open(folder, read_only=True) as store, store.snapshot():
        counts, objects = store.counts(), store.object_counts()
        states = ", ".join(f"{count} {state.value.replace('_', ' ')}" for state, count in counts.items() if count)
        _say(f"{sum(counts.values())} images below {store.image_root}: {states or 'none'}")
        _say(f"{sum(objects.values())} objects")
        table = Table("id", "category", "objects", "kind", "other names", box=None, pad_edge=False)
        for found in store.categories():
            kind = "thing" if found.is_thing else "stuff"
            synonyms = ", ".join(found.synonyms)
            table.add_row(str(found.id), escape(found.name), str(objects[found.id]), kind, escape(synonyms))
    if table.row_count:
        console.print(table, highlight=False)


@dataset.command()
def history(
    folder: DatasetArgument,
    image: Annotated[str | None, typer.Option(help="Path of an image, as the dataset has it; else all images.")] = None,
    page: Annotated[int, typer.Option(min=0, help="Page of a multi-page image, from 0.")] = 0,
    last: Annotated[int, typer.Option(min=1, help="How many of the latest changes.")] = 20,
) -> None:
    """List the latest changes: when, who, what."""
    from psalm.store import AnnotationStore

    with AnnotationStore.open(folder, read_only=True) as store:
        for change in store.history(None if image is None else _image_id(store, image, page), limit=last):
            _say(_line(store, change))


@dataset.command()
def images(
    folder: DatasetArgument, root: Annotated[Path, typer.Argument(help="Folder below which the images lie now.")]
) -> None:
    """Say where the images lie, after they or the dataset were moved."""
    from psalm.store import AnnotationStore

    if not root.is_dir():
        raise StoreError(f"There is no folder {root}: check the path.")
    with AnnotationStore.open(folder, actor=_ACTOR) as store:
        store.set_image_root(root)
        first = next(store.images(), None)
        _say(f"Images lie below {store.image_root}.")
        if first and not (store.image_root / first.path).exists():
            _say(f"There is no {first.path} in it: check the folder.")


@dataset.command()
def copy(folder: DatasetArgument, out: Annotated[Path, typer.Argument(help="Folder for the copy.")]) -> None:
    """Copy the annotations as they are at one moment, also while others write; images are not copied."""
    from psalm.store import AnnotationStore

    with AnnotationStore.open(folder, read_only=True, actor=_ACTOR) as store:
        store.copy(out)
    _say(f"{folder} copied to {out}")


@dataset.command()
def rename(
    folder: DatasetArgument,
    name: Annotated[str, typer.Argument(help="A category.")],
    new_name: Annotated[str, typer.Argument(help="Its new name; the old one stays as another name of it.")],
) -> None:
    """Give a category another name; its id and its objects stay."""
    from psalm.store import AnnotationStore

    with AnnotationStore.open(folder, actor=_ACTOR) as store, store.transaction():
        found = store.category(_category_id(store, name))
        store.update_category(found.id, name=new_name, synonyms=[*found.synonyms, found.name])


@dataset.command()
def merge(
    folder: DatasetArgument,
    names: Annotated[list[str], typer.Argument(help="Categories that are to be one.")],
    into: Annotated[str, typer.Option(help="The one that stays.")],
) -> None:
    """Make several categories one, which takes their names as other names of it."""
    from psalm.store import AnnotationStore

    with AnnotationStore.open(folder, actor=_ACTOR) as store, store.transaction():
        target = _category_id(store, into)
        moved = store.merge_categories([_category_id(store, name) for name in names], target)
    _say(f"{moved} objects are now {into}.")


def _image_id(store: AnnotationStore, path: str, page: int) -> int:
    image = store.find_image(path, page)
    if image is None:
        raise StoreError(
            f"The dataset has no image {path} (page {page}): give its path relative to {store.image_root}."
        )
    return image.id


def _category_id(store: AnnotationStore, name: str) -> int:
    found = store.find_category(name)
    if found is None:
        known = ", ".join(category.name for category in store.categories()) or "none"
        raise StoreError(f"The dataset has no category {name!r}: choose one of {known}.")
    return found.id


def _line(store: AnnotationStore, change: Change) -> str:
    where = "" if change.image_id is None else f"  {store.image(change.image_id).path}"
    what = [text for text in (_words(change.before), _words(change.after)) if text]
    return f"{change.at}  {change.actor or '?'}  {change.action}{where}  {' -> '.join(what)}"


def _words(side: Mapping[str, Any]) -> str:
    """One side of a change, objects by their ids."""
    words = []
    for key, value in side.items():
        if key == "objects" and isinstance(value, list):
            ids = [str(each["id"] if isinstance(each, dict) else each) for each in value]
            shown = ", ".join(ids[:5]) + (", ..." if len(ids) > 5 else "")
            words += [f"{len(ids)} objects ({shown})"] if ids else []
        elif value not in ("", [], None):
            words.append(f"{key} {value}")
    return ", ".join(words)


def _say(text: str) -> None:
    console.print(escape(text), highlight=False, soft_wrap=True)
