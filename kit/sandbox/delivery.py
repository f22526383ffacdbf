"""What CloudTrail has delivered into the sandbox's log bucket: log files, and hour by hour the digests that name them.

Everything but the signing keys follows from the plan alone, so that the same plan gives the same logs at every reset.
Source: CloudTrail user guide, "CloudTrail log file examples", "CloudTrail digest file structure".
"""

import gzip
import hashlib
import json
import re
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from string import ascii_letters, digits
from typing import TYPE_CHECKING, Any

from kit.errors import SandboxError
from kit.sandbox.account import ACCOUNT_ID, ADDRESS, ADMINISTRATOR, LOG_BUCKET, REGION, TRAIL_ARN
from kit.sandbox.digesting import Digest, Log, Period, PublicKey, SigningKey, iso, keys_of, seal, signing_keys

if TYPE_CHECKING:
    from kit.sandbox.objects import Store

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_BEFORE = 2
"""Hours delivered before those that were asked for, so that a window of these is covered from its very start."""
_LATEST_OFFSET = 2100
"""Seconds into an hour by which every Region's period has ended: its digest is there before the next hour is over."""

_GENUINE = re.compile(r"\d{12}_CloudTrail_(?P<region>[a-z0-9-]+)_(?P<minute>\d{8}T\d{4}Z)_(?P<unique>\w+)\.json\.gz")


@dataclass(frozen=True)
class Plan:
    """What is to be delivered: `hours` before `until`, and two more; nothing that would come after `limit`.

    `changes` are events that log files tell of besides: each with `at`, `service`, `name`, `asked`, and its Region if
    that is not the trail's own.
    """

    hours: int
    until: datetime
    limit: datetime
    fixed: bool
    logs_per_hour: int = 2
    regions: tuple[str, ...] = (REGION, "us-east-1")
    digest_regions: tuple[str, ...] = ()
    folder: Path | None = None
    changes: tuple[Mapping[str, Any], ...] = ()

    @property
    def base(self) -> datetime:
        """When the trail was started."""
        return self.until - timedelta(hours=self.hours + _BEFORE)

    def window(self) -> dict[str, Any]:
        """Return the window of a run that is wholly covered, as far as digests can be there by now."""
        if not self.fixed:
            return {"hours": self.hours}
        return {"start": iso(self.until - timedelta(hours=self.hours)), "end": iso(self.until)}


def read_plan(told: Mapping[str, Any], enabled: Collection[str], now: datetime) -> Plan:
    """Return the plan that a mapping tells.

    Raises:
        SandboxError: a member is missing, unknown, or of no use.
    """
    given = dict(told)
    try:
        hours, until = int(given.pop("hours")), given.pop("until", None)
        at = datetime.fromisoformat(until).astimezone(UTC) if until else now
        at, now = at.replace(microsecond=0), now.replace(microsecond=0)
        folder = given.pop("folder", None)
        plan = Plan(
            hours=hours,
            until=at,
            limit=min(now, at + _HOUR),
            fixed=bool(until),
            logs_per_hour=int(given.pop("logs_per_hour", 2)),
            regions=tuple(given.pop("regions", None) or (REGION, "us-east-1")),
            digest_regions=tuple(sorted(given.pop("digest_regions", None) or enabled)),
            folder=Path(folder) if folder else None,
            changes=tuple(one | {"at": datetime.fromisoformat(one["at"])} for one in given.pop("changes", ())),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise SandboxError(f"this is no delivery: {dict(told)}", "name whole hours, and times as ISO 8601") from error
    unknown = [*given, *(region for region in (*plan.regions, *plan.digest_regions) if region not in enabled)]
    if unknown:
        raise SandboxError(f"a delivery knows no {unknown[0]!r}", "name enabled Regions and documented members only")
    if plan.hours < 1 or plan.logs_per_hour < 0 or plan.until > now:
        raise SandboxError(f"this can't have been delivered: {dict(told)}", "name hours that have passed by now")
    return plan


class Delivery:
    """The logs and digests of one trail, by Region; what a fault changes in them before they are put again.

    Attributes:
        periods: of each Region, what its digests cover, in order.
        digests: of each Region, the digests as they were put last.
        logs: of each Region, every log, also those that no digest names yet.
        public_keys: of each Region, the keys that are listed.
        others: what other trails deliver into the same bucket.
        home: the Region whose objects faults spoil: the trail's own, unless no log was delivered there.
    """

    def __init__(
        self, plan: Plan, store: "Store", key_arn: str, *, trail_arn: str = TRAIL_ARN, digested: bool = True
    ) -> None:
        self.plan = plan
        self.store = store
        self.key_arn = key_arn
        self.trail_arn = trail_arn
        self.logs = _logs(plan, trail_arn, key_arn)
        self.public_keys = {region: _listed(plan, keys_of(region)) for region in plan.digest_regions}
        self.periods = {region: self._periods(region) for region in plan.digest_regions if digested}
        self.digests: dict[str, list[Digest]] = {}
        self.others: list[Delivery] = []
        self.home = next((region for region in (REGION, *sorted(self.logs)) if self.logs.get(region)), REGION)

    @property
    def foreign_signer(self) -> SigningKey:
        """A key that is never listed."""
        return signing_keys()[-1]

    @property
    def next_signer(self) -> SigningKey:
        """The listed key that the home Region would sign with next."""
        return keys_of(self.home)[1]

    def put(self) -> None:
        """Put all logs and digests into the bucket, each as the only version of its object."""
        for logs in self.logs.values():
            for log in logs:
                self.put_log(log)
        for region in self.periods:
            self.put_digests(region)

    def put_log(self, log: Log) -> None:
        """Put a log as CloudTrail does."""
        self.store.put(log.bucket, log.key, log.body, modified=log.modified, kms_key=self.key_arn)

    def put_digests(self, region: str) -> None:
        """Make the digests of a Region and put them, in place of those that were put before."""
        for digest in self.digests.get(region, ()):
            self.store.remove(digest.bucket, digest.key)
        self.digests[region] = seal(self.periods[region], ACCOUNT_ID, region, self.trail_arn)
        for digest in self.digests[region]:
            self.put_digest(digest)

    def put_digest(self, digest: Digest) -> None:
        """Put a digest as CloudTrail does."""
        place = (digest.bucket, digest.key, digest.body)
        self.store.put(*place, modified=digest.modified, metadata=digest.metadata, kms_key=self.key_arn)

    def restore(self) -> None:
        """Put everything again where the bucket was made anew, and so lost what had been delivered."""
        if self.store.is_empty(LOG_BUCKET):
            self.digests.clear()
            self.put()

    def of_trail(self, trail_arn: str, *, digested: bool) -> "Delivery":
        """Return what another trail delivers into the same bucket, in the home Region only."""
        regions = (self.home,)
        plan = Plan(**{**vars(self.plan), "folder": None, "regions": regions, "digest_regions": regions})
        return Delivery(plan, self.store, self.key_arn, trail_arn=trail_arn, digested=digested)

    def latest(self, region: str) -> tuple[datetime | None, datetime | None]:
        """Return when the newest log and the newest digest of a Region were delivered, None where none was."""
        logs = (log.modified for log in self.logs.get(region, ()))
        digests = (period.modified for period in self.periods.get(region, ()))
        return max(logs, default=None), max(digests, default=None)

    def _periods(self, region: str) -> list[Period]:
        offset = timedelta(seconds=Random(region).randrange(120, _LATEST_OFFSET))  # noqa: S311  a place in the hour
        logs = sorted(self.logs.get(region, ()), key=lambda log: log.modified)
        times = [log.modified for log in logs]
        made: list[Period] = []
        start, end = self.plan.base, self.plan.base.replace(minute=0, second=0) + offset
        if end <= start:
            end += _HOUR
        while (modified := end + _lag(region, end)) <= self.plan.limit:
            named = logs[bisect_left(times, start) : bisect_left(times, end)]
            made.append(Period(start, end, modified, LOG_BUCKET, keys_of(region)[0], named, starting=not made))
            start, end = end, end + _HOUR
        return made


def _lag(region: str, end: datetime) -> timedelta:
    """Return how long after its period a digest is delivered: 10 to 20 minutes."""
    return timedelta(seconds=Random(f"{region} {end}").randrange(600, 1200))  # noqa: S311  a delay


def _listed(plan: Plan, signers: Sequence[SigningKey]) -> list[PublicKey]:
    """Return the keys of a Region: those in use first, so that the one of today is on the first page."""
    base, until = plan.base, plan.until
    validity = [
        (base - 20 * _DAY, until + 20 * _DAY),
        (base - _DAY, until + 60 * _DAY),
        (base - 60 * _DAY, base - 10 * _DAY),
    ]
    return [PublicKey(key.fingerprint, key.public, *time) for key, time in zip(signers, validity, strict=True)]


# --- Logs


def _logs(plan: Plan, trail_arn: str, key_arn: str) -> dict[str, list[Log]]:
    logs: dict[str, list[Log]] = {}
    held = set()
    for region, log in _genuine(plan):
        logs.setdefault(region, []).append(log)
        held.add((region, log.modified.replace(minute=0, second=0)))
    for region in plan.regions:
        made = logs.setdefault(region, [])
        hour = plan.base.replace(minute=0, second=0)
        while hour <= plan.until:
            if (region, hour) not in held:
                made.extend(_hour_of_logs(plan, trail_arn, key_arn, region, hour, made[-1:]))
            hour += _HOUR
    return logs


def _hour_of_logs(
    plan: Plan, trail_arn: str, key_arn: str, region: str, hour: datetime, last: Sequence[Log]
) -> Iterator[Log]:
    for number in range(plan.logs_per_hour):
        random = Random(f"{trail_arn} {region} {hour} {number}")  # noqa: S311  deterministic is the point
        minute = hour + timedelta(minutes=int((number + 0.5) * 60 / plan.logs_per_hour))
        modified = minute + timedelta(seconds=random.randrange(5, 50))
        if not plan.base < modified <= plan.until:
            continue
        records = list(_records(random, region, minute))
        records += _changes(plan, random, region, minute)
        if last and region == trail_arn.split(":")[3]:
            records.append(_data_key_record(random, trail_arn, key_arn, last[-1]))
        body = gzip.compress(json.dumps({"Records": records}, separators=(",", ":")).encode(), mtime=0)
        log = _log(region, minute, "".join(random.choices(ascii_letters + digits, k=16)), body, modified)
        last = [log]
        yield log


def _genuine(plan: Plan) -> Iterator[tuple[str, Log]]:
    """Yield the files of the plan's folder whose names say that they were delivered within it, by their Region."""
    if plan.folder is None:
        return
    for path in sorted(plan.folder.glob("*.json.gz")):
        if named := _GENUINE.fullmatch(path.name):
            minute = datetime.strptime(named["minute"], "%Y%m%dT%H%MZ").replace(tzinfo=UTC)
            modified = minute + timedelta(seconds=30)
            if plan.base < modified <= plan.until:
                yield named["region"], _log(named["region"], minute, named["unique"], path.read_bytes(), modified)


def _log(region: str, minute: datetime, unique: str, body: bytes, modified: datetime) -> Log:
    text = gzip.decompress(body)
    times = [record["eventTime"] for record in json.loads(text)["Records"]]
    folder = f"AWSLogs/{ACCOUNT_ID}/CloudTrail/{region}/{minute:%Y/%m/%d}"
    key = f"{folder}/{ACCOUNT_ID}_CloudTrail_{region}_{minute:%Y%m%dT%H%MZ}_{unique}.json.gz"
    bounds = (min(times, default=None), max(times, default=None))
    return Log(LOG_BUCKET, key, body, hashlib.sha256(text).hexdigest(), *bounds, modified)


def _records(random: Random, region: str, minute: datetime) -> Iterator[dict[str, Any]]:
    """Yield a few management events of the minutes before a delivery."""
    for _ in range(random.randrange(2, 5)):
        time = minute - timedelta(seconds=random.randrange(180, 720))
        if random.random() < 0.5:
            caller = {"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}
            asked = {"roleArn": f"arn:aws:iam::{ACCOUNT_ID}:role/LabServer", "roleSessionName": "i-0a1b2c3d4e5f60718"}
            yield _record(random, region, time, "sts", "AssumeRole", caller, asked)
        else:
            session = f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/Inventory/nightly"
            caller = {"type": "AssumedRole", "principalId": "AROAEXAMPLEINVENTORY:nightly", "arn": session}
            caller |= {"accountId": ACCOUNT_ID}
            every: dict[str, Any] = {"instancesSet": {}, "filterSet": {}}
            yield _record(random, region, time, "ec2", "DescribeInstances", caller, every)


def _changes(plan: Plan, random: Random, region: str, minute: datetime) -> Iterator[dict[str, Any]]:
    """Yield the changes of the plan that happened in a Region since the log file before this minute's."""
    caller = {"type": "AssumedRole", "arn": ADMINISTRATOR, "accountId": ACCOUNT_ID}
    before = minute - timedelta(hours=1) / plan.logs_per_hour
    for one in plan.changes:
        if one.get("region", REGION) == region and before <= one["at"] < minute:
            yield _record(random, region, one["at"], one["service"], one["name"], caller, one["asked"]) | {
                "sourceIPAddress": ADDRESS, "userAgent": "aws-cli/2.28.1", "readOnly": False,
            }  # fmt: skip


def _data_key_record(random: Random, trail_arn: str, key_arn: str, log: Log) -> dict[str, Any]:
    """Return the event by which CloudTrail asked KMS for the key that a log is encrypted with."""
    context = {"aws:cloudtrail:arn": trail_arn, "aws:s3:arn": f"arn:aws:s3:::{log.bucket}/{log.key}"}
    asked = {"keyId": key_arn, "keySpec": "AES_256", "encryptionContext": context}
    caller = {"type": "AWSService", "invokedBy": "cloudtrail.amazonaws.com"}
    record = _record(random, trail_arn.split(":")[3], log.modified, "kms", "GenerateDataKey", caller, asked)
    resources = [{"accountId": ACCOUNT_ID, "type": "AWS::KMS::Key", "ARN": key_arn}]
    return record | {"resources": resources, "sharedEventID": _uuid(random)}


def _record(
    random: Random, region: str, time: datetime, service: str, name: str, caller: Mapping[str, str], asked: Any
) -> dict[str, Any]:
    by = caller.get("invokedBy", "203.0.113.17")
    return {
        "eventVersion": "1.11",
        "userIdentity": dict(caller),
        "eventTime": iso(time),
        "eventSource": f"{service}.amazonaws.com",
        "eventName": name,
        "awsRegion": region,
        "sourceIPAddress": by,
        "userAgent": by if "invokedBy" in caller else "aws-sdk-java/2.29.6",
        "requestParameters": asked,
        "responseElements": None,
        "requestID": _uuid(random),
        "eventID": _uuid(random),
        "readOnly": True,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT_ID,
        "eventCategory": "Management",
    }


def _uuid(random: Random) -> str:
    text = f"{random.getrandbits(128):032x}"
    return "-".join((text[:8], text[8:12], f"4{text[13:16]}", f"a{text[17:20]}", text[20:]))
