"""Faults of reading what was delivered: the trail's status, public keys, refused and throttled reads, denied role."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kit.sandbox.account import ACCOUNT_ID, DENIED_READER, REGION, TRAIL_ARN, Account, is_denied_reader
from kit.sandbox.calls import Answer, Call, denied, error
from kit.sandbox.fault import fault
from kit.sandbox.spoilt_deliveries import delivery_fault, middle_log

if TYPE_CHECKING:
    from kit.sandbox.delivery import Delivery
    from kit.sandbox.digesting import PublicKey

_STALE = 3 * 86400.0
_READ = ("OQ-02", "OQ-03", "OQ-04", "OQ-05", "OQ-06", "OQ-07", "OQ-08", "OQ-09")


# --- The trail's status


@fault("delivery-error", changes=("OQ-01",))
def delivery_error(account: Account) -> None:
    """The status says that S3 refused the latest log."""
    _tell(account, lambda status: status.update(LatestDeliveryError="AccessDenied"))


@fault("digest-delivery-error", changes=("OQ-01",))
def digest_delivery_error(account: Account) -> None:
    """The status says that S3 refused the latest digest."""
    _tell(account, lambda status: status.update(LatestDigestDeliveryError="AccessDenied"))


@fault("delivery-stale", changes=("OQ-01",))
def delivery_stale(account: Account) -> None:
    """The latest log that the status tells is days old, and there is no error: requests that time out set none."""
    _tell(account, lambda status: _age(status, "LatestDeliveryTime"))


@fault("digest-delivery-stale", changes=("OQ-01",))
def digest_delivery_stale(account: Account) -> None:
    """The latest digest that the status tells is days old, and there is no error."""
    _tell(account, lambda status: _age(status, "LatestDigestDeliveryTime"))


@fault("cloudwatch-delivery-error", changes=("OQ-01", "PQ-04"))
def cloudwatch_delivery_error(account: Account) -> None:
    """The trail delivers to CloudWatch Logs as well, and the status says that this was refused."""
    group = f"arn:aws:logs:{REGION}:{ACCOUNT_ID}:log-group:gxp-cloudtrail:*"
    role = f"arn:aws:iam::{ACCOUNT_ID}:role/CloudTrailToCloudWatchLogs"

    def configured(listed: Any) -> None:
        for trail in listed["trailList"]:
            if trail["TrailARN"] == TRAIL_ARN:
                trail |= {"CloudWatchLogsLogGroupArn": group, "CloudWatchLogsRoleArn": role}

    def refused(status: Any) -> None:
        if "LatestDeliveryTime" in status:
            status["LatestCloudWatchLogsDeliveryTime"] = status["LatestDeliveryTime"]
        status["LatestCloudWatchLogsDeliveryError"] = "Access denied. Check the role's permissions."

    account.rules.rewrite("cloudtrail", "DescribeTrails", configured)
    _tell(account, refused)


def _tell(account: Account, change: Callable[[Any], None]) -> None:
    account.rules.rewrite("cloudtrail", "GetTrailStatus", change)


def _age(status: Any, member: str) -> None:
    if member in status:
        status[member] -= _STALE


# --- Public keys


@delivery_fault("public-key-unlisted", changes=("OQ-04", "OQ-05", "OQ-06", "OQ-07"))
def public_key_unlisted(_: Account, delivery: "Delivery") -> None:
    """The public key that the digests of the home Region name is not listed."""
    del delivery.public_keys[delivery.home][0]


@delivery_fault("public-key-garbage", changes=("OQ-04", "OQ-05", "OQ-06", "OQ-07"))
def public_key_garbage(_: Account, delivery: "Delivery") -> None:
    """What is listed as the public key of the home Region is none."""
    keys: list[PublicKey] = delivery.public_keys[delivery.home]
    keys[0] = type(keys[0])(keys[0].fingerprint, b"no key", keys[0].start, keys[0].end)


@fault("deny-list-public-keys", changes=("OQ-04", "OQ-05", "OQ-06", "OQ-07", "OQ-09"))
def deny_list_public_keys(account: Account) -> None:
    """The public keys can't be listed."""
    account.rules.deny("cloudtrail", "ListPublicKeys")


# --- Objects


@fault("deny-get-object", changes=_READ)
def deny_get_object(account: Account) -> None:
    """No object can be read."""
    account.rules.deny("s3", "GetObject")


@fault("deny-list-object-versions", changes=_READ)
def deny_list_object_versions(account: Account) -> None:
    """The versions of objects can't be listed."""
    account.rules.deny("s3", "ListObjectVersions")


@delivery_fault("throttle-one-log", changes=("OQ-02", "OQ-05", "OQ-07"))
def throttle_one_log(account: Account, delivery: "Delivery") -> None:
    """S3 throttles every request for one log, retries included."""
    account.rules.instead("s3", "GetObject", _slow_down, when=_asks_for_log(delivery))


@delivery_fault("drop-one-log", changes=("OQ-02", "OQ-05", "OQ-07"))
def drop_one_log(account: Account, delivery: "Delivery") -> None:
    """The connection is dropped whenever one log is asked for."""
    account.rules.instead("s3", "GetObject", lambda _: None, when=_asks_for_log(delivery))


@fault("throttle-first-reads", changes=())
def throttle_first_reads(account: Account) -> None:
    """S3 throttles the first request for each object, and answers the second: nothing is wrong."""
    lock, asked = threading.Lock(), set[str]()

    def is_first(call: Call) -> bool:
        with lock:
            first = call.path not in asked
            asked.add(call.path)
            return first

    account.rules.instead("s3", "GetObject", _slow_down, when=is_first)


def _slow_down(call: Call) -> Answer:
    return error(call, 503, "SlowDown", "Please reduce your request rate.")


def _asks_for_log(delivery: "Delivery") -> Callable[[Call], bool]:
    log = middle_log(delivery)
    return lambda call: (call.bucket, call.key) == (log.bucket, log.key)


# --- The role that must be refused


@fault("denied-role-not-assumable", changes=("OQ-08",))
def denied_role_not_assumable(account: Account) -> None:
    """The role that must be refused can't be assumed, so nobody can say whether it is."""

    def refuse(call: Call) -> Answer:
        who = f"User: arn:aws:sts::{ACCOUNT_ID}:{call.caller} is not authorized to perform: sts:AssumeRole"
        return error(call, 403, "AccessDenied", f"{who} on resource: {DENIED_READER}")

    account.rules.instead("sts", "AssumeRole", refuse, when=lambda call: call.parameters["RoleArn"] == DENIED_READER)


@fault("denied-role-may-decrypt", changes=("OQ-08",))
def denied_role_may_decrypt(account: Account) -> None:
    """The role that must be refused reads the logs."""
    account.rules.denied_may_decrypt = True


@fault("denied-role-refused-by-s3", changes=("OQ-08",))
def denied_role_refused_by_s3(account: Account) -> None:
    """The role that must be refused by KMS is refused by S3 already, which says nothing about the key."""
    account.rules.instead(
        "s3", "GetObject", lambda call: error(call, 403, "AccessDenied", "Access Denied"), when=is_denied_reader
    )


@fault("denied-role-may-not-list", changes=("OQ-08",))
def denied_role_may_not_list(account: Account) -> None:
    """The role that must be refused may not even list the logs."""
    for operation in ("ListObjects", "ListObjectsV2", "ListObjectVersions"):
        account.rules.instead("s3", operation, denied, when=is_denied_reader)
