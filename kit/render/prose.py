"""The prose of a notebook as HTML: Markdown in, with HTML in it escaped and nothing fetched."""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import mistune
from markupsafe import Markup, escape

from kit.present.text import plain, slug, visible

_SAFE_ADDRESS = re.compile(r"(https?://|mailto:)[^\s\"'<>\\]+", re.IGNORECASE)


class Heading(NamedTuple):
    """A heading of the page: where it is, how deep, and what it says."""

    anchor: str
    level: int
    html: Markup


class Prose:
    """Renders the prose cells of one notebook, and collects their headings for the contents.

    The notebook's title is the page's, so headings start at level 2. A heading that only says what the page or a card
    says itself (`said`) is left out.
    """

    def __init__(self, title: str, said: Iterable[str] = ()) -> None:
        self.headings: list[Heading] = []
        self._said = {" ".join(words.split()).casefold() for words in (title, *said)}
        self._anchors: set[str] = set()
        self._render = mistune.create_markdown(renderer=_Renderer(self), plugins=["table", "strikethrough"])

    def html(self, markdown: str) -> Markup:
        """Return a cell of prose as HTML."""
        return Markup(str(self._render(markdown)))  # noqa: S704 - the renderer escapes text, attributes and markup

    def heading(self, text: str, level: int) -> str:
        """Return a heading, and note it."""
        words = str(Markup(text).striptags())  # noqa: S704 - rendered, hence escaped
        if " ".join(words.split()).casefold() in self._said:
            return ""
        level = max(2, min(level, 4))
        anchor = self.anchor(words)
        self.headings.append(Heading(anchor, level, Markup(text)))  # noqa: S704 - rendered, hence escaped
        return f'<h{level} id="{anchor}">{text}</h{level}>\n'

    def anchor(self, words: str) -> str:
        """Return an id that no other heading of the page has."""
        base = "section-" + slug(re.sub(r"\W+", "-", plain(words).lower()).strip("-"))[:60]
        anchor, number = base, 1
        while anchor in self._anchors:
            number += 1
            anchor = f"{base}-{number}"
        self._anchors.add(anchor)
        return anchor


class _Renderer(mistune.HTMLRenderer):
    """Escapes everything a writer typed, and lets a link lead only where a reader would expect."""

    def __init__(self, prose: Prose) -> None:
        super().__init__(escape=True)
        self._prose = prose

    def text(self, text: str) -> str:
        return str(visible(text))

    def codespan(self, text: str) -> str:
        return f"<code>{visible(text)}</code>"

    def block_code(self, code: str, info: str | None = None) -> str:  # noqa: ARG002 - mistune's signature
        return f"<pre>{visible(code)}</pre>\n"

    def inline_html(self, html: str) -> str:
        return str(visible(html))

    def block_html(self, html: str) -> str:
        return f"<p>{visible(html.strip())}</p>\n"

    def heading(self, text: str, level: int, **attrs: Any) -> str:  # noqa: ARG002 - mistune's signature
        return self._prose.heading(text, level)

    def link(self, text: str, url: str, title: str | None = None) -> str:  # noqa: ARG002 - mistune's signature
        if not _SAFE_ADDRESS.fullmatch(url):
            return text
        return f'<a class="tk-out" href="{escape(plain(url))}" rel="noopener noreferrer">{text}</a>'

    def image(self, text: str, url: str, title: str | None = None) -> str:  # noqa: ARG002 - mistune's signature
        return f'<span class="tk-none">[image not part of the record: {visible(text or url)}]</span>'
