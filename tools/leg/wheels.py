"""Python packages that travel as wheels."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from psalm.errors import ConfigError, OutputError

DEFAULT_NEEDS = ("timm", "pycocotools", "rich", "markdown-it-py", "mdurl", "pygments")
_REQUIRED = {
    "accelerate": "accelerate",
    "numpy": "numpy",
    "PIL": "pillow",
    "pycocotools": "pycocotools",
    "rich": "rich",
    "safetensors": "safetensors",
    "scipy": "scipy",
    "timm": "timm",
    "tokenizers": "tokenizers",
    "torch": "torch",
    "torchvision": "torchvision",
    "transformers": "transformers",
    "yaml": "pyyaml",
}
_PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_24", "manylinux_2_17", "manylinux2014", "manylinux1")


def fetch(needs: Sequence[str], folder: Path, python: str, machine: str) -> list[str]:
    """Download wheels for another machine with pip.

    Parameters
    ----------
    needs : sequence of str
        Package names, without what they themselves need; the version of this installation where it has one, or as
        ``name==version`` says.
    folder : Path
        Older wheels in it are removed.
    python, machine : str
        Of the other machine, as ``3.12`` and ``x86_64``.

    Returns
    -------
    list of str
        The files.

    Raises
    ------
    OutputError
        When pip finds no such wheel.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.whl"):
        old.unlink()
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    target = [f"--python-version={python}", "--implementation=cp"]
    target += [f"--platform={platform}_{machine}" for platform in _PLATFORMS]
    done = subprocess.run(
        [*pip, *target, "-d", str(folder), *map(_pinned, needs)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise OutputError(f"pip could not fetch the wheels: {done.stderr.strip()}")
    return sorted(path.name for path in folder.glob("*.whl"))


def install_missing(wheels: Path, folder: Path) -> list[str]:
    """Install those wheels whose package is missing into a folder, and import from it.

    Returns
    -------
    list of str
        Names of the packages.

    Raises
    ------
    OutputError
        When pip cannot install a wheel here.
    """
    missing = [wheel for wheel in sorted(wheels.glob("*.whl")) if not _is_installed(wheel.name.partition("-")[0])]
    if missing:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile"]
        pip += ["--no-cache-dir", "--disable-pip-version-check", "--target", str(folder)]
        done = subprocess.run([*pip, *map(str, missing)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise OutputError(f"pip could not install the wheels of the leg: {done.stderr.strip()}")
        sys.path.append(str(folder))
        importlib.invalidate_caches()
    return [wheel.name.partition("-")[0] for wheel in missing]


def check_modules() -> None:
    """Refuse to go on without the packages that training needs.

    Raises
    ------
    ConfigError
        Which names them.
    """
    missing = [package for module, package in _REQUIRED.items() if find_spec(module) is None]
    if missing:
        raise ConfigError(f"Python packages are missing here: carry them, wheels --need {' '.join(missing)}.")


def _pinned(need: str) -> str:
    try:
        return need if "==" in need else f"{need}=={version(need)}"
    except PackageNotFoundError:
        return need


def _is_installed(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False
