"""The periodic review: each fault of a compliant month changes the verdict of exactly the test cases that it must."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from fixtures.period import (
    ACCOUNT,
    BUCKET,
    DAY,
    DENIED,
    END,
    EVERY,
    HOUR,
    KEY,
    NOW,
    OTHER_KEY,
    REGION,
    START,
    TRAIL,
    answer,
    event,
    events,
    month,
    parameters,
    reviewed,
    run_of,
    snapshot,
)

from kit.catalogue import protocol
from kit.checks.control import explaining
from kit.findings import Finding, Verdict, roll_up
from kit.parameters import RunParameters
from kit.present.period_charts import timeline
from kit.review.drift import State
from kit.review.logged import Logged
from kit.review.period import Restored
from kit.review.state import state
from kit.snapshot import Answer, Snapshot

pytestmark = pytest.mark.pinned
CASES = protocol("PQ").test_cases
FAIL, OPEN, NOT = Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NOT_APPLICABLE
SOUND = dict.fromkeys(CASES, Verdict.PASS) | {"PQ-07": NOT}
CONTROL = {"id": "CC-1", "start": (START + 8 * DAY).isoformat(), "end": (START + 9 * DAY).isoformat(), "what": "x"}

Spoil = Callable[[], tuple[Snapshot, RunParameters]]
FAULTS: dict[str, tuple[Spoil, dict[str, Verdict]]] = {}


def judged(now: Snapshot, told: RunParameters) -> dict[str, list[Finding]]:
    found = {case.id: case.judge(now, told) for case in CASES.values()}
    for findings in found.values():
        for finding in findings:
            assert finding.message.endswith("."), finding.message
            assert set(finding.expected) == set(finding.actual) == set(finding.met)
    return found


def verdicts(now: Snapshot, told: RunParameters) -> dict[str, Verdict]:
    return {case: roll_up(one.verdict for one in found) for case, found in judged(now, told).items()}


def fault(name: str, **changes: Verdict) -> Callable[[Spoil], Spoil]:
    def keep(spoil: Spoil) -> Spoil:
        FAULTS[name] = (spoil, {case.replace("_", "-"): verdict for case, verdict in changes.items()})
        return spoil

    return keep


def records(edit: Callable[[Any], Any | None], **more: Any) -> Snapshot:
    """Return the month with each record as an edit leaves it, or without it."""
    found = [edited for one in month().review.records if (edited := edit(one)) is not None]
    return month(records=tuple(found), **more)


def only(prefix: str, number: int, **members: Any) -> Snapshot:
    """Return the month with one record otherwise: the so-manieth of a protocol."""
    chosen = [one for one in month().review.records if one.run.protocol == prefix][number]
    return records(lambda one: replace(one, **members) if one is not None and one.run == chosen.run else one)


def runs(edit: Callable[[Any], Any | None], **more: Any) -> Snapshot:
    register = month().review.register
    found = [edited for one in register.runs if (edited := edit(one)) is not None]
    return month(register=replace(register, runs=tuple(found), **more))


def beside(one: Any, **more: Any) -> Snapshot:
    """Return the month with one more run and its record."""
    review = month().review
    register = replace(review.register, runs=(*review.register.runs, one.run))
    return month(register=register, records=(*review.records, one), **more)


def drifted(**values: Any) -> State:
    settings = state(snapshot())
    changed = {f"{TRAIL}#{place}": value for place, value in values.items()}
    return replace(settings, values={**settings.values, **changed})


def since(moment: Any, settings: State, *happened: Any, now: bool = True, **more: Any) -> Snapshot:
    """Return the month in which the settings are others from a moment on."""
    made = records(
        lambda one: replace(one, state=settings) if one.run.began >= moment else one, events=events(*happened), **more
    )
    return made if not now else replace(made, trails=as_now(settings))


def as_now(settings: State) -> Any:
    (trail,) = snapshot().trails
    disabled = settings.values.get(f"{TRAIL}#key/KeyState") == "Disabled"
    metadata = answer(
        "kms:DescribeKey", {"Arn": KEY, "KeyState": "Disabled" if disabled else "Enabled", "Enabled": True}
    )
    return (replace(trail, key=replace(trail.key, metadata=metadata)),)


DISABLED = drifted(**{"key/KeyState": "Disabled"})
MOMENT = START + 8 * DAY + HOUR
DISABLING = event("DisableKey", MOMENT, KEY)


@fault("an installation qualification too long ago", PQ_01=FAIL)
def _():
    return month(), parameters(expected={"review": {"iq_every_days": 12, "oq_every_days": 8}})


@fault("no operational qualification in the period", PQ_01=FAIL, PQ_05=FAIL, PQ_06=OPEN)
def _():
    made = records(lambda one: one if one.run.protocol == "IQ" else None)
    register = replace(month().review.register, runs=tuple(one.run for one in made.review.records))
    return replace(made, review=replace(made.review, register=register)), parameters()


@fault("a week without an operational qualification", PQ_01=FAIL, PQ_05=FAIL)
def _():
    gone = [one.run for one in month().review.records if one.run.protocol == "OQ"][1]
    made = records(lambda one: None if one.run == gone else one)
    register = replace(month().review.register, runs=tuple(one.run for one in made.review.records))
    return replace(made, review=replace(made.review, register=register)), parameters()


@fault("how often is not stated", PQ_01=OPEN)
def _():
    return month(), parameters(expected={"review": {"iq_every_days": 35}})


@fault("how often the installation is qualified is not stated", PQ_01=OPEN)
def _():
    return month(), parameters(expected={"review": {"oq_every_days": 8}})


@fault("a run that failed and was not repeated", PQ_01=FAIL, PQ_05=FAIL)
def _():
    last = [one.run for one in month().review.records if one.run.protocol == "OQ"][2]
    made = records(lambda one: None if one.run == last else one)
    register = month().review.register
    failed = tuple(replace(run, state="failed") if run == last else run for run in register.runs)
    return replace(made, review=replace(made.review, register=replace(register, runs=failed))), parameters()


@fault("the register was cut", PQ_01=OPEN, PQ_02=FAIL, PQ_07=OPEN)
def _():
    return runs(lambda run: run, problem="entry 3 is missing"), parameters()


@fault("a record is missing", PQ_02=FAIL, PQ_04=OPEN, PQ_05=FAIL, PQ_06=OPEN)
def _():
    return only("OQ", 1, problem="the record is not here", verdicts={}, state=None, delivered={}), parameters()


@fault("a record was tampered with", PQ_02=FAIL, PQ_03=OPEN, PQ_04=OPEN)
def _():
    changed = "findings.json was changed: its SHA-256 is not that of the manifest"
    return only("IQ", 1, problem=changed, verdicts={}, state=None), parameters()


@fault("a record can't be read", PQ_02=OPEN, PQ_04=OPEN, PQ_05=OPEN, PQ_06=OPEN)
def _():
    gone = {"verdicts": {}, "state": None, "delivered": {}, "unread": True}
    return only("OQ", 1, problem="manifest.json can't be read: Permission denied", **gone), parameters()


@fault(
    "a record can't be read, and another was tampered with", PQ_02=FAIL, PQ_03=OPEN, PQ_04=OPEN, PQ_05=OPEN, PQ_06=OPEN
)
def _():
    gone = {"verdicts": {}, "state": None, "delivered": {}, "unread": True}
    made = only("OQ", 1, problem="manifest.json can't be read: Permission denied", **gone)
    changed = [
        replace(one, problem="findings.json was changed", verdicts={}, state=None)
        if one.run.protocol == "IQ" and one.run.began > START else one for one in made.review.records
    ]  # fmt: skip
    return replace(made, review=replace(made.review, records=tuple(changed))), parameters()


@fault("the latest record was tampered with", PQ_02=FAIL, PQ_03=OPEN, PQ_04=OPEN, PQ_05=FAIL, PQ_06=OPEN)
def _():
    problem = "record.ipynb was changed"
    made = only("OQ", 2, problem=problem, verdicts={}, state=None, delivered={})
    return made, parameters()


@fault("a run concluded and was not sealed", PQ_02=FAIL)
def _():
    register = month().review.register
    more = replace(run_of("IQ", START + 12 * DAY, "concluded"), verdict="FAIL")
    return month(register=replace(register, runs=(*register.runs, more))), parameters()


@fault("a record that nobody registered", PQ_02=FAIL)
def _():
    return runs(lambda run: run, strangers=("IQ-20260305T000000Z-abcdef",)), parameters()


@fault("a record that nobody registered can't be read", PQ_02=OPEN)
def _():
    return runs(lambda run: run, unread=("IQ-20260305T000000Z-abcdef",)), parameters()


@fault("a run was broken off")
def _():
    register = month().review.register
    more = run_of("IQ", START + 12 * DAY, "aborted")
    return month(register=replace(register, runs=(*register.runs, more))), parameters()


@fault("a test case stands failed", PQ_03=FAIL)
def _():
    return only("OQ", 2, verdicts={"OQ-08": "FAIL"}, open={"OQ-08": ("DEV-01",)}), parameters()


@fault("a test case stands inconclusive", PQ_03=FAIL)
def _():
    return only("IQ", 1, verdicts={"IQ-07": "INCONCLUSIVE"}, open={"IQ-07": ("DEV-01",)}), parameters()


@fault("a failed test case was handled")
def _():
    return only("OQ", 2, verdicts={"OQ-08": "FAIL"}), parameters()


@fault("a failed test case passes since")
def _():
    return only("OQ", 1, verdicts={"OQ-08": "FAIL"}, open={"OQ-08": ("DEV-01",)}), parameters()


@fault("the key was disabled, and nobody allowed it", PQ_04=FAIL)
def _():
    return since(MOMENT, DISABLED, DISABLING), parameters()


@fault("the key was disabled under change control")
def _():
    return since(MOMENT, DISABLED, DISABLING), parameters(execution={"change_controls": [CONTROL]})


@fault("the key was disabled before its change control began", PQ_04=FAIL)
def _():
    late = CONTROL | {"start": (MOMENT + HOUR).isoformat()}
    return since(MOMENT, DISABLED, DISABLING), parameters(execution={"change_controls": [late]})


def narrowed(**covered: Any) -> RunParameters:
    return parameters(execution={"change_controls": [CONTROL | covered]})


COVERING: dict[str, tuple[dict[str, Any], Verdict]] = {
    "its event": ({"events": ["EnableKey", "DisableKey"]}, Verdict.PASS),
    "another event": ({"events": ["PutKeyPolicy"]}, FAIL),
    "its key by ARN": ({"resources": [KEY]}, Verdict.PASS),
    "its key by id": ({"resources": [KEY.rpartition("/")[2]]}, Verdict.PASS),
    "another key": ({"resources": [OTHER_KEY]}, FAIL),
    "the trail": ({"resources": [TRAIL]}, FAIL),
    "its event on another key": ({"events": ["DisableKey"], "resources": [OTHER_KEY]}, FAIL),
    "its event on its key among others": ({"events": ["DisableKey"], "resources": [OTHER_KEY, KEY]}, Verdict.PASS),
}


@pytest.mark.parametrize("named", [KEY, KEY.rpartition("/")[2]], ids=["by ARN", "by id"])
@pytest.mark.parametrize(("covered", "verdict"), COVERING.values(), ids=COVERING)
def test_a_change_control_explains_what_it_covers_alone(covered, verdict, named):
    made = since(MOMENT, DISABLED, event("DisableKey", MOMENT, named))
    assert verdicts(made, narrowed(**covered))["PQ-04"] is verdict


@pytest.mark.parametrize(("covered", "verdict"), COVERING.values(), ids=COVERING)
def test_a_drift_that_no_event_tells_of_fails_where_no_change_control_covers_it(covered, verdict):
    expected = OPEN if verdict is Verdict.PASS else FAIL
    assert verdicts(since(MOMENT, DISABLED), narrowed(**covered))["PQ-04"] is expected


def test_a_change_control_of_that_time_that_covers_something_else_is_named():
    made = since(MOMENT, DISABLED, DISABLING)
    found = CASES["PQ-04"].judge(made, narrowed(events=["PutKeyPolicy"]))
    assert "under no change control (CC-1 is of that time, and covers something else)" in found[0].message


def test_all_change_controls_of_that_time_that_cover_something_else_are_named():
    two = [CONTROL | {"events": ["PutKeyPolicy"]}, CONTROL | {"id": "CC-2", "resources": [OTHER_KEY]}]
    found = CASES["PQ-04"].judge(since(MOMENT, DISABLED, DISABLING), parameters(execution={"change_controls": two}))
    assert "under no change control (CC-1, CC-2 are of that time, and cover something else)" in found[0].message


@pytest.mark.parametrize("resource", [BUCKET, f"arn:aws:s3:::{BUCKET}"])
def test_a_change_control_names_a_bucket_by_name_or_arn(resource):
    made = month(events=events(event("PutBucketPolicy", MOMENT, BUCKET)))
    assert verdicts(made, narrowed(resources=[resource]))["PQ-04"] is Verdict.PASS


def test_a_trail_of_the_same_name_elsewhere_is_another():
    elsewhere = TRAIL.replace(REGION, "us-east-1")
    made = month(events=events(event("StopLogging", MOMENT, TRAIL)))
    assert verdicts(made, narrowed(resources=[elsewhere]))["PQ-04"] is FAIL


VERSIONED = drifted(**{"bucket/versioning/Status": "Suspended"})
STOPPED = drifted(**{"logging/IsLogging": False})


@pytest.mark.parametrize(
    ("settings", "resource", "verdict"),
    [
        pytest.param(VERSIONED, BUCKET, OPEN, id="its bucket by name"),
        pytest.param(VERSIONED, f"arn:aws:s3:::{BUCKET}", OPEN, id="its bucket by ARN"),
        pytest.param(VERSIONED, f"arn:aws:s3:::{BUCKET}-other", FAIL, id="another bucket"),
        pytest.param(VERSIONED, TRAIL, FAIL, id="its trail"),
        pytest.param(STOPPED, TRAIL, OPEN, id="the trail by ARN"),
        pytest.param(STOPPED, "gxp-trail", OPEN, id="the trail by name"),
        pytest.param(STOPPED, "trail/gxp-trail", FAIL, id="a part of an ARN"),
        pytest.param(STOPPED, KEY, FAIL, id="its key"),
    ],
)
def test_what_drifted_of_bucket_and_trail_is_covered_by_a_control_that_names_them(settings, resource, verdict):
    made = since(MOMENT, settings, now=False)
    behind = [one for one in made.review.records if one.run.began >= MOMENT]
    made = replace(made, review=replace(made.review, now=behind[-1].run.ended, period=(START, behind[-1].run.ended)))
    found = [
        one for one in judged(made, narrowed(resources=[resource]))["PQ-04"] if behind[0].run.record_id in one.resource
    ]
    assert found[0].verdict is verdict


def test_a_change_control_names_a_role_below_a_path():
    changed = event("PutRolePolicy", MOMENT, "Reader")
    (control,) = narrowed(resources=[f"arn:aws:iam::{ACCOUNT}:role/gxp/team/Reader"]).execution.change_controls
    (other,) = narrowed(resources=[f"arn:aws:iam::{ACCOUNT}:role/Reader/Writer"]).execution.change_controls
    assert explaining(changed, [control]) == (["CC-1"], [])
    assert explaining(changed, [other]) == ([], ["CC-1"])


def test_an_event_that_aws_refused_made_no_change():
    refused = event("DisableKey", MOMENT, KEY, error="AccessDenied")
    (found,) = [
        one for one in judged(since(MOMENT, DISABLED, refused), parameters())["PQ-04"] if " to " in one.resource
    ]
    assert found.verdict is FAIL
    assert "no event tells who did it" in found.message


@fault("the key was disabled, and no event tells of it", PQ_04=FAIL)
def _():
    return since(MOMENT, DISABLED), parameters()


@fault("the key was disabled under change control, and no event tells of it", PQ_04=OPEN)
def _():
    return since(MOMENT, DISABLED), parameters(execution={"change_controls": [CONTROL]})


@fault("the key was disabled, and only another key's event tells of such", PQ_04=FAIL)
def _():
    return since(MOMENT, DISABLED, event("DisableKey", MOMENT, OTHER_KEY)), parameters()


@fault("the trail was stopped and started again", PQ_04=FAIL)
def _():
    stopped, started = (event(name, MOMENT, TRAIL) for name in ("StopLogging", "StartLogging"))
    return month(events=events(stopped, started)), parameters()


@fault("the trail was stopped under change control")
def _():
    stopped = event("StopLogging", MOMENT, "gxp-trail")
    return month(events=events(stopped)), parameters(execution={"change_controls": [CONTROL]})


@fault("stopping the trail was refused")
def _():
    return month(events=events(event("StopLogging", MOMENT, TRAIL, error="AccessDenied"))), parameters()


@fault("another trail was stopped")
def _():
    return month(events=events(event("StopLogging", MOMENT, "another-trail"))), parameters()


@fault("a bucket policy was put", PQ_04=FAIL)
def _():
    return month(events=events(event("PutBucketPolicy", MOMENT, BUCKET))), parameters()


@fault("the key is to be deleted", PQ_04=FAIL)
def _():
    return month(events=events(event("ScheduleKeyDeletion", MOMENT, KEY))), parameters()


@fault("a change before the period")
def _():
    return month(events=events(event("DisableKey", START - DAY, KEY))), parameters()


@fault("public access was let in for the account", PQ_04=FAIL)
def _():
    return month(events=events(event("DeleteAccountPublicAccessBlock", MOMENT))), parameters()


@fault("the settings are others since the last record, which lies behind the period")
def _():
    return replace(month(), trails=as_now(DISABLED)), parameters()


@fault("the settings are others since the last record, and the period is not over", PQ_04=FAIL, PQ_05=FAIL)
def _():
    made = records(lambda one: one if one.run.began < END else None, now=END, asked=(START - 3 * DAY, END))
    register = replace(month().review.register, runs=tuple(one.run for one in made.review.records))
    return replace(made, trails=as_now(DISABLED), review=replace(made.review, register=register)), parameters()


@fault("events can't be looked up", PQ_04=OPEN)
def _():
    told = events() | {(REGION, "StopLogging"): Answer("cloudtrail:LookupEvents in eu-west-1", (), absence=DENIED)}
    return month(events=told), parameters()


@fault("the period is longer than the event history", PQ_04=OPEN)
def _():
    return month(asked=(START + 5 * DAY, END)), parameters()


@fault("a policy could not be read in a run", PQ_04=OPEN)
def _():
    settings = state(snapshot(policy=Answer("kms:GetKeyPolicy", (), absence=DENIED)))
    return only("OQ", 1, state=settings), parameters()


@fault("the evidence of a record is of another kit version", PQ_04=OPEN)
def _():
    return only("IQ", 1, state=None, stateless="no recording of kms:GetKeyPolicy"), parameters()


@fault("the ledgers of a record are of another kit version", PQ_05=OPEN, PQ_06=OPEN)
def _():
    return only("OQ", 1, delivered={}, stateless="no recording of the listing"), parameters()


@fault("changes need no change control", PQ_04=NOT)
def _():
    needed = EVERY | {"every_change_explained": False}
    return since(MOMENT, DISABLED, DISABLING), parameters(expected={"review": needed})


def covering(number: int, edit: Callable[[Any], Any]) -> Snapshot:
    chosen = [one for one in month().review.records if one.run.protocol == "OQ"][number]
    return only("OQ", number, delivered={TRAIL: edit(chosen.delivered[TRAIL])})


@fault("a day that no run read", PQ_05=FAIL)
def _():
    return covering(1, lambda one: replace(one, window=(one.window[0] + 26 * HOUR, one.window[1]))), parameters()


@fault("a day that no run read, where that is not required")
def _():
    needed = EVERY | {"every_day_covered": False}
    made = covering(1, lambda one: replace(one, window=(one.window[0] + 26 * HOUR, one.window[1])))
    return made, parameters(expected={"review": needed})


@fault("an hour that no digest covers", PQ_05=FAIL)
def _():
    def torn(one: Any) -> Any:
        start, end = one.window
        parts = ((start, start + 30 * HOUR), (start + 31 * HOUR, end))
        return replace(one, covered=one.covered | {f"{ACCOUNT} {REGION}": parts})

    made = covering(2, torn)
    found = [
        replace(one, verdicts=one.verdicts | {"OQ-06": "FAIL"}) if one.run.protocol == "OQ" else one
        for one in made.review.records
    ]
    return replace(made, review=replace(made.review, records=tuple(found))), parameters()


@fault("a Region whose digests could not be judged", PQ_05=OPEN)
def _():
    return covering(2, lambda one: replace(one, covered=one.covered | {f"{ACCOUNT} us-east-1": ()})), parameters()


@fault("which Regions had to be covered is not known", PQ_05=OPEN)
def _():
    return covering(2, lambda one: replace(one, covered={})), parameters()


@fault("log files under another key", PQ_06=FAIL)
def _():
    day = date(2026, 3, 17)
    return covering(2, lambda one: replace(one, days=dict(one.days) | {day: {KEY: 90, OTHER_KEY: 6}})), parameters()


def accepted_until(end: str, day: date):
    """Return a month with log files of a day under another key, which was accepted from the 17th on."""
    accepted = {"arn": OTHER_KEY, "start": "2026-03-17T00:00:00Z", "end": end, "change_control": "C"}
    told = {"accepted_kms_keys": [accepted]}
    return covering(2, lambda one: replace(one, days=dict(one.days) | {day: {OTHER_KEY: 6}})), parameters(expected=told)


@fault("log files under another key that was accepted")
def _():
    return accepted_until("2026-03-18T00:00:00Z", date(2026, 3, 17))


@fault("log files without encryption", PQ_06=FAIL)
def _():
    day = date(2026, 3, 17)
    return covering(2, lambda one: replace(one, days=dict(one.days) | {day: {"not encrypted": 1}})), parameters()


@fault("log files that were not read", PQ_06=OPEN)
def _():
    day = date(2026, 3, 17)
    return covering(2, lambda one: replace(one, days=dict(one.days) | {day: {KEY: 1, "not read": 1}})), parameters()


ALIAS = Answer("kms:DescribeKey in eu-west-1", (), absence=DENIED)


def keyless() -> State:
    (trail,) = snapshot().trails
    return state(replace(snapshot(), trails=(replace(trail, key=None),)))


def unresolved() -> State:
    (trail,) = snapshot().trails
    key = replace(trail.key, named="alias/CloudTrailGxPKey", metadata=ALIAS)
    return state(replace(snapshot(), trails=(replace(trail, key=key),)))


def under(protection: str, settings: State | None) -> Snapshot:
    """Return the month in whose last run log files of a day are under another key, and its settings are others."""
    chosen = [one for one in month().review.records if one.run.protocol == "OQ"][2]
    told = chosen.delivered[TRAIL]
    days = dict(told.days) | {date(2026, 3, 17): {protection: 6}}
    return only("OQ", 2, state=settings, stateless="not read", delivered={TRAIL: replace(told, days=days)})


@fault("the settings of a run can't be read", PQ_04=OPEN, PQ_06=OPEN)
def _():
    return under(KEY, None), parameters()


@fault("which key the trail had could not be told in a run", PQ_04=OPEN, PQ_06=OPEN)
def _():
    return under(KEY, unresolved()), parameters()


@fault("which key the trail had could not be told, and log files were not encrypted", PQ_04=OPEN, PQ_06=FAIL)
def _():
    return under("AES256", unresolved()), parameters()


@fault("the trail had no key in a run", PQ_04=FAIL, PQ_06=FAIL)
def _():
    return under("AES256", keyless()), parameters()


def archived(*restored: Restored) -> Snapshot:
    register = month().review.register
    first = next(run.record_id for run in register.runs if run.began > START)
    return month(register=replace(register, archived={first: ("9",)}), restored=tuple(restored))


RECORD = run_of("IQ", START + 10 * DAY).record_id


@fault("an archived record that came back", PQ_07=Verdict.PASS)
def _():
    return archived(Restored(RECORD, "s3://archive/records", 55, "")), parameters()


@fault("an archived record that did not come back", PQ_07=FAIL)
def _():
    return archived(Restored(RECORD, "s3://archive/records", 55, "record.pdf did not come back")), parameters()


@fault("an archive that could not be asked", PQ_07=OPEN)
def _():
    refused = "s3://archive/records/record.pdf did not come back: AccessDenied"
    return archived(Restored(RECORD, "s3://archive/records", 55, refused, unread=True)), parameters()


@fault("an archived record that nobody brought back", PQ_07=OPEN)
def _():
    return archived(), parameters()


@fault("archives need not be restored")
def _():
    needed = EVERY | {"archived_restored": False}
    return archived(), parameters(expected={"review": needed})


@fault("nothing was run", PQ_01=FAIL, PQ_02=OPEN, PQ_03=OPEN, PQ_04=OPEN, PQ_05=FAIL, PQ_06=OPEN)
def _():
    return month(records=(), register=replace(month().review.register, runs=())), parameters()


@fault(
    "nothing was run of a trail that no parameter names",
    PQ_01=FAIL,
    PQ_02=OPEN,
    PQ_03=OPEN,
    PQ_04=OPEN,
    PQ_05=FAIL,
    PQ_06=OPEN,
)
def _():
    made = month(records=(), register=replace(month().review.register, runs=()))
    return replace(made, trails=()), parameters(expected={"trail_arn": None})


@fault(
    "nothing was run of a trail that the account shows",
    PQ_01=FAIL,
    PQ_02=OPEN,
    PQ_03=OPEN,
    PQ_04=OPEN,
    PQ_05=FAIL,
    PQ_06=OPEN,
)
def _():
    made = month(records=(), register=replace(month().review.register, runs=()))
    return made, parameters(expected={"trail_arn": None})


@fault("one record alone was left", PQ_01=FAIL, PQ_05=FAIL)
def _():
    (last,) = [one for one in month().review.records if one.run.protocol == "OQ"][2:3]
    register = replace(month().review.register, runs=(last.run,))
    return month(records=(last,), register=register), parameters()


@fault("the period has just begun", PQ_05=OPEN)
def _():
    return month(now=START + HOUR), parameters()


@fault("several records are broken, several are missing, and several are nobody's", PQ_02=FAIL, PQ_03=OPEN)
def _():
    register = month().review.register
    more = [replace(run_of("IQ", START + days * DAY, "concluded"), verdict="FAIL") for days in (12, 13)]
    ended = [run_of("IQ", START + days * DAY, state) for days, state in ((14, "failed"), (15, "started"))]
    made = records(lambda one: replace(one, problem="record.ipynb was changed"))
    register = replace(register, runs=(*register.runs, *more, *ended), strangers=("IQ-a", "IQ-b"))
    return replace(made, review=replace(made.review, register=register)), parameters()


@fault("several test cases stand as not passed, some of them handled", PQ_03=FAIL)
def _():
    verdicts = {"OQ-08": "FAIL", "OQ-07": "INCONCLUSIVE", "OQ-06": "FAIL", "OQ-05": "NOT_APPLICABLE"}
    return only("OQ", 2, verdicts=verdicts, open={"OQ-08": ("DEV-01", "DEV-02"), "OQ-07": ("DEV-03",)}), parameters()


@fault("several days are without a run, with a gap, or not known", PQ_05=FAIL)
def _():
    def torn(one: Any) -> Any:
        start, end = one.window
        parts = ((start, start + 30 * HOUR), (start + 31 * HOUR, start + 55 * HOUR), (start + 56 * HOUR, end))
        return replace(one, window=(start, end - 26 * HOUR), covered=one.covered | {f"{ACCOUNT} {REGION}": parts})

    made = covering(2, torn)
    found = [
        replace(one, verdicts=one.verdicts | {"OQ-06": "FAIL"}) if one.run.protocol == "OQ" else one
        for one in made.review.records
    ]
    found[2] = replace(found[2], delivered={}, stateless="no recording of the listing")
    return replace(made, review=replace(made.review, records=tuple(found))), parameters()


@fault("log files under another key, on several days", PQ_06=FAIL)
def _():
    days = {date(2026, 3, 17): {KEY: 90, OTHER_KEY: 6}, date(2026, 3, 18): {OTHER_KEY: 1, "not read": 1}}
    return covering(2, lambda one: replace(one, days=dict(one.days) | days)), parameters()


@fault("several archived records, one of which came back", PQ_07=FAIL)
def _():
    runs = [run for run in month().review.register.runs if run.began > START]
    register = replace(month().review.register, archived={run.record_id: ("9",) for run in runs[:3]} | {"IQ-x": ("9",)})
    came = Restored(runs[0].record_id, "s3://archive/records", 1, "")
    broken = Restored(runs[1].record_id, "s3://archive/records", 55, "record.pdf did not come back")
    return month(register=register, restored=(came, broken)), parameters()


@fault("nobody looked up an event", PQ_04=OPEN)
def _():
    return month(events={}), parameters()


@fault("several lookups were denied", PQ_04=OPEN)
def _():
    told = {(REGION, name): Answer(f"cloudtrail:LookupEvents of {name}", ("E-e",), absence=DENIED) for name in "ab"}
    return month(events=events() | told), parameters()


@fault("the key was disabled, and the events of then are not known", PQ_04=FAIL)
def _():
    made = since(MOMENT, DISABLED)
    return replace(made, review=replace(made.review, asked=(MOMENT + 9 * DAY, END))), parameters()


@fault("the key was disabled under change control, and the events of then are not known", PQ_04=OPEN)
def _():
    made = since(MOMENT, DISABLED)
    told = {(REGION, "DisableKey"): Answer("cloudtrail:LookupEvents", ("E-e",), absence=DENIED)}
    happened = replace(made, review=replace(made.review, events=dict(made.review.events) | told))
    return happened, parameters(execution={"change_controls": [CONTROL, CONTROL | {"id": "CC-2"}]})


@fault("the key was disabled under two change controls")
def _():
    controls = [CONTROL, CONTROL | {"id": "CC-2"}]
    return since(MOMENT, DISABLED, DISABLING), parameters(execution={"change_controls": controls})


@fault("several settings are others, by one event and by none", PQ_04=FAIL)
def _():
    settings = drifted(**{"key/KeyState": "Disabled", "key/Enabled": False, "trail/S3BucketName": "another"})
    return since(MOMENT, settings, DISABLING), parameters()


@fault("several states can't be read", PQ_04=OPEN)
def _():
    settings = state(
        snapshot(
            policy=Answer("kms:GetKeyPolicy", (), absence=DENIED), grants=Answer("kms:ListGrants", (), absence=DENIED)
        )
    )
    made = only("OQ", 1, state=settings)
    found = [
        replace(one, state=None, stateless="no recording of kms:GetKeyPolicy") if one.run.protocol == "IQ" else one
        for one in made.review.records
    ]
    return replace(made, review=replace(made.review, records=tuple(found))), parameters()


@fault("changes outside the period, and changes that were refused")
def _():
    before = [event(name, START - DAY, KEY) for name in ("DisableKey", "EnableKey")]
    refused = [event(name, MOMENT, TRAIL, error="AccessDenied") for name in ("StopLogging", "StartLogging")]
    return month(events=events(*before, *refused)), parameters()


@fault("what lets a reader in was changed", PQ_04=FAIL)
def _():
    reader = f"arn:aws:iam::{ACCOUNT}:role/team/GxPReader"
    settings = drifted(**{f"key/readers/{reader}/may decrypt": True})
    made = records(
        lambda one: replace(one, state=settings), events=events(event("DetachRolePolicy", MOMENT, "GxPReader"))
    )
    return made, parameters()


@fault("a second trail was stopped", PQ_04=FAIL)
def _():
    second = TRAIL.replace("gxp-trail", "second")
    settings = state(snapshot())
    known = replace(settings, values={**settings.values, f"account#trails/{REGION}/{second}": {"logging": True}})
    made = records(
        lambda one: replace(one, state=known),
        events=events(event("StopLogging", MOMENT, second), event("StartLogging", MOMENT, "second")),
    )
    return made, parameters()


@fault("several records tell of no settings", PQ_04=OPEN, PQ_06=OPEN)
def _():
    return records(lambda one: replace(one, state=None, stateless="no recording of kms:GetKeyPolicy")), parameters()


@fault("a record without its settings tells of log files", PQ_04=OPEN, PQ_06=OPEN)
def _():
    return only("OQ", 2, state=None, stateless="no recording of kms:GetKeyPolicy"), parameters()


@fault("a record without its settings tells of log files without encryption", PQ_04=OPEN, PQ_06=FAIL)
def _():
    day = date(2026, 3, 17)
    made = covering(2, lambda one: replace(one, days=dict(one.days) | {day: {KEY: 90, "not encrypted": 6}}))
    run = [one.run for one in month().review.records if one.run.protocol == "OQ"][2]
    found = [
        replace(one, state=None, stateless="no recording") if one.run == run else one for one in made.review.records
    ]
    return replace(made, review=replace(made.review, records=tuple(found))), parameters()


@fault("a second trail delivered", PQ_05=FAIL, PQ_06=OPEN)
def _():
    chosen = [one for one in month().review.records if one.run.protocol == "OQ"][1]
    second = TRAIL.replace("gxp-trail", "second")
    return only("OQ", 1, delivered=dict(chosen.delivered) | {second: chosen.delivered[TRAIL]}), parameters()


@fault("log files of the last day on which another key was accepted")
def _():
    return accepted_until("2026-03-18T12:00:00Z", date(2026, 3, 18))


@fault("the key was disabled, and two records lie before the period", PQ_04=FAIL)
def _():
    made = since(MOMENT, DISABLED, DISABLING)
    (first, *_) = made.review.records
    before = replace(first, run=run_of("IQ", START - 5 * DAY))
    return replace(made, review=replace(made.review, records=(before, *made.review.records))), parameters()


@fault("qualifications as far apart as they may be")
def _():
    return month(), parameters(expected={"review": {"iq_every_days": 18, "oq_every_days": 8}})


@fault("the key's alias was taken away", PQ_04=FAIL)
def _():
    return month(events=events(event("DeleteAlias", MOMENT, "alias/CloudTrailGxPKey"))), parameters()


@fault("what earlier runs left was not collected", **dict.fromkeys([name.replace("-", "_") for name in CASES], OPEN))
def _():
    return replace(month(), review=None), parameters()


@fault("what earlier runs left could not be read", **dict.fromkeys([name.replace("-", "_") for name in CASES], OPEN))
def _():
    return replace(month(), review="No time can be held against the period."), parameters()


def test_a_compliant_month_passes():
    assert verdicts(month(), parameters()) == SOUND


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_changes_the_verdict_of_its_test_cases_alone(name):
    spoil, changes = FAULTS[name]
    assert verdicts(*spoil()) == SOUND | changes


def test_an_unexplained_change_is_a_finding_that_tells_who_when_and_from_where():
    found = judged(*FAULTS["the key was disabled, and nobody allowed it"][0]())["PQ-04"]
    (failed,) = [finding for finding in found if finding.verdict is FAIL]
    assert failed.message == (
        f"DisableKey by arn:aws:sts::{ACCOUNT}:assumed-role/Admin/somebody from 203.0.113.9 at 2026-03-09 01:00:00 UTC,"
        " under no change control: key/KeyState changed."
    )
    (value,) = failed.observations["values that it changed"]
    assert (value["before"], value["after"]) == ("Enabled", "Disabled")


def test_an_explained_change_names_its_change_control():
    found = judged(*FAULTS["the key was disabled under change control"][0]())["PQ-04"]
    assert any(finding.message.endswith("under CC-1.") for finding in found)


def test_an_uncovered_day_is_named_with_its_hours():
    (finding,) = judged(*FAULTS["a day that no run read"][0]())["PQ-05"]
    told = ["2026-03-08: no run read it", "2026-03-09: no run read it from 00:00 to 01:00"]
    assert finding.actual["days that no run read"] == told


def test_a_day_that_is_not_over_is_not_judged():
    now = START + 14 * DAY + 12 * HOUR
    made = month(now=now, period=(START, now))
    (finding,) = CASES["PQ-05"].judge(made, parameters())
    assert finding.verdict is Verdict.PASS
    assert finding.observations["days of the period"] == {"covered": 14, "pending": 1}


def test_objects_of_a_day_that_two_runs_read_count_once():
    (finding,) = CASES["PQ-06"].judge(month(), parameters())
    assert sum(finding.actual["log files by what protects them"].values()) == 96 * 28


def test_the_longest_time_without_a_run_counts_from_before_the_period_to_its_end():
    (finding,) = CASES["PQ-01"].judge(month(), parameters())
    assert finding.actual["IQ at least every so many days"].startswith("18.0 days, from 2026-03-11")
    assert timedelta(days=18) == END - (START + 10 * DAY)


def test_two_records_that_nobody_can_read_are_both_named():
    (finding,) = CASES["PQ-02"].judge(runs(lambda run: run, unread=("IQ-a", "OQ-b")), parameters())
    assert "The register does not hold IQ-a, OQ-b; of which target that is can't be read." in finding.message


def test_a_run_that_does_not_tell_what_it_read_leaves_nothing_open_where_others_read_every_day():
    silent = reviewed(run_of("OQ", START + 10 * DAY), month().review.records[0].state)
    assert verdicts(beside(silent), parameters())["PQ-06"] is Verdict.PASS


def test_a_trail_that_the_parameters_name_is_judged_though_nothing_shows_it():
    gone = TRAIL.replace("gxp-trail", "gone")
    for case in ("PQ-05", "PQ-06"):
        found = {
            one.resource: one.verdict for one in CASES[case].judge(month(), parameters(expected={"trail_arn": gone}))
        }
        assert found[TRAIL] is Verdict.PASS
        assert found[gone] in (FAIL, OPEN)


EARLIER = parameters(expected={"review": EVERY | {"changed_back_known": False}})
BEGINS = START + 5 * DAY


def settings_known(told: RunParameters, **changed: Any) -> Finding:
    """Return what PQ-04 says of the settings of a month whose events are known from `BEGINS` on."""
    made = month(**{"asked": (BEGINS, NOW)} | changed)
    (finding,) = CASES["PQ-04"].judge(made, told)
    return finding


def test_what_was_changed_and_changed_back_before_the_event_history_is_open_or_told_as_not_looked_for():
    assert settings_known(parameters()).verdict is OPEN
    found = settings_known(EARLIER)
    assert found.verdict is Verdict.PASS
    beyond = "before 2026-03-06 00:00 UTC, where nothing drifted"
    assert found.message == (
        "The settings are known over the period: nothing changed; "
        f"what was changed and changed back {beyond}, was not looked for."
    )
    assert found.observations["changed and changed back, not looked for"] == beyond
    assert found.actual["events of the period"] == ["event history from 2026-03-06 00:00 UTC to 2026-03-29 06:00 UTC"]
    whole = settings_known(EARLIER, asked=(START, NOW))
    assert whole.message == "The settings are known over the period: nothing changed."


def test_what_the_event_history_holds_must_be_known_all_the_same():
    denied = {(REGION, "StopLogging"): Answer("cloudtrail:LookupEvents", ("E-e",), absence=DENIED)}
    assert settings_known(EARLIER, events=events() | denied).verdict is OPEN


def test_a_period_before_the_event_history_is_known_by_what_drifted():
    found = settings_known(EARLIER, asked=(NOW, NOW), events={})
    assert found.verdict is Verdict.PASS
    assert found.actual["events of the period"] == "nothing drifted"
    assert "changed back before 2026-03-29 00:00 UTC" in found.message


def test_the_time_of_log_files_is_told():
    logged = Logged((START, BEGINS), (), "No log file could be read.", {})
    found = settings_known(parameters(), logged=(logged,))
    assert found.verdict is OPEN
    assert (
        "log files from 2026-03-01 00:00 UTC to 2026-03-06 00:00 UTC: nothing" in found.actual["events of the period"]
    )


SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(("end", "failed"), [(NOW, {"PQ-03"}), (NOW - SECOND, set())], ids=["now", "before"])
def test_a_run_that_its_clock_dates_behind_now_is_one_of_a_period_up_to_now(end: datetime, failed: set[str]) -> None:
    """Its machine's clock was four seconds ahead of AWS's, which ends the period."""
    last = reviewed(run_of("OQ", NOW + 4 * SECOND), month().review.records[-1].state)
    last = replace(last, verdicts={"OQ-08": "FAIL"}, open={"OQ-08": ("DEV-01",)})
    made = beside(last, period=(START, end))
    # of its own day nothing was read
    asked = parameters(expected={"review": EVERY | {"every_day_covered": False}})
    assert {case for case, verdict in verdicts(made, asked).items() if verdict is FAIL} == failed
    drawn = timeline(made)
    assert (last.run.record_id in str(drawn.data)) is bool(failed)


def controlled(start: Any, end: Any) -> RunParameters:
    control = CONTROL | {"start": start.isoformat(), "end": end.isoformat()}
    return parameters(execution={"change_controls": [control]})


@pytest.mark.parametrize(
    ("start", "end", "verdict"),
    [
        pytest.param(MOMENT, MOMENT + SECOND, Verdict.PASS, id="from then on"),
        pytest.param(MOMENT + SECOND, MOMENT + HOUR, FAIL, id="begun after it"),
        pytest.param(MOMENT - HOUR, MOMENT, FAIL, id="ended with it"),
    ],
)
def test_a_change_control_covers_its_start_and_not_its_end(start: Any, end: Any, verdict: Verdict) -> None:
    found = judged(since(MOMENT, DISABLED, DISABLING), controlled(start, end))["PQ-04"]
    assert roll_up(one.verdict for one in found) is verdict
    assert found[0].evidence == ("E-DisableKey",)


def between() -> tuple[Any, Any]:
    """Return when the record before an unexplained change was begun, and the one behind it ended."""
    runs = [one.run for one in month().review.records]
    return max(run.began for run in runs if run.began < MOMENT), min(run.ended for run in runs if run.began > MOMENT)


@pytest.mark.parametrize(
    ("side", "start", "end", "verdict"),
    [
        pytest.param(0, -HOUR, 0 * SECOND, FAIL, id="ended as it can have begun"),
        pytest.param(0, -HOUR, SECOND, OPEN, id="ended after that"),
        pytest.param(1, 0 * SECOND, HOUR, OPEN, id="begun as it can have ended"),
        pytest.param(1, SECOND, HOUR, FAIL, id="begun after that"),
    ],
)
def test_a_change_that_no_event_tells_of_may_be_of_any_control_of_its_time(
    side: int, start: timedelta, end: timedelta, verdict: Verdict
) -> None:
    moment = between()[side]
    found = judged(since(MOMENT, DISABLED), controlled(moment + start, moment + end))["PQ-04"]
    assert roll_up(one.verdict for one in found) is verdict


@pytest.mark.parametrize(
    ("period", "asked", "verdict"),
    [
        pytest.param((0, 0), (0, 0), FAIL, id="within, and every event known"),
        pytest.param((0, 0), (1, 0), FAIL, id="within, and the first events not known"),
        pytest.param((1, 0), (0, 0), FAIL, id="begun before, and every event known"),
        pytest.param((1, 0), (1, 0), OPEN, id="begun before, and the first events not known"),
        pytest.param((0, -1), (1, 0), OPEN, id="ended behind, and the first events not known"),
        pytest.param((0, -1), (0, 0), FAIL, id="ended behind, and every event known"),
    ],
)
def test_a_change_that_no_event_tells_of_fails_where_it_was_surely_of_the_period(
    period: tuple[int, int], asked: tuple[int, int], verdict: Verdict
) -> None:
    start, end = between()
    made = since(MOMENT, DISABLED)
    bounds = {
        "period": (start + period[0] * SECOND, end + period[1] * SECOND),
        "asked": (start + asked[0] * SECOND, END),
    }
    found = judged(replace(made, review=replace(made.review, **bounds)), parameters())["PQ-04"]
    (told,) = [one for one in found if " to " in one.resource]
    assert told.verdict is verdict


@pytest.mark.parametrize(
    ("known", "words"),
    [(True, "no event tells who"), (False, "who did it is not known: cloudtrail:LookupEvents gave no value")],
)
def test_only_the_events_that_can_have_made_a_change_have_to_be_known(known: bool, words: str) -> None:
    name = "StopLogging" if known else "DisableKey"
    made = since(MOMENT, DISABLED)
    told = {(REGION, name): Answer("cloudtrail:LookupEvents", ("E-e",), absence=DENIED)}
    happened = replace(made, review=replace(made.review, events=dict(made.review.events) | told))
    (found,) = [one for one in judged(happened, parameters())["PQ-04"] if " to " in one.resource]
    assert words in found.message


def test_a_change_up_to_now_is_known_by_the_events_up_to_now() -> None:
    now = END - DAY
    made = replace(records(lambda one: one if one.run.began < now else None, now=now), trails=as_now(DISABLED))
    for asked, words in ((now, "no event tells who"), (now - DAY, "who did it is not known: What was changed after")):
        review = replace(made.review, asked=(START - 3 * DAY, asked))
        (found,) = [
            one for one in judged(replace(made, review=review), parameters())["PQ-04"] if " to " in one.resource
        ]
        assert words in found.message
