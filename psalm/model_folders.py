"""Where models lie on this computer."""

from __future__ import annotations

from pathlib import Path

from psalm.errors import CheckpointError
from psalm.hub import PUBLISHED, cached

SHIPPED = Path(__file__).parent / "weights"


def find_model(name_or_path: str | Path) -> Path:
    """The folder of a model.

    Parameters
    ----------
    name_or_path : str or Path
        A folder, a weights file in it, a shipped model's name, or the name of a checkpoint fetched from the hub.

    Raises
    ------
    CheckpointError
        When there is none.
    """
    path, name = Path(name_or_path), str(name_or_path)
    for folder in (path.parent if path.is_file() else path, SHIPPED / name):
        if (folder / "config.json").exists():
            return folder
    if path.exists():
        raise CheckpointError(f"There is no config.json at {path}: it belongs beside the weights.")
    fetched = cached(name)
    if fetched is not None and (fetched / "config.json").exists():
        return fetched
    shipped = sorted(folder.parent.name for folder in SHIPPED.glob("*/config.json"))
    hint = f" To get it from the hub, run: psalm fetch {name}" if name in PUBLISHED or name.count("/") == 1 else ""
    raise CheckpointError(
        f"There is no model {name!r}: give the path of a model folder, or one of the names "
        f"that ship with psalm ({', '.join(shipped) or 'none in this installation'}).{hint}"
    )
