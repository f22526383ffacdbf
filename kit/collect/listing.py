"""One page of a versions listing, as S3 sends it [S3 API reference, "ListObjectVersions"]."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET

from kit.digests.objects import Version


@dataclass(frozen=True, slots=True)
class Page:
    """Keys with their versions, whether each is the latest; folders; and what to ask for the following page."""

    versions: tuple[tuple[str, bool, Version], ...]
    folders: tuple[str, ...]
    following: dict[str, str]


def read_page(body: str) -> Page:
    """Return one page, asked for with `encoding-type=url`.

    Raises:
        ValueError: it is not of the documented form, or says that there is more and not where.
    """
    try:
        root = ET.fromstring(body)  # noqa: S314 - expat expands no entity beyond measure, and fetches none
    except ET.ParseError as error:
        raise ValueError("it does not parse") from error
    if _name(root) != "ListVersionsResult":
        raise ValueError("it is no ListVersionsResult")
    versions, folders, told = [], [], {}
    for element in root:
        name = _name(element)
        if name in ("Version", "DeleteMarker"):
            versions.append(_version(element, deleted=name == "DeleteMarker"))
        elif name == "CommonPrefixes":
            folders.append(_folder(element))
        else:
            told[name] = element.text or ""
    following = {}
    if told.get("IsTruncated") not in ("true", "false"):
        raise ValueError("it does not say whether there is more")
    if told["IsTruncated"] == "true":
        if not told.get("NextKeyMarker"):
            raise ValueError("it says that there is more, and not where")
        following["key-marker"] = unquote_plus(told["NextKeyMarker"])
        if told.get("NextVersionIdMarker"):
            following["version-id-marker"] = told["NextVersionIdMarker"]
    return Page(tuple(versions), tuple(folders), following)


def _version(element: ET.Element, *, deleted: bool) -> tuple[str, bool, Version]:
    told = _members(element)
    try:
        modified = datetime.fromisoformat(told["LastModified"])
        if modified.utcoffset() is None:
            raise ValueError("a time without its offset")
        version = Version(told["VersionId"], modified, 0 if deleted else int(told["Size"]), deleted)
        return unquote_plus(told["Key"]), told["IsLatest"] == "true", version
    except KeyError as error:
        raise ValueError(f"an object lacks its {error}") from error


def _folder(element: ET.Element) -> str:
    members = _members(element)
    if "Prefix" not in members:
        raise ValueError("a folder lacks its name")
    return unquote_plus(members["Prefix"])


def _members(element: ET.Element) -> dict[str, str]:
    return {_name(child): child.text or "" for child in element}


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
