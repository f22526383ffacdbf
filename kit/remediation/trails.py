"""The steps on trails: made where there is none, validated, of all Regions, with its key, and logging at last."""

from dataclasses import replace

from kit.canonical import Json
from kit.checks.reading import flag, said
from kit.checks.trail import key_arn
from kit.remediation.buckets import takes_deliveries
from kit.remediation.draft import Draft, planned
from kit.remediation.keys import is_fit, parameter_of
from kit.snapshot import Trail

_MOST_SELECTORS = 5
"""How many event selectors a trail may have [PutEventSelectors]."""
_CLASSIC, _ADVANCED = "EventSelectors", "AdvancedEventSelectors"
_SWITCHED_OFF = "Its logs are delivered as before; digests come besides, an hour later."


def plan_trail(draft: Draft) -> None:
    """Add the steps after which the trail is there, records what it should under its key, and is logging."""
    if draft.found is None:
        _make(draft)
        return
    _plan_validation(draft)
    _plan_regions(draft)
    _plan_selectors(draft)
    _plan_key(draft, draft.found)
    _plan_logging(draft)


def plan_others(draft: Draft) -> None:
    """Add the steps that turn on validation for the other trails of the account that deliver without it."""
    for other in draft.others:
        validated, logging = other.description.get("LogFileValidationEnabled"), said(other.status, flag("IsLogging"))
        if validated is False and logging is True:
            _add_validation(draft, other, f"validate-{other.home_region}-{other.name}", ("IQ-11",))
            draft.change_other(replace(other, description={**other.description, "LogFileValidationEnabled": True}))


def _make(draft: Draft) -> None:
    """Make the trail, with its key, validation and Regions at once: no log is ever delivered without them."""
    trail, key = draft.trail, draft.trail.key
    if key is None or not is_fit(draft) or not takes_deliveries(draft):
        draft.note("IQ-02", "The trail is not made: it needs a key and a bucket that CloudTrail can use.")
        draft.without_trail()
        return
    arn = key_arn(key.named, key.metadata) or ""
    settings: dict[str, Json] = {
        "Name": trail.name,
        "S3BucketName": trail.description["S3BucketName"],
        "IsMultiRegionTrail": True,
        "IncludeGlobalServiceEvents": True,
        "EnableLogFileValidation": True,
        "KmsKeyId": parameter_of(arn),
    }
    draft.change_trail(KmsKeyId=arn)
    draft.add(
        "create-trail",
        "Make the trail: of all Regions, encrypted under the key, with log file validation",
        ("IQ-02", "IQ-03", "IQ-04", "IQ-08", "IQ-11"),
        ("cloudtrail", "CreateTrail", trail.home_region, settings),
        (None, settings),
        risk="None to what is there. A second trail of the same events is charged for.",
        undo=("DeleteTrail", {"Name": trail.name}),
    )
    _add_logging(draft)


def _plan_validation(draft: Draft) -> None:
    if draft.met("IQ-08", "log file validation") is False:
        _add_validation(draft, draft.trail, "validate", ("IQ-08", "IQ-11"))
        draft.change_trail(LogFileValidationEnabled=True)


def _add_validation(draft: Draft, trail: Trail, step: str, mends: tuple[str, ...]) -> None:
    named = {"Name": trail.arn}
    draft.add(
        step,
        f"Turn on log file validation of {trail.name}",
        mends,
        ("cloudtrail", "UpdateTrail", trail.home_region, {**named, "EnableLogFileValidation": True}),
        ({"LogFileValidationEnabled": False}, {"LogFileValidationEnabled": True}),
        risk=f"None. {_SWITCHED_OFF}",
        undo=("UpdateTrail", {**named, "EnableLogFileValidation": False}),
    )


def _plan_regions(draft: Draft) -> None:
    before = {name: draft.trail.description.get(name) for name in ("IsMultiRegionTrail", "IncludeGlobalServiceEvents")}
    if False not in (draft.met("IQ-03", "multi-Region"), draft.met("IQ-03", "global service events")):
        return
    after = dict.fromkeys(before, True)
    named = {"Name": draft.trail.arn}
    draft.add(
        "all-regions",
        "Record all Regions, and the events of global services",
        ("IQ-03",),
        ("cloudtrail", "UpdateTrail", draft.trail.home_region, {**named, **after}),
        (before, after),
        risk="More is delivered: of every Region. A copy of events that another trail has already is charged for.",
        undo=("UpdateTrail", {**named, **before}),
    )
    draft.change_trail(**after)


def _plan_selectors(draft: Draft) -> None:
    """Add an event selector for all management events beside those that are there; none of them is changed."""
    names = ("management events", "excluded event sources")
    held = draft.trail.selectors
    if held is None or held.value is None or False not in [draft.met("IQ-03", name) for name in names]:
        return
    kind = _ADVANCED if held.value.get(_ADVANCED) else _CLASSIC
    before: list[Json] = list(held.value.get(kind) or [])
    after = [*before, _all_but(_left_out(before, draft.parameters.expected.excluded_event_sources), kind)]
    draft.trail = replace(draft.trail, selectors=planned({kind: after}))
    mended = all(draft.met("IQ-03", name) is True for name in names)
    if not mended or (kind == _CLASSIC and len(after) > _MOST_SELECTORS):
        draft.note(
            "IQ-03", "An event selector beside those that are there does not mend it, or is one too many: decide."
        )
        draft.trail = replace(draft.trail, selectors=held)
        return
    named = {"TrailName": draft.trail.arn}
    draft.add(
        "select-management-events",
        "Record all management events, read and write, beside what is recorded already",
        ("IQ-03",),
        ("cloudtrail", "PutEventSelectors", draft.trail.home_region, {**named, kind: after}),
        ({kind: before}, {kind: after}),
        risk="All selectors are put: a change that somebody makes at the same moment would be lost. More is delivered.",
        undo=("PutEventSelectors", {**named, kind: before}),
        may_stop_delivery=True,
    )


def _left_out(selectors: list[Json], accepted: tuple[str, ...]) -> list[str]:
    """Return the sources that the parameters accept to be left out, and that a selector does leave out."""
    told = str(selectors)
    return [source for source in accepted if source in told]


def _all_but(excluded: list[str], kind: str) -> Json:
    if kind == _CLASSIC:
        selector: dict[str, Json] = {"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": []}
        return {**selector, "ExcludeManagementEventSources": excluded}
    fields: list[Json] = [{"Field": "eventCategory", "Equals": ["Management"]}]
    fields += [{"Field": "eventSource", "NotEquals": excluded}] if excluded else []
    return {"Name": "All management events", "FieldSelectors": fields}


def _plan_key(draft: Draft, found: Trail) -> None:
    key = draft.trail.key
    arn = key_arn(key.named, key.metadata) if key else None
    held = key_arn(found.key.named, found.key.metadata) if found.key else ""
    if key is None or arn is None or held is None or held == arn:
        return
    named = {"Name": draft.trail.arn}
    before = {"KmsKeyId": found.description.get("KmsKeyId")}
    draft.add(
        "encrypt",
        "Encrypt the trail's logs and digests under the expected key",
        ("IQ-04", "IQ-05", "IQ-11"),
        ("cloudtrail", "UpdateTrail", draft.trail.home_region, {**named, "KmsKeyId": parameter_of(arn)}),
        (before, {"KmsKeyId": parameter_of(arn)}),
        risk="What is delivered from then on can be read with this key alone; what lies there stays under its own.",
        undo=("UpdateTrail", {**named, "KmsKeyId": before["KmsKeyId"] or ""}),
        may_stop_delivery=True,
    )
    draft.change_trail(KmsKeyId=arn)


def _plan_logging(draft: Draft) -> None:
    if draft.met("IQ-03", "logging") is False:
        _add_logging(draft)
        status = draft.trail.status.value or {}
        draft.trail = replace(draft.trail, status=planned({**status, "IsLogging": True}))


def _add_logging(draft: Draft) -> None:
    named = {"Name": draft.trail.arn}
    draft.add(
        "start-logging",
        "Start logging",
        ("IQ-03",),
        ("cloudtrail", "StartLogging", draft.trail.home_region, named),
        ({"IsLogging": False}, {"IsLogging": True}),
        risk="None: events are recorded from then on. What happened before is not recorded after the fact.",
        undo=("StopLogging", named),
    )
