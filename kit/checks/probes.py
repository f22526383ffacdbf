"""The concrete requests that the key policy and the bucket policy are judged by, and the judging of them.

CloudTrail's own request must be allowed; the same request without what binds it to the trail must not.
"""

from collections.abc import Iterable

from kit.canonical import Json
from kit.findings import Judgement
from kit.policy import Decision, Evaluation, Policy, PolicyError, Principal, Request, evaluate
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
    outcomes = [(request, evaluate(policy, request)) for request in requests]
    refused = {outcome.reason: None for _, outcome in outcomes if outcome.decision in _REFUSES}
    doubts = {outcome.reason: None for _, outcome in outcomes if outcome.decision is Decision.UNKNOWN}
    if refused:
        actual = [f"{request.action} on {request.resource}: {_said(outcome)}" for request, outcome in outcomes]
        judgement.expect(name, "allowed", actual, met=False, otherwise=" ".join(map(_sentence, refused)))
    elif doubts:
        judgement.doubt(name, "allowed", " ".join([*doubts, *([hint] if hint else [])]), "can't be decided")
    else:
        labels = dict.fromkeys(label for _, outcome in outcomes for label in outcome.statements)
        judgement.expect(name, "allowed", f"allowed by {', '.join(labels)}", met=True, otherwise="")


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
            doubts.setdefault((who, outcome.statements), outcome.reason)
    if opened:
        actual = [f"{who}: {', '.join(actions)} {how}" for (who, how), actions in opened.items()]
        sentences = [
            _sentence(f"{who} must not be allowed {', '.join(actions)}, which is {how}.")
            for (who, how), actions in opened.items()
        ]
        judgement.expect(name, expected, actual, met=False, otherwise=" ".join(sentences))
    elif doubts:
        judgement.doubt(name, expected, " ".join(dict.fromkeys(doubts.values())), "can't be decided")
    else:
        judgement.expect(name, expected, "not allowed", met=True, otherwise="")


_REFUSES = (Decision.DENIED, Decision.DELEGATED)
_WORDS = {
    Decision.ALLOWED: "allowed",
    Decision.DELEGATED: "left to the identity policies of the account",
    Decision.DENIED: "not allowed",
    Decision.UNKNOWN: "not decided",
}


def _said(outcome: Evaluation) -> str:
    word = "denied" if outcome.explicit else _WORDS[outcome.decision]
    return f"{word} by {', '.join(outcome.statements)}" if outcome.statements else word


def _sentence(text: str) -> str:
    return text if text.startswith(("arn:", CLOUDTRAIL.name)) else text[:1].upper() + text[1:]
