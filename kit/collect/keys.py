"""What a KMS key is, who may use it, and whether it rotates."""

from collections.abc import Iterable, Mapping

from kit.canonical import Json
from kit.collect.calls import (
    DESCRIBE_KEY,
    GET_KEY_POLICY,
    GET_KEY_ROTATION_STATUS,
    LIST_ALIASES,
    LIST_GRANTS,
    SIMULATE_PRINCIPAL_POLICY,
)
from kit.collect.readers import Readers
from kit.collect.trails import without_metadata
from kit.snapshot import Answer, Key, why_no_rotation


def key_place(named: str, region: str, account: str) -> tuple[str, str]:
    """Return the Region and account a key lives in: from its ARN, else those of the one who names it."""
    parts = named.split(":")
    return (parts[3], parts[4]) if len(parts) >= 6 else (region, account)


def collect_metadata(readers: Readers, named: str, region: str, account: str) -> Answer[Mapping[str, Json]]:
    """Return the metadata of the key that an id, ARN, alias or alias ARN names [KMS DescribeKey].

    IAM: kms:DescribeKey.
    """

    def read(response: Mapping[str, Json]) -> Mapping[str, Json]:
        metadata: Mapping[str, Json] = response["KeyMetadata"]
        if ":key/" not in metadata["Arn"]:
            raise ValueError("a key without ARN")
        return metadata

    region, account = key_place(named, region, account)
    return readers.ask(DESCRIBE_KEY, region, read, account=account, KeyId=named)


def collect_key(
    readers: Readers,
    named: str,
    metadata: Answer[Mapping[str, Json]],
    region: str,
    account: str,
    reader_roles: Iterable[str] = (),
) -> Key:
    """Return all that is judged of a key; a denied `DescribeKey` keeps nothing else from being asked by ARN.

    IAM: kms:GetKeyPolicy, kms:GetKeyRotationStatus (only where the key can rotate), kms:ListAliases, kms:ListGrants;
    iam:SimulatePrincipalPolicy for each reader role.
    """
    arn = metadata.value["Arn"] if metadata.value else named
    if metadata.missing or ":key/" not in arn:
        return Key(named, metadata)
    region, account = key_place(arn, region, account)
    rotation = None
    if metadata.value is None or not why_no_rotation(metadata.value):
        rotation = readers.ask(GET_KEY_ROTATION_STATUS, region, without_metadata, account=account, KeyId=arn)
    return Key(
        named,
        metadata,
        readers.ask(
            GET_KEY_POLICY,
            region,
            lambda response: response["Policy"],
            account=account,
            KeyId=arn,
            PolicyName="default",
        ),
        rotation,
        readers.ask(
            LIST_ALIASES,
            region,
            lambda response: tuple(sorted(alias["AliasName"] for alias in response["Aliases"])),
            account=account,
            KeyId=arn,
        ),
        readers.ask(LIST_GRANTS, region, lambda response: tuple(response["Grants"]), account=account, KeyId=arn),
        {role: _simulate(readers, role, arn, region) for role in reader_roles},
    )


def _simulate(readers: Readers, role: str, key_arn: str, region: str) -> Answer[str]:
    """Return what identity policies decide on `kms:Decrypt` for a role [IAM SimulatePrincipalPolicy].

    The answer is `allowed`, `explicitDeny` or `implicitDeny`; or `undecided`, and which condition keys had no value: a
    simulation takes a condition on those to be unmet. IAM: iam:SimulatePrincipalPolicy.
    """
    return readers.ask(
        SIMULATE_PRINCIPAL_POLICY,
        region,
        _simulated,
        account=role.split(":")[4],
        PolicySourceArn=role,
        ActionNames=["kms:Decrypt"],
        ResourceArns=[key_arn],
    )


def _simulated(response: Mapping[str, Json]) -> str:
    result = response["EvaluationResults"][0]
    decision: str = result["EvalDecision"]
    # with resources in the request, AWS lists the keys by resource [IAM API reference, "EvaluationResult"]
    parts = (result, *(result.get("ResourceSpecificResults") or ()))
    missing = sorted({key for part in parts for key in part.get("MissingContextValues") or ()})
    return decision if decision == "explicitDeny" or not missing else f"undecided without {', '.join(missing)}"
