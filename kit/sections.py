"""What a parameters file may say, section by section: every key with its type, its meaning and an example.

Descriptions and examples are what an error shows, and what an editor shows from the generated JSON Schema.
"""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from kit.identifiers import (
    AccountId,
    Alias,
    Bucket,
    Endpoint,
    EventName,
    ExternalId,
    Flag,
    Instant,
    KeyArn,
    KeyReference,
    Line,
    OrganizationId,
    Region,
    RoleArn,
    RoundId,
    TagKey,
    TagValue,
    TargetName,
    TestCaseId,
    Text,
    TrailArn,
    Whole,
)

_FIRST_YEAR, _LAST_YEAR = 2013, 2200  # CloudTrail began in 2013
MAX_HOURS = 8784
"""The longest window: a leap year."""


def distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the values, none of which may be given twice; things with an `id` are told apart by it."""
    counts = Counter(getattr(value, "id", value) for value in values)
    if repeated := sorted(str(value) for value, count in counts.items() if count > 1):
        raise ValueError(f"{', '.join(repeated)} is given more than once")
    return values


class Section(BaseModel):
    """A mapping of known keys, frozen once it is validated."""

    # hide_input: a chained validation error must not carry values that were refused
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Target(Section):
    """The AWS account to qualify, and how it is reached; credentials come from boto3's own chain, never from here."""

    account_id: AccountId = Field(description="the account's 12 digits, in quotes", examples=["123456789012"])
    regions: Annotated[
        Annotated[Literal["all"], Tag("<all>")]
        | Annotated[tuple[Region, ...], Field(min_length=1), AfterValidator(distinct), Tag("<listed>")],
        Discriminator(lambda value: "<all>" if isinstance(value, str) else "<listed>"),
    ] = Field("all", description="a list of Region names, or all for every enabled Region", examples=[["eu-west-1"]])
    endpoint_url: Endpoint | None = Field(
        None,
        description="an https address (http on this machine) that answers in place of AWS",
        examples=["http://127.0.0.1:5000"],
    )
    profile: Line | None = Field(None, description="a profile of the AWS configuration", examples=["gxp-audit"])
    role_arn: RoleArn | None = Field(
        None,
        description="the ARN of the role to assume in the account",
        examples=["arn:aws:iam::123456789012:role/GxPAudit"],
    )
    role_arns: dict[AccountId, RoleArn] = Field(
        {},
        description="for each further account, in quotes, the ARN of the role to assume there",
        examples=[{"210987654321": "arn:aws:iam::210987654321:role/GxPAudit"}],
    )
    external_id: ExternalId | None = Field(
        None,
        description="the external id that the roles ask for, 2 to 1224 characters; AWS does not treat it as a secret",
        examples=["gxp-audit-2026"],
    )
    session_tags: Annotated[dict[TagKey, TagValue], Field(max_length=50)] = Field(
        {}, description="tags of the assumed sessions, at most 50", examples=[{"purpose": "gxp-validation"}]
    )
    pace: dict[
        Literal["cloudtrail", "cloudtrail:LookupEvents", "kms", "sts", "organizations", "ec2", "iam", "s3"],
        Annotated[float, Field(gt=0, le=1000)],
    ] = Field(
        {},
        description="calls in a second, in each Region, that the run makes of a service at most",
        examples=[{"cloudtrail": 5, "kms": 20}],
    )
    log_bucket_account: AccountId | None = Field(
        None,
        description="the account that owns the log bucket, in quotes, where it is not the trail's",
        examples=["210987654321"],
    )

    @model_validator(mode="after")
    def _roles_in_their_accounts(self) -> Self:
        roles = self.role_arns | ({self.account_id: self.role_arn} if self.role_arn else {})
        for account, role in roles.items():
            if role.split(":")[4] != account:
                raise ValueError(f"the role given for account {account} belongs to another account")
        return self


class AcceptedKey(Section):
    """A key other than the trail's under which objects of a period may lie, and the change that accounts for it.

    `start` is inclusive, `end` exclusive; both are held against the time S3 stored the object.
    """

    arn: KeyArn = Field(
        description="the key's ARN",
        examples=["arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"],
    )
    start: Instant = Field(description="a date and time with UTC offset", examples=["2026-01-01T00:00:00Z"])
    end: Instant = Field(description="a date and time with UTC offset", examples=["2026-03-01T00:00:00Z"])
    change_control: Line = Field(description="the id of the change that replaced the key", examples=["CC-2026-004"])

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.start >= self.end:
            raise ValueError("end must come after start")
        return self


class Review(Section):
    """What a periodic review accepts. The flags are requirements: false says that the thing is not required."""

    iq_every_days: Annotated[Whole, Field(ge=1, le=3660)] | None = Field(
        None, description="whole days from 1 to 3660", examples=[92]
    )
    oq_every_days: Annotated[Whole, Field(ge=1, le=3660)] | None = Field(
        None, description="whole days from 1 to 3660", examples=[7]
    )
    every_day_covered: Flag = Field(True, description="true or false", examples=[True])
    every_change_explained: Flag = Field(True, description="true or false", examples=[True])
    changed_back_known: Flag = Field(True, description="true or false", examples=[True])
    event_logs: Literal["drift", "all"] = Field(
        "drift",
        description="drift or all: which log files are read where CloudTrail's event history does not reach",
        examples=["all"],
    )
    archived_restored: Flag = Field(True, description="true or false", examples=[True])


class Expected(Section):
    """What the control requires; a value left out is unknown, and a criterion that needs it is inconclusive.

    The flags are requirements, not findings: false says that the thing is not required.
    """

    trail_arn: TrailArn | None = Field(
        None, description="the trail's ARN", examples=["arn:aws:cloudtrail:eu-west-1:123456789012:trail/gxp-trail"]
    )
    kms_key_arn: KeyReference | None = Field(
        None,
        description="the key's ARN, id, alias or alias ARN",
        examples=["arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"],
    )
    key_alias: Alias | None = Field(
        None, description="the key's alias, beginning with alias/", examples=["alias/CloudTrailGxPKey"]
    )
    log_bucket: Bucket | None = Field(None, description="the bucket's name", examples=["gxp-cloudtrail-logs"])
    retention_days: Annotated[Whole, Field(ge=1, le=36500)] | None = Field(
        None, description="whole days from 1 to 36500", examples=[3650]
    )
    reader_role_arns: Annotated[tuple[RoleArn, ...], AfterValidator(distinct)] | None = Field(
        None,
        description="the ARNs of the roles that may read the logs",
        examples=[["arn:aws:iam::123456789012:role/GxPReader"]],
    )
    decrypt_accounts: Annotated[tuple[AccountId, ...], AfterValidator(distinct)] = Field(
        (),
        description="the accounts, in quotes, that may decrypt besides the key's own",
        examples=[["210987654321"]],
    )
    excluded_event_sources: Annotated[tuple[Line, ...], AfterValidator(distinct)] = Field(
        (),
        description="the event sources that the trail may leave out",
        examples=[["rdsdata.amazonaws.com"]],
    )
    organization_id: OrganizationId | None = Field(
        None, description="the organization's id, needed for an organization trail", examples=["o-a1b2c3d4e5"]
    )
    require_source_arn: Flag = Field(True, description="true or false", examples=[True])
    tls_only: Flag = Field(False, description="true or false", examples=[True])
    object_lock_mode: Literal["GOVERNANCE", "COMPLIANCE"] | None = Field(
        None, description="GOVERNANCE, COMPLIANCE or null (not required)", examples=["COMPLIANCE"]
    )
    access_logging: Flag = Field(False, description="true or false", examples=[True])
    mfa_delete: Flag = Field(False, description="true or false", examples=[True])
    accepted_kms_keys: tuple[AcceptedKey, ...] = Field(
        (),
        description="a list of keys, each with arn, start, end and change_control",
        examples=[
            [
                {
                    "arn": "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
                    "start": "2026-01-01T00:00:00Z",
                    "end": "2026-03-01T00:00:00Z",
                    "change_control": "CC-2026-004",
                }
            ]
        ],
    )
    denied_role_arn: RoleArn | None = Field(
        None,
        description="the ARN of a role that may list the logs and must be refused their key",
        examples=["arn:aws:iam::123456789012:role/GxPDeniedReader"],
    )
    organization_accounts: Annotated[tuple[AccountId, ...], AfterValidator(distinct)] | None = Field(
        None,
        description="the member accounts, in quotes, whose logs an organization trail delivers",
        examples=[["123456789012", "210987654321"]],
    )
    max_log_age_minutes: Annotated[Whole, Field(ge=1, le=10080)] = Field(
        60, description="whole minutes from 1 to 10080", examples=[60]
    )
    max_digest_age_minutes: Annotated[Whole, Field(ge=60, le=10080)] = Field(
        180, description="whole minutes from 60 to 10080", examples=[180]
    )
    digest_settling_minutes: Annotated[Whole, Field(ge=60, le=1440)] = Field(
        120, description="whole minutes from 60 to 1440", examples=[120]
    )
    fault_combinations: Annotated[Whole, Field(ge=1, le=1000)] = Field(
        40, description="whole combinations of three faults from 1 to 1000, for the tool qualification", examples=[40]
    )
    fault_seed: Annotated[Whole, Field(ge=0, le=2**31)] = Field(
        11, description="a whole number by which the combinations are drawn", examples=[11]
    )
    max_clock_skew_seconds: Annotated[Whole, Field(ge=0, le=3600)] = Field(
        5, description="whole seconds from 0 to 3600", examples=[5]
    )
    review: Review = Field(
        Review(),
        description="a mapping of iq_every_days, oq_every_days and what is required",
        examples=[{"iq_every_days": 92, "oq_every_days": 7}],
    )


class Window(Section):
    """The period under review: the last `hours`, or `start` up to `end`, in exactly one of the two forms."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["hours"]}, {"required": ["start", "end"]}]})

    hours: Annotated[Whole, Field(ge=1, le=MAX_HOURS)] | None = Field(
        None, description=f"whole hours from 1 to {MAX_HOURS}, counted back from now", examples=[24]
    )
    start: Instant | None = Field(
        None, description="a date and time with UTC offset", examples=["2026-11-22T00:00:00Z"]
    )
    end: Instant | None = Field(None, description="a date and time with UTC offset", examples=["2026-11-23T00:00:00Z"])

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.hours is None) == (self.start is None and self.end is None):
            raise ValueError("give either hours, or start and end")
        if (self.start is None) != (self.end is None):
            raise ValueError("start and end go together")
        if any(moment and not _FIRST_YEAR <= moment.year <= _LAST_YEAR for moment in (self.start, self.end)):
            raise ValueError(f"start and end lie in the years {_FIRST_YEAR} to {_LAST_YEAR}")
        if self.start and self.end and not timedelta() < self.end - self.start <= timedelta(hours=MAX_HOURS):
            raise ValueError(f"end must come after start, by at most {MAX_HOURS} hours")
        return self

    def period(self, now: datetime) -> tuple[datetime, datetime]:
        """Return start (inclusive) and end (exclusive) in UTC; `hours` are counted back from `now`, an aware time."""
        if self.start and self.end:
            return self.start, self.end
        end = now.astimezone(UTC)
        return end - timedelta(hours=self.hours or 0), end


class Approved(Section):
    """The plan of remediation that was approved, and under which change; nothing else is carried out.

    `confirmed` are the ids of its steps that can stop delivery, each of which was asked about.
    """

    plan: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] = Field(
        description="the hash that the plan was printed with", examples=["0" * 64]
    )
    change_control: Line = Field(description="the id of the change that approves the plan", examples=["CC-2026-004"])
    confirmed: Annotated[tuple[Line, ...], AfterValidator(distinct)] = Field(
        (), description="the ids of the steps that can stop delivery, confirmed one by one", examples=[["encrypt"]]
    )


class ChangeControl(Section):
    """An approved change: what of the control may be changed under it, and when. `start` is inclusive, `end` not.

    `events` and `resources` say what it covers: an event has to be one of these, and to name one of those. Where one is
    left out, it covers any.
    """

    id: Line = Field(description="the change's id", examples=["CC-2026-004"])
    start: Instant = Field(description="a date and time with UTC offset", examples=["2026-01-01T00:00:00Z"])
    end: Instant = Field(description="a date and time with UTC offset", examples=["2026-01-02T00:00:00Z"])
    what: Text = Field(description="what is changed, on one line", examples=["the key policy names another reader"])
    events: Annotated[tuple[EventName, ...], Field(min_length=1), AfterValidator(distinct)] | None = Field(
        None,
        description="the names of the CloudTrail events that it covers; any if left out",
        examples=[["PutKeyPolicy"]],
    )
    resources: Annotated[tuple[Line, ...], Field(min_length=1), AfterValidator(distinct)] | None = Field(
        None,
        description="ARNs, ids or names of what may be changed: trail, key, bucket, alias or role; any if left out",
        examples=[["arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"]],
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.start >= self.end:
            raise ValueError("end must come after start")
        return self


class Execution(Section):
    """Who runs which protocol on which system, as the record will state it."""

    executed_by: Line = Field(description="the name of who executes, at most 200 characters", examples=["Anna Müller"])
    system_id: Line = Field(description="the system's id in the validation plan", examples=["SYS-0042"])
    environment: Literal["sandbox", "qualification", "production"] = Field(
        description="sandbox, qualification or production", examples=["sandbox"]
    )
    protocol_id: Line = Field(description="the approved protocol's id", examples=["VP-2026-017"])
    reason: Line | None = Field(None, description="why the run is made", examples=["annual periodic review"])
    page_size: Literal["A4", "Letter"] = Field(
        "A4", description="A4 or Letter, the paper that the record is laid out for", examples=["Letter"]
    )
    change_controls: Annotated[tuple[ChangeControl, ...], AfterValidator(distinct)] = Field(
        (),
        description="a list of changes, each with id, start, end and what, and if need be events and resources",
        examples=[
            [
                {
                    "id": "CC-2026-004",
                    "start": "2026-01-01T00:00:00Z",
                    "end": "2026-01-02T00:00:00Z",
                    "what": "the key policy names another reader",
                }
            ]
        ],
    )


class Excluded(Section):
    """An account of an organization that is not validated, and why."""

    account_id: AccountId = Field(description="the account's 12 digits, in quotes", examples=["123456789012"])
    reason: Text = Field(description="why the account is not validated, on one line", examples=["holds no GxP data"])

    @property
    def id(self) -> str:
        """The account, by which exclusions are told apart."""
        return self.account_id


class RoundMember(Section):
    """One target of a round: the name of its outputs folder, and its account; none for the embedded one."""

    name: TargetName = Field(description="the target's name", examples=["production-eu"])
    account_id: AccountId | None = Field(None, description="the account's 12 digits", examples=["123456789012"])

    @property
    def id(self) -> str:
        """The name, by which targets are told apart."""
        return self.name


class Round(Section):
    """A round of qualifications of many targets, as its summary is told of it; `trailkit run --targets` fills it in.

    `organization` is how the accounts are listed of which the targets were to be all but those `excluded`.
    """

    id: RoundId = Field(description="the round's id", examples=["ROUND-20261130T080000Z-0a1b2c"])
    protocols: Annotated[tuple[Line, ...], Field(min_length=1), AfterValidator(distinct)] = Field(
        description="the protocols of the round", examples=[["IQ", "OQ"]]
    )
    targets: Annotated[tuple[RoundMember, ...], Field(min_length=1), AfterValidator(distinct)] = Field(
        description="the targets, each with name and account_id",
        examples=[[{"name": "production-eu", "account_id": "123456789012"}]],
    )
    demonstration: Flag = Field(description="whether any target is a demonstration", examples=[False])
    organization: Target | None = Field(
        None, description="how the organization is reached", examples=[{"account_id": "123456789012"}]
    )
    excluded: Annotated[tuple[Excluded, ...], AfterValidator(distinct)] = Field(
        (), description="the accounts that are not validated, each with its reason", examples=[[]]
    )


class Requirement(Section):
    """One user requirement, its risk, and the test cases that cover it."""

    id: Line = Field(description="the requirement's id", examples=["URS-017"])
    text: Text = Field(description="the requirement's text, on one line", examples=["Trail logs are encrypted."])
    risk: Literal["high", "medium", "low"] = Field(description="high, medium or low", examples=["high"])
    test_cases: Annotated[
        tuple[TestCaseId, ...],
        Field(min_length=1),
        AfterValidator(distinct),
    ] = Field(description="a list of test case ids", examples=[["IQ-04"]])
