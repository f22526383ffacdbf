"""The charts of a run by name: what its steps and its snapshot hold, in the form in which each chart draws it."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from kit.checks.deliveries import UNREAD, encryption_kind
from kit.digests.chain import Coverage
from kit.parameters import RunParameters
from kit.present import oq_charts, period_charts, round_charts
from kit.present.charts import controls_by_trail, verdicts_by_requirement
from kit.present.detection import PARTS, detection
from kit.present.displays import Display
from kit.snapshot import Delivery, Snapshot, Trail

Steps = Sequence[Mapping[str, Any]]
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


def _deliveries(snapshot: Snapshot) -> Iterator[tuple[Trail, Delivery]]:
    for trail in snapshot.trails:
        delivery = snapshot.deliveries.get(trail.arn)
        if isinstance(delivery, Delivery):
            yield trail, delivery


def _label(snapshot: Snapshot, trail: Trail, area: tuple[str, str]) -> str:
    """Return a Region's name, with account and trail where there are several of either."""
    account = "" if area[0] == trail.account else f"{area[0]} "
    return f"{trail.name} {account}{area[1]}" if len(snapshot.deliveries) > 1 else f"{account}{area[1]}"


def coverage(snapshot: Snapshot) -> Display:
    """Draw, hour by hour and Region by Region, whether sound digests cover the window."""
    rows: dict[str, list[str]] = {}
    hours: list[datetime] = []
    for trail, delivery in _deliveries(snapshot):
        start, end = delivery.window
        first = start.replace(minute=0, second=0, microsecond=0)
        hours = [first + _HOUR * number for number in range(-((first - end) // _HOUR))]
        for area in delivery.required:
            chain = delivery.chains.get(area)
            covered = Coverage(chain.covered if chain else ())
            open_ = area in delivery.unlisted or bool(chain and chain.undecided)
            rows[_label(snapshot, trail, area)] = [
                _state(covered, max(hour, start), min(hour + _HOUR, end), delivery.settled, open_=open_)
                for hour in hours
            ]
    return oq_charts.coverage(rows, hours)


def _state(covered: Coverage, start: datetime, end: datetime, settled: datetime, *, open_: bool) -> str:
    gaps = covered.gaps(start, end)
    if not gaps:
        return "covered"
    if gaps[0][0] >= settled:
        return "pending"
    return "open" if open_ else "gap"


def encryption(snapshot: Snapshot, parameters: RunParameters) -> Display:
    """Draw how the log files of each day are encrypted."""
    days: dict[str, Counter[str]] = {}
    for trail, delivery in _deliveries(snapshot):
        kinds = {
            each: encryption_kind(each, found, trail, parameters) for each, found in delivery.logs.encryption.items()
        }
        for day, counts in sorted(delivery.logs.days.items()):
            for each, count in counts.items():
                kind = UNREAD if each is None else kinds[each]
                days.setdefault(day.isoformat(), Counter())[kind] += count
    return oq_charts.encryption(days)


def lag(snapshot: Snapshot) -> Display:
    """Draw how long log files took from their newest event to their delivery."""
    counts: Counter[int] = Counter()
    for _trail, delivery in _deliveries(snapshot):
        counts.update(delivery.logs.lags)
    return oq_charts.lag(counts)


def chain(snapshot: Snapshot) -> Display:
    """Draw the chains of digests with their breaks."""
    rows, breaks = {}, {}
    window: list[datetime] = []
    for trail, delivery in _deliveries(snapshot):
        window += delivery.window
        for area, found in delivery.chains.items():
            label = _label(snapshot, trail, area)
            segments = [(each.start, each.end, f"{each.digests} digests") for each in found.segments]
            rows[label] = segments
            window += [moment for start, end, _ in segments for moment in (start, end)]
            breaks[label] = [(each.at, each.kind) for each in found.breaks]
    if not window:
        moment = snapshot.moment or datetime(2000, 1, 1, tzinfo=UTC)
        window = [moment - _HOUR, moment]
    return oq_charts.chain(rows, breaks, min(window), max(window))


def key_use(snapshot: Snapshot) -> Display:
    """Draw how often CloudTrail asked for data keys to encrypt what the judged trails deliver."""
    hours: Counter[datetime] = Counter()
    for trail, delivery in _deliveries(snapshot):
        for told, count in delivery.logs.data_keys.items():
            arn, _sep, hour = told.rpartition(" ")
            moment = _hour(hour)
            # events of other times than the window's would stretch the chart
            if arn == trail.arn and moment and delivery.window[0] - _DAY <= moment < delivery.window[1]:
                hours[moment] += count
    return oq_charts.key_use(hours)


def _hour(text: str) -> datetime | None:
    try:
        return datetime.strptime(f"{text}+0000", "%Y-%m-%dT%H%z")
    except ValueError:
        return None


def _detection(name: str) -> Callable[[Steps, Snapshot, RunParameters], Display]:
    return lambda _, snapshot, __: detection(snapshot.tool, name)


CHARTS: Mapping[str, Callable[[Steps, Snapshot, RunParameters], Display]] = {
    "verdicts": lambda steps, _, __: verdicts_by_requirement(steps),
    "controls": lambda steps, _, __: controls_by_trail(steps),
    "coverage": lambda _, snapshot, __: coverage(snapshot),
    "chain": lambda _, snapshot, __: chain(snapshot),
    "encryption": lambda _, snapshot, parameters: encryption(snapshot, parameters),
    "lag": lambda _, snapshot, __: lag(snapshot),
    "key_use": lambda _, snapshot, __: key_use(snapshot),
    "timeline": lambda _, snapshot, __: period_charts.timeline(snapshot),
    "changes": lambda _, snapshot, parameters: period_charts.changes(snapshot, parameters),
    "days": lambda _, snapshot, parameters: period_charts.coverage(snapshot, parameters),
    "objects": lambda _, snapshot, parameters: period_charts.objects(snapshot, parameters),
    "targets": lambda _, snapshot, parameters: round_charts.targets(parameters.of_round, snapshot.summary),
    "cases": lambda _, snapshot, parameters: round_charts.cases(parameters.of_round, snapshot.summary),
    **{name: _detection(name) for name in PARTS},
}
"""Every chart by its name."""
