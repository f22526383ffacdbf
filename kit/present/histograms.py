"""The drawing of histograms: the time to delivery, and the use of the key by hour."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import Any

from kit.present.axes import count_axis, time_axis, time_axis_height
from kit.present.figures import (
    ASIDE,
    EDGE,
    INK,
    SMALL,
    SOFT,
    WIDTH,
    canvas,
    cell,
    drawing,
    fits,
    legend,
    legend_height,
    lines,
    width_of,
    write,
)
from kit.present.hours import HOUR, cells_of, hours_text, runs, window_text

_BINS = (1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 720, 1440)


def draw_lag(counts: Mapping[int, int], marks: Mapping[str, int]) -> str:
    """Return an SVG drawing of a histogram of minutes; a long tail is one bar of its own, at its end."""
    low, high = min(0, *counts), marks["maximum"]
    limit = max(2 * marks["95th percentile"], 15)
    tail = high > limit + 5
    shown = limit if tail else max(high, 12)
    step: int = next((size for size in _BINS if (shown - low) // size < 40), -(-(shown - low + 1) // 40))
    low -= low % step
    bins = [0] * ((shown - low) // step + 1)
    shown = low + len(bins) * step - 1  # the last bar is as wide as the others
    for minute, number in counts.items():
        if minute <= shown:
            bins[(minute - low) // step] += number
    beyond = sum(number for minute, number in counts.items() if minute > shown)
    top, left = 3.3, 0.55
    bottom = top + 8.5
    figure, axes = canvas(bottom + 2.4)
    wide = (EDGE - left - (0.3 if beyond else 0)) / (len(bins) + (3 if beyond else 0))
    unit = count_axis(axes, (left, EDGE, top, bottom), max(*bins, beyond))
    bars = [(left + at * wide, wide, number) for at, number in enumerate(bins) if number]
    fit = all(width_of(f"{number:,}", SMALL) < wide for _, _, number in bars)
    for bar in bars:
        _bar(axes, bar, (bottom, unit), "bar", fit)
    end = left + len(bins) * wide
    tail_at = end + 1.5 * wide + 0.1
    if beyond:
        _bar(axes, (tail_at - wide - 0.1, 2 * wide + 0.2, beyond), (bottom, unit), "tail", label=True)
        words = f"over {shown:,}"
        write(axes, tail_at, bottom + 0.55, words, align="center", size=SMALL, colour=SOFT)
    every = next(n for n in count(1) if n * wide > 0.36 and (n * step) % 5 in ({0} if n * step > 2 else {0, 1, 2}))
    for at in range(0, len(bins) - (every if beyond else 0), every):
        # a bar of one minute is that minute; a wider one begins with the minute at its left edge
        x = left + (at + (0.5 if step == 1 else 0)) * wide
        write(axes, x, bottom + 0.55, f"{low + at * step:,}", align="center", size=SMALL, colour=SOFT)
    places = []
    for name, minute in marks.items():
        place = (minute - low) // step
        if minute > shown:
            places.append((tail_at, beyond, f"{name} {minute:,} min"))
        else:
            places.append((left + (place + 0.5) * wide, bins[place], f"{name} {minute:,} min"))
    # Each line begins at its words: in this order none runs through the words of another.
    fits = all(x + 2 * ASIDE + width_of(words, weight="bold") < WIDTH for x, _, words in places)
    for line, (x, number, words) in enumerate(places if fits else reversed(places)):
        y, right = 0.4 + line * 0.85, fits or x < 2 * ASIDE + width_of(words, weight="bold")
        weight, dashes = ("bold", "-") if words.startswith("median") else ("normal", "--" if line == 1 else ":")
        write(axes, x + (ASIDE if right else -ASIDE), y, words, align="left" if right else "right", weight=weight)
        stroke = [(x, y - 0.35, x, bottom - number * unit - 0.85)]
        lines(axes, stroke, color=INK, linewidth=1.1, linestyle=dashes, zorder=1.4)
    write(axes, 0, top - 0.6, "Logs", size=SMALL, colour=SOFT)
    foot = "Minutes from the newest event in a log to its delivery" + (
        f"; one bar is {step} minutes." if step > 1 else "."
    )
    write(axes, left, bottom + 1.6, foot, size=SMALL, colour=SOFT)
    return drawing(figure)


def draw_key_use(calls: Mapping[datetime, int], hours: Sequence[datetime]) -> str:
    """Return an SVG drawing of calls by hour; hours that were not counted are boxed."""
    per, cells = cells_of(hours)
    sums = [[calls[hour] for hour in hours[first:last] if hour in calls] for first, last in cells]
    left, top, bottom = 0.55, 1.5, 9.7
    entries = [("bar", f"calls in {hours_text(per)}")]
    if len(calls) < len(hours):
        entries.append(("none", f"– not counted ({hours_text(len(hours) - len(calls))})"))
    if any(0 < len(found) < last - first for found, (first, last) in zip(sums, cells, strict=True)):
        entries.append(("tail", "counted in a part of its hours"))
    entries.append(("", f"{window_text(hours[0], hours[-1] + HOUR)}."))
    foot = bottom + time_axis_height(EDGE - left, hours[0], hours[-1] + HOUR)
    figure, axes = canvas(foot + legend_height(entries) + 0.1)
    unit_x = (EDGE - left) / len(hours)
    time_axis(axes, (left, EDGE, bottom, bottom), hours[0], hours[-1] + HOUR)
    unit = count_axis(axes, (left, EDGE, top, bottom), max(sum(found) for found in sums))
    places = [(left + first * unit_x, (last - first) * unit_x) for first, last in cells]
    whole = [len(found) == last - first for found, (first, last) in zip(sums, cells, strict=True)]
    fit = all(width_of(f"{sum(found):,}", SMALL) < wide for (_, wide), found in zip(places, sums, strict=True) if found)
    for (x, wide), found, every in zip(places, sums, whole, strict=True):
        if found:
            _bar(axes, (x, wide, sum(found)), (bottom, unit), "bar" if every else "tail", fit)
    for missed, first, last in runs([not found for found in sums]):
        if missed:
            x, to = places[first][0], sum(places[last - 1])
            cell(axes, x + 0.01, bottom - 0.9, to - x - 0.02, "none")
            words = fits("– not counted", to - x) or "–"
            write(axes, (x + to) / 2, bottom - 0.5, words, align="center", size=SMALL, colour=SOFT)
    write(axes, 0, 0.4, "GenerateDataKey calls", size=SMALL, colour=SOFT)
    legend(axes, entries, foot)
    return drawing(figure)


def _bar(axes: Any, bar: tuple[float, float, int], foot: tuple[float, float], style: str, label: bool) -> None:
    """Draw an upright bar (left, width, number) on a foot (row, rows for one), and its number above it."""
    (x, wide, number), (bottom, unit) = bar, foot
    box = min(wide * 0.88, 0.6)
    if number:
        # the least is a line: a single log must not vanish beside thousands
        tall = max(number * unit, 0.08)
        cell(axes, x + (wide - box) / 2, bottom - tall, box, style, tall)
    if label:
        write(axes, x + wide / 2, bottom - number * unit - 0.42, f"{number:,}", align="center", size=SMALL)
