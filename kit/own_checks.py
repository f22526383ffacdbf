"""Requirements of one's own: checks and clauses that a team adds to a protocol, found by entry point `trailkit.checks`.

The entry point names a package with YAML files in it, or a module with one beside it. Each file adds test cases to one
protocol, and clauses to test cases that are there. All of it is read, hashed and refused before any check is imported.

A check of one's own is held to what the kit's are: it judges what was collected, and nothing else; it is judged on a
copy, so that no other check sees what it changes; and where it breaks, its test case is INCONCLUSIVE and says why.
"""

import copy
import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from kit.canonical import Json, canonical, sha256, sha256_file
from kit.errors import CatalogueError, ParameterError
from kit.findings import Finding, Judgement, Verdict
from kit.identifiers import Line, TestCaseId, Text
from kit.parameters import RunParameters
from kit.purity import judging
from kit.snapshot import Snapshot
from kit.strict_yaml import parse

Check = Callable[[Snapshot, RunParameters], list[Finding]]

GROUP = "trailkit.checks"
RESERVED = ("IQ", "OQ", "PQ", "TQ", "RM", "DEV", "URS")
"""Prefixes of ids that are the kit's, or that a record uses for something else."""


def _own_id(case_id: str) -> str:
    if case_id.partition("-")[0] in RESERVED:
        raise ValueError(f"the prefixes {', '.join(RESERVED)} are taken")
    return case_id


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OwnClause(_Part):
    """A clause, and in one line why a test case serves it."""

    source: Line
    clause: Line
    rationale: Line


class OwnTestCase(_Part):
    """A test case as a catalogue states it; `check` is `module.function` in the package, or the function's name."""

    title: Line
    check: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$")]
    criticality: Literal["critical", "major", "minor"]
    purpose: Text
    method: Text
    criterion: Text
    clauses: Annotated[tuple[OwnClause, ...], Field(min_length=1)]


class Additions(_Part):
    """One YAML file: what it adds to which protocol."""

    protocol: Literal["IQ", "OQ", "PQ"]
    test_cases: dict[Annotated[TestCaseId, AfterValidator(_own_id)], OwnTestCase] = {}
    clauses: dict[TestCaseId, Annotated[tuple[OwnClause, ...], Field(min_length=1)]] = {}


@dataclass(frozen=True)
class OwnChecks:
    """What one distribution adds: its name and version, and the SHA-256 over every file of its module or package."""

    name: str
    version: str
    sha256: str
    module: str
    additions: tuple[Additions, ...]

    def to(self, protocol_id: str) -> list[Additions]:
        """Return what it adds to a protocol."""
        return [one for one in self.additions if one.protocol == protocol_id]

    def told(self, protocol_id: str) -> dict[str, Json]:
        """Return what a record says of it: by this it is found again."""
        cases = [case for one in self.to(protocol_id) for case in one.test_cases]
        return {"name": self.name, "version": self.version, "sha256": self.sha256, "test_cases": cases}


def judge_own(check: Check, case_id: str, snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """Return the findings of a check of one's own; never none, and of no other test case.

    It is INCONCLUSIVE where the check raises, reaches for more than it was given, gives what is no finding of the test
    case, or passes without evidence.
    """
    with judging() as refused:
        try:
            found: Any = check(*copy.deepcopy((snapshot, parameters)))
        except Exception as error:  # noqa: BLE001 - another's check may raise anything; its test case stays open
            # the kind of error alone: a message may hold an address in memory, which no replay would give again
            return [_broken(case_id, f"The check raised {type(error).__name__}.")]
    if refused:
        return [_broken(case_id, f"The check reached for more than what was collected: {refused[0]}.")]
    if not isinstance(found, list) or not found or not all(isinstance(one, Finding) for one in found):
        return [_broken(case_id, "The check gave no list of findings.")]
    if any(one.test_case != case_id for one in found):
        return [_broken(case_id, "The check gave a finding of another test case.")]
    if any(one.verdict is Verdict.PASS and not one.evidence for one in found):
        return [_broken(case_id, "The check passes something without naming evidence.")]
    return found


def _broken(case_id: str, why: str) -> Finding:
    judgement = Judgement(case_id, "the check itself")
    judgement.doubt("check", "judges what was collected, and names its evidence", why)
    return judgement.finding()


def installed() -> tuple[OwnChecks, ...]:
    """Return what is installed, sorted by name; nothing of it is executed.

    Raises:
        CatalogueError: one can't be found, or its catalogue is not of the documented form.
    """
    found = [_read(point) for point in entry_points(group=GROUP)]
    names = [one.name for one in found]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise _unfit(repeated[0], f"it has more than one entry point {GROUP}")
    return tuple(sorted(found, key=lambda one: one.name))


def required(told: Sequence[Mapping[str, Json]]) -> tuple[OwnChecks, ...]:
    """Return those that a record names, each of that version and with that hash.

    Raises:
        CatalogueError: one is not installed here, or is another; says what to install.
    """
    here = {one.name: one for one in installed()} if told else {}
    for one in told:
        name, version = one["name"], one["version"]
        found, install = here.get(name), f"install {name} {version} beside the kit, and try again"
        if found is None:
            raise CatalogueError(f"the checks of {name} {version} are needed, and not installed here", install)
        if (found.version, found.sha256) != (version, one["sha256"]):
            raise CatalogueError(
                f"the checks of {name} {version} are needed, with SHA-256 {one['sha256']}; here is "
                f"{found.version}, with {found.sha256}",
                install,
            )
    return tuple(here[one["name"]] for one in told)


def _read(point: EntryPoint) -> OwnChecks:
    """Return what an entry point adds; its module is found and read, and not imported."""
    name, version = (point.dist.name, point.dist.version) if point.dist else (point.name, "")
    try:
        spec = importlib.util.find_spec(point.value)
    except (ImportError, ValueError, AttributeError) as error:
        raise _unfit(name, f"{point.value} can't be found: {error}") from error
    if spec is None or not spec.origin or not Path(spec.origin).is_file():
        raise _unfit(name, f"there is no module {point.value}")
    origin = Path(spec.origin)
    is_package = bool(spec.submodule_search_locations)
    catalogues = sorted(origin.parent.rglob("*.yaml")) if is_package else [origin.with_suffix(".yaml")]
    files = list(_files(origin.parent)) if is_package else [origin, *catalogues]
    try:
        table = {path.relative_to(origin.parent).as_posix(): sha256_file(path) for path in files}
        additions = tuple(_additions(path.read_bytes(), path.name, name) for path in catalogues)
    except OSError as error:
        raise _unfit(name, f"{error.filename} can't be read: {error.strerror}") from error
    if not additions:
        raise _unfit(name, f"{point.value} holds no catalogue (*.yaml)")
    return OwnChecks(name, version, sha256(canonical(table)), point.value, additions)


def _files(folder: Path) -> Iterator[Path]:
    """Yield every file of a package but what Python itself puts there."""
    yield from (path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)


def _additions(content: bytes, file: str, name: str) -> Additions:
    try:
        return Additions.model_validate(parse(content, file))
    except ParameterError as error:
        raise _unfit(name, error.message) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"] if part != "[key]")
        raise _unfit(name, f"{file}: {place or 'the document'}: {first['msg']}") from error


def _unfit(name: str, problem: str) -> CatalogueError:
    return CatalogueError(
        f"the checks that {name} adds can't be used: {problem}", f"correct {name}, or uninstall it, and try again"
    )
