"""The visible block of a signature: what is stated, printed where the record keeps room for it [21 CFR 11.50(b)].

The block is for readers; what counts is the statement within the signed bytes, which is never cut.
"""

import importlib.util
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from fontTools import subset  # type: ignore[import-untyped]
from fontTools.ttLib import TTFont, TTLibError  # type: ignore[import-untyped]
from fontTools.ttLib.scaleUpem import scale_upem  # type: ignore[import-untyped]
from pyhanko.pdf_utils.font.opentype import FontDescriptor, GlyphAccumulator
from pyhanko.pdf_utils.generic import (
    ArrayObject,
    DictionaryObject,
    FloatObject,
    IndirectObject,
    NumberObject,
    StreamObject,
    pdf_name,
)
from pyhanko.pdf_utils.writer import BasePdfFileWriter

from kit.errors import SigningError
from kit.present.text import code_point, plain
from kit.record.signatures.places import BOXES, TITLES
from kit.record.signatures.statement import Statement

CUT = "…, whole text in the signature"
"""The end of a text for which the block has no room."""

_SIZES = (8.5, 8.0, 7.5, 7.0, 6.5, 6.0, 5.5, 5.0)
_LEADING = 1.22
_PADDING = 6.0
_LABELS = 74.0
_MARKS = 2
_BRACKETS = {ord("⟨"): "[", ord("⟩"): "]"}
# pyHanko writes a font's own units where PDF counts in thousandths of an em
_UNITS = 1000
# features by which a line is not as long as its characters are
_UNWANTED = {"kern", "liga", "clig", "dlig", "calt", "hlig"}
_RIGHT_TO_LEFT = re.compile(r"r(?:[ m]*r|m)*|[^r]+")


def rows(statement: Statement) -> list[tuple[str, str]]:
    """Return what the block prints, as labels and texts; the first is its title."""
    printed = [
        (TITLES[statement.role], statement.name),
        ("Meaning", statement.meaning),
        ("Time (UTC)", statement.time),
        ("Certificate", statement.subject),
        ("Record", statement.record_id),
        ("Record digest", statement.record_digest),
    ]
    if statement.signer_caller:
        printed.append(("Signed as", statement.signer_caller))
    if statement.role == "approver":
        executed_by = ", ".join(filter(None, (statement.executed_by, statement.caller)))
        printed.append(("Executed by", executed_by))
    if statement.verdict:
        printed.append(("Verdict", statement.verdict))
    if statement.deviations or statement.reason:
        printed += [
            ("Deviations", ", ".join(statement.deviations)),
            ("Reason", statement.reason),
        ]
    return printed


def appearance(writer: BasePdfFileWriter, statement: Statement) -> IndirectObject:
    """Add the block of a statement to a revision, and return it as a form XObject of its role's size.

    Its one font is embedded, as a subset, so that PDF/A stays valid (ISO 19005-3, 6.2.11); there is no transparency,
    no picture and no device colour but grey. The text never leaves the box: it is set smaller, down to 5 points, and
    then cut. Characters that print nothing, that change the order of others, or that the font lacks are written out
    by code point.

    Raises:
        SigningError: the font is not installed.
    """
    left, bottom, right, top = BOXES[statement.role]
    known = _open_font().getBestCmap()
    texts = [(label, printable(text, known)) for label, text in rows(statement)]
    font = _font(writer, "".join(label + text for label, text in texts) + CUT + " ")
    size, lines = lay_out(texts, font.widths, right - left - 2 * _PADDING, top - bottom - 2 * _PADDING)
    font.engine.font_size = size
    drawn = [b"/F1 %g Tf" % size]
    for number, (label, text) in enumerate(lines, start=1):
        y = top - bottom - _PADDING - number * size * _LEADING + size * (_LEADING - 1)
        drawn += font.draw(label, 0.35, _PADDING, y, _LABELS - _PADDING)
        drawn += font.draw(text, 0, _PADDING + _LABELS, y, right - left - 2 * _PADDING - _LABELS)
    form = dictionary(
        Type=pdf_name("/XObject"),
        Subtype=pdf_name("/Form"),
        BBox=ArrayObject(map(FloatObject, (0, 0, right - left, top - bottom))),
        Resources=dictionary(Font=dictionary(F1=font.engine.as_resource())),
    )
    stream: Any = StreamObject(form, stream_data=b"BT\n" + b"\n".join(drawn) + b"\nET")
    stream.compress()
    font.embed()
    return writer.add_object(stream)


def dictionary(**entries: Any) -> DictionaryObject:
    """Return a PDF dictionary; the names of its entries come without the slash."""
    content = {pdf_name(f"/{name}"): value for name, value in entries.items()}
    return DictionaryObject(content)  # type: ignore[no-untyped-call]


def printable(text: str, known: Mapping[int, str]) -> str:
    """Return text on one line, in characters that the font knows; every other is written out by code point.

    So is a third combining mark on one character: a pile of them would climb into the lines above.
    """
    brackets = {} if _BRACKETS.keys() <= known.keys() else _BRACKETS
    made, marks = [], 0
    for char in " ".join(plain(text).translate(brackets).split()):
        marks = marks + 1 if unicodedata.category(char).startswith("M") else 0
        made.append(char if ord(char) in known and marks <= _MARKS else code_point(char).translate(brackets))
    return "".join(made)


def lay_out(
    texts: Sequence[tuple[str, str]], widths: Mapping[str, float], width: float, height: float
) -> tuple[float, list[tuple[str, str]]]:
    """Return a font size and the lines to print, each with its label or an empty one, that fit into a box.

    `widths` are those of the characters, in em; sizes are in points. Where even the smallest size is too large, the
    longest texts are cut.
    """
    for size in _SIZES:
        wrapped = [(label, _wrap(text, widths, (width - _LABELS) / size)) for label, text in texts]
        if sum(len(lines) for _, lines in wrapped) * size * _LEADING <= height:
            return size, _labelled(wrapped)
    room = int(height / (size * _LEADING))
    while sum(len(lines) for _, lines in wrapped) > room:
        longest = max((lines for _, lines in wrapped), key=len)
        del longest[-1]
        longest[-1] = _cut(longest[-1].removesuffix(CUT), widths, (width - _LABELS) / size)
    return size, _labelled(wrapped)


def _labelled(wrapped: Sequence[tuple[str, list[str]]]) -> list[tuple[str, str]]:
    return [("" if number else label, line) for label, lines in wrapped for number, line in enumerate(lines)]


def _wrap(text: str, widths: Mapping[str, float], room: float) -> list[str]:
    """Return the lines of a text, at least one, broken at spaces, or in a word that is longer than a line."""
    lines = [""]
    for word in text.split(" "):
        line = f"{lines[-1]} {word}" if lines[-1] else word
        if _width(line, widths) <= room:
            lines[-1] = line
            continue
        if lines[-1]:
            lines.append("")
        for char in word:
            if lines[-1] and _width(lines[-1] + char, widths) > room:
                lines.append("")
            lines[-1] += char
    return lines


def _cut(line: str, widths: Mapping[str, float], room: float) -> str:
    while line and _width(line + CUT, widths) > room:
        line = line[:-1]
    return line.rstrip() + CUT


def _width(text: str, widths: Mapping[str, float]) -> float:
    return sum(widths[char] for char in text)


def _runs(text: str) -> Iterator[str]:
    """Yield the pieces of a line that are read in one direction; each is set by itself, one after the other."""
    kinds = "".join(map(_direction, text))
    for match in _RIGHT_TO_LEFT.finditer(kinds):
        yield text[match.start() : match.end()]


def _direction(char: str) -> str:
    if unicodedata.bidirectional(char) in {"R", "AL"}:
        return "r"
    if unicodedata.bidirectional(char) == "NSM":
        return "m"
    return " " if char == " " else "l"


@dataclass(frozen=True)
class _Font:
    """A font within a revision, and the widths of its characters in em."""

    engine: Any
    widths: Mapping[str, float]

    def draw(self, text: str, grey: float, x: float, y: float, room: float) -> list[bytes]:
        """Return the operators that print a line; one that its shaping made longer than its room is narrowed."""
        if not text:
            return []
        shaped = [self.engine.shape(run) for run in _runs(text)]
        width = sum(one.x_advance for one in shaped) * self.engine.font_size
        narrowed = min(1.0, room / width) if width else 1.0
        return [b"%g g %g 0 0 1 %g %g Tm" % (grey, narrowed, x, y), *(one.graphics_ops for one in shaped)]

    def embed(self) -> None:
        """Add the subset of what was drawn to the revision."""
        self.engine.prepare_write()
        integer: Any = NumberObject
        for made in self.engine.writer.objects.values():
            if isinstance(made, FontDescriptor):
                program = made["/FontFile2"]
                # required of a TrueType program [ISO 32000-1, table 127]
                program[pdf_name("/Length1")] = integer(len(program.data))


def _font(writer: BasePdfFileWriter, text: str) -> _Font:
    font = _open_font()
    options = subset.Options(hinting=False, recalc_timestamp=False)
    options.drop_tables += ["FFTM"]
    options.layout_features = [name for name in options.layout_features if name not in _UNWANTED]
    chosen = subset.Subsetter(options)
    chosen.populate(text=text)
    chosen.subset(font)
    scale_upem(font, _UNITS)
    known, metrics = font.getBestCmap(), font["hmtx"]
    widths = {char: metrics[known[ord(char)]][0] / _UNITS for char in set(text)}
    content = BytesIO()
    font.save(content)
    engine = GlyphAccumulator(writer, content, font_size=_SIZES[0])
    # the same statement makes the same file, whenever it is made
    engine.tt.recalcTimestamp = False
    return _Font(engine, widths)


def _open_font() -> TTFont:
    """Return DejaVu Sans as it comes with matplotlib, which is not loaded for it."""
    found = importlib.util.find_spec("matplotlib")
    folder = Path((found.origin if found else None) or "matplotlib").parent
    path = folder / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    try:
        return TTFont(path, recalcTimestamp=False)
    except (OSError, TTLibError) as error:
        raise SigningError(f"the font of the visible block can't be read: {path}", "install matplotlib") from error
