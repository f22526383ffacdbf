"""Who asks: CloudTrail for a trail, a stranger, and everybody from outside whom a policy mentions.

What AWS sends along with a request is known, or known to be absent, only as far as it is documented. Any other key that
the conditions of a policy ask for is not known, and a decision that rests on it stays open.

Source: IAM user guide, "AWS global condition context keys"; KMS developer guide, "AWS KMS condition keys".
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kit.checks.probes import CLOUDTRAIL
from kit.errors import ParameterError
from kit.parameters import RunParameters
from kit.policy import Policy, Principal, Statement
from kit.snapshot import Trail

Context = dict[str, str | None]
"""Condition keys in lower case; None where the value is not known."""

_TLS: Context = {"aws:securetransport": "true", "s3:tlsversion": "1.2"}
_ELSEWHERE: Context = {"aws:principalorgid": "o-strangers0", "aws:principalorgpaths": "o-strangers0/r-any/"}
# Sent only where a service acts for a resource; only with a signed identity; only through somebody's own network.
_OF_SERVICES = ("aws:sourcearn", "aws:sourceaccount", "aws:sourceorg", "aws:sourceowner")
_OF_IDENTITIES = ("aws:principal", "aws:userid", "aws:username", "aws:multifactorauth")
_OF_NETWORKS = ("aws:sourcevpc",)
_ACCOUNT_KEYS = ("kms:calleraccount", "aws:principalaccount", "aws:principalarn")
_ORGANIZATION_KEYS = ("aws:principalorgid", "aws:principalorgpaths")


@dataclass(frozen=True)
class Asker:
    """Somebody from outside: the principal, what is known of its requests, and how a sentence names it."""

    name: str
    principal: Principal
    context: Context


@dataclass(frozen=True)
class Askers:
    """Who asks for what one policy protects, for one trail; `stranger` is an account that nothing names."""

    policy: Policy
    trail: str
    organization: str | None
    stranger: str

    @classmethod
    def of(cls, policy: Policy, text: str, trail: Trail, parameters: RunParameters) -> "Askers":
        """Return the askers for a policy; the stranger's account is none of the run and none in the policy's text."""
        expected = parameters.expected
        known = {trail.account, parameters.account.account_id, *expected.decrypt_accounts}
        numbers = (f"{digit}" * 12 for digit in "9876543210")
        stranger = next(number for number in numbers if number not in known and number not in text)
        return cls(policy, trail.arn, expected.organization_id, stranger)

    @property
    def partition(self) -> str:
        """The partition of the trail: `aws`, `aws-cn`, `aws-us-gov`."""
        return self.trail.split(":")[1]

    @property
    def foreign_trail(self) -> str:
        """A trail of the stranger's account."""
        return f"arn:{self.partition}:cloudtrail:{self.trail.split(':')[3]}:{self.stranger}:trail/stranger"

    @property
    def hint(self) -> str:
        """The parameter without which a condition on the trail's organization can't be judged, as a full sentence."""
        asked = any(key.startswith("aws:sourceorg") for key in self._keys())
        return "The parameter expected.organization_id is not stated." if asked and not self.organization else ""

    def role(self, account: str, name: str = "any") -> Principal:
        """Return a role of an account."""
        return Principal.role(f"arn:{self.partition}:iam::{account}:role/{name}")

    def cloudtrail(self) -> Context:
        """Return what CloudTrail sends along for the trail: it speaks TLS 1.2 or newer and uses nobody's VPC."""
        bound: Context = {
            "aws:sourcearn": self.trail,
            "aws:sourceaccount": self.trail.split(":")[4],
            "aws:sourceorgid": self.organization,
            "aws:sourceorgpaths": None,
        }
        absent = (*_OF_IDENTITIES, *_OF_NETWORKS, "kms:encryptioncontext")
        return self._open(CLOUDTRAIL, absent) | _TLS | bound

    def foreign(self, context: Context) -> Context:
        """Return a context of CloudTrail's as it would be for a trail of another account and organization."""
        return context | {
            "aws:sourcearn": self.foreign_trail,
            "aws:sourceaccount": self.stranger,
            "aws:sourceorgid": _ELSEWHERE["aws:principalorgid"],
            "aws:sourceorgpaths": _ELSEWHERE["aws:principalorgpaths"],
        }

    def sent_by(self, principal: Principal) -> Context:
        """Return what is known of the requests of an IAM identity: encrypted, and not of a service's making."""
        return self._open(principal, _OF_SERVICES) | _TLS

    def places(self, folder: str) -> list[str]:
        """Return the resources under an ARN that Allow statements name; a text with wildcards matches itself."""
        named = (text for statement in self._allows() for text in statement.resources or ())
        return list(dict.fromkeys(text for text in named if text.startswith(folder)))

    def strangers(self) -> list[Asker]:
        """Return who must be let in nowhere: a role of an account that nothing names, and someone anonymous."""
        role, anonymous = self.role(self.stranger, "stranger"), Principal.anonymous()
        unsigned = (*_OF_SERVICES, *_OF_IDENTITIES, "kms:calleraccount")
        return [
            Asker("a stranger of any other account", role, self.sent_by(role) | _ELSEWHERE),
            Asker("someone anonymous", anonymous, self._open(anonymous, unsigned) | _TLS),
        ]

    def outsiders(self, named: Iterable[str]) -> list[Asker]:
        """Return everyone but the named accounts and identities, and every organization, that an Allow statement
        mentions, be it as its principal or in a condition: each as one identity that fits what is written.

        An organization is nobody's name: whoever joins it is let in.
        """
        organizations = sorted({value.split("/")[0] for value in self._values(_ORGANIZATION_KEYS)})
        member: Context = {"aws:principalorgid": organizations[0] if len(organizations) == 1 else None}
        inside = set(named)
        askers: list[Asker] = []
        for principal in dict.fromkeys(map(self._fitting, (*self._principals(), *self._values(_ACCOUNT_KEYS)))):
            if principal is not None and not {principal.account, principal.name} & inside:
                name = f"account {principal.account}" if principal.path == ["role", "any"] else principal.name
                askers.append(Asker(name, principal, self.sent_by(principal) | member))
        role = self.role(self.stranger, "stranger")
        for value in dict.fromkeys(self._values(_ORGANIZATION_KEYS)):
            inside_it: Context = {
                "aws:principalorgid": value.split("/")[0],
                "aws:principalorgpaths": value if "/" in value else None,
            }
            context = self.sent_by(role) | inside_it
            askers.append(Asker(f"everyone in the organization {value}", role, context))
        return askers

    def _fitting(self, text: str) -> Principal | None:
        """Return an identity that fits a principal as policies write it, or None where the text names no account."""
        if text == "*":
            return None  # everyone: that is for the stranger to find
        parts = text.split(":", 5)
        account, identity = (parts[4], parts[5]) if len(parts) == 6 else (text, "*")
        head, wild, tail = account.replace("?", "0").partition("*")
        tail = tail.replace("*", "")
        account = f"{head}{'0' * (12 - len(head + tail))}{tail}" if head or tail else self.stranger if wild else ""
        if len(account) != 12 or not account.isdigit():
            return None
        if identity == "*":
            return self.role(account)
        filled = identity.replace("*", "any").replace("?", "x")
        try:
            return Principal.role(":".join([*parts[:4], account, filled]).replace("arn:*:", f"arn:{self.partition}:"))
        except ParameterError:
            return self.role(account)

    def _open(self, principal: Principal, absent: tuple[str, ...]) -> Context:
        """Return each key that the policy asks for as not known, but for what is known or absent by who asks."""
        return {key: None for key in self._keys() if key not in principal.context and not key.startswith(absent)}

    def _keys(self) -> Iterator[str]:
        return (condition.key.lower() for statement in self.policy.statements for condition in statement.conditions)

    def _principals(self) -> Iterator[str]:
        # an account's ARN stands for all of it, as its id does
        values = (entry.value for statement in self._allows() for entry in statement.principals or ())
        return (value.split(":")[4] if value.endswith(":root") else value for value in values)

    def _values(self, keys: tuple[str, ...]) -> Iterator[str]:
        for statement in self._allows():
            for condition in statement.conditions:
                if condition.key.lower() in keys:
                    yield from condition.values

    def _allows(self) -> Iterator[Statement]:
        return (statement for statement in self.policy.statements if statement.effect != "Deny")
