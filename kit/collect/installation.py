"""Reads what is installed: the kit's own files, what its wheel's RECORD says of them, and the version of everything."""

import base64
import json
import platform
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path

from kit import __version__
from kit.canonical import Json, sha256_file

_NAME = "trailkit"
_PACKAGE = "kit"
_HERE = Path(__file__).resolve().parent.parent
_DO = (
    "Build the wheel (python -m hatchling build --target wheel), install it into an environment of its own "
    f"(pip install --no-deps dist/trailkit-{__version__}-py3-none-any.whl), and run the qualification there."
)


def installation() -> dict[str, Json]:
    """Return what is installed here, as the ledger holds it; nothing is asked of a network.

    The files are those of the package that is running, but for what Python compiles for itself.
    """
    recorded, why = _recorded(_HERE)
    return {
        "version": __version__,
        "unrecorded": why,
        "recorded": recorded,
        "found": dict(own_files()),
        "packages": dict(packages()),
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def own_files() -> dict[str, str]:
    """Return the SHA-256 of each file of the kit that is running."""
    return {_name(path): sha256_file(path) for path in sorted(_HERE.rglob("*")) if _is_own(path)}


def packages() -> dict[str, str]:
    """Return the version of every package that is installed."""
    return dict(sorted((one.name, one.version) for one in distributions() if one.name))


def _recorded(package: Path) -> tuple[dict[str, str], str]:
    """Return the SHA-256 of each file of the package that RECORD lists, or why there is none."""
    try:
        found = distribution(_NAME)
    except PackageNotFoundError:
        return {}, f"The kit is not installed as a distribution: no RECORD says what its files must be. {_DO}"
    if _is_editable(found):
        return {}, f"The kit is installed from a working copy: no RECORD says what its files must be. {_DO}"
    if Path(str(found.locate_file(_PACKAGE))).resolve() != package:
        return {}, f"The kit that runs is not the one that is installed: its RECORD says nothing of these files. {_DO}"
    listed = {}
    for file in found.files or ():
        name = file.as_posix()
        if name.startswith(f"{_PACKAGE}/") and _is_own(Path(name), exists=True) and file.hash:
            padded = file.hash.value + "=" * (-len(file.hash.value) % 4)
            listed[name] = base64.urlsafe_b64decode(padded).hex()
    return listed, ""


def _is_editable(found: Distribution) -> bool:
    """Return whether a distribution points to a working copy [PEP 660, and "Recording the Direct URL Origin"]."""
    try:
        return bool(json.loads(found.read_text("direct_url.json") or "{}")["dir_info"]["editable"])
    except (ValueError, LookupError, TypeError):
        return False


def _is_own(path: Path, *, exists: bool = False) -> bool:
    return (exists or path.is_file()) and "__pycache__" not in path.parts


def _name(path: Path) -> str:
    return f"{_PACKAGE}/{path.relative_to(_HERE).as_posix()}"
