"""Checks on the settings of a trail: what it logs, which key it names, whether its files can be validated."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from kit.canonical import Json
from kit.checks.reading import any_known, description, flag, judge, said, text, unsaid
from kit.findings import Finding, Judgement
from kit.parameters import RunParameters
from kit.snapshot import Answer, Key, Snapshot, Trail


def each_trail(
    test_case: str, snapshot: Snapshot, parameters: RunParameters, of_trail: Callable[[Trail, Judgement], Finding]
) -> list[Finding]:
    """Judge each trail that the run qualifies; where there is none, say so as one INCONCLUSIVE finding."""
    findings = [of_trail(trail, Judgement(test_case, trail.arn)) for trail in snapshot.trails if trail.judged]
    if findings:
        return findings
    judgement = Judgement(test_case, parameters.expected.trail_arn or f"account {parameters.account.account_id}")
    silent = [answer.why for answer in snapshot.regions.values() if answer.value is None]
    judgement.doubt("trail", "a trail to judge", " ".join(["There is no trail to judge; see IQ-02.", *silent[:1]]))
    return [judgement.finding()]


def iq_03(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """The trail is logging, in all Regions, with global service events, and records management events, read and write,
    of every event source but those that the parameters except.

    Source: CloudTrail API reference, "GetTrailStatus", "EventSelector" and "AdvancedFieldSelector".
    """

    def of_trail(trail: Trail, judgement: Judgement) -> Finding:
        described = description(trail)
        for name, answer, member, wrong in (
            ("logging", trail.status, "IsLogging", "is not logging"),
            ("multi-Region", described, "IsMultiRegionTrail", "records its home Region only"),
            ("global service events", described, "IncludeGlobalServiceEvents", "leaves out global service events"),
        ):
            judge(judgement, name, True, answer, flag(member), otherwise=f"The trail {trail.arn} {wrong}.")
        _judge_selectors(judgement, trail, parameters.expected.excluded_event_sources)
        return judgement.finding(
            f"The trail {trail.arn} is logging: management events of all Regions, read and write, global services too."
        )

    return each_trail("IQ-03", snapshot, parameters, of_trail)


def _judge_selectors(judgement: Judgement, trail: Trail, accepted: Sequence[str]) -> None:
    asked = trail.selectors
    if asked is None:
        asked = Answer(f"cloudtrail:GetEventSelectors for {trail.arn}", (), value={})
    judgement.rest_on(asked.evidence)
    coverage = said(asked, _coverage) or []
    if not coverage:
        why = asked.why or f"The answer to {asked.call} names no event selector of {trail.arn}."
        judgement.doubt("management events", "read and write", why)
        judgement.doubt("excluded event sources", sorted(accepted), why)
        return
    recorded = {side: any_known(getattr(selector, side) for selector in coverage) for side in _SIDES}
    words = " and ".join(side for side, found in recorded.items() if found) or "none"
    if None in recorded.values() and False not in recorded.values():
        why = f"The answer to {asked.call} does not say of every event selector which management events it takes in."
        judgement.doubt("management events", "read and write", why, words)
    else:
        sentence = f"The trail {trail.arn} records of management events: {words}."
        judgement.expect("management events", "read and write", words, met=all(recorded.values()), otherwise=sentence)
    _judge_exclusions(judgement, trail, coverage, asked.call, set(accepted))


def _judge_exclusions(
    judgement: Judgement, trail: Trail, coverage: Sequence["_Coverage"], call: str, accepted: set[str]
) -> None:
    """Judge what is left out: a source is recorded when any selector takes it in, so only what every one leaves out."""
    excluded: set[str] = set()
    unknown = False
    for side in _SIDES:
        covering = [selector.left_out for selector in coverage if getattr(selector, side)]
        known = [left_out for left_out in covering if left_out is not None]
        left_out = frozenset.intersection(*known) if known else frozenset[str]()
        if len(known) < len(covering) or any(getattr(selector, side) is None for selector in coverage):
            # a selector that can't be read may take in what the others leave out, and may be all there is
            unknown = unknown or not known or bool(left_out - accepted)
            left_out &= accepted
        excluded |= left_out
    if unknown and not excluded - accepted:
        why = f"The answer to {call} does not say which event sources the event selectors of {trail.arn} leave out."
        judgement.doubt("excluded event sources", sorted(accepted), why, sorted(excluded))
        return
    sentence = f"The trail {trail.arn} leaves out the management events of {', '.join(sorted(excluded - accepted))}."
    met = excluded <= accepted
    judgement.expect("excluded event sources", sorted(accepted), sorted(excluded), met=met, otherwise=sentence)


class _Coverage(NamedTuple):
    """What one event selector takes in of management events, and which sources it leaves out; None is not known."""

    read: bool | None
    write: bool | None
    left_out: frozenset[str] | None


_SIDES = ("read", "write")
_KINDS = {"All": (True, True), "ReadOnly": (True, False), "WriteOnly": (False, True)}
_UNKNOWN, _NOTHING = _Coverage(None, None, None), _Coverage(False, False, frozenset())


def _coverage(selectors: Mapping[str, Json]) -> list[_Coverage]:
    kinds = (("EventSelectors", _classic), ("AdvancedEventSelectors", _advanced))
    return [
        said(Answer(member, (), value=selector), read) or _UNKNOWN
        for member, read in kinds
        for selector in selectors.get(member) or []
    ]


def _classic(selector: Mapping[str, Json]) -> _Coverage:
    """EventSelector: its two defaults, `true` and `All`, hold for a request; an answer says both."""
    if not flag("IncludeManagementEvents")(selector):
        return _NOTHING
    read, write = _KINDS[selector["ReadWriteType"]]
    excluded = selector.get("ExcludeManagementEventSources") or []  # a list that may be left out where it is empty
    return _Coverage(read, write, frozenset(excluded) if _all_text(excluded) else None)


def _advanced(selector: Mapping[str, Json]) -> _Coverage:
    """AdvancedFieldSelector: `eventCategory` is required and only Equals; `readOnly` is optional and only Equals;
    `eventSource` is only NotEquals for management events. What any other field leaves out can't be told.
    """
    fields = selector["FieldSelectors"]
    categories = [_operators(field) for field in fields if field["Field"] == "eventCategory"]
    if len(categories) != 1 or categories[0].keys() != {"Equals"} or not _all_text(categories[0]["Equals"]):
        return _UNKNOWN
    if "Management" not in categories[0]["Equals"]:
        return _NOTHING
    read = write = True
    left_out: frozenset[str] | None = frozenset()
    for field in fields:
        name, operators = field["Field"], _operators(field)
        if name == "readOnly":
            read, write = {"true": (read, False), "false": (False, write)}[_only(operators, "Equals")]
        elif name == "eventSource" and operators.keys() == {"NotEquals"} and _all_text(operators["NotEquals"]):
            left_out = left_out if left_out is None else left_out | frozenset(operators["NotEquals"])
        elif name != "eventCategory":
            left_out = None
    return _Coverage(read, write, left_out)


def _operators(field: Mapping[str, Json]) -> dict[str, Json]:
    return {operator: values for operator, values in field.items() if operator != "Field" and values}


def _only(operators: Mapping[str, Json], operator: str) -> str:
    if operators.keys() != {operator} or len(operators[operator]) != 1:
        raise ValueError(operator)
    return str(operators[operator][0])


def _all_text(values: Json) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def key_arn(named: str, metadata: Answer[Mapping[str, Json]]) -> str | None:
    """Return the ARN of the key that an id, ARN, alias or alias ARN names, or None where that could not be told."""
    arns = (said(metadata, text("Arn")) or "", named)
    return next((arn for arn in arns if arn.count(":") == 5 and ":key/" in arn), None)


def each_key(
    test_case: str,
    snapshot: Snapshot,
    parameters: RunParameters,
    of_key: Callable[[Trail, Key, Judgement], Finding],
) -> list[Finding]:
    """Judge the key of each trail that the run qualifies; a trail without one leaves nothing to judge."""

    def of_trail(trail: Trail, judgement: Judgement) -> Finding:
        judgement.rest_on(trail.evidence)
        if trail.key is None:
            judgement.doubt("key", "a key to judge", f"The trail {trail.arn} has no KMS key to judge; see IQ-04.")
            return judgement.finding()
        judgement.rest_on(trail.key.metadata.evidence)
        judgement.resource = key_arn(trail.key.named, trail.key.metadata) or trail.key.named
        return of_key(trail, trail.key, judgement)

    return each_trail(test_case, snapshot, parameters, of_trail)


def iq_04(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """The trail names a KMS key, and it is the expected one, however either was written.

    Source: CloudTrail API reference, "Trail": `KmsKeyId` is there only where a key was given.
    """
    wanted, resolved = parameters.expected.kms_key_arn, snapshot.expected_key

    def of_trail(trail: Trail, judgement: Judgement) -> Finding:
        judgement.rest_on(trail.evidence)
        sentence = f"The trail {trail.arn} has no KMS key: its logs are not encrypted under a customer-managed key."
        named = trail.description.get("KmsKeyId")
        judgement.expect("KMS key", "present", "present" if named else "absent", otherwise=sentence)
        if trail.key is None:
            if named:
                judgement.doubt("key ARN", wanted, f"The key {named} of the trail {trail.arn} was not asked for.")
            return judgement.finding()
        judgement.rest_on((*trail.key.metadata.evidence, *(resolved.evidence if resolved else ())))
        actual = key_arn(trail.key.named, trail.key.metadata)
        if not wanted or resolved is None:
            judgement.doubt("key ARN", None, "The parameter expected.kms_key_arn is not stated.", actual)
            return judgement.finding()
        expected = key_arn(wanted, resolved)
        if expected is None or actual is None:
            why = unsaid(resolved if expected is None else trail.key.metadata, "key ARN")
            judgement.doubt("key ARN", expected or wanted, why, actual or trail.key.named)
        else:
            sentence = f"The trail {trail.arn} is encrypted with {actual}, which is not the expected key {expected}."
            judgement.expect("key ARN", expected, actual, otherwise=sentence)
        return judgement.finding(f"The trail {trail.arn} is encrypted with the expected key {expected}.")

    return each_trail("IQ-04", snapshot, parameters, of_trail)


def iq_08(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """Log file validation is on: CloudTrail delivers signed digests of the trail's log files.

    Source: CloudTrail API reference, "Trail".
    """

    def of_trail(trail: Trail, judgement: Judgement) -> Finding:
        on, sentence = flag("LogFileValidationEnabled"), f"Log file validation of the trail {trail.arn} is off."
        judge(judgement, "log file validation", True, description(trail), on, otherwise=sentence)
        return judgement.finding(f"Log file validation of the trail {trail.arn} is on.")

    return each_trail("IQ-08", snapshot, parameters, of_trail)
