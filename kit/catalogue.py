"""The catalogue: for each test case its title, acceptance criterion, clauses and check, read from `catalogue/*.yaml`.

One id everywhere: test case `IQ-05` is the key in the catalogue and the function `iq_05` among the checks.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib import import_module, resources
from typing import Any, cast

import yaml

from kit.canonical import canonical, sha256
from kit.errors import CatalogueError
from kit.findings import Finding
from kit.parameters import RunParameters
from kit.snapshot import Snapshot

Check = Callable[[Snapshot, RunParameters], list[Finding]]
_REMEDY = "correct the catalogue of the kit"


@dataclass(frozen=True)
class Clause:
    """A clause that a test case serves, and in one line why."""

    source: str
    clause: str
    rationale: str


@dataclass(frozen=True)
class TestCase:
    """One test case as the protocol states it; `check` is `module.function` under `kit.checks`."""

    __test__ = False  # a name of the field, not a test class of pytest's

    id: str
    title: str
    check: str
    criticality: str
    purpose: str
    method: str
    criterion: str
    clauses: tuple[Clause, ...]

    def judge(self, snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
        """Return the findings of the test case; never none.

        Raises:
            CatalogueError: the check does not exist, or gave no finding or one of another test case.
        """
        module, _, function = self.check.partition(".")
        try:
            check = cast("Check", getattr(import_module(f"kit.checks.{module}"), function))
        except (ImportError, AttributeError) as error:
            raise CatalogueError(f"{self.id} names a check that does not exist: {self.check}", _REMEDY) from error
        findings = check(snapshot, parameters)
        if not findings or any(finding.test_case != self.id for finding in findings):
            raise CatalogueError(f"the check {self.check} gave no finding of {self.id}", _REMEDY)
        return findings


@dataclass(frozen=True)
class Protocol:
    """One protocol: its test cases in the order of execution, and what it covers and leaves out."""

    id: str
    title: str
    version: str
    notebook: str
    purpose: str
    scope: tuple[str, ...]
    exclusions: tuple[str, ...]
    limitations: tuple[str, ...]
    test_cases: Mapping[str, TestCase]

    @property
    def sha256(self) -> str:
        """The hash of the whole protocol as the catalogue states it: every test case, criterion and clause."""
        return sha256(canonical(asdict(self)))


def protocols() -> tuple[str, ...]:
    """Return the ids of all protocols, sorted."""
    folder = resources.files("kit") / "catalogue"
    return tuple(sorted(file.name.removesuffix(".yaml").upper() for file in folder.iterdir()))


@cache
def protocol(protocol_id: str) -> Protocol:
    """Return a protocol of the catalogue, whatever the case of its id.

    Raises:
        CatalogueError: there is no such protocol, or its file is not of the documented form.
    """
    name = protocol_id.upper()
    if name not in protocols():
        raise CatalogueError(f"there is no protocol {protocol_id!r}", f"name one of {', '.join(protocols())}")
    content = (resources.files("kit") / "catalogue" / f"{name.lower()}.yaml").read_text(encoding="utf-8")
    try:
        return _protocol(yaml.safe_load(content))
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise CatalogueError(f"the catalogue of {name} can't be read: {error}", _REMEDY) from error


def _protocol(data: dict[str, Any]) -> Protocol:
    repeated = data.pop("repeats", None)
    cases = {
        case_id: TestCase(id=case_id, clauses=tuple(Clause(**clause) for clause in case.pop("clauses")), **case)
        for case_id, case in data.pop("test_cases").items()
    }
    data |= {name: tuple(data[name]) for name in ("scope", "exclusions", "limitations")}
    # what another protocol judges is judged again, under its own ids
    again = protocol(repeated).test_cases if repeated else {}
    return Protocol(**data, test_cases={**cases, **again})
