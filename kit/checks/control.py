"""Which change controls explain an event, or a value that drifted: by their time, and by what they say they cover."""

from collections.abc import Iterable

from kit.review.drift import ACCOUNT, Change, State
from kit.review.events import Event, makers
from kit.sections import ChangeControl


def explaining(event: Event, controls: Iterable[ChangeControl]) -> tuple[list[str], list[str]]:
    """Return the ids of the change controls that explain an event, and those that are of its time and cover others."""
    timely = [one for one in controls if one.start <= event.time < one.end]
    covering = [
        one.id
        for one in timely
        if event.name in (one.events or (event.name,))
        and (one.resources is None or any(_names(event.named, resource) for resource in one.resources))
    ]
    return covering, [one.id for one in timely if one.id not in covering]


def may_explain(control: ChangeControl, change: Change, states: Iterable[State]) -> bool:
    """Return whether a change control covers a value that drifted between these states; its time is not looked at."""
    made = makers(change)
    subjects = {str(subject) for state in states for subject in _subjects(change, state)}
    return any(name in made for name in control.events or made) and (
        control.resources is None or any(_names(subjects, resource) for resource in control.resources)
    )


def _subjects(change: Change, state: State) -> list[object]:
    """Return what a value is of, as a state names it: trail, key or bucket."""
    if change.trail == ACCOUNT:
        return [change.place.partition("trails/")[2].partition("/")[2]]
    owner = {"key": "key/Arn", "bucket": "trail/S3BucketName"}.get(change.place.partition("/")[0])
    return [state.values.get(f"{change.trail}#{owner}", "") if owner else change.trail]


def _names(named: Iterable[str], resource: str) -> bool:
    """Return whether one of these texts names a resource: by ARN, or by the id or name that its ARN ends with."""
    short = _short(resource)
    return any(one in (resource, short) or (short == resource and _short(one) == resource) for one in named)


def _short(name: str) -> str:
    if not name.startswith("arn:"):
        return name
    return name.rpartition(":::")[2] if ":s3:::" in name else name.rpartition("/")[2]
