"""What a snapshot says, by path: the same for the same meaning, and nothing where AWS said nothing."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from fixtures.operational import silent

from kit.collect.gather import gather
from kit.collect.settings import RecordedSettings
from kit.evidence import EvidenceStore
from kit.parameters import RunParameters
from kit.review.drift import ACCOUNT, ADDED, CHANGED, GONE, Change, State, drift
from kit.review.state import state
from kit.sandbox.account import READER, TRAIL_ARN
from kit.sandbox.server import CREDENTIALS, Sandbox
from kit.snapshot import Absence, Answer, Reason, Snapshot

DENIED = Absence(Reason.DENIED, "AccessDenied", "no")
MISSING = Absence(Reason.MISSING, "NoSuchThing")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> tuple[Snapshot, RunParameters, Path]:
    folder = tmp_path_factory.mktemp("run") / "evidence"
    with Sandbox() as sandbox, ThreadPoolExecutor(8) as executor:
        parameters = RunParameters.load(sandbox.parameters)
        return gather("IQ", parameters, EvidenceStore(folder), CREDENTIALS, executor, silent), parameters, folder


@pytest.fixture(scope="module")
def snapshot(recorded) -> Snapshot:
    return recorded[0]


def with_key(snapshot: Snapshot, **members: Any) -> Snapshot:
    (trail,) = snapshot.trails
    return replace(snapshot, trails=(replace(trail, key=replace(trail.key, **members)),))


def with_bucket(snapshot: Snapshot, **members: Any) -> Snapshot:
    (trail,) = snapshot.trails
    return replace(snapshot, trails=(replace(trail, bucket=replace(trail.bucket, **members)),))


def with_policy(snapshot: Snapshot, edit: Any) -> Snapshot:
    (trail,) = snapshot.trails
    text = edit(json.loads(trail.key.policy.value))
    return with_key(snapshot, policy=replace(trail.key.policy, value=text if isinstance(text, str) else dumped(text)))


def dumped(value: Any) -> str:
    return json.dumps(value)


def places(before: Snapshot, after: Snapshot) -> list[tuple[str, str]]:
    """Return what drifted, by place; statements without their digests."""
    found = drift(state(before), state(after))
    return [(change.kind, change.place.partition(" ")[0]) for change in found.changes]


def reordered(value: Any, seed: int) -> Any:
    """Return a policy with the same meaning, written otherwise."""
    random = Random(seed)  # noqa: S311 - any order will do
    if isinstance(value, dict):
        items = [(name, reordered(item, seed)) for name, item in value.items()]
        random.shuffle(items)
        return dict(items)
    if isinstance(value, list):
        items = [reordered(item, seed) for item in value]
        random.shuffle(items)
        return items
    return value


@pytest.mark.parametrize(
    "edit",
    [
        lambda policy: json.dumps(policy, indent=4),
        lambda policy: reordered(policy, 1),
        lambda policy: reordered(policy, 2),
        lambda policy: policy | {"Statement": [one | {"Action": [one["Action"]]} for one in policy["Statement"]]},
        lambda policy: policy | {"Statement": [*policy["Statement"], policy["Statement"][0]]},
    ],
    ids=["white space", "order", "another order", "a list of one", "a statement twice"],
)
def test_a_policy_that_means_the_same_has_not_drifted(edit, snapshot):
    assert places(snapshot, with_policy(snapshot, edit)) == []


def test_values_of_a_condition_are_in_no_order(snapshot):
    def edit(*values):
        def put(policy):
            policy["Statement"][3]["Condition"] = {"StringLike": {"kms:EncryptionContext:aws:cloudtrail:arn": values}}
            return policy

        return with_policy(snapshot, put)

    assert places(edit("a", "b"), edit("b", "a")) == []
    assert places(edit("a", "b"), edit("a", "c"))


@pytest.mark.parametrize(
    ("edit", "drifted"),
    [
        (
            lambda policy: policy | {"Statement": policy["Statement"][:3]},
            [(GONE, "key/policy/statement"), (GONE, "key/who")],
        ),
        (
            lambda policy: (
                policy
                | {"Statement": [*policy["Statement"], policy["Statement"][3] | {"Principal": {"AWS": "111111111111"}}]}
            ),
            [(ADDED, "key/policy/statement"), (ADDED, "key/who")],
        ),
        (
            lambda policy: (
                policy | {"Statement": [*policy["Statement"][:3], policy["Statement"][3] | {"Action": "kms:Decrypt*"}]}
            ),
            [(GONE, "key/policy/statement"), (ADDED, "key/policy/statement")],
        ),
        (
            lambda policy: (
                policy | {"Statement": [*policy["Statement"][:3], policy["Statement"][3] | {"Sid": "otherwise"}]}
            ),
            [(CHANGED, "key/policy/statement")],
        ),
        (lambda policy: policy | {"Version": "2008-10-17"}, [(CHANGED, "key/policy/Version")]),
    ],
    ids=["a statement gone", "a statement added", "a statement rewritten", "a label", "the language"],
)
def test_a_policy_that_means_something_else_has_drifted(edit, drifted, snapshot):
    assert sorted(places(snapshot, with_policy(snapshot, edit))) == sorted(drifted)


def test_a_policy_that_can_not_be_read_is_told_whole_and_who_decrypts_is_then_not_known(snapshot):
    found = drift(state(snapshot), state(with_policy(snapshot, lambda _: "{")))
    assert {change.place for change in found.changes} >= {"key/policy/unreadable"}
    assert not any("who can decrypt" in change.place for change in found.changes)
    assert set(found.unknown) == {f"{TRAIL_ARN}#key/who can decrypt"}


def key_says(part: str, value: Any) -> Any:
    """Return an edit by which a call about the key says something else, or more."""

    def edit(one: Snapshot) -> Snapshot:
        answer = getattr(one.trails[0].key, part)
        return with_key(
            one, **{part: replace(answer, value=answer.value | value if isinstance(value, dict) else value)}
        )

    return edit


def bucket_says(part: str, value: Any) -> Any:
    return lambda one: with_bucket(one, **{part: replace(getattr(one.trails[0].bucket, part), value=value)})


def trail_says(part: str, value: Any) -> Any:
    return lambda one: replace(one, trails=(replace(one.trails[0], **{part: value}),))


def denied(part: str) -> Any:
    """Return an edit by which a call gave no value."""
    answer = Answer(part, (), absence=DENIED)
    return {
        "enabled_regions": lambda one: replace(one, enabled_regions=answer),
        "status": trail_says("status", answer),
        "versioning": lambda one: with_bucket(one, versioning=answer),
    }.get(part, lambda one: with_key(one, **{part: answer}))


STOPPED = {"IsLogging": False, "StopLoggingTime": datetime(2026, 1, 1, tzinfo=UTC)}
GRANT = {"GrantId": "g1", "Operations": ["Decrypt"], "GranteePrincipal": READER}


@pytest.mark.parametrize(
    ("spoilt", "drifted"),
    [
        (key_says("aliases", ()), [(GONE, "key/aliases/alias/CloudTrailGxPKey")]),
        (
            key_says("metadata", {"KeyState": "Disabled", "Enabled": False}),
            [(CHANGED, "key/Enabled"), (CHANGED, "key/KeyState")],
        ),
        (
            key_says("rotation", {"NextRotationDate": datetime(2031, 1, 1, tzinfo=UTC)}),
            [(CHANGED, "key/rotation/NextRotationDate")],
        ),
        (key_says("grants", (GRANT,)), [(ADDED, "key/grants/g1")]),
        (
            lambda one: with_bucket(one, lifecycle=Answer("call", (), absence=MISSING)),
            [(GONE, "bucket/lifecycle/keep")],
        ),
        (bucket_says("versioning", {"Status": "Suspended"}), [(CHANGED, "bucket/versioning/Status")]),
        (
            trail_says("description", {"HomeRegion": "eu-west-1", "KmsKeyId": "other"}),
            [(GONE, "trail/LogFileValidationEnabled"), (CHANGED, f"trails/eu-west-1/{TRAIL_ARN}")],
        ),
        (
            trail_says("status", Answer("status", (), value=STOPPED)),
            [(ADDED, "logging/StopLoggingTime"), (CHANGED, "logging/IsLogging")],
        ),
    ],
    ids=["alias", "key state", "rotation", "grant", "lifecycle", "versioning", "trail", "stopped"],
)
def test_a_setting_that_is_otherwise_has_drifted_by_its_path(spoilt, drifted, snapshot):
    assert set(places(snapshot, spoilt(snapshot))) >= set(drifted)
    assert {place.partition("/")[0] for _, place in places(snapshot, spoilt(snapshot))} == {
        place.partition("/")[0] for _, place in drifted
    }


@pytest.mark.parametrize(
    ("part", "unknown"),
    [
        ("policy", ("key/policy", "key/who can decrypt")),
        ("grants", ("key/grants",)),
        ("metadata", ("key/",)),
        ("versioning", ("bucket/versioning",)),
        ("status", ("logging",)),
        ("enabled_regions", ("Regions",)),
    ],
)
def test_what_was_not_answered_is_not_known_and_has_not_drifted(part, unknown, snapshot):
    spoilt = denied(part)(snapshot)
    for pair in ((snapshot, spoilt), (spoilt, snapshot)):
        found = drift(*map(state, pair))
        assert found.changes == ()
        assert found.unknown
        assert all(path.partition("#")[2].startswith(unknown) for path in found.unknown)


def test_a_trail_that_is_not_there_is_gone_only_where_its_region_was_asked(snapshot):
    without = replace(snapshot, trails=(), regions=dict.fromkeys(snapshot.regions, Answer("call", (), ())))
    assert {change.kind for change in drift(state(snapshot), state(without)).changes} == {GONE}
    unasked = replace(without, regions=without.regions | {"eu-west-1": Answer("call", (), absence=DENIED)})
    found = drift(state(snapshot), state(unasked))
    assert found.changes == ()
    assert set(found.unknown) == {f"{ACCOUNT}#trails/eu-west-1"}


def test_what_was_not_to_be_asked_is_neither_gone_nor_unknown(snapshot):
    elsewhere = replace(snapshot, trails=(), regions={"us-east-1": Answer("call", (), ())})
    found = drift(state(snapshot), state(elsewhere))
    assert (found.changes, dict(found.unknown)) == ((), {})


def test_a_display_name_is_no_grant(snapshot):
    acl = snapshot.trails[0].bucket.acl
    named = replace(acl, value=acl.value | {"Owner": acl.value["Owner"] | {"DisplayName": "somebody"}})
    assert places(snapshot, with_bucket(snapshot, acl=named)) == []


def test_the_evidence_of_a_run_gives_the_state_that_the_run_saw(recorded, snapshot):
    _, parameters, folder = recorded
    with RecordedSettings() as settings:
        for _ in range(2):
            assert state(settings.read(folder, parameters)) == state(snapshot)


def test_a_state_is_read_back_as_it_was_written(snapshot):
    told = json.loads(json.dumps(state(snapshot).to_json()))
    assert State.from_json(told) == state(snapshot)


def test_drift_is_told_value_by_value():
    found = drift(State({"a#x": 1, "a#y": 2, "a#z": [1]}), State({"a#x": 1, "a#y": 3, "a#w": 4}))
    assert found.changes == (
        Change("a#w", ADDED, None, 4), Change("a#y", CHANGED, 2, 3), Change("a#z", GONE, [1], None),
    )  # fmt: skip
    assert (found.changes[0].trail, found.changes[0].place) == ("a", "w")
