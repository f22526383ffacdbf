"""Drawings as data: a chart travels as an image that can neither run a script nor ask for a file."""

import re
from base64 import b64encode
from xml.etree import ElementTree as ET

from kit.errors import RenderError

_PROLOGUE = re.compile(r"^\s*(<\?xml[^>]*\?>)?\s*(<!DOCTYPE[^>\[]*>)?\s*", re.IGNORECASE)
_ELEMENTS = {
    "svg", "g", "defs", "clipPath", "use", "style", "title", "desc", "path", "rect", "circle", "line", "polyline",
    "polygon", "text", "tspan",
}  # fmt: skip
_OUTSIDE = re.compile(r"url\s*\(\s*[\"']?\s*(?!#)|@import|expression|javascript:|\\", re.IGNORECASE)


def svg_uri(svg: str) -> str:
    """Return a drawing as a `data:` address for an `<img>`.

    A browser runs no script in an image, yet a reader may save the drawing and open it on its own.

    Raises:
        RenderError: it is no SVG drawing, or holds anything but shapes and text of its own.
    """
    drawing = _PROLOGUE.sub("", str(svg), count=1)
    if not drawing.startswith("<svg") or "<!DOCTYPE" in drawing or not _is_plain(drawing):
        raise RenderError(
            "a chart of the notebook is no plain drawing: it holds more than shapes",
            "run the notebook again, and don't edit its outputs",
        )
    return "data:image/svg+xml;base64," + b64encode(drawing.encode("utf-8")).decode("ascii")


def _is_plain(drawing: str) -> bool:
    try:
        root = ET.fromstring(drawing)  # noqa: S314 - without a DOCTYPE there are no entities to expand
    except (ET.ParseError, ValueError):
        return False
    for element in root.iter():
        name = str(element.tag).rsplit("}", 1)[-1]
        if name not in _ELEMENTS or (name == "style" and _OUTSIDE.search(element.text or "")):
            return False
        for attribute, text in element.attrib.items():
            local = attribute.rsplit("}", 1)[-1].lower()
            if local.startswith("on") or (local == "href" and not text.startswith("#")) or _OUTSIDE.search(text):
                return False
    return True
