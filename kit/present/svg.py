"""Drawings as data: a chart travels as an image that can neither run a script nor ask for a file."""

import re
from base64 import b64encode

from kit.errors import RenderError

_PROLOGUE = re.compile(r"^\s*(<\?xml[^>]*\?>)?\s*(<!DOCTYPE[^>\[]*>)?\s*", re.IGNORECASE)
# A browser runs no script in an image, yet a reader may save the drawing and open it on its own.
_ACTIVE = re.compile(
    r"<!|<\?|<\s*(?:\w+:)?(script|foreignObject|iframe|image|a|animate\w*|set|handler)\b|\son\w+\s*=|"
    r"href\s*=\s*[\"'](?!#)|url\(\s*[\"']?(?!#)|@import",
    re.IGNORECASE,
)


def svg_uri(svg: str) -> str:
    """Return a drawing as a `data:` address for an `<img>`.

    Raises:
        RenderError: it is no SVG drawing, or holds a script, an outside reference or an entity.
    """
    drawing = _PROLOGUE.sub("", str(svg), count=1)
    if not drawing.startswith("<svg") or _ACTIVE.search(re.sub(r"<!--.*?-->", "", drawing, flags=re.DOTALL)):
        raise RenderError(
            "a chart of the notebook is no plain drawing: it holds more than shapes",
            "run the notebook again, and don't edit its outputs",
        )
    return "data:image/svg+xml;base64," + b64encode(drawing.encode("utf-8", "replace")).decode("ascii")
