"""The concrete requests that the key policy and the bucket policy are judged by, and the judging of one.

CloudTrail's own request must be allowed; the same request without what binds it to the trail must not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kit.findings import Judgement
from kit.parameters import RunParameters
from kit.policy import Decision, Policy, PolicyError, Principal, Request, evaluate
from kit.snapshot import Answer, Trail

CLOUDTRAIL = Principal.service("cloudtrail.amazonaws.com")
ENCRYPTION_CONTEXT = "kms:EncryptionContext:aws:cloudtrail:arn"

Context = dict[str, str | None]


@dataclass(frozen=True)
class Places:
    """The ARNs that the requests of one trail are made of; `stranger` is an account that nothing names."""

    partition: str
    trail: str
    account: str
    region: str
    stranger: str

    @classmethod
    def of(cls, trail: Trail, parameters: RunParameters) -> "Places":
        """Return the places of a trail; the stranger's account differs from every account of the run."""
        known = {trail.account, parameters.account.account_id, *parameters.expected.decrypt_accounts}
        stranger = next(digit * 12 for digit in "9876543210" if digit * 12 not in known)
        return cls(trail.arn.split(":")[1], trail.arn, trail.account, trail.home_region, stranger)

    @property
    def foreign_trail(self) -> str:
        """A trail of the stranger's account."""
        return f"arn:{self.partition}:cloudtrail:{self.region}:{self.stranger}:trail/stranger"

    def cloudtrail(self, source: str | None = None) -> Context:
        """Return what CloudTrail sends along for a trail, the trail of the run unless another is given.

        CloudTrail speaks TLS 1.2 or newer; its address, network and organization are not known here.
        """
        source = source or self.trail
        return {
            "aws:SourceArn": source,
            "aws:SourceAccount": source.split(":")[4],
            "aws:SecureTransport": "true",
            "s3:TlsVersion": "1.2",
            "aws:SourceIp": None,
            "aws:SourceOrgID": None,
            "aws:SourceOrgPaths": None,
        }

    def strangers(self) -> tuple[Principal, ...]:
        """Return who must be let in nowhere: a role of an account that nothing names, and someone anonymous."""
        role = Principal.role(f"arn:{self.partition}:iam::{self.stranger}:role/stranger")
        return role, Principal.anonymous()

    def stranger_context(self) -> Context:
        """Return what a stranger sends along: encrypted transport, a public address, an organization of their own."""
        return {
            "aws:SecureTransport": "true",
            "s3:TlsVersion": "1.2",
            "aws:SourceIp": "203.0.113.7",
            "aws:PrincipalOrgID": "o-strangers0",
            "kms:ViaService": f"s3.{self.region}.amazonaws.com",
        }


def parse(answer: Answer[str]) -> tuple[Policy | None, str]:
    """Return the policy that an answer holds, or None and why, as a full sentence, there is none to judge."""
    if answer.value is None:
        return None, answer.why
    try:
        return Policy.parse(answer.value), ""
    except PolicyError as error:
        return None, f"The answer to {answer.call} is no policy that can be judged: {error.message}."


def must_be_allowed(judgement: Judgement, name: str, policy: Policy, request: Request) -> None:
    """Judge that the policy allows a request."""
    outcome = evaluate(policy, request)
    if outcome.decision is Decision.UNKNOWN:
        judgement.doubt(name, "allowed", outcome.reason, "can't be decided")
    else:
        met = outcome.decision is Decision.ALLOWED
        judgement.expect(name, "allowed", _said(outcome.decision, outcome.statements), met=met, otherwise=outcome.reason)


def must_not_be_allowed(judgement: Judgement, name: str, policy: Policy, requests: Iterable[Request]) -> None:
    """Judge that the policy allows, or leaves to another account's identity policies, none of several requests."""
    opened: dict[str, None] = {}
    sentences: dict[str, None] = {}
    doubts: dict[str, None] = {}
    for request in requests:
        outcome = evaluate(policy, request)
        if outcome.decision in (Decision.ALLOWED, Decision.DELEGATED):
            opened[f"{request.action} {_said(outcome.decision, outcome.statements)}"] = None
            sentences[f"{name}: {outcome.reason}"] = None
        elif outcome.decision is Decision.UNKNOWN:
            doubts[outcome.reason] = None
    if opened:
        judgement.expect(name, "not allowed", list(opened), met=False, otherwise=" ".join(sentences))
    elif doubts:
        judgement.doubt(name, "not allowed", " ".join(doubts), "can't be decided")
    else:
        judgement.expect(name, "not allowed", "not allowed", otherwise="")


def _said(decision: Decision, statements: tuple[str, ...]) -> str:
    word = {Decision.ALLOWED: "allowed", Decision.DELEGATED: "left to identity policies"}.get(decision, "not allowed")
    return f"{word} by {', '.join(statements)}" if statements else word


def account_of(principal: str) -> str:
    """Return the account that a principal's text names, or an empty string where it names none."""
    if principal.isdigit() and len(principal) == 12:
        return principal
    parts = principal.split(":")
    return parts[4] if len(parts) >= 6 and parts[0] == "arn" else ""


def merged(*contexts: Mapping[str, str | None]) -> Context:
    """Return one request context from several; the later ones win."""
    result: Context = {}
    for context in contexts:
        result.update(context)
    return result
