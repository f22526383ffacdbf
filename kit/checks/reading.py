"""Judging one value out of an answer, three-valued: what AWS did not say is neither right nor wrong."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from kit.canonical import Json
from kit.findings import Judgement, when
from kit.snapshot import Answer, Trail

T = TypeVar("T")


def said(answer: Answer[T], read: Callable[[T], Json]) -> Json:
    """Return what `read` takes from an answer, or None where there is no answer or it is not of the documented form.

    `read` may index freely: a member that is absent or of another type is one that AWS did not say.
    """
    if answer.value is None:
        return None
    try:
        return read(answer.value)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return None


def unsaid(answer: Answer[Any], name: str) -> str:
    """Return, as a full sentence, why an answer leaves a value open: the call gave none, or does not say it."""
    return answer.why or f"The answer to {answer.call} does not say: {name}."


def judge(
    judgement: Judgement,
    name: str,
    expected: Json,
    answer: Answer[T],
    read: Callable[[T], Json],
    *,
    otherwise: str | Callable[[Json], str] = "",
    accepts: Callable[[Json], bool] | None = None,
    missing: Json = None,
) -> None:
    """Judge a condition on what an answer says: met when it equals `expected`, or when it `accepts` the value.

    `otherwise` is the full sentence that tells what is wrong, or makes it of the value; it is left out where no value
    is wrong. `missing` is what it means that AWS says the thing is not there: where it is None, it too leaves it open.
    """
    judgement.rest_on(answer.evidence)
    actual = missing if answer.missing else said(answer, read)
    if actual is None:
        judgement.doubt(name, expected, unsaid(answer, name))
        return
    met = accepts(actual) if accepts else actual == expected
    sentence = otherwise if isinstance(otherwise, str) else otherwise(actual)
    judgement.expect(name, expected, actual, met=met, otherwise=sentence)


def any_known(truths: Iterable[bool | None]) -> bool | None:
    """Return whether any holds: one that surely does decides, else one that is not known leaves it open."""
    seen = list(truths)
    return True if True in seen else None if None in seen else False


def flag(member: str) -> Callable[[Mapping[str, Json]], bool]:
    """Return a reader of a boolean member: no number and no text stands for it, and nothing when it is absent."""
    return _typed(member, bool)


def text(member: str) -> Callable[[Mapping[str, Json]], str]:
    """Return a reader of a member that holds text."""
    return _typed(member, str)


def _typed(member: str, kind: type[T]) -> Callable[[Mapping[str, Json]], T]:
    def read(value: Mapping[str, Json]) -> T:
        found = value[member]
        if not isinstance(found, kind):
            raise TypeError(member)
        return found

    return read


def observed(value: Any) -> Json:
    """Return a value of an answer as an observation holds it: numbers and text as they are, a moment in words."""
    if isinstance(value, datetime):
        return when(value)
    return value if isinstance(value, bool | int | str) else str(value)


def description(trail: Trail) -> Answer[Mapping[str, Json]]:
    """Return a trail's description as the answer it came with."""
    region = trail.home_region if trail.home_region in trail.seen_in else "".join(trail.seen_in[:1])
    return Answer(f"cloudtrail:DescribeTrails in {region}", trail.evidence, trail.description)
