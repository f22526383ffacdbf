"""Check on refusal: a role that must not read logs is refused by their KMS key."""

import re

from kit.findings import Finding, Judgement
from kit.parameters import RunParameters
from kit.snapshot import Answer, Reason, Refusal, Snapshot

_DECRYPT = re.compile(r"not authorized to perform: kms:Decrypt\b")


def oq_08(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """The role that must be refused is assumed, may list the logs, and is refused the content of a log that the run had
    just read, by KMS and by name: it may not use the log's key.

    Source: S3 user guide, "Troubleshoot access denied (403 Forbidden) errors": the message names action and key.
    """
    role = parameters.expected.denied_role_arn
    judgement = Judgement("OQ-08", role or f"arn:aws:iam::{parameters.account.account_id}:root")
    if role is None:
        return [judgement.not_applicable("The parameter expected.denied_role_arn names no role to be refused.")]
    refusal = snapshot.refusal
    if refusal is None:
        judgement.doubt("role assumed", True, f"The role {role} was not sent to read a log.")
        return [judgement.finding()]
    _judge(judgement, refusal)
    return [judgement.finding(f"The role {role} is refused by the key of a log that the run itself had just read.")]


def _judge(judgement: Judgement, refusal: Refusal) -> None:
    judgement.rest_on(refusal.assumed.evidence)
    if refusal.assumed.value is None:
        judgement.doubt("role assumed", True, refusal.assumed.why)
        return
    judgement.expect("role assumed", True, True)
    if refusal.log is None or refusal.listed is None or refusal.read is None:
        judgement.doubt("log to be refused", "one that was just read", "No log under a KMS key was read in this run.")
        return
    judgement.observe("log", refusal.log.address)
    judgement.rest_on((*refusal.listed.evidence, *refusal.read.evidence))
    if refusal.listed.value is None:
        judgement.doubt("log listed", 1, refusal.listed.why)
    elif refusal.listed.value < 1:
        judgement.doubt("log listed", 1, "The role was shown no log of that name.", refusal.listed.value)
    else:
        judgement.expect("log listed", 1, refusal.listed.value)
    _judge_read(judgement, refusal.role, refusal.log.encryption_key, refusal.read)


def _judge_read(judgement: Judgement, role: str, key: str, read: Answer[int]) -> None:
    name, expected = "refused by KMS", f"AccessDenied for kms:Decrypt on {key}"
    if read.absence is None:
        sentence = f"The role {role} was let in: it may read log files."
        judgement.expect(name, expected, "let in", met=False, otherwise=sentence)
        return
    actual = f"{read.absence.code}: {read.absence.message}"
    named = key and key in read.absence.message and _DECRYPT.search(read.absence.message)
    if named and read.absence.reason is Reason.DENIED:
        judgement.expect(name, expected, actual, met=True)
    elif read.absence.reason is Reason.DENIED:
        judgement.doubt(
            name, expected, "The refusal does not name kms:Decrypt and the log's key: S3 alone proves nothing.", actual
        )
    else:
        judgement.doubt(name, expected, read.why, actual)
