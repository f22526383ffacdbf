"""Faults of the trail's key and of its policy."""

from kit.sandbox import account as seeded
from kit.sandbox.account import ACCOUNT_ID, ALIAS, SECOND_REGION, TRAIL, TRAIL_ARN, Account
from kit.sandbox.fault import CLOUDTRAIL, FOREIGN_ACCOUNT, fault, without_condition


@fault("trail-without-key", changes=("IQ-04", "IQ-05", "IQ-06", "IQ-07", "IQ-11", "OQ-02", "OQ-03", "OQ-08", "PQ-04"))
def trail_without_key(account: Account) -> None:
    """The trail has no KMS key: its logs are encrypted by S3's own."""
    _encrypt_with(account, "")


@fault("other-key", changes=("IQ-04", "IQ-05", "OQ-02", "OQ-03", "OQ-08", "PQ-04"))
def other_key(account: Account) -> None:
    """The trail uses another key, compliant but for the alias, which stays where it is expected."""
    _encrypt_with(account, seeded.make_key(account.client, TRAIL_ARN))


@fault("key-gone", changes=("IQ-05", "IQ-06", "IQ-07", "IQ-11", "PQ-04"))
def key_gone(account: Account) -> None:
    """The trail's key has been deleted for good, its alias with it."""
    account.client("kms").schedule_key_deletion(KeyId=account.key_arn, PendingWindowInDays=7)
    account.expire_key(account.key_arn)


@fault("key-disabled", changes=("IQ-05", "PQ-04"))
def key_disabled(account: Account) -> None:
    """The trail's key is disabled; its rotation status stays as it was."""
    account.client("kms").disable_key(KeyId=account.key_arn)


@fault("key-pending-deletion", changes=("IQ-05", "IQ-06", "PQ-04"))
def key_pending_deletion(account: Account) -> None:
    """The trail's key is scheduled for deletion; until then its rotation status is false."""
    account.client("kms").schedule_key_deletion(KeyId=account.key_arn, PendingWindowInDays=7)


@fault("key-aws-managed", changes=("IQ-04", "IQ-05", "IQ-07", "IQ-11", "OQ-02", "OQ-03", "OQ-08", "PQ-04"))
def key_aws_managed(account: Account) -> None:
    """The trail names the AWS managed key of S3, which rotates but whose policy nobody can change."""
    managed = account.client("kms").describe_key(KeyId="alias/aws/s3")["KeyMetadata"]
    _encrypt_with(account, managed["Arn"])


@fault("key-asymmetric", changes=("IQ-04", "IQ-05", "IQ-06", "OQ-02", "OQ-03", "OQ-08", "PQ-04"))
def key_asymmetric(account: Account) -> None:
    """The trail names an RSA key, with which CloudTrail can't encrypt and which can't rotate."""
    rsa = {"KeySpec": "RSA_2048", "KeyUsage": "ENCRYPT_DECRYPT"}
    _encrypt_with(account, seeded.make_key(account.client, TRAIL_ARN, **rsa))


@fault("key-imported", changes=("IQ-06", "PQ-04"))
def key_imported(account: Account) -> None:
    """The material of the trail's key was imported, so that KMS can't rotate it."""
    imported = {"Origin": "EXTERNAL", "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
    account.client("kms").disable_key_rotation(KeyId=account.key_arn)
    account.rules.rewrite("kms", "DescribeKey", lambda value: value["KeyMetadata"].update(imported))


@fault("key-other-region", changes=("IQ-04", "IQ-05", "OQ-02", "OQ-03", "OQ-08", "PQ-04"))
def key_other_region(account: Account) -> None:
    """The trail names a key in another Region than its bucket's."""
    _encrypt_with(account, seeded.make_key(account.client, TRAIL_ARN, SECOND_REGION))


@fault("key-other-account", changes=("IQ-04", "IQ-05", "IQ-06", "IQ-07", "IQ-11", "OQ-02", "OQ-03", "OQ-08", "PQ-04"))
def key_other_account(account: Account) -> None:
    """The trail names a key of another account, which lets nobody here read it."""
    _encrypt_with(account, account.key_arn.replace(ACCOUNT_ID, FOREIGN_ACCOUNT))


@fault("alias-missing", changes=("IQ-05", "PQ-04"))
def alias_missing(account: Account) -> None:
    """The expected alias does not exist."""
    account.client("kms").delete_alias(AliasName=ALIAS)


@fault("alias-other-key", changes=("IQ-05", "PQ-04"))
def alias_other_key(account: Account) -> None:
    """The expected alias points to another key than the trail's."""
    other = seeded.make_key(account.client, TRAIL_ARN)
    account.client("kms").update_alias(AliasName=ALIAS, TargetKeyId=other)


@fault("rotation-off", changes=("IQ-06", "PQ-04"))
def rotation_off(account: Account) -> None:
    """The trail's key does not rotate, though it could."""
    account.client("kms").disable_key_rotation(KeyId=account.key_arn)


@fault("policy-without-cloudtrail", changes=("IQ-07", "PQ-04"))
def policy_without_cloudtrail(account: Account) -> None:
    """The key policy does not name CloudTrail."""
    account.edit_key_policy(lambda statements: [each for each in statements if each["Principal"] != CLOUDTRAIL])


@fault("policy-without-context", changes=("IQ-07", "PQ-04"))
def policy_without_context(account: Account) -> None:
    """The key policy lets CloudTrail encrypt without the encryption context of a trail."""
    account.edit_key_policy(without_condition("kms:EncryptionContext:aws:cloudtrail:arn"))


@fault("policy-without-sourcearn", changes=("IQ-07", "PQ-04"))
def policy_without_sourcearn(account: Account) -> None:
    """The key policy lets CloudTrail use the key for any trail of anybody: no aws:SourceArn."""
    account.edit_key_policy(without_condition("aws:SourceArn"))


@fault("policy-open-to-everyone", changes=("IQ-07", "PQ-04"))
def policy_open_to_everyone(account: Account) -> None:
    """The key policy allows everything to everyone, without a condition."""
    everyone = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"}
    account.edit_key_policy(lambda statements: [*statements, {"Sid": "Allow use of the key"} | everyone])


@fault("policy-deny-on-top", changes=("IQ-07", "PQ-04"))
def policy_deny_on_top(account: Account) -> None:
    """The key policy allows CloudTrail as it should, and denies it on top."""
    refusal = {"Effect": "Deny", "Principal": CLOUDTRAIL, "Action": "kms:GenerateDataKey*", "Resource": "*"}
    account.edit_key_policy(lambda statements: [*statements, {"Sid": "Freeze"} | refusal])


@fault("policy-unknown-operator", changes=("IQ-07", "PQ-04"))
def policy_unknown_operator(account: Account) -> None:
    """The key policy ties CloudTrail to a source address: a valid operator, and a key its calls never carry."""

    def edit(statements: seeded.Statements) -> seeded.Statements:
        for statement in statements:
            if statement["Action"] == "kms:GenerateDataKey*":
                statement["Condition"]["IpAddress"] = {"aws:SourceIp": "203.0.113.0/24"}
        return statements

    account.edit_key_policy(edit)


@fault("grant-to-foreign-account", changes=("IQ-07", "PQ-04"))
def grant_to_foreign_account(account: Account) -> None:
    """A grant, which no key policy shows, lets another account decrypt."""
    grantee = f"arn:aws:iam::{FOREIGN_ACCOUNT}:root"
    account.client("kms").create_grant(KeyId=account.key_arn, GranteePrincipal=grantee, Operations=["Decrypt"])


def _encrypt_with(account: Account, key: str) -> None:
    account.client("cloudtrail").update_trail(Name=TRAIL, KmsKeyId=key)
