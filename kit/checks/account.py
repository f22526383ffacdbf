"""Checks on the account: who asked and when, which trails there are, and that none of them is left out."""

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

from kit.canonical import Json
from kit.checks.reading import description, flag, said, text, unsaid
from kit.findings import Finding, Judgement, count
from kit.parameters import RunParameters
from kit.snapshot import Caller, Snapshot, Trail


def iq_01(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """The caller belongs to the target's account, and the local clock agrees with AWS's within the stated bound.

    The bound is held against the worst case: AWS's `Date` has whole seconds, and the answer took its time.
    """
    account, bound = parameters.account.account_id, parameters.expected.max_clock_skew_seconds
    judgement = Judgement("IQ-01", f"arn:aws:iam::{account}:root")
    judgement.rest_on(snapshot.caller.evidence)
    caller = snapshot.caller.value
    within = f"within {bound:g} s"
    if caller is None:
        judgement.doubt("account of the caller", account, snapshot.caller.why)
        judgement.doubt("local clock against AWS", within, snapshot.caller.why)
        return [judgement.finding()]
    judgement.expect(
        "account of the caller",
        account,
        caller.account,
        otherwise=f"The caller belongs to account {caller.account}, not to the target {account}.",
    )
    judgement.observe("caller", caller.arn)
    _judge_clock(judgement, caller, bound, within)
    passed = f"The caller belongs to account {account}, and the local clock agrees with AWS's {within}."
    return [judgement.finding(passed)]


def _judge_clock(judgement: Judgement, caller: Caller, bound: float, within: str) -> None:
    try:
        server = parsedate_to_datetime(caller.date)
        low = (datetime.fromisoformat(caller.sent) - server).total_seconds() - 1
        high = (datetime.fromisoformat(caller.received) - server).total_seconds()
    except (ValueError, TypeError):
        judgement.doubt("local clock against AWS", within, "The answer to sts:GetCallerIdentity carries no Date.")
        return
    actual = f"between {low:+.1f} s and {high:+.1f} s"
    if -bound <= low and high <= bound:
        judgement.expect("local clock against AWS", within, actual, met=True)
    elif high < -bound or low > bound:
        sentence = f"The local clock differs from AWS's by more than {bound:g} s: {actual}."
        judgement.expect("local clock against AWS", within, actual, met=False, otherwise=sentence)
    else:
        sentence = f"The answer was too slow to hold the clock to {bound:g} s: the difference lies {actual}."
        judgement.doubt("local clock against AWS", within, sentence, actual)


def iq_02(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """The expected trail exists, or, where none is named, at least one; shadows of a trail are not counted.

    Source: CloudTrail API reference, "DescribeTrails".
    """
    wanted = parameters.expected.trail_arn
    found = [trail.arn for trail in snapshot.trails]
    judgement = Judgement("IQ-02", wanted or f"arn:aws:iam::{parameters.account.account_id}:root")
    for answer in snapshot.regions.values():
        judgement.rest_on(answer.evidence)
    silent = [answer.why for answer in snapshot.regions.values() if answer.value is None]
    name, expected = ("the expected trail", wanted) if wanted else ("trails", "at least one")
    asked = ", ".join(sorted(snapshot.regions))
    home = wanted.split(":")[3] if wanted else ""
    if (wanted in found) if wanted else found:
        judgement.expect(name, expected, wanted or found, met=True)
    elif silent or not snapshot.regions:
        judgement.doubt(name, expected, silent[0] if silent else "No Region was asked for its trails.", found)
    elif wanted and home not in snapshot.regions:
        # a single-Region trail shows nowhere else
        sentence = f"The Regions asked ({asked}) do not show {wanted}, and target.regions leaves out its own, {home}."
        judgement.doubt(name, expected, sentence, found)
    else:
        none = f"No Region asked shows a trail: {asked}."
        sentence = f"The expected trail {wanted} does not exist." if wanted else none
        judgement.expect(name, expected, found, met=False, otherwise=sentence)
    for trail in snapshot.trails:
        judgement.observe(trail.arn, _kind(trail))
    return [judgement.finding(f"The trail {wanted} exists." if wanted else f"The account has {len(found)} trail(s).")]


def _kind(trail: Trail) -> Mapping[str, Json]:
    shadows = [region for region in trail.seen_in if region != trail.home_region]
    return {
        "home Region": trail.home_region,
        "organization trail": trail.description.get("IsOrganizationTrail"),
        "judged in this run": trail.judged,
        "shadow trails in": count(len(shadows), "other Region"),
    }


def iq_11(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """Every trail that delivers from the account is encrypted with a customer-managed key and has log file validation.

    A trail that is stopped and lacks either delivers nothing and is reported as an observation. Nothing is concluded
    unless every enabled Region was asked. Source: CloudTrail API reference, "DescribeTrails" and "GetTrailStatus".
    """
    judgement = Judgement("IQ-11", f"arn:aws:iam::{parameters.account.account_id}:root")
    _judge_regions(judgement, snapshot)
    judged = [trail for trail in snapshot.trails if _judge_protection(judgement, trail)]
    if not judged:
        why = "There is no trail that delivers." if snapshot.trails else "There is no trail to judge; see IQ-02."
        judgement.doubt("trails", "at least one", why, [])
    return [
        judgement.finding(
            f"Every trail that delivers, {len(judged)} in all, is encrypted with a customer-managed key and validated."
        )
    ]


def _judge_regions(judgement: Judgement, snapshot: Snapshot) -> None:
    name, enabled = "Regions asked", snapshot.enabled_regions
    judgement.rest_on(enabled.evidence)
    answered = sorted(region for region, answer in snapshot.regions.items() if answer.value is not None)
    for answer in snapshot.regions.values():
        judgement.rest_on(answer.evidence)
    if not enabled.value:
        judgement.doubt(name, "every enabled Region", unsaid(enabled, "which Regions are enabled"), answered)
        return
    open_regions = sorted(set(enabled.value) - set(answered))
    denied = [snapshot.regions[region].why for region in open_regions if region in snapshot.regions]
    if denied:
        judgement.doubt(name, list(enabled.value), " ".join(denied), answered)
    elif open_regions:
        sentence = f"Not asked: {', '.join(open_regions)}; set target.regions to `all` to judge every enabled Region."
        judgement.doubt(name, list(enabled.value), sentence, answered)
    else:
        judgement.expect(name, list(enabled.value), answered, met=True)


def _judge_protection(judgement: Judgement, trail: Trail) -> bool:
    """Judge one trail, or observe it where it is stopped and unprotected; return whether it was judged."""
    expected = {"key manager": "CUSTOMER", "log file validation": True}
    metadata, described = trail.key.metadata if trail.key else None, description(trail)
    judgement.rest_on((*trail.evidence, *trail.status.evidence, *(metadata.evidence if metadata else ())))
    manager = "no key" if metadata is None else "no such key" if metadata.missing else None
    if metadata is not None and metadata.value is not None:
        manager = said(metadata, text("KeyManager"))
    validated = said(described, flag("LogFileValidationEnabled"))
    actual = {"key manager": manager, "log file validation": validated}
    logging = said(trail.status, flag("IsLogging"))
    if manager not in (None, "CUSTOMER") or validated is False:
        if logging is False:
            judgement.observe(trail.arn, actual | {"logging": False})
            return False
        if logging is None:
            why = f"Whether {trail.arn} delivers is not known. {unsaid(trail.status, 'whether the trail is logging')}"
            judgement.doubt(trail.arn, expected, why, actual)
            return True
        keys = {"no key": "without a KMS key", "no such key": "with a KMS key that does not exist"}
        under = keys.get(manager or "", f"with a KMS key whose manager is {manager or 'not known'}")
        proof = {True: "with", False: "without", None: "with or without"}[validated]
        sentence = f"The trail {trail.arn} delivers {under}, {proof} log file validation."
        judgement.expect(trail.arn, expected, actual, met=False, otherwise=sentence)
    elif manager is None or validated is None:
        doubtful = metadata if manager is None and metadata else described
        what = f"the key manager of {trail.arn}" if manager is None else f"whether {trail.arn} has log file validation"
        judgement.doubt(trail.arn, expected, unsaid(doubtful, what), actual)
    else:
        judgement.expect(trail.arn, expected, actual, met=True)
    return True
