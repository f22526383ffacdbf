"""Checks on the account: who asked and when, which trails there are, and that none of them is left out."""

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

from kit.canonical import Json
from kit.findings import Finding, Judgement
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
        return [judgement.finding("")]
    judgement.expect(
        "account of the caller",
        account,
        caller.account,
        otherwise=f"The caller belongs to account {caller.account}, not to the target {account}.",
    )
    judgement.observe("caller", caller.arn)
    _judge_clock(judgement, caller, bound, within)
    return [judgement.finding(f"The caller belongs to account {account}, and the local clock agrees with AWS's.")]


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
        judgement.expect("local clock against AWS", within, actual, met=True, otherwise="")
    elif high < -bound or low > bound:
        sentence = f"The local clock differs from AWS's by more than {bound:g} s: {actual}."
        judgement.expect("local clock against AWS", within, actual, met=False, otherwise=sentence)
    else:
        sentence = f"The answer was too slow to hold the clock to {bound:g} s: the difference lies {actual}."
        judgement.doubt("local clock against AWS", within, sentence, actual)


def iq_02(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """The expected trail exists, or, where none is named, at least one; shadows of a trail are not counted."""
    wanted = parameters.expected.trail_arn
    found = [trail.arn for trail in snapshot.trails]
    judgement = Judgement("IQ-02", wanted or f"arn:aws:iam::{parameters.account.account_id}:root")
    for answer in snapshot.regions.values():
        judgement.rest_on(answer.evidence)
    silent = [answer.why for answer in snapshot.regions.values() if answer.value is None]
    name, expected = ("the expected trail", wanted) if wanted else ("trails", "at least one")
    actual: Json = wanted if wanted in found else found
    if (wanted in found) if wanted else found:
        judgement.expect(name, expected, actual, met=True, otherwise="")
    elif silent or not snapshot.regions:
        judgement.doubt(name, expected, silent[0] if silent else "No Region was asked for its trails.", actual)
    else:
        sentence = f"The expected trail {wanted} does not exist." if wanted else "The account has no trail."
        judgement.expect(name, expected, actual, met=False, otherwise=sentence)
    for trail in snapshot.trails:
        judgement.observe(trail.arn, _kind(trail))
    return [judgement.finding(f"The trail {wanted} exists." if wanted else f"The account has {len(found)} trail(s).")]


def _kind(trail: Trail) -> Mapping[str, Json]:
    shadows = [region for region in trail.seen_in if region != trail.home_region]
    return {
        "home Region": trail.home_region,
        "organization trail": trail.description.get("IsOrganizationTrail"),
        "judged in this run": trail.judged,
        "shadow trails in": f"{len(shadows)} other Region(s)",
    }


def iq_11(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """Every trail that delivers from the account is encrypted with a customer-managed key and has log file validation.

    A trail that is stopped and lacks either delivers nothing and is reported as an observation. Nothing is concluded
    unless every enabled Region was asked.
    """
    judgement = Judgement("IQ-11", f"arn:aws:iam::{parameters.account.account_id}:root")
    _judge_regions(judgement, snapshot)
    if not snapshot.trails:
        judgement.doubt("trails", "at least one", "There is no trail to judge; see IQ-02.", [])
    for trail in snapshot.trails:
        _judge_protection(judgement, trail)
    return [judgement.finding(f"All {len(snapshot.trails)} trail(s) are encrypted with a customer-managed key and validated.")]


def _judge_regions(judgement: Judgement, snapshot: Snapshot) -> None:
    name, enabled = "Regions asked", snapshot.enabled_regions
    judgement.rest_on(enabled.evidence)
    answered = sorted(region for region, answer in snapshot.regions.items() if answer.value is not None)
    for answer in snapshot.regions.values():
        judgement.rest_on(answer.evidence)
    if enabled.value is None:
        judgement.doubt(name, "every enabled Region", enabled.why, answered)
        return
    open_regions = sorted(set(enabled.value) - set(answered))
    denied = [snapshot.regions[region].why for region in open_regions if region in snapshot.regions]
    if denied:
        judgement.doubt(name, list(enabled.value), " ".join(denied), answered)
    elif open_regions:
        sentence = f"Not asked: {', '.join(open_regions)}; set target.regions to `all` to judge every enabled Region."
        judgement.doubt(name, list(enabled.value), sentence, answered)
    else:
        judgement.expect(name, list(enabled.value), answered, met=True, otherwise="")


def _judge_protection(judgement: Judgement, trail: Trail) -> None:
    expected = {"key manager": "CUSTOMER", "log file validation": True}
    metadata = trail.key.metadata if trail.key else None
    judgement.rest_on((*trail.evidence, *trail.status.evidence, *(metadata.evidence if metadata else ())))
    manager = "no key" if metadata is None else "no such key" if metadata.missing else None
    if metadata is not None and metadata.value is not None:
        manager = metadata.value.get("KeyManager")
    validated = trail.description.get("LogFileValidationEnabled")
    actual = {"key manager": manager, "log file validation": validated}
    if actual == expected:
        judgement.expect(trail.arn, expected, actual, otherwise="")
        return
    wrong = manager not in (None, "CUSTOMER") or validated is False
    logging = trail.status.value.get("IsLogging") if trail.status.value else None
    if wrong and logging is False:
        judgement.observe(trail.arn, actual | {"logging": False})
    elif wrong and logging is None:
        judgement.doubt(trail.arn, expected, f"Whether {trail.arn} delivers is unknown: {trail.status.why}", actual)
    elif wrong:
        sentence = f"{trail.arn} delivers with key manager {manager} and log file validation {validated}."
        judgement.expect(trail.arn, expected, actual, otherwise=sentence)
    else:
        why = metadata.why if metadata and metadata.value is None else f"The answer does not say it of {trail.arn}."
        judgement.doubt(trail.arn, expected, why, actual)
