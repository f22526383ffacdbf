"""The steps on the KMS key: made where there is none, brought back, its policy merged, rotation on, its alias."""

from collections.abc import Sequence

from kit.checks.key_policy import DECRYPTS, DESCRIBES, ENCRYPTS
from kit.checks.probes import parse
from kit.checks.reading import said, text
from kit.checks.trail import key_arn
from kit.remediation import policies
from kit.remediation.draft import Draft, planned
from kit.remediation.policies import MOST_OF_A_KEY, Statement
from kit.remediation.steps import NEW_KEY
from kit.snapshot import PROCEDURE_KEY, Key

_ROTATION = "automatic rotation"


def plan_key(draft: Draft) -> None:
    """Add the steps after which the wanted key is there and serves CloudTrail; have the trail use it if it is fit.

    The wanted key is the one that the parameters name. Nothing is done to a key of another account, or to one that
    AWS manages: neither can be made to fit from here.
    """
    held = draft.trail.key
    wanted = _wanted(draft)
    if wanted is not None:
        draft.use(key=wanted)
    key = draft.trail.key
    if key is None:
        return
    arn = key_arn(key.named, key.metadata) or ""
    if arn and arn.split(":")[4] != draft.trail.account:
        draft.note("IQ-05", f"The key {arn} belongs to another account: whoever owns it changes it there.")
    elif arn and said(key.metadata, text("KeyManager")) in ("CUSTOMER", None):
        _plan_state(draft, arn)
        _plan_policy(draft, arn)
        _plan_rotation(draft, arn)
        _plan_aliases(draft, arn)
    if wanted is not None and wanted is not held and not is_fit(draft):
        draft.note("IQ-04", f"The key {arn} is not put on the trail, since CloudTrail could not use it as it is.")
        draft.put_back(held)


def is_fit(draft: Draft) -> bool:
    """Return whether CloudTrail can use the key, as the steps so far leave it: known for sure, or it is not."""
    kind = ("key", "key manager", "key state", "key specification", "key usage", "key Region")
    serves = draft.met("IQ-07", ENCRYPTS, DESCRIBES) is True and draft.conditions("IQ-07").get(DECRYPTS, True) is True
    return draft.met("IQ-05", *kind) is True and serves


def parameter_of(arn: str) -> str:
    """Return how a call names a key: by its ARN, or by what stands for that of the key that is made."""
    return NEW_KEY if arn.endswith(f":key/{NEW_KEY}") else arn


def _wanted(draft: Draft) -> Key | None:
    """Return the key that the parameters name, be it one to be made; None where it can't be told, or is not to be."""
    expected, key = draft.parameters.expected, draft.prospect.key
    named = expected.kms_key_arn or expected.key_alias
    if named is None:
        draft.note("IQ-04", "State expected.kms_key_arn: without it no key is made, and none is put on the trail.")
        return None
    if key is None or not key.metadata.missing:
        return key
    if "alias/" not in named:
        draft.note(
            "IQ-05",
            f"The expected key {named} does not exist, and what is deleted can't come back. Settle its successor under"
            " change control: name it by alias (expected.kms_key_arn: alias/…), and a plan makes it.",
        )
        return None
    if named.startswith("arn:") and named.split(":")[4] != draft.trail.account:
        draft.note("IQ-05", f"The expected key {named} is of another account: whoever owns that makes it there.")
        return None
    wanted = _unused(draft) or _make(draft)
    if wanted is not None:
        draft.expect_key(wanted.metadata)
    return wanted


def _unused(draft: Draft) -> Key | None:
    """Return the one key that was made for this trail and never came to its alias, if there is one."""
    unused = draft.prospect.unused
    if unused is None or not unused.value:
        return None
    before = draft.trail.key
    serving = []
    for key in unused.value:
        draft.use(key=key)
        serving += [key] if is_fit(draft) else []
    draft.put_back(before)
    return serving[0] if serving else None


def _make(draft: Draft) -> Key | None:
    unused = draft.prospect.unused
    if unused is None or unused.value is None:
        draft.note(
            "IQ-05", "Whether a key was made before can't be told, so none is made. " + (unused.why if unused else "")
        )
        return None
    trail, readers = draft.trail, draft.parameters.expected.reader_role_arns or ()
    statements = [policies.of_account(trail), policies.encrypt(trail), policies.describe(trail)]
    policy = policies.new_policy([*statements, *map(policies.read_logs, readers)])
    region = trail.bucket.region.value if trail.bucket and trail.bucket.region.value else trail.home_region
    settings = {
        "Description": PROCEDURE_KEY,
        "KeyUsage": "ENCRYPT_DECRYPT",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "Policy": policy,
    }
    arn = f"arn:{trail.arn.split(':')[1]}:kms:{region}:{trail.account}:key/{NEW_KEY}"
    metadata = planned({**settings, "Arn": arn, "KeyManager": "CUSTOMER", "KeyState": "Enabled", "Origin": "AWS_KMS"})
    draft.add(
        "create-key",
        "Make the key, with a policy that serves CloudTrail for this trail alone",
        ("IQ-04", "IQ-05", "IQ-07"),
        ("kms", "CreateKey", region, settings),
        (None, {**settings, "Policy": policies.document(policy)}),
        risk="None to what is there: nothing uses the key yet. It costs what KMS charges for a key.",
        undo="Schedule the key for deletion (aws kms schedule-key-deletion), only if nothing was encrypted under it.",
        makes_key=True,
    )
    rotation = planned({"KeyRotationEnabled": False})
    return Key(arn, metadata, planned(policy), rotation, planned(()), planned(()), {})


def _plan_state(draft: Draft, arn: str) -> None:
    """Bring the key back: from waiting for its deletion, and from being disabled."""
    region = arn.split(":")[3]
    metadata = draft.trail.key.metadata if draft.trail.key else None
    state = said(metadata, text("KeyState")) if metadata else None
    if metadata is None or metadata.value is None or state not in ("PendingDeletion", "Disabled"):
        return
    if state == "PendingDeletion":
        draft.add(
            "cancel-key-deletion",
            "Cancel the deletion of the key",
            ("IQ-05",),
            ("kms", "CancelKeyDeletion", region, {"KeyId": arn}),
            ({"KeyState": state}, {"KeyState": "Disabled"}),
            risk="None: without the key, what it encrypted can never be read again.",
            undo=("ScheduleKeyDeletion", {"KeyId": arn}),
        )
    draft.add(
        "enable-key",
        "Enable the key",
        ("IQ-05",),
        ("kms", "EnableKey", region, {"KeyId": arn}),
        ({"KeyState": "Disabled"}, {"KeyState": "Enabled"}),
        risk="Whoever the policy and grants of the key let in can use it again.",
        undo=("DisableKey", {"KeyId": arn}),
    )
    draft.change_key(metadata=planned({**metadata.value, "KeyState": "Enabled"}))


def _plan_policy(draft: Draft, arn: str) -> None:
    """Merge in the statements that CloudTrail, and the readers that the parameters name, lack."""
    key, trail = draft.trail.key, draft.trail
    policy = parse(key.policy)[0] if key and key.policy else None
    if key is None or key.policy is None or key.policy.value is None or policy is None:
        return
    judged = draft.conditions("IQ-07")
    lacking: list[tuple[str, Statement]] = [
        (name, statement)
        for name, statement in (
            (ENCRYPTS, policies.encrypt(trail)),
            (DESCRIBES, policies.describe(trail)),
            (DECRYPTS, policies.decrypt(trail)),
            *((f"{role} may decrypt", policies.read_logs(role)) for role in _readers(draft)),
        )
        if name in judged and judged[name] is not True
    ]
    _merge_policy(draft, lacking, arn)


def _readers(draft: Draft) -> Sequence[str]:
    return draft.parameters.expected.reader_role_arns or ()


def _merge_policy(draft: Draft, lacking: list[tuple[str, Statement]], arn: str) -> None:
    """Add the step that merges statements into the key's policy: those alone that mend what they are to mend."""
    key = draft.trail.key
    if key is None or key.policy is None or key.policy.value is None:
        return
    before = key.policy.value
    helpful = []
    for condition, statement in lacking:
        draft.change_key(policy=planned(policies.merged(before, [statement])))
        if draft.met("IQ-07", condition) is True:
            helpful.append(statement)
    after = policies.merged(before, helpful) if helpful else before
    if len(after.encode()) > MOST_OF_A_KEY:
        draft.note("IQ-07", "With the statements that are missing the policy would be longer than KMS allows.")
        after = before
    draft.change_key(policy=key.policy if after == before else planned(after))
    if after == before:
        return
    named = {"KeyId": arn, "PolicyName": "default"}
    draft.add(
        "put-key-policy",
        "Merge into the key policy what CloudTrail and the named readers lack",
        ("IQ-07",),
        ("kms", "PutKeyPolicy", arn.split(":")[3], {**named, "Policy": after}),
        (policies.document(before), policies.document(after)),
        risk="The whole policy is put: a change that somebody makes at the same moment would be lost.",
        undo=("PutKeyPolicy", {**named, "Policy": before}),
        may_stop_delivery=True,
    )


def _plan_rotation(draft: Draft, arn: str) -> None:
    if draft.met("IQ-06", _ROTATION) is not False or draft.met("IQ-05", "key state") is not True:
        return
    named = {"KeyId": parameter_of(arn)}
    draft.add(
        "enable-key-rotation",
        "Turn on automatic rotation of the key",
        ("IQ-06",),
        ("kms", "EnableKeyRotation", arn.split(":")[3], named),
        ({"KeyRotationEnabled": False}, {"KeyRotationEnabled": True}),
        risk="None: what was encrypted stays readable; key material is renewed every year.",
        undo=("DisableKeyRotation", named),
    )
    draft.change_key(rotation=planned({"KeyRotationEnabled": True}))


def _plan_aliases(draft: Draft, arn: str) -> None:
    """Have the key named by the expected alias, and by the alias that the parameters name it by."""
    expected, key = draft.parameters.expected, draft.trail.key
    if key is None or key.aliases is None or key.aliases.value is None:
        return
    named = (expected.kms_key_arn or "").rpartition(":")[2]
    for alias in dict.fromkeys(
        (*([expected.key_alias] if expected.key_alias else []), *([named] if "alias/" in named else []))
    ):
        if alias not in key.aliases.value:
            _plan_alias(draft, arn, alias)


def _plan_alias(draft: Draft, arn: str, alias: str) -> None:
    key, region = draft.trail.key, arn.split(":")[3]
    if key is None or key.aliases is None or key.aliases.value is None:
        return
    # whatever else names the key by this alias was asked for as the expected key
    asked = draft.prospect.alias if alias == draft.parameters.expected.key_alias else None
    asked = asked or (draft.prospect.key.metadata if draft.prospect.key else None)
    call = {"AliasName": alias, "TargetKeyId": parameter_of(arn)}
    if asked is not None and asked.missing:
        draft.add(
            "create-alias" if "create-alias" not in [step.id for step in draft.steps] else "create-second-alias",
            f"Name the key by the alias {alias}",
            ("IQ-05",),
            ("kms", "CreateAlias", region, call),
            (None, call),
            risk="None: nothing names the alias yet.",
            undo=("DeleteAlias", {"AliasName": alias}),
        )
    elif asked is not None and asked.value is not None:
        other = asked.value["Arn"]
        draft.add(
            "update-alias",
            f"Have the alias {alias} name the trail's key",
            ("IQ-05",),
            ("kms", "UpdateAlias", region, call),
            ({**call, "TargetKeyId": other}, call),
            risk=f"Whoever uses {other} by this alias uses the trail's key from then on; by its ARN nothing changes.",
            undo=("UpdateAlias", {"AliasName": alias, "TargetKeyId": other}),
        )
    else:
        draft.note("IQ-05", f"Which key the alias {alias} names can't be told. {asked.why if asked else ''}".strip())
        return
    draft.change_key(aliases=planned((*key.aliases.value, alias)))
