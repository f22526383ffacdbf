"""The drawing of encryption: a stacked bar for each day or month."""

from collections.abc import Mapping
from typing import Any

from matplotlib.patches import Rectangle

from kit.present.figures import (
    EDGE,
    INK,
    LOOKS,
    SMALL,
    SOFT,
    canvas,
    cell,
    drawing,
    fitting,
    label_width,
    legend,
    legend_height,
    lines,
    row_heights,
    width_of,
    write,
    write_label,
)

KINDS: dict[str, tuple[str, str]] = {
    "SSE-KMS, trail's key": ("own-key", "trail's key"),
    "SSE-KMS, accepted key": ("accepted-key", "accepted key"),
    "SSE-KMS, another key": ("other-key", "another key"),
    "SSE-S3": ("service-key", "SSE-S3"),
    "not encrypted": ("no-key", "not encrypted"),
    "not read": ("unread", "not read"),
}
"""How an object is encrypted: the look and the short name of each kind, in the order of the bars."""


def draw_encryption(bars: Mapping[str, Mapping[str, int]], more: int, months: bool) -> str:
    """Return an SVG drawing of stacked bars, one a day or month; `more` earlier ones are said to be in the table."""
    used = {kind for bar in bars.values() for kind, number in bar.items() if number}
    entries = [(style, kind) for kind, (style, _) in KINDS.items() if kind in used]
    entries.append(("", f"One bar is a {'month' if months else 'day'} (UTC); numbers of objects."))
    heights = row_heights(bars)
    left, pitch, bottom = label_width(bars), min(heights), 0.1 + sum(heights)
    most = max(1, *(sum(bar.values()) for bar in bars.values()))
    # What does not fit its part is written after the bar: how much room that takes depends on the scale, and so twice.
    room = EDGE - left
    for _ in range(2):
        beside = max(width_of(_beside(bar, room / most), SMALL) for bar in bars.values())
        room = EDGE - left - min(beside + 0.12 if beside else 0, 3.2)
    figure, axes = canvas(bottom + 0.5 + bool(more) + legend_height(entries))
    lines(axes, [(left, 0.05, left, bottom + 0.05)], color=INK, linewidth=0.8)
    middle = 0.1
    for (name, bar), height in zip(bars.items(), heights, strict=True):
        x, middle = left, middle + height / 2
        write_label(axes, middle, name)
        for kind, wide in _parts(bar, room / most):
            style, words = KINDS[kind][0], f"{bar[kind]:,}"
            cell(axes, x, middle - pitch * 0.39, wide, style, pitch * 0.78)
            if width_of(words, SMALL) < wide - 0.08:
                _on_plate(axes, (x + wide / 2, middle), words, style)
            x += wide
        aside = _beside(bar, room / most) if x > left else "no objects"
        colour = INK if x > left else SOFT
        write(axes, x + 0.08, middle, fitting(aside, EDGE - x, SMALL), size=SMALL, colour=colour)
        middle += height / 2
    if more:
        write(axes, 0, bottom + 0.6, f"… {more} earlier in the table", colour=SOFT)
    legend(axes, entries, bottom + 0.4 + bool(more))
    return drawing(figure)


def _parts(bar: Mapping[str, int], scale: float) -> list[tuple[str, float]]:
    return [(kind, max(bar[kind] * scale, 0.05)) for kind in KINDS if bar.get(kind)]


def _beside(bar: Mapping[str, int], scale: float) -> str:
    """Return the numbers that don't fit their part of a bar, in words."""
    missed = [kind for kind, wide in _parts(bar, scale) if width_of(f"{bar[kind]:,}", SMALL) >= wide - 0.08]
    return ", ".join(f"{bar[kind]:,} {KINDS[kind][1]}" for kind in missed)


def _on_plate(axes: Any, middle: tuple[float, float], words: str, style: str) -> None:
    """Write words on a plain plate, so that no hatching runs through them."""
    look, half = LOOKS[style], width_of(words, SMALL) / 2
    if look.hatch:
        plate = Rectangle(
            (middle[0] - half - 0.03, middle[1] - 0.26), 2 * half + 0.06, 0.52, facecolor=look.fill, edgecolor="none",
            clip_on=False, zorder=1.3,
        )  # fmt: skip
        axes.add_patch(plate)
    write(axes, *middle, words, align="center", size=SMALL, colour=look.text)
