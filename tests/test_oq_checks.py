"""Every check of the operational qualification by itself: what passes, fails, is left open, and in which words."""

import inspect
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fixtures.delivered import (
    ACCOUNT,
    BASE,
    BUCKET,
    CHECKS,
    ELSEWHERE,
    HOME,
    HOUR,
    KEY,
    MINUTE,
    OTHER_KEY,
    Shape,
    delivered,
    judge,
    parameters,
    snapshot_of,
    trail_of,
)

from kit.catalogue import protocol
from kit.checks.delivery import oq_01
from kit.checks.refusal import oq_08
from kit.digests.objects import Read
from kit.digests.problems import MOST, OPEN, Kind, Problem, Problems
from kit.digests.reconcile import Tally
from kit.findings import Finding, Verdict
from kit.snapshot import Absence, Answer, Delivery, Key, Reason, Refusal, Snapshot, Trail

pytestmark = pytest.mark.pinned
PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
SHAPE = Shape(hours=7)
WINDOW = (BASE + HOUR, BASE + 5 * HOUR)
NOW = BASE + 12 * HOUR
CLEAN: Delivery = judge(delivered(SHAPE), SHAPE, WINDOW).delivery
TRAIL = trail_of(SHAPE, NOW - 50 * MINUTE)
ABSENCES = [
    Absence(Reason.DENIED, "AccessDenied", "no"),
    Absence(Reason.THROTTLED, "ThrottlingException", "Rate exceeded"),
    Absence(Reason.UNREACHABLE, "EndpointConnectionError"),
    Absence(Reason.UNREADABLE, "", "the body does not parse"),
    Absence(Reason.MISSING, "NoSuch", "it is not there"),
    Absence(Reason.ERROR, "InternalError", "try again"),
]
EVERY: dict[str, Callable[..., list[Finding]]] = {"OQ-01": oq_01, **CHECKS, "OQ-08": oq_08}


def found(case: str, snapshot: Snapshot, **expected: Any) -> Finding:
    (finding,) = EVERY[case](snapshot, parameters(**expected))
    assert finding.test_case == case
    return finding


def judged(case: str, delivery: Delivery | str = CLEAN, trail: Trail = TRAIL, **expected: Any) -> Finding:
    return found(case, snapshot_of(trail, delivery, NOW), **expected)


def absent(absence: Absence, call: str = "some:Call in here") -> Answer[Any]:
    return Answer(call, ("E-absent",), absence=absence)


# what holds of all of them


@pytest.mark.parametrize("case", EVERY)
def test_criterion_is_what_the_docstring_quotes(case: str) -> None:
    criterion = protocol("OQ").test_cases[case].criterion
    assert " ".join(criterion.split()) in " ".join((inspect.getdoc(EVERY[case]) or "").split())


@pytest.mark.parametrize("case", CHECKS)
@pytest.mark.parametrize(
    ("delivery", "why"),
    [(None, "was not collected"), ("In which Regions it delivers is not known.", "In which Regions")],
    ids=["none", "why not"],
)
def test_nothing_collected(case: str, delivery: str | None, why: str) -> None:
    finding = found(case, snapshot_of(TRAIL, delivery, NOW))
    assert finding.verdict is INCONCLUSIVE
    assert why in finding.message


@pytest.mark.parametrize("case", [case for case in EVERY if case != "OQ-08"])
def test_no_trail_to_judge(case: str) -> None:
    for trails in ((), (replace(TRAIL, judged=False),)):
        finding = found(case, snapshot_of(TRAIL, CLEAN, NOW, trails=trails))
        assert finding.verdict is INCONCLUSIVE
        assert "There is no trail to judge" in finding.message


@pytest.mark.parametrize("case", CHECKS)
def test_folder_that_was_not_listed_leaves_every_check_open(case: str) -> None:
    delivery = replace(CLEAN, unknown=("What lies in s3://b/a is not known: 403 AccessDenied", "and another"))
    finding = judged(case, delivery)
    assert finding.verdict is INCONCLUSIVE
    assert "403 AccessDenied; and 1 more like it." in finding.message


@pytest.mark.parametrize("case", CHECKS)
def test_finding_rests_on_its_evidence(case: str) -> None:
    finding = judged(case, replace(CLEAN, evidence=("E-ledger",)))
    assert finding.verdict is PASS
    assert {"E-trail", "E-ledger"} <= set(finding.evidence)
    assert set(finding.met) == set(finding.expected) == set(finding.actual)


@pytest.mark.parametrize("case", CHECKS)
def test_two_trails_are_judged_apart(case: str) -> None:
    other = trail_of(replace(SHAPE, trail="other"))
    snapshot = snapshot_of(TRAIL, CLEAN, NOW, trails=(TRAIL, other))
    assert [one.verdict for one in EVERY[case](snapshot, parameters())] == [PASS, INCONCLUSIVE]


# OQ-01

HEALTHY: dict[str, Any] = {
    "LatestDeliveryTime": NOW - 5 * MINUTE,
    "LatestDigestDeliveryTime": NOW - 50 * MINUTE,
    "LatestCloudWatchLogsDeliveryTime": NOW - 5 * MINUTE,
}


def health(description: Mapping[str, Any] | None = None, **status: Any) -> Finding:
    told = {name: value for name, value in (HEALTHY | status).items() if value is not ...}
    trail = replace(TRAIL, status=Answer("cloudtrail:GetTrailStatus in here", ("E-status",), told))
    trail = replace(trail, description={**trail.description, **(description or {})})
    return found("OQ-01", snapshot_of(trail, CLEAN, NOW))


LOG_GROUP = {"CloudWatchLogsLogGroupArn": "arn:aws:logs:eu-central-1:111111111111:log-group:x"}


@pytest.mark.parametrize("description", [{}, LOG_GROUP], ids=["S3 alone", "CloudWatch Logs"])
def test_delivery_is_healthy(description: dict[str, Any]) -> None:
    finding = health(description)
    assert finding.verdict is PASS
    assert finding.observations == ({} if description else {"CloudWatch Logs": "not configured"})
    assert "E-status" in finding.evidence


@pytest.mark.parametrize(
    ("status", "verdict", "sentence"),
    [
        ({"LatestDeliveryError": "AccessDenied"}, FAIL, "tells a log delivery error: AccessDenied."),
        ({"LatestDigestDeliveryError": "NoSuchBucket"}, FAIL, "tells a digest delivery error: NoSuchBucket."),
        ({"LatestCloudWatchLogsDeliveryError": "x"}, FAIL, "tells a CloudWatch Logs delivery error: x."),
        ({"LatestDeliveryTime": NOW - 61 * MINUTE}, FAIL, "61 minutes ago; the bound is 60 minutes."),
        ({"LatestDigestDeliveryTime": NOW - 181 * MINUTE}, FAIL, "181 minutes ago; the bound is 180 minutes."),
        ({"LatestCloudWatchLogsDeliveryTime": NOW - HOUR - MINUTE}, FAIL, "61 minutes ago; the bound is 60 minutes."),
        ({"LatestDeliveryTime": NOW - HOUR}, PASS, ""),
        ({"LatestDigestDeliveryTime": NOW - 3 * HOUR}, PASS, ""),
        ({"LatestDeliveryTime": ...}, INCONCLUSIVE, "does not say: latest log (LatestDeliveryTime)"),
        ({"LatestDigestDeliveryTime": ...}, INCONCLUSIVE, "does not say: latest digest (LatestDigestDeliveryTime)"),
        ({"LatestCloudWatchLogsDeliveryTime": ...}, INCONCLUSIVE, "(LatestCloudWatchLogsDeliveryTime)"),
        ({"LatestDeliveryTime": "2026-01-06"}, INCONCLUSIVE, "does not say: latest log"),
        ({"LatestDeliveryTime": None}, INCONCLUSIVE, "does not say: latest log"),
    ],
)
def test_delivery_health(status: dict[str, Any], verdict: Verdict, sentence: str) -> None:
    finding = health(LOG_GROUP, **status)
    assert finding.verdict is verdict
    assert sentence in finding.message


def test_no_digest_is_made() -> None:
    finding = health({"LogFileValidationEnabled": False}, LatestDigestDeliveryTime=...)
    assert finding.verdict is FAIL
    assert "no digest is made" in finding.message


@pytest.mark.parametrize("absence", ABSENCES, ids=lambda one: one.reason.value)
def test_status_that_is_not_known(absence: Absence) -> None:
    trail = replace(TRAIL, status=absent(absence, "cloudtrail:GetTrailStatus in here"))
    finding = found("OQ-01", snapshot_of(trail, CLEAN, NOW))
    assert finding.verdict is INCONCLUSIVE
    assert "cloudtrail:GetTrailStatus in here gave no value" in finding.message


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(-60, "0 minutes ago"), (59, "0 minutes ago"), (119, "1 minutes ago"), (90 * 60 + 1, "90 minutes ago")],
)
def test_age_is_told_in_whole_minutes(seconds: int, told: str) -> None:
    status = HEALTHY | {"LatestDeliveryTime": NOW - timedelta(seconds=seconds)}
    trail = replace(TRAIL, status=Answer("cloudtrail:GetTrailStatus in here", ("E-status",), status))
    finding = found("OQ-01", snapshot_of(trail, CLEAN, NOW), max_log_age_minutes=90)
    assert finding.actual["latest log"].endswith(f", {told}")
    assert finding.met["latest log"] is (seconds <= 90 * 60)


def test_time_of_the_run_that_is_not_known() -> None:
    trail = replace(TRAIL, status=Answer("c", (), HEALTHY))
    for caller in (absent(ABSENCES[0], "sts:GetCallerIdentity"), replace_date(snapshot_of(trail, CLEAN, NOW), "soon")):
        finding = found("OQ-01", replace(snapshot_of(trail, CLEAN, NOW), caller=caller))
        assert finding.verdict is INCONCLUSIVE
        assert "sts:GetCallerIdentity" in finding.message


def replace_date(snapshot: Snapshot, date: str) -> Answer[Any]:
    assert snapshot.caller.value is not None
    return replace(snapshot.caller, value=replace(snapshot.caller.value, date=date))


# OQ-02, OQ-03


def tallied(*encryptions: tuple[str, str], unread: int = 0) -> Tally:
    tally = Tally()
    for number, (algorithm, key) in enumerate(encryptions):
        read = Read(BUCKET, f"k{number}", "", modified=BASE + number * HOUR, encryption=algorithm, encryption_key=key)
        tally.take(read, BASE.date())
    for number in range(unread):
        tally.take(Read(BUCKET, f"u{number}", "", "could not be read: 403 AccessDenied"), BASE.date())
    return tally


TRAILS, ANOTHER, SSE_S3, NONE = ("aws:kms", KEY), ("aws:kms", OTHER_KEY), ("AES256", ""), ("", "")
DUAL = ("aws:kms:dsse", KEY)


def encrypted(case: str, tally: Tally, trail: Trail = TRAIL, **expected: Any) -> Finding:
    return judged(case, replace(CLEAN, **{"logs" if case == "OQ-02" else "digests": tally}), trail, **expected)


@pytest.mark.parametrize(
    ("encryptions", "logs", "digests"),
    [
        pytest.param([TRAILS], PASS, PASS, id="the trail's key"),
        pytest.param([TRAILS, DUAL], PASS, PASS, id="dual layer"),
        pytest.param([SSE_S3], FAIL, PASS, id="SSE-S3"),
        pytest.param([TRAILS, SSE_S3], FAIL, PASS, id="one with SSE-S3"),
        pytest.param([TRAILS, ANOTHER], FAIL, FAIL, id="another key"),
        pytest.param([("aws:kms", "")], FAIL, FAIL, id="key not told"),
        pytest.param([NONE], FAIL, FAIL, id="not encrypted"),
        pytest.param([TRAILS, NONE], FAIL, FAIL, id="one not encrypted"),
        pytest.param([("aws:fsx", "")], FAIL, FAIL, id="another algorithm"),
        pytest.param([("AWS:KMS", KEY)], FAIL, FAIL, id="in capitals"),
        pytest.param([], INCONCLUSIVE, INCONCLUSIVE, id="none"),
    ],
)
def test_encryption(encryptions: list[tuple[str, str]], logs: Verdict, digests: Verdict) -> None:
    assert encrypted("OQ-02", tallied(*encryptions)).verdict is logs
    assert encrypted("OQ-03", tallied(*encryptions)).verdict is digests


@pytest.mark.parametrize(
    ("objects", "told"),
    [
        pytest.param(2, "All 2 digests of ", id="one-each"),
        pytest.param(1, "All 1 digest, in 2 versions, of ", id="more"),
    ],
)
def test_versions_are_told_where_there_are_more_of_them_than_objects(objects: int, told: str) -> None:
    tally = tallied(TRAILS, TRAILS)
    tally.objects = objects
    finding = encrypted("OQ-03", tally)
    assert finding.verdict is PASS
    assert finding.message.startswith(told)


@pytest.mark.parametrize("case", ["OQ-02", "OQ-03"])
def test_encryption_tells_key_and_object(case: str) -> None:
    finding = encrypted(case, tallied(TRAILS, ANOTHER, ANOTHER))
    assert f"2 {'log files' if case == 'OQ-02' else 'digests'} of {TRAIL.arn} under" in finding.message
    assert f"another key {OTHER_KEY}: s3://{BUCKET}/k1; and 1 more like it" in finding.message
    rows = finding.observations["objects by encryption"]
    assert [(row["key"], row["objects"], row["first"]) for row in rows] == [
        (KEY, 1, "2026-01-05 20:00:00 UTC"),
        (OTHER_KEY, 2, "2026-01-05 21:00:00 UTC"),
    ]


@pytest.mark.parametrize("case", ["OQ-02", "OQ-03"])
@pytest.mark.parametrize("encryptions", [[], [TRAILS]], ids=["none read", "others read"])
def test_objects_that_were_not_read(case: str, encryptions: list[tuple[str, str]]) -> None:
    finding = encrypted(case, tallied(*encryptions, unread=2))
    assert finding.verdict is INCONCLUSIVE
    assert f"s3://{BUCKET}/u0 could not be read: 403 AccessDenied; and 1 more like it." in finding.message


@pytest.mark.parametrize("case", ["OQ-02", "OQ-03"])
@pytest.mark.parametrize("absence", ABSENCES, ids=lambda one: one.reason.value)
def test_key_that_is_not_known(case: str, absence: Absence) -> None:
    trail = replace(TRAIL, key=Key("alias/CloudTrailGxPKey", absent(absence, "kms:DescribeKey in here")))
    finding = encrypted(case, tallied(TRAILS), trail)
    assert finding.verdict is INCONCLUSIVE
    assert "kms:DescribeKey in here gave no value" in finding.message


def test_trail_without_a_key() -> None:
    trail = replace(TRAIL, key=None)
    assert encrypted("OQ-02", tallied(TRAILS), trail).verdict is FAIL
    assert encrypted("OQ-03", tallied(SSE_S3), trail).verdict is PASS


def test_key_whose_arn_is_not_told() -> None:
    key = Key("alias/x", Answer("kms:DescribeKey in here", (), {"KeyId": "1"}))
    finding = judged("OQ-02", trail=replace(TRAIL, key=key))
    assert finding.verdict is INCONCLUSIVE
    assert "does not say: the ARN of the key alias/x." in finding.message


def test_key_that_the_trail_names_by_alias() -> None:
    trail = replace(TRAIL, key=Key("alias/CloudTrailGxPKey", Answer("kms:DescribeKey", (), {"Arn": KEY})))
    assert encrypted("OQ-02", tallied(TRAILS), trail).verdict is PASS
    assert encrypted("OQ-02", tallied(ANOTHER), trail).verdict is FAIL


@pytest.mark.parametrize(
    ("start", "end", "verdict"),
    [
        pytest.param(0, 2, PASS, id="within"),
        pytest.param(0, 1, FAIL, id="ends with the last"),
        pytest.param(1, 2, FAIL, id="begins behind the first"),
        pytest.param(5, 6, FAIL, id="later"),
    ],
)
@pytest.mark.parametrize("case", ["OQ-02", "OQ-03"])
def test_accepted_key(case: str, start: int, end: int, verdict: Verdict) -> None:
    accepted = {
        "arn": OTHER_KEY,
        "start": (BASE + start * HOUR).isoformat(),
        "end": (BASE + end * HOUR).isoformat(),
        "change_control": "CC-1",
    }
    assert encrypted(case, tallied(ANOTHER, ANOTHER), accepted_kms_keys=[accepted]).verdict is verdict
    assert encrypted(case, tallied(("aws:kms", KEY[:-1])), accepted_kms_keys=[accepted]).verdict is FAIL


def test_every_change_control_of_an_accepted_key_is_told() -> None:
    accepted = [
        {"arn": OTHER_KEY, "start": BASE.isoformat(), "end": NOW.isoformat(), "change_control": name}
        for name in ("CC-1", "CC-2")
    ]
    assert "CC-1, CC-2" in str(encrypted("OQ-02", tallied(ANOTHER), accepted_kms_keys=accepted).observations)


def test_object_without_a_time_is_under_no_accepted_key() -> None:
    tally = Tally()
    tally.take(Read(BUCKET, "k", "", encryption="aws:kms", encryption_key=OTHER_KEY), BASE.date())
    accepted = {"arn": OTHER_KEY, "start": BASE.isoformat(), "end": NOW.isoformat(), "change_control": "CC-1"}
    assert encrypted("OQ-02", tally, accepted_kms_keys=[accepted]).verdict is FAIL


def test_data_keys_are_reported_of_this_trail_alone() -> None:
    tally = tallied(TRAILS)
    tally.data_keys = Counter(
        {f"{TRAIL.arn} 2026-01-05T20": 2, f"{TRAIL.arn} 2026-01-05T22": 1, "other 2026-01-05T20": 9}
    )
    finding = encrypted("OQ-02", tally)
    assert finding.observations["data keys that CloudTrail asked for"] == {
        "calls": 3, "hours": 2, "first": "2026-01-05T20", "last": "2026-01-05T22",
    }  # fmt: skip


def test_logs_that_were_too_long_to_be_searched_are_told() -> None:
    tally = tallied(TRAILS)
    tally.unsearched = 2
    assert encrypted("OQ-02", tally).observations["log files too long to be searched for that"] == 2


# OQ-04, OQ-05, OQ-07: what a problem of each kind means


def with_chain(*kinds: Kind) -> Delivery:
    area = (ACCOUNT, HOME)
    problems = Problems(Problem(kind, f"s3://{BUCKET}/{kind}", "is spoilt") for kind in kinds)
    return replace(CLEAN, chains={**CLEAN.chains, area: replace(CLEAN.chains[area], problems=problems)})


def with_logs(*kinds: Kind) -> Delivery:
    problems = Problems(Problem(kind, f"s3://{BUCKET}/{kind}", "is spoilt") for kind in kinds)
    return replace(CLEAN, logs=replace(CLEAN.logs, problems=problems))


def with_digests(*kinds: Kind) -> Delivery:
    problems = Problems(Problem(kind, f"s3://{BUCKET}/{kind}", "is spoilt") for kind in kinds)
    return replace(CLEAN, digests=replace(CLEAN.digests, problems=problems))


_JUDGED_ON = {
    "OQ-04": (with_chain, {"content", "location", "algorithm", "signature", "link", "restart", "unread"}),
    "OQ-05": (with_logs, {"deleted", "hash", "content", "location", "unread"}),
    "OQ-07": (with_logs, {"planted", "deleted", "duplicate", "replaced", "unattributed", "unread"}),
}


@pytest.mark.parametrize("kind", Kind, ids=str)
@pytest.mark.parametrize("case", _JUDGED_ON)
def test_problem_of_each_kind(case: str, kind: Kind) -> None:
    spoilt, kinds = _JUDGED_ON[case]
    finding = judged(case, spoilt(kind))
    assert finding.verdict is (PASS if kind not in kinds else INCONCLUSIVE if kind in OPEN else FAIL)
    assert (f"s3://{BUCKET}/{kind} is spoilt." in finding.message) is (kind in kinds)


@pytest.mark.parametrize("kind", ["planted", "deleted", "replaced", "unread"])
def test_problem_of_a_digest_counts_for_the_bucket(kind: str) -> None:
    assert judged("OQ-07", with_digests(Kind(kind))).verdict is not PASS


def test_every_kind_of_problem_is_judged_by_a_check() -> None:
    assert {kind for _, kinds in _JUDGED_ON.values() for kind in kinds} == set(Kind)


@pytest.mark.parametrize("case", _JUDGED_ON)
def test_known_problem_outweighs_an_open_one(case: str) -> None:
    spoilt, kinds = _JUDGED_ON[case]
    wrong = next(kind for kind in Kind if kind in kinds and kind not in OPEN)
    finding = judged(case, spoilt(Kind.UNREAD, wrong))
    assert finding.verdict is FAIL
    assert "unread is spoilt" in finding.message


def test_many_problems_are_counted() -> None:
    delivery = with_logs(*[Kind.HASH] * (MOST + 10))
    finding = judged("OQ-05", delivery)
    assert f"; and {MOST + 9} more like it." in finding.message
    assert str(MOST - 10) in str(finding.actual["log files changed"][-1])


@pytest.mark.parametrize("case", ["OQ-05", "OQ-06", "OQ-07"])
@pytest.mark.parametrize("member", ["rejected", "undecided"])
def test_digest_that_is_not_trusted_leaves_open_what_it_names(case: str, member: str) -> None:
    area = (ACCOUNT, HOME)
    chain = replace(CLEAN.chains[area], **{member: 1})
    finding = judged(case, replace(CLEAN, chains={**CLEAN.chains, area: chain}))
    if case != "OQ-06":  # the time is covered by another one here
        assert finding.verdict is INCONCLUSIVE
        assert "1 digest can't be trusted or read" in finding.message


def test_chain_that_was_not_found() -> None:
    empty = replace(CLEAN, chains={})
    assert {case: judged(case, empty).verdict for case in ("OQ-04", "OQ-06", "OQ-07")} == {
        "OQ-04": INCONCLUSIVE,
        "OQ-06": FAIL,
        "OQ-07": INCONCLUSIVE,
    }


def test_accounted_restart_is_reported() -> None:
    area = (ACCOUNT, HOME)
    chain = replace(CLEAN.chains[area], accounted=("it began then",))
    finding = judged("OQ-04", replace(CLEAN, chains={**CLEAN.chains, area: chain}))
    assert finding.verdict is PASS
    assert finding.observations["restarts accounted for"] == ["it began then"]


# OQ-06


def covering(*periods: tuple[float, float], **changed: Any) -> Delivery:
    area = (ACCOUNT, HOME)
    covered = tuple((BASE + start * HOUR, BASE + end * HOUR) for start, end in periods)
    chain = replace(CLEAN.chains[area], covered=covered, **changed)
    return replace(CLEAN, chains={**CLEAN.chains, area: chain})


@pytest.mark.parametrize(
    ("periods", "what"),
    [
        pytest.param([(1, 5)], "", id="just"),
        pytest.param([(0, 7)], "", id="more"),
        pytest.param([(0, 2), (3, 7)], "a digest is missing or can't be trusted, from 2026-01-05 22", id="middle"),
        pytest.param([(2, 7)], "the head of the window is cut off, from 2026-01-05 21", id="head"),
        pytest.param([(0, 4)], "the tail of the window is cut off, from 2026-01-06 00", id="tail"),
        pytest.param([], "no digest can be trusted, from 2026-01-05 21", id="none"),
        pytest.param([(6, 7)], "the head of the window is cut off, from 2026-01-05 21", id="beside"),
    ],
)
def test_coverage(periods: list[tuple[float, float]], what: str) -> None:
    finding = judged("OQ-06", covering(*periods))
    assert finding.verdict is (FAIL if what else PASS)
    assert what.split(", from", maxsplit=1)[0] in finding.message
    assert (
        f"{ACCOUNT} {HOME}: {what}".replace(", from", " from") in finding.message.replace(", from", " from") or not what
    )


def test_nothing_is_due_where_the_window_begins_as_digests_settle() -> None:
    assert judged("OQ-06", replace(CLEAN, settled=CLEAN.window[0])).verdict is INCONCLUSIVE


@pytest.mark.parametrize(("number", "last"), [(20, "s3://x/19 is spoilt"), (21, "1 more")])
def test_so_many_problems_are_told(number: int, last: str) -> None:
    problems = Problems(Problem(Kind.HASH, f"s3://x/{at}", "is spoilt") for at in range(number))
    finding = judged("OQ-05", replace(CLEAN, logs=replace(CLEAN.logs, problems=problems)))
    assert finding.actual["log files changed"][-1] == last
    delivery = replace(CLEAN, unknown=tuple(f"folder {at}" for at in range(number)))
    assert judged("OQ-05", delivery).actual["folders of the log bucket"][-1] == (
        f"folder {number - 1}" if last != "1 more" else last
    )


def test_several_gaps_are_counted() -> None:
    finding = judged("OQ-06", covering((0, 2), (3, 4)))
    assert "1 more" in finding.message
    assert len(finding.actual["window covered"]) == 2


def test_no_region_in_scope() -> None:
    finding = judged("OQ-06", replace(CLEAN, required=()))
    assert finding.verdict is INCONCLUSIVE
    assert "No Region is in scope" in finding.message


def test_gap_of_what_was_not_listed_is_not_known() -> None:
    delivery = replace(covering((0, 2), (3, 7)), unlisted=frozenset({(ACCOUNT, HOME)}))
    finding = judged("OQ-06", delivery)
    assert finding.verdict is INCONCLUSIVE
    assert f"What {ACCOUNT} {HOME} has of digests is not known." in finding.message


def test_gap_where_a_digest_could_not_be_judged_is_not_known() -> None:
    finding = judged("OQ-06", covering((0, 2), (3, 7), undecided=1))
    assert finding.verdict is INCONCLUSIVE
    assert "1 digest that could not be judged" in finding.message


def test_gap_of_a_region_that_is_not_enabled_any_more_is_not_known() -> None:
    delivery = replace(covering((0, 2), (3, 7)), required=tuple(a for a in CLEAN.required if a != (ACCOUNT, HOME)))
    finding = judged("OQ-06", delivery)
    assert finding.verdict is INCONCLUSIVE
    assert f"{ACCOUNT} {HOME}, which is not enabled now: a digest is missing" in finding.message


def test_several_gaps_that_are_not_known_are_counted() -> None:
    delivery = replace(covering((0, 2), (3, 4)), required=tuple(a for a in CLEAN.required if a != (ACCOUNT, HOME)))
    finding = judged("OQ-06", delivery)
    assert finding.verdict is INCONCLUSIVE
    assert finding.message.count(f"{ACCOUNT} {HOME}, which is not enabled now: ") == 2


def test_everything_that_is_not_known_of_the_coverage_is_told() -> None:
    other = next(area for area in CLEAN.required if area != (ACCOUNT, HOME))
    chains = covering((0, 2), (3, 7)).chains | {other: replace(CLEAN.chains[other], covered=(), undecided=1)}
    message = judged("OQ-06", replace(CLEAN, chains=chains, required=(other,))).message
    assert "1 digest that could not be judged" in message
    assert "which is not enabled now" in message


def test_gap_elsewhere_outweighs_what_is_not_known() -> None:
    delivery = replace(covering((0, 2), (3, 7)), unlisted=frozenset({(ACCOUNT, ELSEWHERE)}))
    assert judged("OQ-06", delivery).verdict is FAIL


def test_what_is_not_settled_is_listed_as_not_yet_covered() -> None:
    settled = BASE + 3 * HOUR
    delivery = replace(CLEAN, settled=settled, now=settled + 2 * HOUR)
    delivery = replace(
        delivery,
        chains={
            area: replace(chain, covered=((BASE, settled),), last_end=settled) for area, chain in CLEAN.chains.items()
        },
        newest_digest=settled + 12 * MINUTE,
    )
    finding = judged("OQ-06", delivery, trail_of(SHAPE, settled + 12 * MINUTE))
    assert finding.verdict is PASS
    assert finding.observations["not yet covered"] == {
        f"{ACCOUNT} {region}": "from 2026-01-05 23:00:00 UTC" for region in SHAPE.regions
    }


def recent(newest: timedelta | None, **changed: Any) -> Delivery:
    """Return a delivery whose window reaches up to now, with a newest digest of a time before its end."""
    end = WINDOW[1]
    found = None if newest is None else end + newest
    return replace(CLEAN, settled=end - 2 * HOUR, now=end, newest_digest=found, **changed)


@pytest.mark.parametrize(
    ("newest", "told", "verdict"),
    [
        pytest.param(-30, -30, PASS, id="it is there"),
        pytest.param(-10, -30, PASS, id="a newer one is there"),
        pytest.param(-35, -30, PASS, id="five minutes"),
        pytest.param(-36, -30, FAIL, id="an older one"),
        pytest.param(None, -30, FAIL, id="none"),
        pytest.param(-30, None, INCONCLUSIVE, id="not told"),
        pytest.param(None, -300, PASS, id="before the window"),
        pytest.param(None, -130, PASS, id="of the time before the window"),
        pytest.param(-3, 500, PASS, id="behind the window"),
        pytest.param(-70, 500, FAIL, id="behind the window, and the tail is gone"),
    ],
)
def test_newest_digest_is_the_one_that_the_status_tells(newest: int | None, told: int | None, verdict: Verdict) -> None:
    delivery = recent(None if newest is None else newest * MINUTE)
    trail = trail_of(SHAPE, None if told is None else WINDOW[1] + told * MINUTE)
    finding = judged("OQ-06", delivery, trail)
    assert finding.verdict is verdict, finding.message


def test_newest_digest_where_not_every_folder_was_listed() -> None:
    delivery = recent(-90 * MINUTE, unlisted=frozenset({(ACCOUNT, ELSEWHERE)}))
    finding = judged("OQ-06", delivery, trail_of(SHAPE, WINDOW[1] - 30 * MINUTE))
    assert finding.verdict is INCONCLUSIVE


@pytest.mark.parametrize(("newest", "verdict"), [(-95, PASS), (-96, FAIL)])
def test_newest_digest_of_some_regions_may_be_of_the_hour_before(newest: int, verdict: Verdict) -> None:
    snapshot = snapshot_of(trail_of(SHAPE, WINDOW[1] - 30 * MINUTE), recent(newest * MINUTE), NOW)
    (finding,) = EVERY["OQ-06"](snapshot, parameters((HOME, ELSEWHERE)))
    assert finding.verdict is verdict


@pytest.mark.parametrize("absence", ABSENCES, ids=lambda one: one.reason.value)
def test_status_that_is_not_known_leaves_the_tail_open(absence: Absence) -> None:
    trail = replace(TRAIL, status=absent(absence, "cloudtrail:GetTrailStatus in here"))
    assert judged("OQ-06", recent(-30 * MINUTE), trail).verdict is INCONCLUSIVE
    assert judged("OQ-06", CLEAN, trail).verdict is PASS  # a window in the past needs no status


# OQ-08

ROLE = f"arn:aws:iam::{ACCOUNT}:role/GxPDeniedReader"
LOG = Read(BUCKET, "AWSLogs/k.json.gz", "", encryption="aws:kms", encryption_key=KEY)
BY_KEY = (
    f"User: x is not authorized to perform: kms:Decrypt on resource: {KEY} because no identity-based policy allows it"
)
ASSUMED, LISTED = (
    Answer("sts:AssumeRole in here", ("E-assumed",), ROLE),
    Answer("s3:ListObjectsV2 in here", ("E-list",), 1),
)
READ = "s3:GetObject in here"


def refused(message: str = BY_KEY, reason: Reason = Reason.DENIED, code: str = "AccessDenied") -> Answer[Any]:
    return Answer(READ, ("E-read",), absence=Absence(reason, code, message))


def refusal(read: Answer[Any] | None = None, **changed: Any) -> Finding:
    told = Refusal(ROLE, LOG, ASSUMED, LISTED, read or refused())
    return found("OQ-08", snapshot_of(TRAIL, CLEAN, NOW, refusal=replace(told, **changed)), denied_role_arn=ROLE)


def test_refused_by_the_key() -> None:
    finding = refusal()
    assert finding.verdict is PASS
    assert finding.resource == ROLE
    assert set(finding.evidence) == {"E-assumed", "E-list", "E-read"}
    assert finding.observations["log"] == f"s3://{BUCKET}/AWSLogs/k.json.gz"


@pytest.mark.parametrize(
    ("read", "verdict", "sentence"),
    [
        pytest.param(Answer(READ, (), 10), FAIL, "was let in: it may read log files.", id="let in"),
        pytest.param(Answer(READ, (), 0), FAIL, "was let in: it may read log files.", id="let in, to nothing"),
        pytest.param(refused("Access Denied"), INCONCLUSIVE, "S3 alone proves nothing", id="by S3"),
        pytest.param(
            refused(BY_KEY.replace("kms:Decrypt", "s3:GetObject")), INCONCLUSIVE, "S3 alone proves nothing", id="action"
        ),
        pytest.param(
            refused(BY_KEY.replace("kms:Decrypt", "kms:DecryptX")), INCONCLUSIVE, "S3 alone", id="another KMS action"
        ),
        pytest.param(refused(BY_KEY.replace(KEY, OTHER_KEY)), INCONCLUSIVE, "S3 alone proves nothing", id="other key"),
        pytest.param(refused(""), INCONCLUSIVE, "S3 alone proves nothing", id="without a word"),
        *[
            pytest.param(
                refused(BY_KEY, absence.reason, absence.code), INCONCLUSIVE, "gave no value", id=absence.reason
            )
            for absence in ABSENCES
            if absence.reason is not Reason.DENIED
        ],
    ],
)  # fmt: skip
def test_read_by_the_role(read: Answer[Any], verdict: Verdict, sentence: str) -> None:
    finding = refusal(read)
    assert finding.verdict is verdict
    assert sentence in finding.message


def test_log_that_the_role_did_not_try_to_read_was_not_refused() -> None:
    for listed, read in ((LISTED, None), (None, refused())):
        told = Refusal(ROLE, LOG, ASSUMED, listed, read)
        finding = found("OQ-08", snapshot_of(TRAIL, CLEAN, NOW, refusal=told), denied_role_arn=ROLE)
        assert finding.verdict is INCONCLUSIVE


def test_log_whose_key_is_not_told_is_refused_by_no_key() -> None:
    assert refusal(log=replace(LOG, encryption_key="")).verdict is INCONCLUSIVE


@pytest.mark.parametrize(
    ("listed", "sentence"),
    [(0, "The role was shown no log of that name."), *((absence, "gave no value") for absence in ABSENCES)],
    ids=["none", *(absence.reason.value for absence in ABSENCES)],
)
def test_log_that_the_role_is_not_shown(listed: Any, sentence: str) -> None:
    answer = absent(listed) if isinstance(listed, Absence) else Answer("s3:ListObjectsV2 in here", (), listed)
    finding = refusal(listed=answer)
    assert finding.verdict is INCONCLUSIVE
    assert sentence in finding.message


@pytest.mark.parametrize("absence", ABSENCES, ids=lambda one: one.reason.value)
def test_role_that_is_not_assumed(absence: Absence) -> None:
    finding = refusal(assumed=absent(absence, "sts:AssumeRole in here"), listed=None, read=None)
    assert finding.verdict is INCONCLUSIVE
    assert "sts:AssumeRole in here gave no value" in finding.message


def test_no_log_to_be_refused() -> None:
    finding = found(
        "OQ-08",
        snapshot_of(TRAIL, CLEAN, NOW, refusal=Refusal(ROLE, None, ASSUMED, None, None)),
        denied_role_arn=ROLE,
    )
    assert finding.verdict is INCONCLUSIVE
    assert "No log under a KMS key was read in this run." in finding.message


def test_role_that_was_not_sent() -> None:
    finding = found("OQ-08", snapshot_of(TRAIL, CLEAN, NOW), denied_role_arn=ROLE)
    assert finding.verdict is INCONCLUSIVE
    assert "was not sent to read a log" in finding.message


def test_no_role_is_named() -> None:
    finding = found("OQ-08", snapshot_of(TRAIL, CLEAN, NOW))
    assert finding.verdict is Verdict.NOT_APPLICABLE
    assert "expected.denied_role_arn names no role" in finding.message
