"""The concrete requests that the key policy and the bucket policy are judged by, and the judging of them.

CloudTrail's own request must be allowed; the same request without what binds it to the trail must not.
"""

from collections.abc import Iterable

from kit.canonical import Json
from kit.findings import Judgement
from kit.policy import Decision, Evaluation, Grantee, Policy, PolicyError, Principal, Request, evaluate
from kit.snapshot import Answer

CLOUDTRAIL = Principal.service("cloudtrail.amazonaws.com")
ENCRYPTION_CONTEXT = "kms:encryptioncontext:aws:cloudtrail:arn"

Probe = tuple[str, Request]
"""Who asks, as a sentence can begin with it, and what is asked."""


def parse(answer: Answer[str]) -> tuple[Policy | None, str]:
    """Return the policy that an answer holds, or None and why, as a full sentence, there is none to judge."""
    if answer.value is None:
        return None, answer.why
    try:
        return Policy.parse(answer.value), ""
    except PolicyError as error:
        return None, f"The answer to {answer.call} is no policy that can be judged: {error.message}."


def must_be_allowed(
    judgement: Judgement, name: str, policy: Policy, requests: Iterable[Request], *, hint: str = ""
) -> None:
    """Judge that the policy allows every one of the requests; `hint` is a full sentence for what can't be decided."""
    refused: dict[tuple[str, str, str], list[str]] = {}
    doubts: dict[str, None] = {}
    labels: dict[str, None] = {}
    for request in requests:
        outcome = evaluate(policy, request)
        if outcome.decision is Decision.UNKNOWN:
            doubts[outcome.reason] = None
        elif outcome.decision is Decision.ALLOWED:
            labels |= dict.fromkeys(outcome.statements)
        else:
            refused.setdefault((request.principal.name, request.action, _said(outcome)), []).append(request.resource)
    if refused:
        actual = [f"{action} {how}" for _, action, how in refused]
        sentences = [
            f"{who} must be allowed {action} on {', '.join(resources)}, which is {how}."
            for (who, action, how), resources in refused.items()
        ]
        judgement.expect(name, "allowed", actual, met=False, otherwise=" ".join(sentences))
    elif doubts:
        judgement.doubt(name, "allowed", " ".join([*doubts, *([hint] if hint else [])]), "can't be decided")
    else:
        judgement.expect(name, "allowed", f"allowed by {', '.join(labels)}", met=True)


def must_not_be_allowed(
    judgement: Judgement, name: str, policy: Policy, probes: Iterable[Probe], expected: Json = "not allowed"
) -> None:
    """Judge that the policy allows, or leaves to another account's identity policies, none of several requests."""
    opened: dict[tuple[str, str], dict[str, None]] = {}
    doubts: dict[tuple[str, tuple[str, ...]], str] = {}
    for who, request in probes:
        outcome = evaluate(policy, request)
        if outcome.decision in (Decision.ALLOWED, Decision.DELEGATED):
            opened.setdefault((who, _said(outcome)), {})[request.action] = None
        elif outcome.decision is Decision.UNKNOWN:
            doubts.setdefault((who, outcome.statements), f"It stays open for {who}: {outcome.reason}")
    if opened:
        actual = [f"{who}: {', '.join(actions)} {how}" for (who, how), actions in opened.items()]
        sentences = [
            f"The policy must not let in {who}, but it does: {', '.join(actions)} {how}."
            for (who, how), actions in opened.items()
        ]
        judgement.expect(name, expected, actual, met=False, otherwise=" ".join(sentences))
    elif doubts:
        judgement.doubt(name, expected, " ".join(dict.fromkeys(doubts.values())), "can't be decided")
    else:
        judgement.expect(name, expected, "not allowed", met=True)


def told(allowed: Iterable[Grantee]) -> list[str]:
    """Return whom a policy names, each with the conditions it is named under, for a reader."""
    return [" ".join([grantee.principal, *(f"[{text}]" for text in grantee.conditions)]) for grantee in allowed]


_WORDS = {
    Decision.ALLOWED: "allowed",
    Decision.DELEGATED: "left to the identity policies of the account",
    Decision.DENIED: "not allowed",
    Decision.UNKNOWN: "not decided",
}


def _said(outcome: Evaluation) -> str:
    word = "denied" if outcome.explicit else _WORDS[outcome.decision]
    return f"{word} by {', '.join(outcome.statements)}" if outcome.statements else word
