"""A targets file: what all targets share, and each target, becomes the run parameters of each.

A target is an outputs folder of its own, with its own register, so that a target's history, review and repeats are what
they are where there is only one; nothing grows with the number of targets but the number of folders.
"""

import copy
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from kit.canonical import Json, canonical, sha256
from kit.collect.pace import DEFAULT
from kit.errors import ParameterError
from kit.identifiers import ExternalId, Flag, RoleName, TagKey, TagValue, TargetName
from kit.parameters import RunParameters, apply_settings, load_file
from kit.sections import Excluded, Section, distinct
from kit.summary import Member

MOST = 5000
"""How many targets a round may have."""

ACCOUNT = "{account_id}"
"""What stands in a text for the account of each target."""

_REMEDY = "correct the targets file (parameters/targets.example.yaml shows the form)"


@dataclass(frozen=True)
class RoundTarget:
    """One target of a round: the name of its folder, its account ("" for the embedded one), its run parameters, and
    whether a run by them is a demonstration.
    """

    name: str
    account_id: str
    parameters: Mapping[str, Json]
    demonstration: bool


class TargetsFile(Section):
    """What a targets file says; `load_targets` reads it.

    `defaults` are run parameters that every target shares; `targets` names each with what differs. With `organizations`
    the targets are the active accounts of the organization but for those that `excluded` names, each with a reason.
    """

    defaults: dict[str, Any] = Field({})
    targets: Annotated[tuple[dict[str, Any], ...], Field(max_length=MOST)] = ()
    organizations: Flag = False
    role_name: RoleName | None = None
    external_id: ExternalId | None = None
    session_tags: dict[TagKey, TagValue] = Field({})
    excluded: Annotated[tuple[Excluded, ...], AfterValidator(distinct)] = ()

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Self:
        if self.organizations == bool(self.targets):
            raise ValueError("either lists targets, or says organizations: true")
        if self.organizations and not self.role_name:
            raise ValueError("organizations: true needs role_name, the role to assume in each account")
        if not self.organizations and (self.role_name or self.external_id or self.session_tags or self.excluded):
            raise ValueError("role_name, external_id, session_tags and excluded go with organizations: true")
        return self

    @property
    def sha256(self) -> str:
        """The hash of what the file says, whatever its white space and comments."""
        return sha256(canonical(self.model_dump(mode="json")))


def load_targets(path: Path, settings: Iterable[str]) -> TargetsFile:
    """Return what a targets file says, with settings made in the defaults.

    Raises:
        ParameterError: it can't be read, is not valid YAML, holds what looks like a secret, or is not of the form.
    """
    told = load_file(path)
    defaults = told.get("defaults") or {}
    if not isinstance(defaults, dict):
        raise ParameterError(f"{path}: defaults is no mapping", _REMEDY)
    told["defaults"] = apply_settings(defaults, settings)
    try:
        return TargetsFile.model_validate({name: value for name, value in told.items() if value is not None})
    except ValidationError as error:
        problems = dict.fromkeys(_problem(one) for one in error.errors(include_url=False))
        raise ParameterError("\n".join(f"{path}: {problem}" for problem in problems), _REMEDY) from error


def _problem(problem: Any) -> str:
    place = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"{place}: unknown key; expected one of {', '.join(TargetsFile.model_fields)}"
    wrong = str(problem["ctx"]["error"]) if problem["type"] == "value_error" else problem["msg"]
    return f"{place}: {wrong}" if place else wrong


def listed(of: TargetsFile) -> list[RoundTarget]:
    """Return the targets that a file lists, each with its validated parameters.

    Raises:
        ParameterError: a target has no name, or one that another has, or parameters that are refused.
    """
    return _distinct([_target(of.defaults, told, number) for number, told in enumerate(of.targets, start=1)])


def of_organization(of: TargetsFile, members: Sequence[Member], caller: str) -> list[RoundTarget]:
    """Return a target for each active account but the excluded ones, named by its id, with the role to assume in it.

    In the `caller`'s own account the role that asks reads itself: it has no other to assume.

    Raises:
        ParameterError: an excluded account is none of the organization, or parameters are refused.
    """
    excluded = {one.account_id for one in of.excluded}
    if unknown := sorted(excluded - {member.id for member in members}):
        raise ParameterError(f"excluded: {', '.join(unknown)} is no account of the organization", _REMEDY)
    found = []
    for number, member in enumerate(members, start=1):
        if not member.active or member.id in excluded:
            continue
        partition = member.arn.split(":")[1]
        reached: dict[str, Json] = {"account_id": member.id}
        if member.id != caller:
            reached |= {"role_arn": f"arn:{partition}:iam::{member.id}:role/{of.role_name}"}
            reached |= {"external_id": of.external_id, "session_tags": of.session_tags}
        found.append(_target(of.defaults, {"name": member.id, "target": reached}, number))
    return _distinct(found)


def sharing_pace(targets: Iterable[RoundTarget], width: int) -> list[RoundTarget]:
    """Return targets of which those in one account share its pace, as many as `width` lets run at a time: together
    they keep it. A pace that a target states is its own.

    AWS throttles calls for the whole account, however many runs make them.
    """
    given = list(targets)
    counts = Counter(one.account_id for one in given)
    return [_sharing(one, min(width, counts[one.account_id])) for one in given]


def _sharing(one: RoundTarget, share: int) -> RoundTarget:
    told = one.parameters.get("target")
    if share < 2 or not isinstance(told, dict) or told.get("pace") or told.get("endpoint_url"):
        return one
    pace = {service: rate / share for service, rate in DEFAULT.items()}
    return replace(one, parameters={**one.parameters, "target": {**told, "pace": pace}})


def _target(defaults: Mapping[str, Any], told: Mapping[str, Any], number: int) -> RoundTarget:
    name = told.get("name")
    try:
        name = _Named(name=name).name
    except ValidationError as error:
        remedy = "name it with at most 64 small letters, digits, dots, hyphens and underscores: name: production-eu"
        raise ParameterError(f"target {number} has no name that a folder can have", remedy) from error
    merged = _merged(defaults, {key: value for key, value in told.items() if key != "name"})
    account = merged.get("target", {}).get("account_id", "") if isinstance(merged.get("target"), dict) else ""
    filled = _filled(merged, str(account)) if account else merged
    try:
        demonstration = RunParameters.load(filled).demonstration
    except ParameterError as error:
        lines = "\n".join(f"{name}: {line}" for line in error.message.splitlines())
        raise ParameterError(lines, _REMEDY) from error
    return RoundTarget(name, str(account), filled, demonstration)


class _Named(Section):
    name: TargetName


def _merged(shared: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return shared values with a target's own over them: mappings are merged, everything else is replaced."""
    merged = copy.deepcopy(dict(shared))
    for name, value in own.items():
        both = isinstance(merged.get(name), dict) and isinstance(value, dict)
        merged[name] = _merged(merged[name], value) if both else value
    return merged


def _filled(value: Any, account: str) -> Any:
    if isinstance(value, str):
        return value.replace(ACCOUNT, account)
    if isinstance(value, Mapping):
        return {name: _filled(one, account) for name, one in value.items()}
    return [_filled(one, account) for one in value] if isinstance(value, list) else value


def _distinct(targets: list[RoundTarget]) -> list[RoundTarget]:
    counts = Counter(target.name for target in targets)
    if repeated := sorted(name for name, count in counts.items() if count > 1):
        raise ParameterError(f"more than one target is named {', '.join(repeated)}", "give each a name of its own")
    if not targets:
        raise ParameterError("there is no target", _REMEDY)
    return targets
