"""What the ledgers of an operational qualification say of a period: what was covered, and under which key what lies."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from pathlib import Path

from kit.canonical import Json
from kit.collect.gather import OPERATIONAL, gather_again
from kit.collect.ledger import read_ledger
from kit.collect.objects import KEPT, LOGS
from kit.digests.chain import Period
from kit.digests.names import DIGESTS
from kit.digests.names import LOGS as LOG_FILES
from kit.evidence import Entry
from kit.findings import Verdict
from kit.parameters import RunParameters
from kit.review.period import UNREAD, Area, Delivered
from kit.snapshot import Delivery, Snapshot, Trail

_PROVEN = ("OQ-04", "OQ-06")
_ALGORITHM = "x-amz-server-side-encryption"
_KEY = f"{_ALGORITHM}-aws-kms-key-id"
_DAY = re.compile(rf"/({LOG_FILES}|{DIGESTS})/[a-z0-9-]+/(\d{{4}})/(\d\d)/(\d\d)/")


def delivered_again(
    evidence: Path, index: Sequence[Entry], snapshot: Snapshot, parameters: RunParameters, verdicts: Mapping[str, str]
) -> dict[str, Delivered]:
    """Return, by trail, what a record says of what was delivered; `snapshot` is what its evidence has of the settings.

    `index` is that of its evidence, whose files were held to their hashes.

    Where its findings say that the window is covered without a gap by digests that hold, that is what is covered. Else
    its ledgers are judged again, digest by digest.

    Raises:
        EvidenceError: the evidence is damaged, or does not hold what this kit version asks.
    """
    now = snapshot.moment
    if now is None:
        return {}
    window = parameters.window.period(now)
    settled = min(window[1], now - timedelta(minutes=parameters.expected.digest_settling_minutes))
    trails = [trail for trail in snapshot.trails if trail.judged]
    if all(verdicts.get(case) == Verdict.PASS for case in _PROVEN):
        covered: dict[str, dict[Area, tuple[Period, ...]]] = {
            trail.arn: dict.fromkeys(_areas(trail, snapshot, parameters), ((window[0], settled),)) for trail in trails
        }
    else:
        covered = _judged_again(evidence, parameters, settled)
    days, digests = _counted(evidence, index, window)
    return {arn: Delivered(window, max(window[0], settled), areas, days, digests) for arn, areas in covered.items()}


def _areas(trail: Trail, snapshot: Snapshot, parameters: RunParameters) -> list[Area]:
    """Return the accounts and Regions whose digests had to be there."""
    several = trail.description.get("IsMultiRegionTrail") is not False
    regions = (snapshot.enabled_regions.value or (trail.home_region,)) if several else (trail.home_region,)
    limit = parameters.account.regions
    named = parameters.expected.organization_accounts if trail.description.get("IsOrganizationTrail") else None
    return [
        f"{account} {region}"
        for account in named or (trail.account,)
        for region in regions
        if limit == "all" or region in limit
    ]


def _judged_again(
    evidence: Path, parameters: RunParameters, settled: datetime
) -> dict[str, dict[Area, tuple[Period, ...]]]:
    with ThreadPoolExecutor(1) as executor:
        snapshot = gather_again(OPERATIONAL, parameters, evidence, executor, lambda *_, **__: None)
    found = {}
    for arn, delivery in snapshot.deliveries.items():
        if isinstance(delivery, Delivery):
            found[arn] = {
                f"{account} {region}": _up_to(
                    delivery.chains[account, region].covered if (account, region) in delivery.chains else (), settled
                )
                for account, region in delivery.required
            }
    return found


def _up_to(periods: tuple[Period, ...], end: datetime) -> tuple[Period, ...]:
    return tuple((start, min(until, end)) for start, until in periods if start < end)


def _counted(evidence: Path, index: Sequence[Entry], window: Period) -> tuple[dict[date, Counter[str]], Counter[date]]:
    """Return the log files of each day within a window by what protects them, and its digests; ledgers are streamed."""
    days: dict[date, Counter[str]] = {}
    digests: Counter[date] = Counter()
    first, last = window[0].date(), window[1].date()
    known: dict[str, date | None] = {}
    for name in (LOGS, KEPT):
        for line in read_ledger(evidence, name, index, held=True):
            found = _DAY.search(line["key"])
            if found is None:
                continue
            if found[0] not in known:
                day = date(int(found[2]), int(found[3]), int(found[4]))
                known[found[0]] = day if first <= day <= last else None
            day_of = known[found[0]]
            if day_of is None or line["version"]:
                continue  # of another day than the window's, or an older version of what is counted already
            if found[1] == DIGESTS:
                digests[day_of] += 1
            elif name == LOGS:
                days.setdefault(day_of, Counter())[_protection(line)] += 1
    return days, digests


def _protection(line: Mapping[str, Json]) -> str:
    if line["status"] != 200:
        return UNREAD
    headers = line["headers"]
    return str(headers.get(_KEY) or headers.get(_ALGORITHM) or "not encrypted")
