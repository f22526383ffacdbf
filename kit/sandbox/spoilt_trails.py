"""Faults of the trails: none, spoilt, or a second one."""

from typing import Any

from kit.sandbox import account as seeded
from kit.sandbox.account import ACCOUNT_ID, REGION, SECOND_REGION, TRAIL, TRAIL_ARN, Account
from kit.sandbox.fault import ALL, EVERY_OQ, fault


@fault("no-trail", changes=(*ALL[1:], *EVERY_OQ, "PQ-04"), alone="without the trail, nothing else of it can be seen")
def no_trail(account: Account) -> None:
    """The account has no trail."""
    account.client("cloudtrail").delete_trail(Name=TRAIL)


@fault("not-logging", changes=("IQ-03", "PQ-04"))
def not_logging(account: Account) -> None:
    """The trail is stopped."""
    account.client("cloudtrail").stop_logging(Name=TRAIL)


@fault("single-region", changes=("IQ-03", "PQ-04"))
def single_region(account: Account) -> None:
    """The trail records its home Region only."""
    account.client("cloudtrail").update_trail(Name=TRAIL, IsMultiRegionTrail=False)


@fault("no-global-events", changes=("IQ-03", "PQ-04"))
def no_global_events(account: Account) -> None:
    """The trail leaves out global service events (and is single-Region, or AWS would not allow it)."""
    trail = {"IsMultiRegionTrail": False, "IncludeGlobalServiceEvents": False}
    account.client("cloudtrail").update_trail(Name=TRAIL, **trail)


@fault("management-events-off", changes=("IQ-03", "PQ-04"))
def management_events_off(account: Account) -> None:
    """The trail records data events only."""
    data = {"Type": "AWS::S3::Object", "Values": ["arn:aws:s3"]}
    _select(account, {"ReadWriteType": "All", "IncludeManagementEvents": False, "DataResources": [data]})


@fault("management-events-read-only", changes=("IQ-03", "PQ-04"))
def management_events_read_only(account: Account) -> None:
    """The trail records management events that read, not those that write."""
    _select(account, {"ReadWriteType": "ReadOnly", "IncludeManagementEvents": True})


@fault("kms-events-excluded", changes=("IQ-03", "PQ-04"))
def kms_events_excluded(account: Account) -> None:
    """The trail excludes the management events of KMS."""
    _select(account, {"IncludeManagementEvents": True, "ExcludeManagementEventSources": ["kms.amazonaws.com"]})


@fault("advanced-selectors", changes=("PQ-04",))
def advanced_selectors(account: Account) -> None:
    """The trail selects the same events by advanced event selectors: nothing is wrong."""
    _select_advanced(account)


@fault("advanced-selectors-without-kms", changes=("IQ-03", "PQ-04"))
def advanced_selectors_without_kms(account: Account) -> None:
    """The trail excludes the management events of KMS by an advanced event selector."""
    _select_advanced(account, {"Field": "eventSource", "NotEquals": ["kms.amazonaws.com"]})


@fault("validation-off", changes=("IQ-08", "IQ-11", "OQ-01", "OQ-06", "PQ-04"))
def validation_off(account: Account) -> None:
    """The trail makes no digests: log file validation is off."""
    account.client("cloudtrail").update_trail(Name=TRAIL, EnableLogFileValidation=False)


@fault("second-trail-unencrypted", changes=("IQ-11", "PQ-04"))
def second_trail_unencrypted(account: Account) -> None:
    """Another trail, single-Region and elsewhere, delivers logs without a KMS key."""
    _second_trail(account, encrypted=False)


@fault("second-trail-unvalidated", changes=("IQ-11", "PQ-04"))
def second_trail_unvalidated(account: Account) -> None:
    """Another trail, single-Region and elsewhere, makes no digests."""
    _second_trail(account, validated=False)


@fault("shadow-trail", changes=("PQ-04",))
def shadow_trail(account: Account) -> None:
    """A second compliant multi-Region trail shows its shadow in every Region: nothing is wrong."""
    _second_trail(account, multi_region=True)


def _select(account: Account, selector: dict[str, Any]) -> None:
    account.client("cloudtrail").put_event_selectors(TrailName=TRAIL, EventSelectors=[selector])


def _select_advanced(account: Account, *fields: dict[str, Any]) -> None:
    management = {"Field": "eventCategory", "Equals": ["Management"]}
    selector = {"Name": "Management events", "FieldSelectors": [management, *fields]}
    account.client("cloudtrail").put_event_selectors(TrailName=TRAIL, AdvancedEventSelectors=[selector])


def _second_trail(
    account: Account, *, encrypted: bool = True, validated: bool = True, multi_region: bool = False
) -> None:
    """Make another trail with key and bucket of its own, in another Region, so that nothing of the first changes."""
    name = "second-trail"
    arn, bucket = TRAIL_ARN.replace(REGION, SECOND_REGION).replace(TRAIL, name), f"{name}-logs-{ACCOUNT_ID}"
    key = seeded.make_key(account.client, arn, SECOND_REGION)
    seeded.make_log_bucket(account.client, bucket, arn, key, SECOND_REGION)
    settings: dict[str, Any] = {"IsMultiRegionTrail": multi_region, "EnableLogFileValidation": validated}
    settings |= {"KmsKeyId": key} if encrypted else {}
    seeded.make_trail(account.client, name, bucket, SECOND_REGION, **settings)
