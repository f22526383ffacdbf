"""What a plan consists of: steps, each one call to AWS told whole, and what is left to the operator; and its hash."""

import difflib
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from kit.canonical import Json, canonical, pretty, sha256

NEW_KEY = "$KEY_ARN"
"""Stands in a plan for the ARN of the key that the plan makes, which nobody knows before."""

_COMMANDS = {"s3": "s3api"}
_FIRST = ("Name", "TrailName", "Bucket", "KeyId", "AliasName")
"""What names the thing that is changed stands first; the rest in the order of the alphabet, whoever saved it how."""

_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True)
class Step:
    """One call that changes one setting.

    `mends` names the test cases that it serves. `before` and `after` are the setting as JSON; what is not there is
    None. `makes_key` says that the answer holds the ARN for which `NEW_KEY` stands in later steps.
    """

    id: str
    title: str
    mends: tuple[str, ...]
    service: str
    operation: str
    region: str
    parameters: Mapping[str, Json]
    before: Json
    after: Json
    risk: str
    undo: str
    may_stop_delivery: bool = False
    makes_key: bool = False

    @property
    def command(self) -> str:
        """The equivalent `aws` command line, for a POSIX shell; the one that makes a key keeps its ARN in `KEY_ARN`."""
        line = command(self.service, self.operation, self.region, self.parameters)
        return f"KEY_ARN=$({line} --query KeyMetadata.Arn --output text)" if self.makes_key else line

    @property
    def diff(self) -> list[str]:
        """What changes, line by line: what begins with `-` is before, with `+` after, and with a space in both."""
        before, after = (pretty(value).splitlines() if value is not None else [] for value in (self.before, self.after))
        # without the lines that would name two files
        return list(difflib.unified_diff(before, after, n=2, lineterm=""))[2:]

    def to_json(self) -> dict[str, Json]:
        """Return the step as a record shows it."""
        return {**_plain(asdict(self)), "command": self.command, "diff": self.diff}


@dataclass(frozen=True)
class Left:
    """What a plan does not mend: the finding as it will still be, its conditions that are not met, and what to do."""

    test_case: str
    resource: str
    message: str
    conditions: tuple[str, ...]
    advice: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What would be done, in this order, what is left to the operator, and what IQ will say afterwards.

    `account` is the account's 12 digits, `expected` what the parameters require, `state` the settings that were read.
    `verdicts` gives, by test case, the verdict now and the one to be expected once every step is done.
    """

    account: str
    expected: Json
    state: Json
    steps: tuple[Step, ...]
    left: tuple[Left, ...]
    verdicts: Mapping[str, tuple[str, str]]

    @property
    def sha256(self) -> str:
        """The hash of the plan: another account, requirement, setting or step gives another."""
        return _sha256(self.account, self.expected, self.state, self.steps)

    def to_json(self) -> dict[str, Json]:
        """Return the plan as a record and a machine see it."""
        return {
            "sha256": self.sha256,
            "account": self.account,
            "expected": self.expected,
            "state": self.state,
            "steps": [step.to_json() for step in self.steps],
            "left": [_plain(asdict(one)) for one in self.left],
            "verdicts": [
                {"test_case": case, "now": now, "afterwards": then} for case, (now, then) in self.verdicts.items()
            ],
        }


def derived(told: Mapping[str, Json]) -> dict[str, Json]:
    """Return what a plan as JSON says, with all that follows from the rest made anew: hash, commands and diffs.

    Raises:
        KeyError: a member is missing.
        TypeError: a member is of another form.
    """
    names = [member.name for member in fields(Step)]
    steps = [Step(**{name: step[name] for name in names}) for step in told["steps"]]
    digest = _sha256(told["account"], told["expected"], told["state"], steps)
    return {**told, "sha256": digest, "steps": [step.to_json() for step in steps]}


def _sha256(account: str, expected: Json, state: Json, steps: Iterable[Step]) -> str:
    told = {"account": account, "expected": expected, "state": state, "steps": [_plain(asdict(step)) for step in steps]}
    return sha256(canonical(told))


def command(service: str, operation: str, region: str, parameters: Mapping[str, Json]) -> str:
    """Return the `aws` command line of a call, quoted for a POSIX shell.

    >>> command("cloudtrail", "StartLogging", "eu-west-1", {"Name": "gxp-trail"})
    'aws cloudtrail start-logging --region eu-west-1 --name gxp-trail'
    """
    words = ["aws", _COMMANDS.get(service, service), _kebab(operation), "--region", region]
    return " ".join([*words, *_options(parameters)])


def _options(parameters: Mapping[str, Json]) -> Iterator[str]:
    for name, value in sorted(parameters.items(), key=lambda item: (item[0] not in _FIRST, item[0])):
        option = _kebab(name)
        if value is True or value is False:
            yield f"--{option}" if value else f"--no-{option}"
        elif value == NEW_KEY:
            yield f'--{option} "{NEW_KEY}"'
        else:
            yield f"--{option} {shlex.quote(value if isinstance(value, str) else json.dumps(value, sort_keys=True))}"


def _kebab(name: str) -> str:
    return _WORDS.sub("-", name).lower()


def _plain(value: Any) -> Json:
    """Return a value with lists for tuples, as JSON has it."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
