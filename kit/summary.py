"""What the summary of a round has before it: of each target and protocol the record that it left, or why it left none;
and the accounts of the organization, where the targets were to be those.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from kit.canonical import Json
from kit.snapshot import Answer


@dataclass(frozen=True)
class Told:
    """What a target's outputs folder tells of one protocol in the round.

    `missing` says why there is no record, `problem` why the one there is is not believed, `unread` why it could not be
    read; each is empty where it does not apply, and with any nothing of the record counts. `account_id` is the caller's
    own, as STS said.
    """

    target: str
    protocol: str
    missing: str = ""
    problem: str = ""
    unread: str = ""
    record_id: str = ""
    digest: str = ""
    verdict: str = ""
    account_id: str = ""
    kit_version: str = ""
    catalogue_sha256: str = ""
    test_cases: Mapping[str, str] | None = None
    evidence: tuple[str, ...] = ()

    @property
    def stands(self) -> bool:
        """Whether there is a record that is believed."""
        return not self.why

    @property
    def why(self) -> str:
        """Why there is no record that counts; empty where there is."""
        return self.missing or self.problem or self.unread

    @classmethod
    def from_json(cls, target: str, protocol: str, told: Any, evidence: tuple[str, ...]) -> Self:
        """Return what was told; anything else raises as reading it does."""
        texts = {one.name for one in fields(cls)} - {"target", "protocol", "test_cases", "evidence"}
        if unknown := set(told) - texts - {"test_cases"}:
            raise ValueError(f"it tells {', '.join(sorted(unknown))}")
        cases = {str(case): str(verdict) for case, verdict in (told.get("test_cases") or {}).items()}
        read = {name: str(told.get(name, "")) for name in texts}
        return cls(target, protocol, **read, test_cases=cases, evidence=evidence)


@dataclass(frozen=True)
class Member:
    """An account of an organization, as Organizations lists it [Organizations: ListAccounts]."""

    id: str
    arn: str
    name: str
    active: bool

    @classmethod
    def of(cls, account: Mapping[str, Json]) -> Self:
        """Return what one element of the answer says.

        Raises:
            ValueError: it lacks its id or its state.
        """
        # `Status` is the older member, retired since September 2026 [Organizations: Account]
        state = account.get("State") or account.get("Status")
        if not isinstance(state, str) or not str(account.get("Id", "")).isdigit():
            raise ValueError("an account without id or state")
        return cls(str(account["Id"]), str(account.get("Arn", "")), str(account.get("Name", "")), state == "ACTIVE")


@dataclass(frozen=True)
class Summary:
    """All of it: a `Told` for each target and protocol, in the order of the round; `members` is None without one."""

    records: tuple[Told, ...]
    members: Answer[tuple[Member, ...]] | None
