"""The event history of the sandbox: what was changed since it was seeded, by whom, as LookupEvents tells it.

Source: CloudTrail user guide, "CloudTrail record contents"; S3 user guide, "Amazon S3 CloudTrail events".
"""

import json
import time
import uuid
from typing import Any

from kit.sandbox.account import ACCOUNT_ID, ADDRESS, ADMINISTRATOR
from kit.sandbox.additions import replaces
from kit.sandbox.calls import Answer, Call, Rules, error, json_answer

PAGE = 2
"""How many events a page has: few, so that there is a second one."""

_READING = ("Get", "List", "Describe", "Head", "Lookup")
# S3's events are not always named as its operations are
_S3_EVENTS = {
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeletePublicAccessBlock": "DeleteBucketPublicAccessBlock",
    "PutBucketLifecycleConfiguration": "PutBucketLifecycle",
    "DeleteBucketLifecycleConfiguration": "DeleteBucketLifecycle",
    "PutObjectLockConfiguration": "PutBucketObjectLockConfiguration",
}
_S3_CONTROL = {"PutPublicAccessBlock": "PutAccountPublicAccessBlock"}
_events: list[dict[str, Any]] = []


def forget_events() -> None:
    """Forget what happened so far: it is older than what the history holds."""
    _events.clear()


def note(call: Call, answer: Answer) -> None:
    """Take note of a call that changed something; objects are no matter of the event history."""
    if answer.status >= 300 or call.operation.startswith(_READING) or (call.service == "s3" and call.key):
        return
    names = {"s3": _S3_EVENTS, "s3control": _S3_CONTROL}.get(call.service, {})
    bucket = {"bucketName": call.bucket} if call.service == "s3" else {}
    asked = {name[:1].lower() + name[1:]: value for name, value in call.parameters.items()} | bucket
    named = asked.get("name") or asked.get("trailName") or asked.get("keyId") or asked.get("bucketName")
    _events.append(
        {
            "EventId": str(uuid.uuid4()),
            "EventName": names.get(call.operation, call.operation),
            "EventTime": float(int(time.time())),
            "EventSource": f"{call.service.removesuffix('control')}.amazonaws.com",
            "Resources": [{"ResourceName": named}] if named else [],
            "region": "us-east-1" if call.service == "s3control" else call.region,
            "asked": asked,
        }
    )


@replaces("cloudtrail", "LookupEvents")
def lookup_events(call: Call, _: Rules) -> Answer:
    """List the management events of a Region by name, the newest first, a few a page [LookupEvents]."""
    asked = call.parameters
    wanted = {one["AttributeKey"]: one["AttributeValue"] for one in asked.get("LookupAttributes") or ()}
    start, end = float(asked.get("StartTime") or 0), float(asked.get("EndTime") or time.time())
    if start > end:
        return error(call, 400, "InvalidTimeRangeException", "The start time must be before the end time.")
    found = [
        event
        for event in reversed(_events)
        if event["region"] == call.region
        and start <= event["EventTime"] <= end
        and wanted.get("EventName") in (None, event["EventName"])
    ]
    token = str(asked.get("NextToken") or 0)
    if not token.isdecimal() or int(token) > len(found):
        return error(call, 400, "InvalidNextTokenException", "The token is not valid.")
    first = int(token)
    more = {"NextToken": str(first + PAGE)} if first + PAGE < len(found) else {}
    return json_answer({"Events": [_told(event) for event in found[first : first + PAGE]], **more})


def _told(event: dict[str, Any]) -> dict[str, Any]:
    record = {
        "eventVersion": "1.11",
        "userIdentity": {"type": "AssumedRole", "arn": ADMINISTRATOR, "accountId": ACCOUNT_ID},
        "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(event["EventTime"])),
        "eventSource": event["EventSource"],
        "eventName": event["EventName"],
        "awsRegion": event["region"],
        "sourceIPAddress": ADDRESS,
        "requestParameters": event["asked"],
        "eventID": event["EventId"],
        "readOnly": False,
        "recipientAccountId": ACCOUNT_ID,
    }
    told = {name: value for name, value in event.items() if name not in ("region", "asked")}
    return told | {"ReadOnly": "false", "Username": "night-shift", "CloudTrailEvent": json.dumps(record)}
