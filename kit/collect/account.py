"""Who asks, which Regions are enabled, and which trails each of them shows."""

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from typing import Protocol

from kit.canonical import Json
from kit.collect.calls import DESCRIBE_REGIONS, DESCRIBE_TRAILS, GET_CALLER_IDENTITY
from kit.collect.readers import Readers
from kit.evidence import Entry
from kit.snapshot import Answer, Caller

_TRAIL_ARN = re.compile(r"arn:[^:]+:cloudtrail:[^:]+:[^:]+:trail/.+", re.DOTALL)


class Progress(Protocol):
    """Told what is under way, how much of it is done, of how much, and of how many bytes where those count."""

    def __call__(self, phase: str, done: int, total: int, size: int = 0) -> None:
        """Take note."""


def collect_caller(readers: Readers, region: str) -> Answer[Caller]:
    """Return the caller's identity, and both clocks at that moment [STS GetCallerIdentity]. IAM: none needed."""

    def read(response: Mapping[str, Json], entry: Entry) -> Caller:
        return Caller(response["Account"], response["Arn"], entry.date, entry.sent, entry.received)

    return readers.ask_stamped(GET_CALLER_IDENTITY, region, read)


def collect_enabled_regions(readers: Readers, region: str) -> Answer[tuple[str, ...]]:
    """Return the names of the Regions enabled for the account, sorted [EC2 DescribeRegions: disabled ones are left
    out unless asked for]. IAM: ec2:DescribeRegions.
    """

    def read(response: Mapping[str, Json]) -> tuple[str, ...]:
        if not response["Regions"]:
            raise ValueError("no account is without an enabled Region")
        return tuple(sorted(item["RegionName"] for item in response["Regions"]))

    return readers.ask(DESCRIBE_REGIONS, region, read)


def collect_trails(
    readers: Readers, regions: Iterable[str], executor: Executor, progress: Progress
) -> dict[str, Answer[tuple[Mapping[str, Json], ...]]]:
    """Return, for each Region, the descriptions of the trails it shows, shadow trails included, Regions side by side
    [CloudTrail DescribeTrails]. IAM: cloudtrail:DescribeTrails.
    """

    def describe(region: str) -> Answer[tuple[Mapping[str, Json], ...]]:
        return readers.ask(DESCRIBE_TRAILS, region, _descriptions, includeShadowTrails=True)

    names = sorted(regions)
    shown = {}
    for name, answer in zip(names, executor.map(describe, names), strict=True):
        shown[name] = answer
        progress("Regions", len(shown), len(names))
    return shown


def _descriptions(response: Mapping[str, Json]) -> tuple[Mapping[str, Json], ...]:
    for trail in response["trailList"]:
        # without these two a trail can't be told from its shadows
        if not _TRAIL_ARN.fullmatch(trail["TrailARN"]) or not isinstance(trail["HomeRegion"], str):
            raise ValueError("a trail without ARN or home Region")
        if not all(isinstance(trail.get(name, ""), str) for name in ("KmsKeyId", "S3BucketName")):
            raise ValueError("a trail whose key or bucket is no name")
    return tuple(response["trailList"])
