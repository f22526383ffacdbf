"""The least-privilege IAM policy for a run, generated from the one table of calls."""

from kit.canonical import Json
from kit.collect.calls import ASSUME_ROLE, CALLS, DECRYPT, GET_OBJECT_VERSION, SIMULATE_PRINCIPAL_POLICY
from kit.collect.change_calls import CHANGES, WITH_CREATE_BUCKET

_SIDS = {
    "*": "Account",
    "trail": "Trails",
    "key": "Keys",
    "bucket": "LogBucket",
    "object": "LogFiles",
    "role": "Roles",
}


def least_privilege(
    account_id: str = "*",
    bucket: str | None = None,
    reader_roles: tuple[str, ...] = (),
    assumed_roles: tuple[str, ...] = (),
    partition: str = "aws",
    protocols: tuple[str, ...] = ("IQ",),
    archives: tuple[str, ...] = (),
    archive_keys: tuple[str, ...] = (),
    *,
    tags_sessions: bool = False,
) -> dict[str, Json]:
    """Return the IAM policy that allows what runs of the protocols ask, and nothing else; every action only reads.

    `archives` are the places, as `bucket/prefix`, from which a review brings archived records back, and `archive_keys`
    the ARNs of the keys that they lie under.

    Trails and keys are those of the account, since each trail is judged by its key. Roles appear only where the
    parameters name some: to be simulated, or to be assumed. `sts:GetCallerIdentity` is left out: it needs no permission
    [STS: GetCallerIdentity].
    """
    resources = _resources(account_id, bucket, partition)
    calls = [call for call in CALLS if set(call.protocols) & set(protocols)]
    statements = [
        {
            "Sid": f"Read{_SIDS[kind]}",
            "Effect": "Allow",
            "Action": actions,
            "Resource": resource,
        }
        for kind, resource in resources.items()
        if (actions := sorted({call.action for call in calls if call.resource == kind}))
    ]
    # tags are passed with a permission of their own [IAM user guide: Passing session tags in AWS STS]
    assuming = [ASSUME_ROLE.action, *(["sts:TagSession"] if tags_sessions else [])]
    for sid, allowed, named in (
        ("SimulateReaders", [SIMULATE_PRINCIPAL_POLICY.action], reader_roles),
        ("AssumeRoles", assuming, assumed_roles),
        ("ReadArchives", [GET_OBJECT_VERSION.action], tuple(f"arn:{partition}:s3:::{one}/*" for one in archives)),
        ("DecryptArchives", [DECRYPT.action], archive_keys),
    ):
        if named:
            statements.append({"Sid": sid, "Effect": "Allow", "Action": allowed, "Resource": sorted(named)})
    return {"Version": "2012-10-17", "Statement": statements}


def least_privilege_to_change(
    account_id: str = "*", bucket: str | None = None, partition: str = "aws"
) -> dict[str, Json]:
    """Return the IAM policy that allows the changes of a plan; what a run of RM reads is for `least_privilege`.

    Nothing in it deletes, disables or stops. Trails and keys are those of the account: a plan turns on log file
    validation of other trails too, and the key it makes has no name before. Keys are changed where their own policy
    leaves it to the account.
    """
    resources = _resources(account_id, bucket, partition)
    alias_arn = f"arn:{partition}:kms:*:{account_id}:alias/*"
    # an alias is made and moved with permission on the alias and on the key alike [KMS: CreateAlias, UpdateAlias]
    resources["alias"] = [alias_arn, resources["key"]]
    statements = []
    for kind in ("*", "trail", "key", "alias", "bucket"):
        actions = {call.action for call in CHANGES.values() if call.resource == kind}
        actions |= set(WITH_CREATE_BUCKET) if kind == "bucket" else set()
        sid = f"Change{_CHANGED[kind]}"
        statements.append({"Sid": sid, "Effect": "Allow", "Action": sorted(actions), "Resource": resources[kind]})
    return {"Version": "2012-10-17", "Statement": statements}


_CHANGED = {"*": "NewKey", "trail": "Trails", "key": "Keys", "alias": "Aliases", "bucket": "LogBucket"}


def _resources(account_id: str, bucket: str | None, partition: str) -> dict[str, Json]:
    return {
        "*": "*",
        "trail": f"arn:{partition}:cloudtrail:*:{account_id}:trail/*",
        "key": f"arn:{partition}:kms:*:{account_id}:key/*",
        "bucket": f"arn:{partition}:s3:::{bucket or '*'}",
        "object": f"arn:{partition}:s3:::{bucket or '*'}/*",
    }
