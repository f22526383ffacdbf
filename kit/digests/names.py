"""The names of CloudTrail's objects, and the folders they are delivered into.

Source: CloudTrail user guide, "CloudTrail log file name format" and "CloudTrail digest file structure".
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

LOGS, DIGESTS = "CloudTrail", "CloudTrail-Digest"

_REGION = r"[a-z]{2,8}(?:-[a-z]+)+-\d{1,2}"
_DAY = r"(?P<day>\d{4}/\d{2}/\d{2})"
_LOG = (
    rf"(?P<account>\d{{12}})/{LOGS}/(?P<region>{_REGION})/{_DAY}/(?P=account)_{LOGS}_(?P=region)_"
    r"(?P<minute>\d{8}T\d{4}Z)_\w{1,64}\.json\.gz"
)
_DIGEST = (
    rf"(?P<account>\d{{12}})/{DIGESTS}/(?P<region>{_REGION})/{_DAY}/(?P=account)_{DIGESTS}_(?P=region)_"
    rf"(?P<trail>[A-Za-z0-9._-]{{3,128}})_(?P<home>{_REGION})_(?P<end>\d{{8}}T\d{{6}}Z)(?P<backfill>_backfill)?\.json\.gz"
)


@dataclass(frozen=True, order=True)
class Place:
    """Where a trail delivers: bucket, key prefix (without the slash at its end), and organization id, if any."""

    bucket: str
    prefix: str = ""
    organization: str = ""

    @property
    def base(self) -> str:
        """What every key of the place begins with."""
        return "".join(f"{part}/" for part in (self.prefix, "AWSLogs", self.organization) if part)

    def folder(self, account: str, kind: str, region: str = "") -> str:
        """Return the folder of an account's logs or digests, of one Region where that is named."""
        return f"{self.base}{account}/{kind}/" + (f"{region}/" if region else "")


@dataclass(frozen=True, slots=True)
class LogName:
    """What the name of a log file says: `minute` is when it was delivered, to the minute."""

    account: str
    region: str
    minute: datetime


@dataclass(frozen=True, slots=True, order=True)
class ChainName:
    """Which chain a digest belongs to: that of one trail for one account and Region."""

    account: str
    region: str
    trail: str
    home_region: str

    @property
    def owner(self) -> tuple[str, str]:
        """The trail, as its digests name it: name and home Region."""
        return self.trail, self.home_region


@dataclass(frozen=True, slots=True)
class DigestName:
    """What the name of a digest says: its chain, the end of its period, and whether it was made up for later."""

    chain: ChainName
    end: datetime
    backfill: bool


def log_name(place: Place, key: str) -> LogName | None:
    """Return what the key of a log file says, or None where no log file of the place has such a key."""
    match = _pattern(place, _LOG).fullmatch(key)
    moment = match and _of_day(_moment(match["minute"], "%Y%m%dT%H%MZ"), match["day"])
    return LogName(match["account"], match["region"], moment) if match and moment else None


def digest_name(place: Place, key: str) -> DigestName | None:
    """Return what the key of a digest says, or None where no digest of the place has such a key."""
    match = _pattern(place, _DIGEST).fullmatch(key)
    moment = match and _of_day(_moment(match["end"], "%Y%m%dT%H%M%SZ"), match["day"])
    if not match or not moment:
        return None
    chain = ChainName(match["account"], match["region"], match["trail"], match["home"])
    return DigestName(chain, moment, match["backfill"] is not None)


def place_of_digest(bucket: str, key: str, organization: str) -> Place | None:
    """Return the place whose digest has this key: what an older digest's key tells of where a trail once delivered."""
    middle = f"AWSLogs/{organization}/" if organization else "AWSLogs/"
    found = re.fullmatch(rf"(?:(?P<prefix>.+)/)?{re.escape(middle)}{_DIGEST}", key, re.ASCII)
    return Place(bucket, found["prefix"] or "", organization) if found else None


@cache
def _pattern(place: Place, tail: str) -> re.Pattern[str]:
    return re.compile(re.escape(place.base) + tail, re.ASCII)


def _moment(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form).replace(tzinfo=UTC)
    except ValueError:
        return None


def _of_day(moment: datetime | None, folder: str) -> datetime | None:
    """Return a moment that lies in the folder of its own day, or next to it: else it is where nobody would look."""
    day = _moment(folder, "%Y/%m/%d")
    return moment if moment and day and abs(moment - day) <= timedelta(days=2) else None
