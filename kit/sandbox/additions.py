"""What moto lacks or gets wrong, put right as AWS documents it: the only place where the sandbox is more than moto.

Four kinds, each a function per operation: `replaces` answers without asking moto, `refuses` answers what moto would
let by, `prepares` changes the parameters on their way in (or answers), `corrects` changes moto's JSON on its way out.
Faults add nothing here: they act on top.
"""

import base64
import calendar
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar
from xml.sax.saxutils import escape

from moto.cloudtrail.models import Trail, cloudtrail_backends
from moto.iam.access_control import PermissionResult
from moto.kms.models import Key, kms_backends
from moto.s3.models import FakeBucket, s3_backends
from moto.s3control.models import s3control_backends

from kit.sandbox.account import ACCOUNT_ID as ACCOUNT
from kit.sandbox.account import DENIED_READER, READER
from kit.sandbox.calls import CALLER, JSON_SERVICES, Answer, Call, Rules, error, json_answer, query_answer, xml_answer

if TYPE_CHECKING:
    from kit.sandbox.delivery import Delivery

AGE = 30 * 86400.0
"""Seconds by which what was just seeded looks older: an account whose trail has been delivering for a month."""

DEFAULT_SELECTOR = {
    "ReadWriteType": "All",
    "IncludeManagementEvents": True,
    "DataResources": [],
    "ExcludeManagementEventSources": [],
}
# The Regions that every account has [AWS Regions: "enabled by default"], and those that an account must opt in to.
ENABLED = frozenset({
    "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2",
    "ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1", "us-east-1",
    "us-east-2", "us-west-1", "us-west-2",
})  # fmt: skip
OPT_IN = frozenset({
    "af-south-1", "ap-east-1", "ap-east-2", "ap-south-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5",
    "ap-southeast-6", "ap-southeast-7", "ca-west-1", "eu-central-2", "eu-south-1", "eu-south-2", "il-central-1",
    "me-central-1", "me-south-1", "mx-central-1",
})  # fmt: skip

_YEAR = 365 * 86400.0
_ROLES = (f"arn:aws:iam::{ACCOUNT}:role/{CALLER.split('/')[1]}", READER, DENIED_READER)
_READING = re.compile(r"[a-z0-9]+:(get|list|describe|head|lookup)|kms:decrypt$|sts:assumerole$")

Replacement = Callable[[Call, Rules], Answer]
Refusal = Callable[[Call], Answer | None]
Preparation = Callable[[Call], Answer | dict[str, Any]]
Correction = Callable[[Call, Any], Answer | dict[str, Any]]
_Function = TypeVar("_Function")
REPLACED: dict[tuple[str, str], Replacement] = {}
REFUSED: dict[tuple[str, str], Refusal] = {}
PREPARED: dict[tuple[str, str], Preparation] = {}
CORRECTED: dict[tuple[str, str], Correction] = {}
_payers: dict[str, str] = {}
_delivered: "list[Delivery]" = []


def _registers(table: dict[tuple[str, str], _Function]) -> Callable[..., Callable[[_Function], _Function]]:
    def register(service: str, *operations: str) -> Callable[[_Function], _Function]:
        def keep(function: _Function) -> _Function:
            table.update({(service, operation): function for operation in operations})
            return function

        return keep

    return register


replaces = _registers(REPLACED)
refuses = _registers(REFUSED)
prepares = _registers(PREPARED)
corrects = _registers(CORRECTED)


def ignore_bucket_policies() -> None:
    """Let no bucket policy refuse a call: moto skips Conditions, so a TLS-only Deny would refuse every one."""
    FakeBucket.get_permission = lambda *_: PermissionResult.NEUTRAL  # type: ignore[method-assign]


def forget() -> None:
    """Empty the account: no trail, key or bucket, no block of public access."""
    for backends in (cloudtrail_backends, kms_backends, s3_backends, s3control_backends):
        backends[ACCOUNT].reset()
    _payers.clear()
    _delivered.clear()


def show(delivery: "Delivery") -> None:
    """Let statuses and public keys be those of a delivery."""
    _delivered.append(delivery)


def without_nulls(value: dict[str, Any]) -> dict[str, Any]:
    """Drop members that are null: AWS leaves out what is not set."""
    return {name: member for name, member in value.items() if member is not None}


# --- STS, IAM and EC2: moto's services are not loaded at all; their start would take longer than everything else.


@replaces("sts", "GetCallerIdentity")
def caller_identity(call: Call, _: Rules) -> Answer:
    """Name a role session; moto names an IAM user in an STS ARN, which no account has."""
    result = (
        f"<Arn>arn:aws:sts::{ACCOUNT}:{call.caller}</Arn>"
        f"<UserId>{_role_id(call.caller)}</UserId><Account>{ACCOUNT}</Account>"
    )
    return query_answer(call, result)


@replaces("sts", "AssumeRole")
def assume_role(call: Call, rules: Rules) -> Answer:
    """Give credentials that the sandbox knows again: whoever signs with them is a session of the role [AssumeRole]."""
    role, session = str(call.parameters.get("RoleArn")), str(call.parameters.get("RoleSessionName"))
    if role not in _ROLES:
        who = f"User: arn:aws:sts::{ACCOUNT}:{call.caller} is not authorized to perform: sts:AssumeRole"
        return error(call, 403, "AccessDenied", f"{who} on resource: {role}")
    caller = f"assumed-role/{role.rpartition('/')[2]}/{session}"
    access_key = f"ASIA{_short_hash(caller)}"
    rules.sessions[access_key] = caller
    until = _iso(time.time() + int(call.parameters.get("DurationSeconds", 3600)))
    credentials = (
        f"<AccessKeyId>{access_key}</AccessKeyId><SecretAccessKey>sandbox</SecretAccessKey>"
        f"<SessionToken>sandbox</SessionToken><Expiration>{until}</Expiration>"
    )
    user = f"<AssumedRoleId>{_role_id(caller)}</AssumedRoleId><Arn>arn:aws:sts::{ACCOUNT}:{escape(caller)}</Arn>"
    return query_answer(call, f"<Credentials>{credentials}</Credentials><AssumedRoleUser>{user}</AssumedRoleUser>")


def _role_id(caller: str) -> str:
    _, role, session = caller.split("/")
    return f"AROA{_short_hash(role)}:{escape(session)}"


def _short_hash(text: str) -> str:
    return base64.b32encode(hashlib.sha256(text.encode()).digest())[:16].decode()


@replaces("iam", "SimulatePrincipalPolicy")
def simulate(call: Call, rules: Rules) -> Answer:
    """Decide each action: reading is allowed, all else is not, but for what the rules say [SimulatePrincipalPolicy]."""
    resources = _members(call, "ResourceArns.member") or ["*"]
    evaluated = []
    for action in _members(call, "ActionNames.member"):
        default = "allowed" if _READING.match(action.lower()) else "implicitDeny"
        decision = f"<EvalDecision>{rules.decisions.get(action.lower(), default)}</EvalDecision>"
        specific = "".join(
            f"<member><EvalResourceName>{escape(resource)}</EvalResourceName>"
            f"{decision.replace('EvalDecision', 'EvalResourceDecision')}<MatchedStatements/><MissingContextValues/>"
            "</member>"
            for resource in resources
        )
        evaluated.append(
            f"<member><EvalActionName>{escape(action)}</EvalActionName>"
            f"<EvalResourceName>{escape(resources[0])}</EvalResourceName>{decision}<MatchedStatements/>"
            f"<MissingContextValues/><ResourceSpecificResults>{specific}</ResourceSpecificResults></member>"
        )
    results = f"<IsTruncated>false</IsTruncated><EvaluationResults>{''.join(evaluated)}</EvaluationResults>"
    return query_answer(call, results)


@replaces("ec2", "DescribeRegions")
def describe_regions(call: Call, rules: Rules) -> Answer:
    """List enabled Regions only, unless `AllRegions`: moto lists every Region, those of other partitions too."""
    status = dict.fromkeys(rules.regions or ENABLED, "opt-in-not-required")
    if str(call.parameters.get("AllRegions", "")).lower() == "true":
        status |= dict.fromkeys(OPT_IN, "not-opted-in")
    names = _members(call, "RegionName") or sorted(status)
    if unknown := [name for name in names if name not in ENABLED | OPT_IN]:
        return error(call, 400, "InvalidParameterValue", f"Invalid region provided: {unknown[0]}")
    items = "".join(
        f"<item><regionName>{name}</regionName><regionEndpoint>ec2.{name}.amazonaws.com</regionEndpoint>"
        f"<optInStatus>{status[name]}</optInStatus></item>"
        for name in names
        if name in status
    )
    body = f"<requestId>{call.request_id}</requestId><regionInfo>{items}</regionInfo>"
    namespace = "http://ec2.amazonaws.com/doc/2016-11-15/"
    return xml_answer(f'<DescribeRegionsResponse xmlns="{namespace}">{body}</DescribeRegionsResponse>')


def _members(call: Call, prefix: str) -> list[str]:
    return [value for name, value in call.parameters.items() if re.fullmatch(rf"{re.escape(prefix)}\.\d+", name)]


# --- CloudTrail


def trails() -> Iterator[Trail]:
    """Yield every trail of the account, in whichever Region its home is."""
    for backend in list(cloudtrail_backends[ACCOUNT].values()):
        yield from list(backend.trails.values())


def home_region(call: Call) -> str:
    """Return the Region that must answer: a trail named by ARN is answered from everywhere [GetEventSelectors]."""
    named = call.parameters.get("TrailName") or call.parameters.get("Name")
    arn = re.match(r"arn:aws:cloudtrail:([a-z0-9-]+):\d{12}:trail/", str(named))
    return arn[1] if arn and call.service == "cloudtrail" and call.operation.startswith("Get") else call.region


@replaces("cloudtrail", "ListPublicKeys")
def list_public_keys(call: Call, _: Rules) -> Answer:
    """List the keys of a Region that are valid within a time, now if none is given, one key a page [ListPublicKeys]."""
    asked, now = call.parameters, time.time()
    start, end = float(asked.get("StartTime") or now), float(asked.get("EndTime") or now)
    if start > end:
        return error(call, 400, "InvalidTimeRangeException", "The start time must be before the end time.")
    keys = [
        key
        for delivery in _delivered[:1]
        for key in delivery.public_keys.get(call.region, ())
        if key.start.timestamp() <= end and key.end.timestamp() >= start
    ]
    token = str(asked.get("NextToken") or 0)
    if not token.isdecimal() or int(token) > len(keys):
        return error(call, 400, "InvalidTokenException", "The token is not valid.")
    page = int(token)
    listed = [
        {
            "Fingerprint": key.fingerprint,
            "Value": base64.b64encode(key.value).decode(),
            "ValidityStartTime": key.start.timestamp(),
            "ValidityEndTime": key.end.timestamp(),
        }
        for key in keys[page : page + 1]
    ]
    more = {"NextToken": str(page + 1)} if page + 1 < len(keys) else {}
    return json_answer({"PublicKeyList": listed, **more})


@prepares("cloudtrail", "CreateTrail", "UpdateTrail")
def trail_key(call: Call) -> Answer | dict[str, Any]:
    """Keep the key of a trail as an ARN, however it was given; moto echoes what it is given [CreateTrail]."""
    given = call.parameters.get("KmsKeyId")
    if not given or (given.startswith("arn:aws:kms:") and ":key/" in given):
        return dict(call.parameters)
    backend = kms_backends[ACCOUNT][call.region]
    key = backend.keys.get(backend.any_id_to_key_id(given) or "")
    if key is None:
        return error(call, 400, "KmsKeyNotFoundException", "Couldn't find the specified KMS key")
    return {**call.parameters, "KmsKeyId": key.arn}


@corrects("cloudtrail", "DescribeTrails", "CreateTrail", "UpdateTrail", "GetTrail")
def describe_trails(call: Call, value: Any) -> dict[str, Any]:
    """Leave out what is not set, tell custom event selectors, and filter by name as asked."""
    custom = {trail.arn: _is_custom(trail) for trail in trails()}

    def mended(trail: dict[str, Any]) -> dict[str, Any]:
        kept = {name: member for name, member in trail.items() if member not in (None, "")}
        return {**kept, "HasCustomEventSelectors": custom.get(trail["TrailARN"], False)}

    if call.operation == "GetTrail":
        return {"Trail": mended(value["Trail"])}
    if call.operation != "DescribeTrails":
        return mended(value)
    names = set(call.parameters.get("trailNameList") or ())
    listed = [trail for trail in value["trailList"] if not names or names & {trail["Name"], trail["TrailARN"]}]
    return {"trailList": [mended(trail) for trail in listed]}


@corrects("cloudtrail", "GetEventSelectors")
def event_selectors(_: Call, value: Any) -> dict[str, Any]:
    """Show the default selector where none was put (moto: none), and one kind of selectors only [GetEventSelectors]."""
    if value["AdvancedEventSelectors"]:
        return {name: value[name] for name in ("TrailARN", "AdvancedEventSelectors")}
    selectors = [{**DEFAULT_SELECTOR, **selector} for selector in value["EventSelectors"] or [DEFAULT_SELECTOR]]
    return {"TrailARN": value["TrailARN"], "EventSelectors": selectors}


@corrects("cloudtrail", "GetTrailStatus")
def trail_status(call: Call, value: Any) -> dict[str, Any]:
    """Show a trail a month old: logs some minutes ago, digests at the last full hour, no error [GetTrailStatus]."""
    named = call.parameters["Name"]
    trail = next(trail for trail in trails() if named in (trail.trail_name, trail.arn))
    status = {name: member for name, member in value.items() if name in ("IsLogging", "StopLoggingTime")}
    unset = ("LatestNotificationAttemptTime", "LatestNotificationAttemptSucceeded", "TimeLoggingStopped")
    status |= dict.fromkeys(unset, "")
    if "StartLoggingTime" in value:
        until = time.time() if value["IsLogging"] else value["StopLoggingTime"]
        delivered = float(int(until - 180))
        status["StartLoggingTime"] = value["StartLoggingTime"] - AGE
        status["TimeLoggingStarted"] = _iso(status["StartLoggingTime"])
        status["LatestDeliveryTime"] = delivered
        status["LatestDeliveryAttemptTime"] = status["LatestDeliveryAttemptSucceeded"] = _iso(delivered)
        if trail.log_validation:
            status["LatestDigestDeliveryTime"] = float(int(until // 3600 * 3600))
        for delivery in _delivered:
            if delivery.trail_arn == trail.arn:
                status = _as_delivered(status, delivery, call.region)
    if "StopLoggingTime" in value:
        status["TimeLoggingStopped"] = _iso(value["StopLoggingTime"])
    return status


def _as_delivered(status: dict[str, Any], delivery: "Delivery", region: str) -> dict[str, Any]:
    """Tell the times of what was delivered in a Region: a status is that of one Region only [GetTrailStatus]."""
    told = {name: member for name, member in status.items() if not name.startswith("Latest") or "Notif" in name}
    told |= {"LatestDeliveryAttemptTime": "", "LatestDeliveryAttemptSucceeded": ""}
    told["StartLoggingTime"] = delivery.plan.base.timestamp()
    told["TimeLoggingStarted"] = _iso(told["StartLoggingTime"])
    log, digest = delivery.latest(region)
    if log:
        told["LatestDeliveryTime"] = log.timestamp()
        told["LatestDeliveryAttemptTime"] = told["LatestDeliveryAttemptSucceeded"] = _iso(log.timestamp())
    if digest and "LatestDigestDeliveryTime" in status:
        told["LatestDigestDeliveryTime"] = digest.timestamp()
    return told


def _is_custom(trail: Trail) -> bool:
    selectors = trail.event_selectors or [DEFAULT_SELECTOR]
    return bool(trail.advanced_event_selectors) or any({**DEFAULT_SELECTOR, **s} != DEFAULT_SELECTOR for s in selectors)


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


# --- KMS


def key_of(call: Call) -> Key:
    """Return the key that a prepared call names."""
    backend = kms_backends[ACCOUNT][call.region]
    return backend.keys[backend.any_id_to_key_id(call.parameters["KeyId"])]


def is_aws_managed(key: Key) -> bool:
    """Tell an AWS managed key by its alias, `alias/aws/...`; moto takes every key for the customer's."""
    return any(alias.startswith("alias/aws/") for alias in key.aliases)


@prepares("kms", "CreateKey")
def create_key(call: Call) -> Answer | dict[str, Any]:
    """Set the defaults that moto leaves null [CreateKey]."""
    return {"KeyUsage": "ENCRYPT_DECRYPT", "KeySpec": "SYMMETRIC_DEFAULT", "MultiRegion": False, **call.parameters}


def resolve_key(call: Call) -> Answer | dict[str, Any]:
    """Turn a key ARN into the id that moto wants, and refuse ARNs of elsewhere as KMS does [KMS: KeyId].

    The name of a key policy is `default` where it is left out; moto wants it named [GetKeyPolicy, PutKeyPolicy].
    """
    parameters = dict(call.parameters)
    if call.operation.endswith("KeyPolicy"):
        parameters.setdefault("PolicyName", "default")
    member = "TargetKeyId" if "TargetKeyId" in parameters else "KeyId"
    given = parameters.get(member)
    if not isinstance(given, str):
        return parameters
    if given.startswith("arn:"):
        region, account, resource = (given.split(":", 5) + [""] * 6)[3:6]
        if region != call.region:
            return error(call, 400, "NotFoundException", f"Invalid arn {region}")
        if account != ACCOUNT:
            who = f"User: arn:aws:sts::{ACCOUNT}:{CALLER} is not authorized to perform: {call.action}"
            why = f"on resource: {given} because no resource-based policy allows the {call.action} action"
            return error(call, 400, "AccessDeniedException", f"{who} {why}")
        given = resource.removeprefix("key/")
    if not given.startswith("alias/") and given not in kms_backends[ACCOUNT][call.region].keys:
        arn = f"arn:aws:kms:{call.region}:{ACCOUNT}:key/{given}"
        return error(call, 400, "NotFoundException", f"Key '{arn}' does not exist")
    return parameters | {member: given}


@corrects("kms", "DescribeKey")
def describe_key(call: Call, value: Any) -> dict[str, Any]:
    """Leave out what is not set, and show AWS managed keys as such [KeyMetadata]."""
    metadata = without_nulls(value["KeyMetadata"])
    metadata["CreationDate"] = _born(metadata["CreationDate"])
    key = key_of(call)
    if is_aws_managed(key):
        service = next(iter(key.aliases)).rpartition("/")[2].upper()
        what = f"Default key that protects my {service} objects when no other key is defined"
        metadata |= {"KeyManager": "AWS", "Description": what}
    return {"KeyMetadata": metadata}


@corrects("kms", "GetKeyPolicy")
def key_policy(call: Call, value: Any) -> dict[str, Any]:
    """Name the policy; moto gives its text alone, and gives AWS managed keys the customer's default policy."""
    key = key_of(call)
    text = _aws_managed_policy(key) if is_aws_managed(key) else value["Policy"]
    return {"Policy": text, "PolicyName": "default"}


@corrects("kms", "GetKeyRotationStatus")
def rotation_status(call: Call, value: Any) -> Answer | dict[str, Any]:
    """Refuse keys that can't rotate, and give period and next date [GetKeyRotationStatus]."""
    key = key_of(call)
    if key.key_spec != "SYMMETRIC_DEFAULT":
        return error(call, 400, "UnsupportedOperationException", f"{key.arn} key spec is {key.key_spec}")
    if key.key_state == "PendingDeletion" or not (value["KeyRotationEnabled"] or is_aws_managed(key)):
        return {"KeyId": key.arn, "KeyRotationEnabled": False}
    rotating = {"KeyId": key.arn, "KeyRotationEnabled": True}
    if is_aws_managed(key):
        return rotating
    return {**rotating, "RotationPeriodInDays": 365, "NextRotationDate": _anniversary(_born(key.creation_date))}


def _born(made: float) -> float:
    """Return when a key that was just made is said to have been: a New Year, so that two accounts agree on it."""
    aged = time.gmtime(made - AGE)
    return float(calendar.timegm((aged.tm_year, 1, 1, 0, 0, 0)))


def _anniversary(born: float) -> float:
    years = max(int((time.time() - born) // _YEAR), 0) + 1
    return born + years * _YEAR


def expire_key(arn: str) -> None:
    """Delete a key for good, aliases included, as the end of its waiting period does; in moto that never comes."""
    region, key_id = arn.split(":")[3], arn.rpartition("/")[2]
    kms_backends[ACCOUNT][region].delete_key(key_id)


def _aws_managed_policy(key: Key) -> str:
    service = next(iter(key.aliases)).rpartition("/")[2]
    use = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
    via = {"kms:CallerAccount": ACCOUNT, "kms:ViaService": f"{service}.{key.region}.amazonaws.com"}
    statements = [
        {
            "Sid": f"Allow access through {service} for all principals in the account that may use it",
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": use,
            "Resource": "*",
            "Condition": {"StringEquals": via},
        },
        {
            "Sid": "Allow direct access to key metadata to the account",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
            "Action": ["kms:Describe*", "kms:Get*", "kms:List*"],
            "Resource": "*",
        },
    ]
    return json.dumps({"Version": "2012-10-17", "Id": f"auto-{service}-2", "Statement": statements})


@corrects("kms", "ListAliases")
def list_aliases(call: Call, value: Any) -> dict[str, Any]:
    """Give no target for AWS aliases whose key was never made, and dates to the others [AliasListEntry]."""
    keys = kms_backends[ACCOUNT][call.region].keys
    listed = []
    for alias in value["Aliases"]:
        key = keys.get(alias["TargetKeyId"])
        if key is None:
            alias.pop("TargetKeyId")
        else:
            made = _born(key.creation_date)
            alias |= {"CreationDate": made, "LastUpdatedDate": made}
        listed.append(alias)
    return {"Aliases": listed, "Truncated": False}


@corrects("kms", "ListGrants")
def list_grants(call: Call, value: Any) -> dict[str, Any]:
    """Give the members that moto forgets, and the key by ARN [GrantListEntry]."""
    key = key_of(call)
    known = {"KeyId": key.arn, "IssuingAccount": f"arn:aws:iam::{ACCOUNT}:root", "CreationDate": key.creation_date}
    return {"Grants": [without_nulls(grant) | known for grant in value["Grants"]], "Truncated": False}


# --- S3


@replaces("s3", "GetBucketRequestPayment", "PutBucketRequestPayment")
def request_payment(call: Call, _: Rules) -> Answer:
    """Keep who pays for requests; moto knows nothing of it."""
    if call.bucket not in s3_backends[ACCOUNT]["aws"].buckets:
        return error(call, 404, "NoSuchBucket", "The specified bucket does not exist")
    if call.operation.startswith("Put"):
        _payers[call.bucket] = "Requester" if b">Requester<" in call.body else "BucketOwner"
        return Answer(200, {}, b"")
    return xml_answer(s3_document("RequestPaymentConfiguration", f"<Payer>{payer(call.bucket)}</Payer>"))


def payer(bucket: str) -> str:
    """Return who pays for requests to a bucket: `BucketOwner` or `Requester`."""
    return _payers.get(bucket, "BucketOwner")


def mend_s3(call: Call, answer: Answer) -> Answer:
    """Leave out retention years that were never set, name a document as AWS names it, and show SSE-S3 where moto says
    there is no encryption.

    Every bucket has at least SSE-S3 since January 2023 [S3 user guide: default encryption FAQ].
    """
    if call.operation == "GetObjectLockConfiguration":
        answer.body = answer.body.replace(b"<Years>0</Years>", b"").replace(b"<Days>0</Days>", b"")
    if call.operation == "GetBucketVersioning":
        answer.body = answer.body.replace(b"GetBucketVersioningResponse", b"VersioningConfiguration")
    if call.operation != "GetBucketEncryption" or b"ServerSideEncryptionConfigurationNotFoundError" not in answer.body:
        return answer
    applied = "ApplyServerSideEncryptionByDefault"
    by_default = f"<{applied}><SSEAlgorithm>AES256</SSEAlgorithm></{applied}>"
    rule = f"<Rule>{by_default}<BucketKeyEnabled>false</BucketKeyEnabled></Rule>"
    return xml_answer(s3_document("ServerSideEncryptionConfiguration", rule))


def s3_document(root: str, inner: str) -> str:
    """Return the text of an S3 answer: a root element in S3's namespace."""
    return f'<{root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{inner}</{root}>'


def disabled_region(call: Call) -> Answer | None:
    """Refuse a Region that the account has not opted in to, as AWS does: its credentials are not known there."""
    if call.region not in OPT_IN:
        return None
    code = "UnrecognizedClientException" if call.service in JSON_SERVICES else "InvalidClientTokenId"
    return error(call, 403, code, "The security token included in the request is invalid.")
