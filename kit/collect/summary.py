"""Collects what the summary of a round judges: the records of each target, and the accounts of the organization."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from kit.canonical import Json
from kit.collect.account import Progress, collect_caller
from kit.collect.calls import LIST_ACCOUNTS
from kit.collect.readers import Readers
from kit.errors import EvidenceError, KitError, is_unread
from kit.record.compare import verdicts_of
from kit.record.history import runs_in_round
from kit.record.register import REGISTER, read_register
from kit.record.standing import hold_standing
from kit.recording import Recorder, Replayer
from kit.sections import Round
from kit.snapshot import Absence, Answer, Caller, Reason, Snapshot
from kit.summary import Member, Summary, Told

# Organizations answers in one Region of each partition [AWS General Reference: Organizations endpoints and quotas]
_REGIONS = {"aws-cn": "cn-northwest-1", "aws-us-gov": "us-gov-west-1"}
_RESTORE = "restore the record from its archive"


class Targets(Protocol):
    """Where the targets of a round left their records."""

    def record(self, target: str, protocol_id: str) -> Json:
        """Return what a target's folder tells of a protocol in the round."""
        ...


@dataclass(frozen=True)
class TargetFolders:
    """The folders of the targets of a round, beside one another in `outputs`, read as they are."""

    outputs: Path
    round_id: str

    def record(self, target: str, protocol_id: str) -> Json:
        """Return what a target's folder tells of a protocol in the round, as `kit.summary.Told` reads it."""
        folder = self.outputs / target
        try:
            entries = read_register(folder / REGISTER)
        except KitError as error:
            return {"missing": f"its register can't be read: {error.message.replace(str(folder), target)}"}
        runs = runs_in_round(entries, protocol_id, self.round_id)
        if not runs:
            return {"missing": "no run was started"}
        history = next((one for one in reversed(runs) if one.state == "finished"), runs[-1])
        if history.state != "finished":
            failed = history.last("failed")
            why = f": {failed.data.get('reason')}" if failed else ""
            return {"missing": f"its last run, {history.record_id}, is {history.state}{why}"}
        told = {"record_id": history.record_id, "digest": history.digest}
        try:
            manifest = hold_standing(folder / history.record_id, history, entries)
            return {
                **told,
                "verdict": manifest["verdict"],
                "account_id": (manifest["caller"] or {}).get("account", ""),
                "kit_version": manifest["executed_with"]["kit_version"],
                "catalogue_sha256": manifest["catalogue_sha256"],
                "test_cases": verdicts_of(folder / history.record_id),
            }
        except KitError as error:
            return {**told, "unread" if is_unread(error) else "problem": error.message}


def collect_summary(
    recorder: Recorder | Replayer, of: Round, targets: Targets | None, readers: Readers | None, progress: Progress
) -> Snapshot:
    """Return what the targets of a round left, and the accounts of the organization where `readers` reach one.

    `targets` is None in a replay: what their folders told then is in the evidence. IAM: organizations:ListAccounts.

    Raises:
        CredentialsError: no credentials can be found.
        EvidenceError: an answer can't be recorded, or was recorded otherwise than the kit does.
    """
    caller, members = collect_accounts(readers) if readers else (_NOBODY, None)
    told = []
    for target in of.targets:
        for name in of.protocols:

            def tell(target: str = target.name, name: str = name) -> Json:
                return targets.record(target, name) if targets else None

            asked = {"target": target.name, "protocol": name}
            read, evidence = recorder.keep("ReadTarget", asked, tell)
            try:
                told.append(Told.from_json(target.name, name, read, evidence))
            except (LookupError, TypeError, ValueError, AttributeError) as error:
                raise EvidenceError(
                    f"what was read of {target.name} can't be read back: {error!r}", _RESTORE
                ) from error
        progress("Targets", len(told) // len(of.protocols), len(of.targets))
    nothing: Answer[Any] = Answer("", (), absence=_NOBODY.absence)
    return Snapshot(caller, nothing, {}, (), None, summary=Summary(tuple(told), members))


def collect_accounts(readers: Readers) -> tuple[Answer[Caller], Answer[tuple[Member, ...]]]:
    """Return who asks, and every account of the organization. IAM: organizations:ListAccounts.

    Raises:
        CredentialsError: no credentials can be found.
        EvidenceError: an answer can't be recorded.
    """
    readers.sign_in("us-east-1")
    caller = collect_caller(readers, "us-east-1")
    partition = caller.value.arn.split(":")[1] if caller.value else "aws"
    members = readers.ask(LIST_ACCOUNTS, _REGIONS.get(partition, "us-east-1"), _members)
    return caller, members


def _members(response: Mapping[str, Json]) -> tuple[Member, ...]:
    if not response["Accounts"]:
        raise ValueError("no organization is without an account")
    return tuple(sorted(map(Member.of, response["Accounts"]), key=lambda member: member.id))


_NOBODY: Answer[Any] = Answer(
    "sts:GetCallerIdentity", (), absence=Absence(Reason.MISSING, "NotAsked", "no account was asked")
)
