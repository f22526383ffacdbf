"""JSON values as HTML a reader can take in: scalars plain, lists as lists, objects as small key and value lists."""

import json
import re
from typing import Any

from markupsafe import Markup

from kit.findings import count
from kit.present.text import LIMIT, cut, plain, visible

_NODES = 300
_DEPTH = 8
_LONG = 12
_MANY, _SHORT = 24, 60
_COLUMN = 120
_LOOKS_LIKE_OTHER = re.compile(r"true|false|null|(?!\d{12}$)-?\d+(\.\d+)?([eE][+-]?\d+)?", re.IGNORECASE)


def value(json_value: Any, where: str = "findings.json", limit: int = LIMIT, nothing: str = "not set") -> Markup:
    """Return a JSON value as HTML; long ones fold, very long ones are cut and `where` says who has the whole.

    `nothing` is what it means that there is no value.

    Text that reads like another kind of value is quoted: `"90"` is text, `90` is a number. Twelve digits are not: an
    account's id is always text.
    """
    if json_value is None:
        return Markup('<span class="tk-none">{}</span>').format(nothing)
    return _Writer(where, limit).write(json_value, 0)


def wide(json_value: Any) -> bool:
    """Return whether a value holds text too long for a column of a table, such as the name of an object in S3."""
    if isinstance(json_value, dict):
        json_value = list(json_value.values())
    if isinstance(json_value, list | tuple):
        return any(map(wide, json_value))
    return isinstance(json_value, str) and len(json_value) > _COLUMN


def _brief(members: dict[str, Any]) -> bool:
    """Return whether an object inside another value fits one line: few members, all short scalars."""
    scalars = all(item is None or isinstance(item, bool | int | float | str) for item in members.values())
    return scalars and len(members) <= 4 and sum(len(f"{name}{item}") for name, item in members.items()) <= 60


def _catalogue(members: dict[str, Any]) -> bool:
    """Return whether an object is a long list of short names and texts, such as packages with their versions."""
    short = all(isinstance(item, str) and len(f"{name}{item}") <= _SHORT for name, item in members.items())
    return short and len(members) > _MANY


class _Writer:
    """Writes one value, with a budget of nodes: a value can't make a record endless."""

    def __init__(self, where: str, limit: int) -> None:
        self.where = where
        self.limit = limit
        self.left = _NODES

    def write(self, item: Any, depth: int) -> Markup:
        self.left -= 1
        if item is None:
            return Markup('<span class="tk-none">not set</span>')
        if isinstance(item, bool):
            return Markup("true") if item else Markup("false")
        if isinstance(item, str):
            return self._text(item)
        if isinstance(item, dict):
            return self._fold(self._object(item, depth), item, "member", depth)
        if isinstance(item, list | tuple):
            return self._fold(self._list(item, depth), item, "item", depth)
        return visible(item)

    def _text(self, text: str) -> Markup:
        if not text:
            return Markup('<span class="tk-none">empty text</span>')
        shown = cut(text, self.where, self.limit)
        quote = '"' if _LOOKS_LIKE_OTHER.fullmatch(text) else ""
        return Markup("<bdi>{}{}{}</bdi>").format(quote, shown, quote)

    def _list(self, items: list[Any] | tuple[Any, ...], depth: int) -> Markup:
        if not items:
            return Markup('<span class="tk-none">none</span>')
        if depth >= _DEPTH:
            return self._flat(items)
        rows = []
        for index, item in enumerate(items):
            if self.left <= 0:
                rows.append(self._more(len(items) - index))
                break
            rows.append(Markup("<li>{}</li>").format(self.write(item, depth + 1)))
        return Markup('<ul class="tk-list">{}</ul>').format(Markup("").join(rows))

    def _object(self, members: dict[str, Any], depth: int) -> Markup:
        if not members:
            return Markup('<span class="tk-none">none</span>')
        if depth >= _DEPTH:
            return self._flat(members)
        if depth and _brief(members):
            return self._line(members)
        if _catalogue(members):
            return self._run_in(members)
        rows = []
        for index, (name, item) in enumerate(members.items()):
            if self.left <= 0:
                rows.append(self._more(len(members) - index))
                break
            rows.append(
                Markup('<li><span class="tk-key">{}</span> {}</li>').format(
                    cut(str(name), self.where, 200), self.write(item, depth + 1)
                )
            )
        return Markup('<ul class="tk-map">{}</ul>').format(Markup("").join(rows))

    def _line(self, members: dict[str, Any]) -> Markup:
        self.left -= len(members)
        parts = [
            Markup('<span class="tk-key">{}</span> {}').format(visible(name), self.write(item, _DEPTH))
            for name, item in members.items()
        ]
        return Markup("; ").join(parts)

    def _run_in(self, members: dict[str, Any]) -> Markup:
        """Return texts one behind the other, unquoted, since all are texts: a line for each would be pages of white."""
        shown = list(members.items())[: max(self.left, 0)]
        self.left -= len(shown)
        part = Markup('<span class="tk-nowrap"><span class="tk-key">{}</span> <bdi>{}</bdi></span>')
        html = Markup(", ").join(part.format(visible(name), visible(item)) for name, item in shown)
        left = len(members) - len(shown)
        return html + (Markup('<ul class="tk-map">{}</ul>').format(self._more(left)) if left else Markup(""))

    def _fold(self, html: Markup, item: Any, noun: str, depth: int) -> Markup:
        if len(item) <= _LONG or depth:
            return html
        return Markup('<details class="tk-fold"><summary>{}</summary>{}</details>').format(count(len(item), noun), html)

    def _more(self, number: int) -> Markup:
        return Markup('<li class="tk-cut">… {} more; whole in {}</li>').format(f"{number:,}", plain(self.where))

    def _flat(self, item: Any) -> Markup:
        return Markup("<bdi>{}</bdi>").format(cut(json.dumps(item, ensure_ascii=False), self.where, 400))
