"""What a trail does: its status and its event selectors, asked in its home Region."""

from collections.abc import Mapping

from kit.canonical import Json
from kit.collect.calls import GET_EVENT_SELECTORS, GET_TRAIL_STATUS
from kit.collect.readers import Readers
from kit.snapshot import Answer


def collect_status(readers: Readers, arn: str, region: str) -> Answer[Mapping[str, Json]]:
    """Return the delivery status of a trail [CloudTrail GetTrailStatus]. IAM: cloudtrail:GetTrailStatus."""
    return readers.ask(GET_TRAIL_STATUS, region, without_metadata, account=arn.split(":")[4], Name=arn)


def collect_selectors(readers: Readers, arn: str, region: str) -> Answer[Mapping[str, Json]]:
    """Return the classic or advanced event selectors of a trail [CloudTrail GetEventSelectors].

    IAM: cloudtrail:GetEventSelectors.
    """
    return readers.ask(GET_EVENT_SELECTORS, region, without_metadata, account=arn.split(":")[4], TrailName=arn)


def without_metadata(response: Mapping[str, Json]) -> Mapping[str, Json]:
    """Return a parsed response without what botocore adds to it."""
    return {name: value for name, value in response.items() if name != "ResponseMetadata"}
