"""Finds, in the text of a log file, the calls by which CloudTrail asked KMS for data keys to encrypt log files with.

Source: KMS developer guide, "How AWS CloudTrail uses AWS KMS": GenerateDataKey, with the trail's ARN in the encryption
context.
"""

import json
import re
from collections import Counter

_HOUR = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}", re.ASCII)

CALL, CALLER, CONTEXT = "GenerateDataKey", "cloudtrail.amazonaws.com", "aws:cloudtrail:arn"


def data_keys(text: bytes) -> dict[str, int]:
    """Return the number of such calls by trail ARN and hour, joined by a space; none where the text is no log."""
    if CALL.encode() not in text or CONTEXT.encode() not in text:
        return {}
    found: Counter[str] = Counter()
    try:
        records = json.loads(text)["Records"]
        for record in records:
            if record.get("eventName") == CALL and record["userIdentity"].get("invokedBy") == CALLER:
                trail = record["requestParameters"]["encryptionContext"].get(CONTEXT)
                hour = _HOUR.match(str(record["eventTime"]))
                if isinstance(trail, str) and hour:
                    found[f"{trail} {hour[0]}"] += 1
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}
    return dict(found)
