"""Hostile text made safe and visible: nothing in a value can hide, reorder or break what a reader sees.

Names, tags and messages come from an account and its users. Markup in them is escaped; characters that print nothing
or change the order of what is printed (control characters, bidirectional overrides, UAX #9) are written out by code
point, so that what is read is what is there.
"""

import re

from markupsafe import Markup, escape

LIMIT = 2_000
"""Characters of one value that are shown whole; of a longer one, the beginning, for the rest is in the evidence."""

_BEGINNING = 600

# Categories Cc (but tab and line feed), Cf, Cs, Co, Zl and Zp, soft hyphen, fillers that print as nothing, and
# non-characters, as fixed ranges: what is shown must not depend on the Unicode tables of one Python version.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ud800-\uf8ff\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U0010ffff]"
)


def code_point(character: str) -> str:
    """Return a character written out, such as `⟨U+202E⟩`."""
    return f"⟨U+{ord(character):04X}⟩"


def plain(text: object) -> str:
    """Return text with every hidden character written out; for attributes, titles and plain text."""
    return _HIDDEN.sub(lambda match: code_point(match[0]), _newlines(str(text)))


def visible(text: object) -> Markup:
    """Return text as HTML: markup escaped, hidden characters written out in a small mark."""
    value = _newlines(str(text))
    if not _HIDDEN.search(value):
        return escape(value)
    parts: list[str] = []
    end = 0
    for match in _HIDDEN.finditer(value):
        parts += (str(escape(value[end : match.start()])), f'<span class="tk-hidden">{code_point(match[0])}</span>')
        end = match.end()
    return Markup("".join(parts) + str(escape(value[end:])))  # noqa: S704 - every part was escaped above


def cut(text: str, where: str = "", limit: int = LIMIT) -> Markup:
    """Return `visible` text; of one longer than `limit` its beginning, its length, and `where` the whole is."""
    if len(text) <= limit:
        return visible(text)
    limit = min(limit, _BEGINNING) if limit == LIMIT else limit
    rest = f"({len(text):,} characters" + (f"; whole in {where})" if where else ")")
    return Markup('{}<span class="tk-cut">… {}</span>').format(visible(text[:limit]), plain(rest))


def slug(text: object) -> str:
    """Return text as part of an HTML id: letters, digits, dot, dash and underscore; others by code point."""
    return re.sub(r"[^A-Za-z0-9._-]", lambda match: f"_{ord(match[0]):x}", str(text))[:200]


def _newlines(text: str) -> str:
    return text.replace("\r\n", "\n")
