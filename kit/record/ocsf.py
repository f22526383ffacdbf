"""The findings of a sealed record as events of the Open Cybersecurity Schema Framework: class 2003, Compliance Finding.

Version 1.6.0, the one that AWS Security Hub takes (its user guide, "Security Hub and OCSF"), with the profiles cloud
and datetime. Security Hub knows a finding by account, `finding_info.uid` and `metadata.product.uid`; the uid is the
same from record to record, so that a later record updates what an earlier one said. Which record says it is told by
`metadata.correlation_uid`, and with its digest under `unmapped`.
"""

import json
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from kit.canonical import Json, canonical, sha256_file
from kit.errors import RecordError, RejectionError
from kit.findings import Verdict
from kit.record.addenda import deviations_of
from kit.record.manifest import FINDINGS, MANIFEST, NOTEBOOK, RECORD, account_of, read_manifest
from kit.record.results import test_cases_in
from kit.record.verification.verify import hold_record
from kit.record.whole import malformed_rejected

VERSION = "1.6.0"

STATUSES = {
    Verdict.PASS: (1, "Pass"),
    Verdict.FAIL: (3, "Fail"),
    # by its definition, "did not yield a result due to missing information"
    Verdict.INCONCLUSIVE: (2, "Warning"),
    Verdict.NOT_EXECUTED: (0, "Unknown"),
    # of Other, the caption is the source's own
    Verdict.NOT_APPLICABLE: (99, "Not applicable"),
}
"""`compliance.status_id` and its caption; only a PASS is Pass."""

_SEVERITIES = {"critical": (5, "Critical"), "major": (4, "High"), "minor": (3, "Medium")}
_NONE = (1, "Informational")
_NOT_TOLD = (0, "Unknown")
_TYPES = {
    ("cloudtrail", "trail"): "AWS::CloudTrail::Trail",
    ("iam", "role"): "AWS::IAM::Role",
    ("iam", "root"): "AWS::::Account",
    ("kms", "key"): "AWS::KMS::Key",
    ("s3", ""): "AWS::S3::Bucket",
}
"""What CloudFormation, and so Security Hub, calls a resource, by service and kind in its ARN."""


def export_ocsf(record: Path) -> bytes:
    """Return a JSON array with an event for each finding of a record; the same record gives the same bytes.

    The record is verified first: of one that does not hold, nothing is exported.

    Raises:
        RecordError: it is no record of an execution.
        RejectionError: it does not hold.
    """
    try:
        hold_record(record)
    except RejectionError as error:
        message = f"{record.name} does not hold, so nothing of it is exported: {error.message}"
        raise RejectionError(message, error.remedy) from error
    manifest = read_manifest(record)
    if manifest["kind"] != RECORD:
        raise RecordError(f"{record.name} is a protocol that was issued, and has no findings", "name a record of a run")
    with malformed_rejected(record.name):
        return b"[\n" + b",\n".join(map(canonical, _events(record, manifest))) + b"\n]\n"


def _events(record: Path, manifest: Mapping[str, Json]) -> list[dict[str, Json]]:
    digest = sha256_file(record / MANIFEST)
    cases = test_cases_in(json.loads((record / NOTEBOOK).read_bytes()))
    # each finding that did not pass opened a deviation, in their order
    deviations = iter(deviations_of(record, manifest))
    seen: Counter[str] = Counter()
    events = []
    for number, finding in enumerate(json.loads((record / FINDINGS).read_bytes())["findings"], start=1):
        case = cases.get(finding["test_case"], {})
        event = _event(manifest, finding, case)
        uid = event["finding_info"]["uid"]
        seen[uid] += 1
        if seen[uid] > 1:
            event["finding_info"]["uid"] = f"{uid}#{seen[uid]}"
        event["metadata"]["uid"] = f"{manifest['record_id']}/{number}"
        opened = finding["verdict"] not in (Verdict.PASS, Verdict.NOT_APPLICABLE)
        event["unmapped"] = _unmapped(manifest, finding) | {
            "record_digest": digest,
            "deviation": next(deviations) if opened else None,
        }
        events.append(event)
    return events


def _event(manifest: Mapping[str, Json], finding: Mapping[str, Json], case: Mapping[str, Json]) -> dict[str, Json]:
    verdict = Verdict(finding["verdict"])
    status_id, status = STATUSES[verdict]
    told = verdict in (Verdict.PASS, Verdict.NOT_APPLICABLE)
    severity_id, severity = _NONE if told else _SEVERITIES.get(case.get("criticality", ""), _NOT_TOLD)
    clauses = case.get("clauses", ())
    title = f"{finding['test_case']} {case.get('title', '')}".strip()
    mark = "DEMONSTRATION: " if manifest["demonstration"] else ""
    moment = manifest["finished"]
    time = round(datetime.fromisoformat(moment).timestamp() * 1000)
    return {
        "activity_id": 1,
        "activity_name": "Create",
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": 2003,
        "class_name": "Compliance Finding",
        "type_uid": 200301,
        "type_name": "Compliance Finding: Create",
        "time": time,
        "time_dt": moment,
        "severity_id": severity_id,
        "severity": severity,
        "message": mark + finding["message"],
        "cloud": {"provider": "AWS", **_account(account_of(manifest))},
        "metadata": {
            "version": VERSION,
            "profiles": ["cloud", "datetime"],
            "product": {
                "name": "trailkit",
                "uid": "trailkit",
                "vendor_name": "trailkit",
                "version": manifest["kit_version"],
            },
            "correlation_uid": manifest["record_id"],
            "labels": ["demonstration"] if manifest["demonstration"] else [],
        },
        "finding_info": {
            # a demonstration never updates what is told of a real account
            "uid": f"{mark}{finding['test_case']} {finding['resource']}".strip(),
            "title": mark + title,
            "desc": finding["message"],
            "created_time": time,
            "created_time_dt": moment,
            "modified_time": time,
            "modified_time_dt": moment,
        },
        "compliance": {
            "control": title,
            "desc": case.get("criterion", ""),
            "standards": list(dict.fromkeys(clause["source"] for clause in clauses)),
            "requirements": [f"{clause['source']}, {clause['clause']}" for clause in clauses],
            "status_id": status_id,
            "status": status,
            "status_code": verdict.value,
            "status_details": [finding["message"]],
        },
        "resources": [_resource(finding["resource"], manifest)],
    }


def _unmapped(manifest: Mapping[str, Json], finding: Mapping[str, Json]) -> dict[str, Json]:
    kept = ("record_id", "verdict", "demonstration", "system_id", "environment", "protocol_id")
    return {
        **{name: manifest[name] for name in kept},
        "protocol": {name: manifest["protocol"][name] for name in ("id", "version")},
        **{name: finding[name] for name in ("expected", "actual", "met", "evidence")},
    }


def _account(account: str) -> dict[str, Json]:
    return {"account": {"uid": account, "type_id": 10, "type": "AWS Account"}} if account else {}


def _resource(named: str, manifest: Mapping[str, Json]) -> dict[str, Json]:
    """Return what was judged; where that is nothing, because a step never ran, the account, or else the system."""
    if not named:
        account = account_of(manifest)
        return {"uid": account, "type": "AWS::::Account"} if account else {"name": manifest["system_id"]}
    if not named.startswith("arn:") or named.count(":") < 5:
        return {"name": named}
    _, partition, service, region, _, rest = named.split(":", 5)
    # what S3 names by its bucket alone is the bucket
    kind = rest.replace("/", ":").split(":")[0] if service != "s3" or "/" in rest else ""
    told = {"uid": named, "cloud_partition": partition, "region": region, "type": _TYPES.get((service, kind), "")}
    return {name: value for name, value in told.items() if value}
