"""Checks on the settings of a trail: what it logs, which key it names, whether its files can be validated."""

from collections.abc import Callable, Mapping, Sequence

from kit.canonical import Json
from kit.findings import Finding, Judgement
from kit.parameters import RunParameters
from kit.snapshot import Answer, Key, Snapshot, Trail


def each_trail(
    test_case: str, snapshot: Snapshot, parameters: RunParameters, judge: Callable[[Trail, Judgement], Finding]
) -> list[Finding]:
    """Judge each trail that the run qualifies; where there is none, say so as one INCONCLUSIVE finding."""
    findings = [judge(trail, Judgement(test_case, trail.arn)) for trail in snapshot.trails if trail.judged]
    if findings:
        return findings
    judgement = Judgement(test_case, parameters.expected.trail_arn or f"account {parameters.account.account_id}")
    silent = [answer.why for answer in snapshot.regions.values() if answer.value is None]
    judgement.doubt("trail", "a trail to judge", " ".join(["There is no trail to judge; see IQ-02.", *silent[:1]]))
    return [judgement.finding("")]


def iq_03(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """The trail is logging, in all Regions, with global service events, and records management events, read and write,
    of every event source but those that the parameters except.

    Source: CloudTrail API reference, GetTrailStatus, EventSelector and AdvancedFieldSelector.
    """

    def judge(trail: Trail, judgement: Judgement) -> Finding:
        judgement.rest_on((*trail.evidence, *trail.status.evidence))
        if trail.status.value is None:
            judgement.doubt("logging", True, trail.status.why)
        else:
            logging = trail.status.value["IsLogging"]
            judgement.expect("logging", True, logging, otherwise=f"The trail {trail.arn} is not logging.")
        _setting(judgement, trail, "IsMultiRegionTrail", "multi-Region", "records its home Region only")
        _setting(judgement, trail, "IncludeGlobalServiceEvents", "global service events", "leaves them out")
        _judge_selectors(judgement, trail, parameters.expected.excluded_event_sources)
        return judgement.finding(f"The trail {trail.arn} logs management events of all Regions, read and write.")

    return each_trail("IQ-03", snapshot, parameters, judge)


def _setting(judgement: Judgement, trail: Trail, member: str, name: str, otherwise: str) -> None:
    value = trail.description.get(member)
    if value is None:
        judgement.doubt(name, True, f"The description of {trail.arn} does not hold {member}.")
    else:
        judgement.expect(name, True, value, otherwise=f"{name}: the trail {trail.arn} {otherwise}.")


def _judge_selectors(judgement: Judgement, trail: Trail, accepted: Sequence[str]) -> None:
    selectors = trail.selectors
    names = ("management events", "excluded event sources")
    expected = ("read and write", sorted(accepted))
    if selectors is not None:
        judgement.rest_on(selectors.evidence)
    if selectors is None or selectors.value is None:
        for name, value in zip(names, expected, strict=True):
            judgement.doubt(name, value, selectors.why if selectors else "The event selectors were not asked for.")
        return
    classic = selectors.value.get("EventSelectors") or []
    advanced = selectors.value.get("AdvancedEventSelectors") or []
    if not classic and not advanced:
        for name, value in zip(names, expected, strict=True):
            judgement.doubt(name, value, f"{selectors.call} names no event selector of {trail.arn}.")
        return
    coverage = [_classic(selector) for selector in classic] + [_advanced(selector) for selector in advanced]
    read = [excluded for reads, _, excluded in coverage if reads]
    write = [excluded for _, writes, excluded in coverage if writes]
    recorded = [word for word, found in (("read", read), ("write", write)) if found]
    judgement.expect(
        names[0],
        expected[0],
        " and ".join(recorded) or "none",
        otherwise=f"The trail {trail.arn} records of management events: {' and '.join(recorded) or 'none'}.",
    )
    # a source is recorded when any selector takes it in, so it is excluded only where every selector leaves it out
    excluded = sorted(
        set[str]().union(*(set.intersection(*covering) for covering in (read, write) if covering))
    )
    judgement.expect(
        names[1],
        expected[1],
        excluded,
        met=set(excluded) <= set(accepted),
        otherwise=f"The trail {trail.arn} leaves out the events of {', '.join(excluded)}.",
    )


_Coverage = tuple[bool, bool, set[str]]
"""Whether read and write management events are recorded, and what is left out of them."""


def _classic(selector: Mapping[str, Json]) -> _Coverage:
    kind = selector.get("ReadWriteType", "All") if selector.get("IncludeManagementEvents", True) else None
    left_out = set(selector.get("ExcludeManagementEventSources") or [])
    return kind in ("All", "ReadOnly"), kind in ("All", "WriteOnly"), left_out


def _advanced(selector: Mapping[str, Json]) -> _Coverage:
    fields = {field.get("Field"): field for field in selector.get("FieldSelectors") or []}
    category = fields.pop("eventCategory", {})
    if category.get("Equals") != ["Management"]:
        return False, False, set()
    read_only = fields.pop("readOnly", {}).get("Equals")
    left_out: set[str] = set()
    for name, field in fields.items():
        operators = {operator: value for operator, value in field.items() if operator != "Field" and value}
        if name == "eventSource" and set(operators) == {"NotEquals"}:
            left_out |= set(operators["NotEquals"])
        else:
            # any other field narrows the selector; what it leaves out can't be named by source
            left_out.add(f"all but those selected by {name}")
    return read_only in (None, ["true"]), read_only in (None, ["false"]), left_out


def key_arn(named: str, metadata: Answer[Mapping[str, Json]]) -> str | None:
    """Return the ARN of the key that an id, ARN, alias or alias ARN names, or None where that could not be told."""
    if metadata.value is not None:
        return str(metadata.value["Arn"])
    return named if ":key/" in named else None


def each_key(
    test_case: str,
    snapshot: Snapshot,
    parameters: RunParameters,
    judge: Callable[[Trail, Key, Judgement], Finding],
) -> list[Finding]:
    """Judge the key of each trail that the run qualifies; a trail without one leaves nothing to judge."""

    def of_trail(trail: Trail, judgement: Judgement) -> Finding:
        judgement.rest_on(trail.evidence)
        if trail.key is None:
            judgement.doubt("key", "a key to judge", f"The trail {trail.arn} has no KMS key to judge; see IQ-04.")
            return judgement.finding("")
        judgement.rest_on(trail.key.metadata.evidence)
        judgement.resource = key_arn(trail.key.named, trail.key.metadata) or trail.key.named
        return judge(trail, trail.key, judgement)

    return each_trail(test_case, snapshot, parameters, of_trail)


def iq_04(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """The trail names a KMS key, and it is the expected one, however either was written."""
    wanted, resolved = parameters.expected.kms_key_arn, snapshot.expected_key

    def judge(trail: Trail, judgement: Judgement) -> Finding:
        judgement.rest_on(trail.evidence)
        named = trail.description.get("KmsKeyId")
        sentence = f"The trail {trail.arn} has no KMS key: its logs are not encrypted under a customer-managed key."
        judgement.expect("KMS key", "present", "present" if named else "absent", otherwise=sentence)
        if trail.key is None:
            return judgement.finding("")
        judgement.rest_on((*trail.key.metadata.evidence, *(resolved.evidence if resolved else ())))
        actual = key_arn(trail.key.named, trail.key.metadata)
        if not wanted or resolved is None:
            judgement.doubt("key ARN", None, "The parameter expected.kms_key_arn is not stated.", actual)
            return judgement.finding("")
        expected = key_arn(wanted, resolved)
        if expected is None or actual is None:
            why = resolved.why if expected is None else trail.key.metadata.why
            judgement.doubt("key ARN", expected or wanted, why, actual or trail.key.named)
        else:
            sentence = f"The trail {trail.arn} is encrypted with {actual}, which is not the expected key."
            judgement.expect("key ARN", expected, actual, otherwise=sentence)
        return judgement.finding(f"The trail {trail.arn} is encrypted with the expected key.")

    return each_trail("IQ-04", snapshot, parameters, judge)


def iq_08(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """Log file validation is on: CloudTrail delivers signed digests of the trail's log files."""

    def judge(trail: Trail, judgement: Judgement) -> Finding:
        judgement.rest_on(trail.evidence)
        _setting(judgement, trail, "LogFileValidationEnabled", "log file validation", "delivers no digests")
        return judgement.finding(f"Log file validation of the trail {trail.arn} is on.")

    return each_trail("IQ-08", snapshot, parameters, judge)
