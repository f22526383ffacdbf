"""Run parameters: one YAML file, for papermill and for the command alike, becomes frozen, validated values.

Nothing is guessed: an unknown key, a key given twice, a number where text is meant, and anything that looks like a
secret is refused, in one error that lists every problem with the key's path, what is expected there, and an example.
"""

import copy
import difflib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails

from kit.canonical import Json
from kit.errors import ParameterError
from kit.redaction import find_secret
from kit.sections import (
    Approved,
    Excluded,
    Execution,
    Expected,
    Requirement,
    Round,
    RoundMember,
    Section,
    Target,
    Window,
    distinct,
)
from kit.strict_yaml import parse

_MAX_BYTES = 1 << 18


class RunParameters(Section):
    """Everything a run is told, validated; build it with `load`, which is what turns problems into one error."""

    target: Annotated[
        Annotated[Literal["sandbox", "round"], Tag("<sandbox>")] | Annotated[Target, Tag("<account>")],
        Discriminator(lambda value: "<sandbox>" if isinstance(value, str) else "<account>"),
    ] = Field(
        "sandbox",
        description="sandbox (the embedded account) or a mapping",
        examples=["sandbox"],
    )
    expected: Expected = Field(Expected(), description="a mapping", examples=[{"key_alias": "alias/CloudTrailGxPKey"}])
    window: Window = Field(Window(hours=24), description="hours, or start and end", examples=[{"hours": 24}])
    execution: Execution = Field(description="a mapping", examples=[{"executed_by": "Anna Müller"}])
    requirements: Annotated[tuple[Requirement, ...], AfterValidator(distinct)] = Field(
        (), description="a list of requirements", examples=[[{"id": "URS-017", "risk": "high"}]]
    )
    remediation: Approved | None = Field(
        None,
        description="the plan that was approved, for a remediation",
        examples=[{"plan": "…", "change_control": "CC-2026-004"}],
    )
    of_round: Round | None = Field(
        None,
        description="the round that is summed up, where target is round",
        examples=[{"id": "ROUND-20261130T080000Z-0a1b2c", "protocols": ["IQ"], "…": "…"}],
    )

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        # a section whose every line is commented out reads as null: it is left out, not wrong
        filled = {key: value for key, value in data.items() if value is not None}
        execution = filled.get("execution", {})
        if filled.get("target", "sandbox") == "sandbox" and isinstance(execution, Mapping):
            execution = {**_UNSTATED, **execution}
        return {**filled, "execution": execution}

    @field_validator("execution")
    @classmethod
    def _no_evidence_from_a_simulation(cls, execution: Execution, info: ValidationInfo) -> Execution:
        target = info.data.get("target")
        if target not in (None, "round") and _is_simulated(target, None) and execution.environment != "sandbox":
            cause = ValueError(_NO_EVIDENCE)
            detail = InitErrorDetails(
                type="value_error", loc=("environment",), input=execution.environment, ctx={"error": cause}
            )
            raise ValidationError.from_exception_data("RunParameters", [detail])
        return execution

    @property
    def sandbox(self) -> bool:
        """Whether the run is against the embedded account."""
        return self.target == "sandbox"

    @property
    def demonstration(self) -> bool:
        """Whether the run can't be GxP evidence: an embedded account, a custom endpoint, or a sandbox environment."""
        return _is_simulated(self.target, self.of_round) or self.execution.environment == "sandbox"

    @property
    def account(self) -> Target:
        """The account under test and how it is reached; of a round that of its organization, which lists its accounts.

        Raises:
            ParameterError: it is the embedded account, which has no address until it is started, or a round of none.
        """
        if not isinstance(self.target, str):
            return self.target
        if self.of_round and self.of_round.organization:
            return self.of_round.organization
        raise ParameterError("the embedded account is not started", "begin the run again")

    @property
    def account_id(self) -> str:
        """The account under test; empty where it is a round, which has many."""
        return "" if self.target == "round" else self.account.account_id

    @classmethod
    def load(cls, mapping: object) -> Self:
        """Return the validated parameters of a mapping as YAML or papermill gives it.

        >>> RunParameters.load({"target": "sandbox"}).window
        Window(hours=24, start=None, end=None)
        >>> RunParameters.load({"target": "sandbox", "window": {"hour": 24}})
        Traceback (most recent call last):
        kit.errors.ParameterError: window.hour: unknown key; did you mean window.hours?...

        Raises:
            ParameterError: anything is unknown, missing, malformed, contradictory or secret; lists every problem, and
                repeats no value.
        """
        if not isinstance(mapping, Mapping):
            raise ParameterError("the parameters are no mapping of keys to values", _REMEDY)
        _refuse_secrets(mapping)
        try:
            parameters = cls.model_validate(mapping)
        except ValidationError as error:
            problems: dict[str, str] = {}
            for problem in error.errors(include_url=False):
                # a list is called too short when its members are refused, and those are listed already
                if not (problem["type"] == "too_short" and problem["input"]):
                    path = _path(problem["loc"])
                    problems.setdefault(".".join(path), _describe(path, problem))
            raise ParameterError("\n".join(problems.values()), _REMEDY) from error
        if (parameters.target == "round") != (parameters.of_round is not None):
            raise ParameterError("target: round and the section of_round are only given together", _REMEDY)
        simulated = _is_simulated(parameters.target, parameters.of_round)
        if simulated and parameters.execution.environment != "sandbox":
            raise ParameterError(f"execution.environment: {_NO_EVIDENCE}", _REMEDY)
        return parameters

    def to_json(self) -> dict[str, Json]:
        """Return what the record prints: every value, defaults included, as JSON; `load` gives it back equal."""
        return self.model_dump(mode="json")


_NO_EVIDENCE = "neither the embedded account nor a custom endpoint gives GxP evidence: only sandbox will do"
_UNSTATED = {
    "executed_by": "not stated",
    "system_id": "embedded sandbox account",
    "environment": "sandbox",
    "protocol_id": "not stated",
}
_SECTIONS: dict[str, type[Section]] = {
    "target": Target,
    "expected": Expected,
    "window": Window,
    "execution": Execution,
    "requirements": Requirement,
    "remediation": Approved,
    "of_round": Round,
}
_REMEDY = "correct the parameters (file, --set option or cell of the notebook), and run again"


def json_schema() -> dict[str, Json]:
    """Return the JSON Schema (2020-12) of a parameters file, for editors; `load` checks more than a schema can say.

    What a round's summary is told is written by no editor, and left out.
    """
    schema = RunParameters.model_json_schema()
    del schema["properties"]["of_round"]
    for name in (Round, RoundMember, Excluded):
        del schema["$defs"][name.__name__]
    schema["properties"]["target"]["oneOf"][0] = {"const": "sandbox", "type": "string"}
    # only the embedded account goes without an execution section
    needed = schema["$defs"]["Execution"].pop("required")
    del schema["required"]
    account = {"properties": {"target": {"type": "object"}}, "required": ["target"]}
    stated = {"properties": {"execution": {"required": needed}}, "required": ["execution"]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "if": account, "then": stated}


def load_file(path: Path) -> dict[str, Json]:
    """Return the mapping in a YAML file, as papermill reads it (times stay text), not yet validated.

    Raises:
        ParameterError: the file can't be read, is over 256 KiB, is no valid YAML (says the line), gives a key twice,
            uses aliases, holds no mapping, or holds what looks like a secret.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ParameterError(f"{path}: can't be read: {error.strerror}", "name a readable YAML file") from error
    if len(content) > _MAX_BYTES:
        raise ParameterError(f"{path}: is over 256 KiB", "name a parameters file")
    mapping = parse(content, str(path))
    if not isinstance(mapping, dict):
        raise ParameterError(f"{path}: holds no mapping of keys to values", "begin with a key, such as target: sandbox")
    _refuse_secrets(mapping)
    return mapping


def apply_settings(mapping: Mapping[str, Json], settings: Iterable[str]) -> dict[str, Json]:
    """Return a copy of the mapping with each `key.path=value` set; values are read as YAML, later settings win.

    >>> apply_settings({"target": "sandbox"}, ["window.hours=168", "expected.tls_only=true"])
    {'target': 'sandbox', 'window': {'hours': 168}, 'expected': {'tls_only': True}}

    Raises:
        ParameterError: a setting has no key or no `=`, its value is no YAML, its path runs through something that is
            no mapping, or it holds what looks like a secret.
    """
    result = copy.deepcopy(dict(mapping))
    for number, setting in enumerate(settings, start=1):
        path, equals, text = setting.partition("=")
        keys = path.strip().split(".")
        if not equals or not all(keys):
            raise ParameterError(f"setting {number} is not of the form key.path=value", _SETTING)
        value: Json = parse(text.encode(errors="surrogateescape"), f"setting {number}")
        nested = {keys[-1]: value}
        for key in reversed(keys[:-1]):
            nested = {key: nested}
        _refuse_secrets(nested)
        place = result
        for key in keys[:-1]:
            if place.get(key) is None:
                place[key] = {}
            place = place[key]
            if not isinstance(place, dict):
                raise ParameterError(f"setting {number}: {key} is no mapping, so nothing can be set in it", _SETTING)
        place[keys[-1]] = value
    return result


_SETTING = "write for example --set expected.key_alias=alias/CloudTrailGxPKey, or give the whole mapping as YAML"


def _refuse_secrets(mapping: object) -> None:
    if path := find_secret(mapping):
        raise ParameterError(
            f"{_printable(path)}: looks like a secret; expected nothing secret, for example profile: gxp-audit",
            "remove it, and revoke it if it was real; AWS credentials belong in a profile, the environment or a role",
        )


def _is_simulated(target: Literal["sandbox", "round"] | Target, of: Round | None) -> bool:
    if target == "round":
        return of is None or of.demonstration
    # who answers at a custom endpoint can't be told from a simulator, whatever its name
    return isinstance(target, str) or target.endpoint_url is not None


def _path(location: Iterable[int | str]) -> list[str]:
    # "<…>" is a member of a union and "[key]" a key itself; neither is a part of the path
    return [_printable(str(part)) for part in location if not str(part).startswith(("<", "["))]


def _describe(path: list[str], problem: Any) -> str:
    """Return one line: the key's dotted path, what is wrong, what is expected, and an example."""
    kind, given = problem["type"], problem["input"]
    if kind in {"extra_forbidden", "invalid_key"}:
        return f"{'.'.join(path)}: unknown key; {_suggestion(path)}"
    section = _SECTIONS[path[0]]
    name = next((part for part in path[1:] if part in section.model_fields), path[0])
    field = (section if name != path[0] else RunParameters).model_fields[name]
    wrong = ""
    if kind == "missing":
        wrong = "missing; "
    elif kind == "value_error":
        wrong = f"{problem['ctx']['error']}; "
    elif kind == "string_type" and isinstance(given, bool | int | float):
        wrong = "YAML reads this as no text (and may drop a leading zero), so put it in quotes; "
    example = json.dumps((field.examples or [None])[0], ensure_ascii=False)  # JSON is YAML
    return f"{'.'.join(path)}: {wrong}expected {field.description}, for example {name}: {example}"


def _suggestion(path: list[str]) -> str:
    *parents, key = path
    siblings = list((_SECTIONS[parents[0]] if parents else RunParameters).model_fields)
    homes = [f"{home}.{key}" for home, model in _SECTIONS.items() if key in model.model_fields]
    close = [".".join([*parents, name]) for name in difflib.get_close_matches(key, siblings, n=1)]
    if found := homes or close:
        return f"did you mean {found[0]}?"
    return f"expected one of {', '.join(siblings)}, for example {siblings[0]}"


def _printable(key: str) -> str:
    return (key if key.isprintable() else ascii(key))[:200]
