"""What the checks on delivered objects share: a finding a trail, problems told in conditions, keys told apart."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from kit.canonical import Json
from kit.checks.trail import each_trail, key_arn
from kit.digests.problems import Kind, Problem, Problems
from kit.digests.reconcile import Encrypted, Encryption
from kit.findings import Finding, Judgement, when
from kit.parameters import RunParameters
from kit.snapshot import Delivery, Snapshot, Trail

TRAIL_KEY, ACCEPTED_KEY, OTHER_KEY = "SSE-KMS, trail's key", "SSE-KMS, accepted key", "SSE-KMS, another key"
SSE_S3, UNENCRYPTED, UNREAD = "SSE-S3", "not encrypted", "not read"
NONE = "none found"
_KMS = ("aws:kms", "aws:kms:dsse")
_TOLD = 20


def each_delivery(
    test_case: str,
    snapshot: Snapshot,
    parameters: RunParameters,
    of_delivery: Callable[[Trail, Delivery, Judgement], Finding],
) -> list[Finding]:
    """Judge what each trail delivered; what was not collected, or not listed whole, leaves the criterion open."""

    def of_trail(trail: Trail, judgement: Judgement) -> Finding:
        judgement.rest_on(trail.evidence)
        delivery = snapshot.deliveries.get(trail.arn)
        if not isinstance(delivery, Delivery):
            why = delivery or f"What {trail.arn} delivered was not collected."
            judgement.doubt("delivered objects", "listed and read", why)
            return judgement.finding()
        judgement.rest_on(delivery.evidence)
        if delivery.unknown:
            first, *others = delivery.unknown
            why = f"{first}{more(len(others))}."
            judgement.doubt("folders of the log bucket", "listed whole", why, told(delivery.unknown))
        return of_delivery(trail, delivery, judgement)

    return each_trail(test_case, snapshot, parameters, of_trail)


def told(sentences: Iterable[str]) -> list[str]:
    """Return the first sentences of many, and how many more there are."""
    every = list(sentences)
    return every[:_TOLD] + ([f"{len(every) - _TOLD} more"] if len(every) > _TOLD else [])


def judge_problems(
    judgement: Judgement, name: str, problems: Problems | Iterable[Problems], kinds: Iterable[Kind]
) -> None:
    """Judge that there is no problem of these kinds."""
    several = [problems] if isinstance(problems, Problems) else list(problems)
    every, wanted = [one for each in several for one in each.of(*kinds)], tuple(kinds)
    count = sum(each.count(*wanted) for each in several)
    known = [one for one in every if one.known]
    if known:
        judgement.expect(name, NONE, _listed(every, count), met=False, otherwise=_sentence(known, count))
    elif every:
        judgement.doubt(name, NONE, _sentence(every, count), _listed(every, count))
    else:
        judgement.expect(name, NONE, NONE)


def _listed(problems: list[Problem], count: int) -> Json:
    shown = [problem.sentence for problem in problems[:_TOLD]]
    return shown + ([f"{count - len(shown)} more"] if count > len(shown) else [])


def _sentence(problems: list[Problem], count: int) -> str:
    return f"{problems[0].sentence}{more(count - 1)}."


def more(count: int) -> str:
    """Return, as the end of a sentence, how many more things are like the one that it tells."""
    return f"; and {count:,} more like it" if count else ""


def encryption_kind(encryption: Encryption, found: Encrypted, trail: Trail, parameters: RunParameters) -> str:
    """Return by what kind of encryption objects are protected; an accepted key counts only within its period."""
    algorithm, key = encryption
    if not algorithm:
        return UNENCRYPTED
    if algorithm not in _KMS:
        return SSE_S3 if algorithm == "AES256" else algorithm
    if key and key == trail_key(trail):
        return TRAIL_KEY
    for accepted in parameters.expected.accepted_kms_keys:
        within = (
            found.first is not None
            and found.last is not None
            and accepted.start <= found.first
            and found.last < accepted.end
        )
        if key == accepted.arn and within and not found.undated:
            return ACCEPTED_KEY
    return OTHER_KEY


def trail_key(trail: Trail) -> str | None:
    """Return the ARN of a trail's key, or None where it has none or its name could not be resolved."""
    return key_arn(trail.key.named, trail.key.metadata) if trail.key else None


def describe_encryption(
    encryption: Mapping[Encryption, Encrypted], trail: Trail, parameters: RunParameters
) -> list[Json]:
    """Return, for each encryption and key, what kind it is, how many objects it protects, and of which times."""
    rows: list[Json] = []
    for (algorithm, key), found in sorted(encryption.items()):
        kind = encryption_kind((algorithm, key), found, trail, parameters)
        changes = [one.change_control for one in parameters.expected.accepted_kms_keys if one.arn == key]
        rows.append(
            ({"change control": ", ".join(changes)} if kind == ACCEPTED_KEY else {})
            | {
                "kind": kind,
                "key": key or "none",
                "objects": found.count,
                "first": _moment(found.first),
                "last": _moment(found.last),
            }
        )
    return rows


def _moment(moment: datetime | None) -> str:
    return when(moment) if moment else "not stated"
