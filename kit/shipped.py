"""Finds the files that come with the kit besides its code: notebooks, parameter files, examples."""

from pathlib import Path

from kit.errors import ParameterError

_PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """Return where a file or folder is that comes with the kit, by its path in a working copy, such as `notebooks`.

    An installed kit has them in its package and nowhere else: what happens to lie beside it is none of its files.

    Raises:
        ParameterError: it is not there.
    """
    data = _PACKAGE / "_data"
    found = (data if data.is_dir() else _PACKAGE.parent) / name
    if not found.exists():
        raise ParameterError(f"{name} is not installed", "install the kit again, or run from a working copy")
    return found
