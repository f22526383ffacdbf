"""What a signature states, and who may state it [21 CFR 11.50, 11.70; EU GMP Annex 11, 14].

The statement is kept as canonical JSON within the signed bytes, and printed in the visible block.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Literal, Self, get_args

from kit.canonical import Json
from kit.errors import RejectionError, SigningError
from kit.record.manifest import RESTORE
from kit.record.signatures.persons import Person, same

Role = Literal["executor", "reviewer", "approver"]
ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True)
class Statement:
    """One signer's statement on one record.

    `name` is the printed name and `subject` the distinguished name (RFC 4514), both of the certificate; `time` is UTC,
    by the signer's clock. `executed_by` and `caller` repeat the typed name and the STS identity of the record;
    `signer_caller` is the STS identity that used a KMS key, empty for other keys. `deviations` and `reason` are given
    where what did not pass is approved. `register_number` and `register_head` are the latest entry of the register that
    the signer saw: 0 and empty where there was none.
    """

    role: Role
    name: str
    subject: str
    meaning: str
    time: str
    record_id: str
    record_digest: str
    verdict: str
    executed_by: str
    caller: str
    signer_caller: str
    deviations: tuple[str, ...]
    reason: str
    register_number: int
    register_head: str

    def to_json(self) -> dict[str, Json]:
        """Return the statement as JSON; `from_json` gives it back equal."""
        return asdict(self) | {"deviations": list(self.deviations)}

    @classmethod
    def from_json(cls, value: Json) -> Self:
        """Return the statement that `to_json` wrote.

        Raises:
            RejectionError: a member is missing, unknown, or of another type.
        """
        named = {field.name for field in fields(cls)}
        if not isinstance(value, Mapping) or set(value) != named:
            raise RejectionError("a signature's statement has other members than the kit writes", RESTORE)
        deviations, number, role = value["deviations"], value["register_number"], value["role"]
        texts = [value[name] for name in named - {"deviations", "register_number"}]
        if not isinstance(deviations, list) or type(number) is not int or role not in ROLES:
            raise RejectionError("a signature's statement is malformed", RESTORE)
        if not all(isinstance(text, str) for text in [*texts, *deviations]):
            raise RejectionError("a signature's statement is malformed", RESTORE)
        return cls(**{**value, "deviations": tuple(deviations)})


def hold_rules(statement: Statement, earlier: Sequence[Statement], open_deviations: Sequence[str] | None) -> None:
    """Hold a statement, and those on the record before it, to the rules.

    A role signs once. The one who executed can't approve: judged on the certificate's subject, on the typed name, and
    on the STS identity. What did not pass is approved only by naming every deviation, and a reason. `open_deviations`
    is None for a protocol, which nobody has executed.

    Raises:
        SigningError: a rule is broken; says which, and on what it was judged.
    """
    if not _says_something(statement.meaning):
        raise SigningError("the signature states no meaning", 'say what it means: --meaning "I have reviewed ..."')
    if open_deviations is None and statement.role == "executor":
        raise SigningError(
            f"{statement.record_id} is a protocol, and nobody has executed it", "sign it as reviewer or approver"
        )
    for other in earlier:
        if other.role == statement.role:
            raise SigningError(
                f"the {other.role} has signed already: {other.name}, {other.time}",
                "a role signs once; what is wrong in a signed record is handled as a deviation",
            )
        if {other.role, statement.role} == {"executor", "approver"} and (
            by := same(_signer(statement), _signer(other))
        ):
            raise SigningError(
                f"{other.name} signed as {other.role}, and can't sign as {statement.role}: judged on {by}",
                "have another person sign: the one who executed can't approve",
            )
    if statement.role == "approver":
        executor = Person(name=statement.executed_by, caller=statement.caller)
        if by := same(_signer(statement), executor):
            raise SigningError(
                f"{statement.name} ({statement.subject}) executed the run, and can't approve it: judged on {by}",
                "have another person sign: the one who executed can't approve",
            )
    _hold_deviations(statement, open_deviations or ())


def _signer(statement: Statement) -> Person:
    return Person(statement.name, statement.subject, statement.signer_caller)


def _hold_deviations(statement: Statement, open_deviations: Sequence[str]) -> None:
    """Require that an approval of what did not pass names every deviation and a reason; and that nothing else does."""
    if statement.role != "approver" or statement.verdict in ("", "PASS"):
        if statement.deviations or statement.reason:
            raise SigningError(
                "there is nothing here that a deviation or a reason could be given for",
                "leave out --deviation and --reason: they belong to the approval of what did not pass",
            )
        return
    if left := [name for name in open_deviations if name not in statement.deviations]:
        raise SigningError(
            f"the record's verdict is {statement.verdict}, and the approval does not name {', '.join(left)}",
            "name each with --deviation ID, and give --reason",
        )
    if unknown := [name for name in statement.deviations if name not in open_deviations]:
        raise SigningError(
            f"the record has no deviation {', '.join(unknown)}", f"name {', '.join(open_deviations) or 'none'}"
        )
    if len(set(statement.deviations)) != len(statement.deviations):
        raise SigningError("the approval names a deviation twice", f"name each once: {', '.join(open_deviations)}")
    if not _says_something(statement.reason):
        raise SigningError(
            f"the record's verdict is {statement.verdict}, and the approval gives no reason", "give --reason"
        )


def _says_something(text: str) -> bool:
    return any(char.isalnum() for char in text)
