"""The typed view of what was collected: every value an answer with its evidence, or an absence with its reason.

Nothing here has a default that could stand for 'unknown': what AWS did not answer is an `Absence`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, TypeVar

from kit.canonical import Json
from kit.digests.chain import Chain
from kit.digests.digest import PublicKey
from kit.digests.names import Place
from kit.digests.objects import Read
from kit.digests.problems import Problems
from kit.digests.reconcile import Tally
from kit.digests.sample import Sample
from kit.errors import EvidenceError
from kit.tool import Tool

if TYPE_CHECKING:
    from kit.review.period import Review
    from kit.summary import Summary

T = TypeVar("T")

PROCEDURE_KEY = "CloudTrail/GxP Annex 11 key"
"""How the manual procedure describes the key that it makes."""


class Reason(StrEnum):
    """Why there is no value."""

    MISSING = "missing"  # AWS says that the thing is not there
    DENIED = "denied"
    THROTTLED = "throttled"
    UNREACHABLE = "unreachable"
    UNREADABLE = "unreadable"  # a 200 whose body doesn't parse, or lacks what was asked for
    ERROR = "error"


@dataclass(frozen=True)
class Absence:
    """Why a call gave no value: the reason, and AWS's error code and message where it sent any."""

    reason: Reason
    code: str
    message: str = ""


@dataclass(frozen=True)
class Answer(Generic[T]):
    """What one call gave: a value or an absence, never both, and the ids of the evidence either way.

    `call` names the call as a reader would: `kms:DescribeKey in eu-west-1`.
    """

    call: str
    evidence: tuple[str, ...]
    value: T | None = None
    absence: Absence | None = None

    def __post_init__(self) -> None:
        if (self.value is None) == (self.absence is None):
            raise EvidenceError(f"{self.call} holds neither a value nor a reason, or both", "report this defect")

    @property
    def missing(self) -> bool:
        """Whether AWS answered that the thing is not there: a definite answer, unlike the other absences."""
        return self.absence is not None and self.absence.reason is Reason.MISSING

    @property
    def why(self) -> str:
        """The absence as a full sentence that names the call; empty where there is a value."""
        if self.absence is None:
            return ""
        detail = ": ".join(part for part in (self.absence.code, self.absence.message) if part)
        return f"{self.call} gave no value ({self.absence.reason.value}; {detail})."


@dataclass(frozen=True)
class Caller:
    """Who asked [STS GetCallerIdentity], and what the two clocks said at that moment.

    `date` is the server's own `Date` header (HTTP, whole seconds); `sent` and `received` the local clock, RFC 3339.
    """

    account: str
    arn: str
    date: str
    sent: str
    received: str


@dataclass(frozen=True)
class Key:
    """A KMS key: its metadata [DescribeKey], policy, rotation, aliases and grants, each by its own call.

    `metadata` is AWS's `KeyMetadata`. `policy` is the policy's text. `rotation` is None where the key can't rotate
    automatically and was not asked for it. `simulations` holds, by reader role, what identity policies decide.
    """

    named: str
    metadata: Answer[Mapping[str, Json]]
    policy: Answer[str] | None = None
    rotation: Answer[Mapping[str, Json]] | None = None
    aliases: Answer[tuple[str, ...]] | None = None
    grants: Answer[tuple[Mapping[str, Json], ...]] | None = None
    simulations: Mapping[str, Answer[str]] | None = None


@dataclass(frozen=True)
class Bucket:
    """The log bucket: the answer of each S3 call that says how it is protected.

    `region` is the bucket's Region name. `policy` is the policy's text. The others are the parsed responses.
    """

    name: str
    region: Answer[str]
    policy: Answer[str]
    policy_status: Answer[Mapping[str, Json]]
    acl: Answer[Mapping[str, Json]]
    ownership: Answer[Mapping[str, Json]]
    public_access_block: Answer[Mapping[str, Json]]
    account_public_access_block: Answer[Mapping[str, Json]]
    versioning: Answer[Mapping[str, Json]]
    encryption: Answer[Mapping[str, Json]]
    object_lock: Answer[Mapping[str, Json]]
    lifecycle: Answer[Mapping[str, Json]]
    logging: Answer[Mapping[str, Json]]
    request_payment: Answer[Mapping[str, Json]]


@dataclass(frozen=True)
class Trail:
    """One trail, described once, from its home Region where that was asked, else from a shadow of it.

    `description` is AWS's `Trail` structure [DescribeTrails]; `seen_in` lists the Regions that showed it. `judged` says
    whether the trail is one that the run qualifies; of the others only status and key are read.
    """

    arn: str
    description: Mapping[str, Json]
    seen_in: tuple[str, ...]
    evidence: tuple[str, ...]
    judged: bool
    status: Answer[Mapping[str, Json]]
    selectors: Answer[Mapping[str, Json]] | None
    key: Key | None
    bucket: Bucket | None

    @property
    def home_region(self) -> str:
        """The Region the trail was created in: the only one it is judged in."""
        return str(self.description["HomeRegion"])

    @property
    def name(self) -> str:
        """The trail's name."""
        return self.arn.partition(":trail/")[2]

    @property
    def account(self) -> str:
        """The account that owns the trail; the management account for an organization trail."""
        return self.arn.split(":")[4]


@dataclass(frozen=True)
class Delivery:
    """What one trail delivered within a window, verified and reconciled as it was read.

    `settled` is up to when every digest must be there; `required` the accounts and Regions that must have them, and
    `chains` those that do, of this trail alone; `newest_digest` is when S3 stored the newest. `digests` and `logs`
    count the objects of this trail; `others` tells the problems of other trails' logs that lie among them. `unknown`
    says in words what could not be listed, `unlisted` of which accounts and Regions. `evidence` holds the ids of the
    ledgers, `keys` the answers that gave CloudTrail's public keys; `example` is a log under the trail's key that was
    read.
    """

    trail: str
    window: tuple[datetime, datetime]
    now: datetime
    settled: datetime
    places: tuple[Place, ...]
    required: tuple[tuple[str, str], ...]
    chains: Mapping[tuple[str, str], Chain]
    newest_digest: datetime | None
    digests: Tally
    logs: Tally
    others: Problems
    unknown: tuple[str, ...]
    unlisted: frozenset[tuple[str, str]]
    keys: tuple[Answer[Mapping[str, PublicKey]], ...]
    sample: Sample | None
    example: Read | None
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refusal:
    """A role that must not read logs, sent to read one: assumed, let list, and its read.

    `log` is a log that the run itself had just read, None where there was none; `read` holds a value where S3 let the
    role in.
    """

    role: str
    log: Read | None
    assumed: Answer[str]
    listed: Answer[int] | None
    read: Answer[int] | None


@dataclass(frozen=True)
class Prospect:
    """What a remediation would put to use, read beside what the trails name; None is what had no need to be asked.

    `key` is the key that the parameters name, `alias` the metadata of the key that the expected alias names, `bucket`
    the expected log bucket. `unused` holds keys that nobody has an alias for, described as the procedure describes the
    key: one of them may have been made for the trail, by a remediation that was cut off.
    """

    key: Key | None = None
    alias: Answer[Mapping[str, Json]] | None = None
    bucket: Bucket | None = None
    unused: Answer[tuple[Key, ...]] | None = None


@dataclass(frozen=True)
class Carried:
    """One step of a plan as it was carried out: its id, and what AWS answered each time it was asked, in order.

    `date` is the server's own `Date` header of the last answer, empty where there was none.
    """

    step: str
    answers: tuple[Answer[Mapping[str, Json]], ...]
    date: str

    @property
    def done(self) -> bool:
        """Whether AWS took the change."""
        return self.answers[-1].value is not None


@dataclass(frozen=True)
class Remediation:
    """What became of a plan: its hash, that of the plan that was approved, and under which change.

    `approved` is None where nothing was approved, and so nothing changed. `steps` are the plan's in order, titles by
    id; `carried` those that were carried out. `status` is the trail's delivery status as asked last. `remaining` holds
    the titles of what a new plan would do after the changes.
    """

    plan: str
    approved: str | None
    change_control: str | None
    steps: Mapping[str, str]
    carried: tuple[Carried, ...] = ()
    status: Answer[Mapping[str, Json]] | None = None
    remaining: tuple[str, ...] = ()

    @property
    def changed(self) -> datetime | None:
        """When AWS answered the last change that it took, by its own clock; None where it took none."""
        dates = [one.date for one in self.carried if one.done]
        try:
            return parsedate_to_datetime(dates[-1]).astimezone(UTC) if dates else None
        except (ValueError, TypeError):
            return None


@dataclass(frozen=True)
class Snapshot:
    """All that one run collected.

    `enabled_regions` are the Regions enabled for the account [EC2 DescribeRegions]; `regions` is, for each Region that
    was asked, the ARNs of the trails it showed [DescribeTrails, shadow trails included]. `expected_key` is what
    `expected.kms_key_arn` resolves to, or None where none was stated. `deliveries` holds, by trail, what was delivered,
    or in words why that was not collected; `refusal` the role that was sent to be refused, where one was named.
    `prospect` is what only a remediation asks for, `remediation` what became of its plan. `tool` is what the kit did
    when it was challenged, where that was asked for, and then all there is.
    `review` is what a periodic review has before it, or in words why that was not collected; None in another protocol.
    `summary` is what the summary of a round has before it, and then all there is.
    """

    caller: Answer[Caller]
    enabled_regions: Answer[tuple[str, ...]]
    regions: Mapping[str, Answer[tuple[str, ...]]]
    trails: tuple[Trail, ...]
    expected_key: Answer[Mapping[str, Json]] | None
    deliveries: Mapping[str, Delivery | str] = field(default_factory=dict)
    refusal: Refusal | None = None
    tool: Tool | None = None
    prospect: Prospect | None = None
    remediation: Remediation | None = None
    review: "Review | str | None" = None
    summary: "Summary | None" = None

    @property
    def moment(self) -> datetime | None:
        """When the run asked, by AWS's own clock, or None: what ages and windows are held against."""
        if self.caller.value is None:
            return None
        try:
            return parsedate_to_datetime(self.caller.value.date).astimezone(UTC)
        except (ValueError, TypeError):
            return None


def answers(part: object) -> Iterator[Answer[Json]]:
    """Yield every answer that a snapshot, or a part of it, holds."""
    if isinstance(part, Answer):
        yield part
    elif is_dataclass(part):
        for member in fields(part):
            yield from answers(getattr(part, member.name))
    elif isinstance(part, Mapping):
        for item in part.values():
            yield from answers(item)
    elif isinstance(part, tuple):
        for item in part:
            yield from answers(item)


def why_no_rotation(metadata: Mapping[str, Json]) -> str:
    """Return why a key can't rotate automatically, as a full sentence, or an empty string where it can.

    Source: KMS developer guide, "Rotate AWS KMS keys": only symmetric encryption keys whose material KMS made;
    asymmetric and HMAC keys, imported material and custom key stores can't. AWS rotates its own managed keys every
    year. A member that the answer lacks is no reason.
    """
    spec, origin = metadata.get("KeySpec"), metadata.get("Origin")
    if isinstance(spec, str) and spec != "SYMMETRIC_DEFAULT":
        return f"A key of specification {spec} can't rotate automatically."
    if isinstance(origin, str) and origin != "AWS_KMS":
        return f"A key with key material of origin {origin} can't rotate automatically."
    return ""
