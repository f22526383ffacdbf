"""What a person can do about a condition that no plan mends: because it narrows, deletes, or is theirs to decide."""

_UNKNOWN = (
    "It can't be told: give the role what `trailkit policy rm` prints, or state the parameter that the finding names,"
    " and plan again."
)
_DECIDE = "Decide what is right, change it under change control, and plan again."
_NARROW = "The plan never narrows: take out or narrow the statement that the finding names, and plan again."
_RECREATE = "Settle under change control which key is to be used, name it in the parameters, and plan again."
_PER_TRAIL = "Plan for that trail, with parameters of its own: expected.trail_arn and the key and bucket it is to have."

_FOLLOWS = {
    "trail": "It follows from IQ-02: it is judged once there is a trail.",
    "trails": "It follows from IQ-02: it is judged once there is a trail that delivers.",
    "key": "It follows from IQ-04: it is judged once the trail has its key.",
}

_ADVICE = {
    ("IQ-01", "account of the caller"): "Sign in to the target's account: nothing is planned for another.",
    ("IQ-01", "local clock against AWS"): "Synchronise the clock of this machine (NTP).",
    ("IQ-02", "the expected trail"): "Name key and bucket in the parameters; then a plan makes the trail.",
    ("IQ-02", "trails"): "State expected.trail_arn, which names the trail to be made, and plan again.",
    ("IQ-05", "key manager"): _RECREATE,
    ("IQ-05", "key specification"): _RECREATE,
    ("IQ-05", "key usage"): _RECREATE,
    (
        "IQ-05",
        "key Region",
    ): "A trail needs a key in the Region of its bucket: name one in the parameters, and plan again.",
    (
        "IQ-07",
        "CloudTrail encrypts for the trail",
    ): "A statement denies it: decide whether that may go, and plan again.",
    ("IQ-07", "CloudTrail describes the key"): "A statement denies it: decide whether that may go, and plan again.",
    ("IQ-07", "CloudTrail encrypts without the encryption context"): _NARROW,
    ("IQ-07", "CloudTrail encrypts with a foreign aws:SourceArn"): _NARROW,
    ("IQ-07", "CloudTrail encrypts for another account's trail"): _NARROW,
    ("IQ-07", "decryption by a stranger"): _NARROW,
    ("IQ-07", "decryption by others whom the policy mentions"): f"{_NARROW} Or name them in expected.decrypt_accounts.",
    ("IQ-07", "decryption by grant"): "Revoke the grant, or name its account in expected.decrypt_accounts; plan again.",
    (
        "IQ-09",
        "log bucket",
    ): "Another bucket begins another chain of digests: decide which it is to be, and plan again.",
    (
        "IQ-09",
        "CloudTrail reads the bucket's ACL",
    ): "A statement denies it: decide whether that may go, and plan again.",
    ("IQ-09", "CloudTrail writes the trail's logs and digests"): (
        "A statement denies it: decide whether that may go, and plan again."
    ),
    ("IQ-09", "CloudTrail writes with a foreign aws:SourceArn"): _NARROW,
    ("IQ-09", "writing without bucket-owner-full-control"): _NARROW,
    ("IQ-09", "insecure transport denied"): "To refuse requests without TLS is to narrow: add the statement by hand.",
    ("IQ-09", "access by a stranger"): _NARROW,
    ("IQ-09", "reading by others whom the policy mentions"): _NARROW,
    ("IQ-09", "writing or deleting by others whom the policy mentions"): _NARROW,
    ("IQ-09", "public by policy, as S3 sees it"): _NARROW,
    ("IQ-09", "let in by ACL"): "The plan never narrows: take the grant out of the ACL, and plan again.",
    ("IQ-10", "nothing expires before"): "The plan deletes no rule: lengthen or disable the lifecycle rule by hand.",
    ("IQ-10", "Object Lock"): "What is locked can't be unlocked: set Object Lock by hand, once it is decided.",
    ("IQ-10", "access logging"): "Decide which bucket is to keep the access logs, and turn them on by hand.",
    ("IQ-10", "MFA delete"): "The root user alone can turn on MFA delete, with its second factor.",
}


def advice(test_case: str, condition: str, met: bool | None, trail: str) -> str:
    """Return what to do about a condition that stays unmet or unknown, as full sentences.

    `trail` is the ARN of the trail that the plan is for: of any other only what needs no decision is mended.
    """
    if met is None:
        return _FOLLOWS.get(condition, _UNKNOWN) if (test_case, condition) != ("IQ-05", "key") else _UNKNOWN
    if test_case == "IQ-11" and condition.startswith("arn:"):
        return "It follows from IQ-04, IQ-05 and IQ-08." if condition == trail else _PER_TRAIL
    return _ADVICE.get((test_case, condition), _DECIDE)
