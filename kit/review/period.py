"""What a periodic review has before it: the runs that are registered, what their records said, and who changed what.

All of it is read once, kept as evidence, and read back from there: live and in replay alike.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Self

from kit.canonical import Json
from kit.digests.chain import Coverage, Period
from kit.errors import EvidenceError
from kit.evidence import timestamp
from kit.findings import when
from kit.review.drift import State
from kit.review.events import Event
from kit.review.logged import Logged
from kit.snapshot import Answer

Area = str
"""An account and a Region, joined by a space."""

_RESTORE = "restore the record from its archive"
DAY = timedelta(days=1)
_UNTOLD = "is not known: CloudTrail's event history holds 90 days, and the log files of that time were not read"
UNREAD = "not read"
"""What stands in place of a key for a log file that could not be read."""


@dataclass(frozen=True)
class Run:
    """A registered run of the target, as the register has it: `state` is what became of it, `ended` when."""

    record_id: str
    protocol: str
    began: datetime
    ended: datetime
    state: str
    verdict: str
    digest: str


@dataclass(frozen=True)
class Delivered:
    """What one record says of what a trail delivered.

    `window` is what the run read, `judged_to` up to when digests had to be there. `covered` holds the periods of sound
    digests of each area where they had to be. `days` counts the log files of each day by what protects them: the key's
    ARN, or the algorithm where none is named, or `not read`; `digests` counts digests of each day.
    """

    window: Period
    judged_to: datetime
    covered: Mapping[Area, tuple[Period, ...]]
    days: Mapping[date, Mapping[str, int]]
    digests: Mapping[date, int]

    def to_json(self) -> dict[str, Json]:
        """Return it as JSON."""
        return {
            "window": _period(self.window),
            "judged_to": timestamp(self.judged_to),
            "covered": {area: [_period(one) for one in periods] for area, periods in self.covered.items()},
            "days": {day.isoformat(): dict(counts) for day, counts in self.days.items()},
            "digests": {day.isoformat(): count for day, count in self.digests.items()},
        }

    @classmethod
    def from_json(cls, told: Json) -> Self:
        """Return what `to_json` wrote; anything else raises as reading it does."""
        return cls(
            _read_period(told["window"]),
            datetime.fromisoformat(told["judged_to"]),
            {area: tuple(map(_read_period, periods)) for area, periods in told["covered"].items()},
            {date.fromisoformat(day): dict(counts) for day, counts in told["days"].items()},
            {date.fromisoformat(day): int(count) for day, count in told["digests"].items()},
        )


@dataclass(frozen=True)
class Reviewed:
    """A record as it was read: what it said, or in `problem` why none of that is believed; `unread` says that the
    problem lies in reading it, so that nothing is known of it.

    `open` names what did not pass and has no addendum, by test case. `state` is None where the evidence does not give
    it, and `stateless` says why. `delivered` holds, by trail, what an operational qualification says.
    """

    run: Run
    problem: str
    verdicts: Mapping[str, str] = field(default_factory=dict)
    open: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    state: State | None = None
    stateless: str = ""
    delivered: Mapping[str, Delivered] = field(default_factory=dict)
    evidence: tuple[str, ...] = ()
    unread: bool = False

    @classmethod
    def from_json(cls, run: Run, told: Json, evidence: tuple[str, ...]) -> Self:
        """Return the record that a kept answer tells.

        Raises:
            EvidenceError: it is not as the kit writes it.
        """
        try:
            if told["problem"]:
                return cls(run, str(told["problem"]), evidence=evidence, unread=bool(told["unread"]))
            return cls(
                run,
                "",
                {str(case): str(verdict) for case, verdict in told["verdicts"].items()},
                {case: tuple(names) for case, names in told["open"].items()},
                State.from_json(told["state"]) if told["state"] else None,
                str(told["stateless"]),
                {trail: Delivered.from_json(one) for trail, one in told["delivered"].items()},
                evidence,
            )
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise EvidenceError(f"what was read of {run.record_id} can't be read back: {error!r}", _RESTORE) from error


@dataclass(frozen=True)
class Restored:
    """What restoring an archived record gave: how many files came back, or in words what is wrong; `unread` says that
    the archive could not be asked, so that what it holds is not known.
    """

    record_id: str
    destination: str
    files: int
    problem: str
    evidence: tuple[str, ...] = ()
    unread: bool = False


@dataclass(frozen=True)
class Register:
    """What the register of the outputs folder says: whether it is whole, and the runs of the target.

    `strangers` are records of the target that lie beside it and that it does not hold, `unread` those of which that
    can't be told, since they can't be read; `archived` maps a record to the receipts of its archives.
    """

    problem: str
    runs: tuple[Run, ...]
    strangers: tuple[str, ...]
    archived: Mapping[str, tuple[str, ...]]
    evidence: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class Review:
    """All that a periodic review judges besides the settings of now.

    `period` is under review, `now` when it was looked at. `records` are those of the runs that finished, in the order
    in which they began: some may lie before the period or behind it. `events` are the answers by Region and event name,
    asked over `asked`, which is as much of the time as CloudTrail's event history holds; `logged` is what log files
    tell of the time before.
    """

    period: Period
    now: datetime
    register: Register
    records: tuple[Reviewed, ...]
    restored: tuple[Restored, ...]
    asked: Period
    events: Mapping[tuple[str, str], Answer[tuple[Event, ...]]]
    logged: tuple[Logged, ...] = ()

    def within(self, moment: datetime) -> bool:
        """Return whether a moment lies within the period."""
        return self.period[0] <= moment and not self.behind(moment)

    def behind(self, moment: datetime) -> bool:
        """Return whether a moment lies behind the period: nothing that was looked at does where it ends now.

        A run is dated by its machine's clock, which can be ahead of AWS's, and that tells of now in whole seconds.
        """
        return moment >= self.period[1] != self.now

    def why_unknown(self, start: datetime, end: datetime, names: Collection[str] | None = None) -> str:
        """Return why the events of a time are not all known, those of these names if any are named, as a full
        sentence; nothing where they are.
        """
        since, end = self.asked[0], min(end, self.now)
        if start < since:
            until = min(end, since)
            parts = [one for one in self.logged if one.period[0] < until and start < one.period[1]]
            if why := next((one.why for one in parts if one.why), ""):
                return why
            for gap in Coverage(one.period for one in parts).gaps(start, until):
                return f"What was changed from {when(gap[0])} to {when(gap[1])} {_UNTOLD}."
        if end > since:
            if not self.events:
                return "No event of the period was asked for."
            if end > self.asked[1]:
                return f"What was changed after {when(self.asked[1])} was not asked for."
            wanted = (answer for (_, name), answer in self.events.items() if names is None or name in names)
            return next((answer.why for answer in wanted if answer.value is None), "")
        return ""

    def days(self) -> list[date]:
        """Return the days (UTC) that the period touches."""
        first, last = self.period[0].date(), (self.period[1] - timedelta(microseconds=1)).date()
        return [first + DAY * number for number in range((last - first).days + 1)]


def run_from_json(told: Mapping[str, Any]) -> Run:
    """Return the run that a kept register tells; anything else raises as reading it does."""
    began, ended = (datetime.fromisoformat(told[name]) for name in ("began", "ended"))
    return Run(
        str(told["record_id"]),
        str(told["protocol"]),
        began,
        ended,
        str(told["state"]),
        str(told["verdict"]),
        str(told["digest"]),
    )


def _period(period: Period) -> list[Json]:
    return [timestamp(moment) for moment in period]


def _read_period(told: Json) -> Period:
    start, end = map(datetime.fromisoformat, told)
    return start, end
