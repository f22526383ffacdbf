"""The catalogue: for each test case its title, acceptance criterion, clauses and check, read from `catalogue/*.yaml`.

One id everywhere: test case `IQ-05` is the key in the catalogue and the function `iq_05` among the checks. What a team
added of its own (`own_checks`) stands behind the kit's own test cases, and is held by the same hash.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib import import_module, resources
from typing import Any, cast

import yaml

from kit.canonical import Json, canonical, sha256
from kit.errors import CatalogueError
from kit.findings import Finding
from kit.own_checks import Additions, OwnChecks, installed, judge_own, required
from kit.parameters import RunParameters
from kit.purity import judging
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
    """One test case as the protocol states it; `check` is `module.function`, or a function's name, in `package`.

    `added_by` names the distribution that added the test case; it is empty for the kit's own.
    """

    __test__ = False  # a name of the field, not a test class of pytest's

    id: str
    title: str
    check: str
    criticality: str
    purpose: str
    method: str
    criterion: str
    clauses: tuple[Clause, ...]
    package: str = "kit.checks"
    added_by: str = ""

    def find_check(self) -> Check:
        """Return the function that judges the test case.

        Raises:
            CatalogueError: it does not exist.
        """
        module, _, function = f"{self.package}.{self.check}".rpartition(".")
        try:
            return cast("Check", getattr(import_module(module), function))
        except Exception as error:  # a module that a team added may raise anything
            why = "" if isinstance(error, AttributeError) else f" ({type(error).__name__}: {error})"
            remedy = f"correct {self.added_by}, or uninstall it" if self.added_by else _REMEDY
            raise CatalogueError(f"{self.id} names a check that does not exist: {self.check}{why}", remedy) from error

    def judge(self, snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
        """Return the findings of the test case; never none.

        Raises:
            CatalogueError: the check does not exist; or it is the kit's, and gave no finding or one of another test
                case.
        """
        check = self.find_check()
        if self.added_by:
            return judge_own(check, self.id, snapshot, parameters)
        with judging():
            findings = check(snapshot, parameters)
        if not findings or any(finding.test_case != self.id for finding in findings):
            raise CatalogueError(f"the check {self.check} gave no finding of {self.id}", _REMEDY)
        return findings


@dataclass(frozen=True)
class Protocol:
    """One protocol: its test cases in the order of execution, and what it covers and leaves out.

    `own` says of everything that was added to it what a record has to say of it, with the hash of its code.
    """

    id: str
    title: str
    version: str
    notebook: str
    purpose: str
    scope: tuple[str, ...]
    exclusions: tuple[str, ...]
    limitations: tuple[str, ...]
    test_cases: Mapping[str, TestCase]
    own: tuple[Mapping[str, Json], ...] = ()

    @property
    def sha256(self) -> str:
        """The hash of the whole protocol as the catalogue states it: every test case, criterion and clause, and the
        code of what was added.
        """
        return sha256(canonical(asdict(self)))

    @property
    def own_test_cases(self) -> tuple[str, ...]:
        """The ids of the test cases that were added to the kit's."""
        return tuple(case.id for case in self.test_cases.values() if case.added_by)


def protocols() -> tuple[str, ...]:
    """Return the ids of all protocols, sorted."""
    folder = resources.files("kit") / "catalogue"
    return tuple(sorted(file.name.removesuffix(".yaml").upper() for file in folder.iterdir()))


@cache
def protocol(protocol_id: str) -> Protocol:
    """Return a protocol of the catalogue, whatever the case of its id, with all that is installed besides.

    Raises:
        CatalogueError: there is no such protocol, its file is not of the documented form, or what a team added is not.
    """
    return _extended(kit_protocol(protocol_id), installed())


def protocol_as_executed(protocol_id: str, own: Sequence[Mapping[str, Json]]) -> Protocol:
    """Return a protocol with those checks of one's own that a record names, and no others.

    Raises:
        CatalogueError: there is no such protocol, or one of them is not installed here as it was then.
    """
    return _extended(kit_protocol(protocol_id), required(own))


@cache
def kit_protocol(protocol_id: str) -> Protocol:
    """Return a protocol as the kit itself states it.

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
    again = kit_protocol(repeated).test_cases if repeated else {}
    return Protocol(**data, test_cases={**cases, **again})


def _extended(of: Protocol, everything: Sequence[OwnChecks]) -> Protocol:
    """Return a protocol with what was added to it: test cases behind its own, clauses in its own."""
    cases = dict(of.test_cases)
    adding = [one for one in everything if one.to(of.id)]
    for one in adding:
        for additions in one.to(of.id):
            _add(cases, of, one, additions)
    return replace(of, test_cases=cases, own=tuple(one.told(of.id) for one in adding))


def _add(cases: dict[str, TestCase], of: Protocol, by: OwnChecks, additions: Additions) -> None:
    remedy = f"correct {by.name}, or uninstall it"
    for case_id, stated in additions.test_cases.items():
        if case_id in cases:
            raise CatalogueError(f"{by.name} adds {case_id} to {of.id}, which is there already", remedy)
        told = stated.model_dump(exclude={"clauses"})
        clauses = tuple(Clause(**clause.model_dump()) for clause in stated.clauses)
        cases[case_id] = TestCase(id=case_id, **told, clauses=clauses, package=by.module, added_by=by.name)
        cases[case_id].find_check()
    for case_id, further in additions.clauses.items():
        if case_id not in of.test_cases:
            raise CatalogueError(f"{by.name} adds a clause to {case_id}, which {of.id} does not have", remedy)
        clauses = (*cases[case_id].clauses, *(Clause(**clause.model_dump()) for clause in further))
        cases[case_id] = replace(cases[case_id], clauses=clauses)
