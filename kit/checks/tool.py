"""Checks on the kit itself: what it said to faults, to tampered records, and beside another verifier."""

from collections.abc import Callable, Iterable, Sequence

from kit.canonical import Json
from kit.findings import Finding, Judgement, count
from kit.parameters import RunParameters
from kit.snapshot import Snapshot
from kit.tool import FAIL, INCONCLUSIVE, PASS, Attempt, Challenge, Tool

CHALLENGES, STRANGER, BUNDLES, INSTALLATION = "faults", "validate-logs", "bundles", "installation"
"""The ledgers in which the challenges of a run are kept."""

ACCOUNT = "account"
"""The name for the other evidence: what the account without a fault answered."""

NONE = "none"
_INTEGRITY = ("OQ-04", "OQ-05", "OQ-06", "OQ-07")
"""The test cases that judge what validate-logs judges."""


def _of_tool(test_case: str, snapshot: Snapshot, judge: Callable[[Tool], list[Finding]]) -> list[Finding]:
    if snapshot.tool is None:
        judgement = Judgement(test_case, "the kit")
        judgement.doubt("challenges", "carried out", "The kit was not challenged.")
        return [judgement.finding()]
    return judge(snapshot.tool)


def tq_01(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:  # noqa: ARG001
    """Every test case of the installation and operational qualification, of the periodic review and of the remediation
    passes on the account without a fault, on the records that the installed kit has made of it, and on a plan that was
    carried out on it.

    Source: EU GMP Annex 11, 4.7: a tool that finds fault with everything would be of no use.
    """

    def judge(tool: Tool) -> list[Finding]:
        judgement = Judgement("TQ-01", "the account without a fault")
        judgement.rest_on(tool.evidence[ACCOUNT])
        for case in tool.test_cases:
            verdict = tool.compliant.verdicts.get(case, "not judged")
            said = tool.compliant.sentences.get(case)
            sentence = f"{case} does not pass without a fault: {said or verdict}".rstrip(".")
            judgement.expect(case, PASS, verdict, otherwise=f"{sentence}.")
        return [judgement.finding(f"Each of the {len(tool.test_cases)} test cases passes where nothing is wrong.")]

    return _of_tool("TQ-01", snapshot, judge)


def tq_02(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:  # noqa: ARG001
    """Every fault that is known, alone, changes the verdict of exactly the test cases that it names.

    Source: EU GMP Annex 11, 4.7.
    """

    def judge(tool: Tool) -> list[Finding]:
        told = {one.faults[0]: one for one in tool.singles}
        return [_judged("TQ-02", tool, (fault.name,), told.get(fault.name), fault.changes) for fault in tool.faults]

    return _of_tool("TQ-02", snapshot, judge)


def tq_03(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """Seeded combinations of three faults of three areas, as many as the parameters state, change the verdict of
    exactly the test cases that one of the three names.

    Source: EU GMP Annex 11, 4.7: one fault must not hide another.
    """

    def judge(tool: Tool) -> list[Finding]:
        wanted, judged = parameters.expected.fault_combinations, [one for one in tool.combined if not one.refused]
        total = Judgement("TQ-03", "all combinations")
        total.rest_on(tool.evidence[CHALLENGES])
        short = f"Only {count(len(judged), 'combination')} of {wanted} could be judged."
        total.expect("combinations judged", wanted, len(judged), otherwise=short)
        total.observe("seed", parameters.expected.fault_seed)
        total.observe(
            "drawn, and not to be put together", [", ".join(one.faults) for one in tool.combined if one.refused]
        )
        alone: dict[str, list[str]] = {}
        for fault in tool.faults:
            if fault.alone:
                alone.setdefault(fault.alone, []).append(fault.name)
        total.observe("not combined", {why: ", ".join(names) for why, names in alone.items()})
        found = [_judged("TQ-03", tool, one.faults, one, one.expected) for one in judged]
        return [total.finding(f"{count(len(judged), 'combination')} of three faults were judged."), *found]

    return _of_tool("TQ-03", snapshot, judge)


def _judged(
    test_case: str, tool: Tool, faults: Sequence[str], challenge: Challenge | None, expected: Iterable[str]
) -> Finding:
    """Judge what one challenge changed against what it must change."""
    judgement = Judgement(test_case, " + ".join(faults))
    judgement.rest_on(tool.evidence[CHALLENGES])
    wanted = sorted(expected)
    must_change = _listed(wanted)
    if challenge is None or challenge.refused or set(challenge.verdicts) != set(tool.test_cases):
        why = challenge.refused if challenge else "it is not in the evidence"
        judgement.doubt("test cases changed", must_change, f"The challenge was not carried out: {why}.")
        return judgement.finding()
    changed = sorted(challenge.changed)
    missed, beyond = [case for case in wanted if case not in changed], [case for case in changed if case not in wanted]
    wrong = [f"{', '.join(missed)} did not see it"] * bool(missed)
    wrong += [f"{', '.join(beyond)} changed, and should not have"] * bool(beyond)
    judgement.expect(
        "test cases changed",
        must_change,
        _listed(changed),
        otherwise=f"{judgement.resource}: {'; '.join(wrong)}.",
    )
    # what says FAIL is not told again; what each test case said is in the evidence, line by line
    came_to: dict[str, list[str]] = {}
    for case in changed:
        came_to.setdefault(challenge.verdicts[case].replace("_", " "), []).append(case)
    for verdict, cases in sorted(came_to.items()):
        if verdict != FAIL:
            judgement.observe(verdict, "all" if cases == changed else _listed(cases))
    return judgement.finding(f"{judgement.resource} changed what it must, and no other test case.")


def _listed(cases: Sequence[str]) -> str:
    """Return sorted test cases in words, three and more that follow one another as a span."""
    spans: list[list[str]] = []
    for case in cases:
        if spans and _next(spans[-1][-1]) == case:
            spans[-1].append(case)
        else:
            spans.append([case])
    parts = [f"{span[0]} to {span[-1]}" if len(span) > 2 else ", ".join(span) for span in spans]
    return ", ".join(parts) or NONE


def _next(case: str) -> str:
    protocol, _, number = case.rpartition("-")
    return f"{protocol}-{int(number) + 1:02}" if number.isdecimal() else ""


def tq_04(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:  # noqa: ARG001
    """Every test case says FAIL under at least one fault, every fault that names a test case is seen by one, and over
    all test cases and single faults sensitivity and specificity are 1.

    Source: EU GMP Annex 11, 4.7. Sensitivity is the share of the verdicts that must change and do; specificity the
    share of those that must stay and do.
    """

    def judge(tool: Tool) -> list[Finding]:
        judgement = Judgement("TQ-04", "all test cases and single faults")
        judgement.rest_on(tool.evidence[CHALLENGES])
        singles = [one for one in tool.singles if not one.refused]
        blind = [case for case in tool.test_cases if not any(one.verdicts.get(case) == FAIL for one in singles)]
        unseen = [one.faults[0] for one in singles if one.expected and not one.changed]
        judgement.expect(
            "test cases that no fault makes fail", NONE, blind or NONE,
            otherwise=f"No fault makes {', '.join(blind)} fail: what would, is not shown.",
        )  # fmt: skip
        judgement.expect(
            "faults that no test case sees", NONE, unseen or NONE, otherwise=f"No test case sees {', '.join(unseen)}."
        )
        counted = confusion(tool)
        for name, right, wrong, what in (
            ("sensitivity", "true positives", "false negatives", "must change and did not"),
            ("specificity", "true negatives", "false positives", "must stay and did not"),
        ):
            total = counted[right] + counted[wrong]
            actual = f"{counted[right]} of {total}"
            sentence = f"{count(counted[wrong], 'verdict')} {what}."
            judgement.expect(
                name, f"{total} of {total}", actual, otherwise=sentence, met=total > 0 and not counted[wrong]
            )
        judgement.observe("counts", counted)
        judgement.observe(
            "faults that are harmless, and must change nothing", [f.name for f in tool.faults if not f.changes]
        )
        judgement.observe("test cases, by the faults under which they FAIL and are INCONCLUSIVE", _told(tool, singles))
        return [judgement.finding("Every test case sees what it must, and nothing else; every fault is seen.")]

    return _of_tool("TQ-04", snapshot, judge)


def confusion(tool: Tool) -> dict[str, int]:
    """Return how many verdicts, over every test case and single fault, changed or stayed as they must or must not."""
    names = {
        (True, True): "true positives",
        (True, False): "false negatives",
        (False, False): "true negatives",
        (False, True): "false positives",
    }
    counted = dict.fromkeys(names.values(), 0)
    for one in tool.singles:
        for case in one.verdicts:
            counted[names[case in one.expected, case in one.changed]] += 1
    return counted


def _told(tool: Tool, singles: Sequence[Challenge]) -> dict[str, Json]:
    return {
        case: {name: sum(one.verdicts.get(case) == name for one in singles) for name in (FAIL, INCONCLUSIVE)}
        for case in tool.test_cases
    }


def tq_05(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:  # noqa: ARG001
    """What `aws cloudtrail validate-logs` finds in a delivery with a fault, the kit finds too, and both find nothing in
    one without; where that tool is not installed, the test case is not applicable.

    Source: AWS CLI command reference, "validate-logs": the verifier that AWS itself publishes.
    """

    def judge(tool: Tool) -> list[Finding]:
        judgement = Judgement("TQ-05", f"aws cloudtrail validate-logs, {tool.stranger or 'not installed'}")
        judgement.rest_on(tool.evidence[STRANGER])
        if not tool.comparisons and not tool.stranger:
            return [judgement.not_applicable(tool.no_stranger)]
        changed = {one.faults[0]: one.changed for one in tool.singles if not one.refused}
        clean = [one for one in tool.comparisons if not one.fault]
        alone, false, missed = [], [], []
        for one in tool.comparisons:
            if one.fault:
                ours = any(case in changed.get(one.fault, ()) for case in _INTEGRITY)
                harmless = not changed.get(one.fault)
                missed += [one.fault] * (not one.sound and not ours and not harmless)
                false += [one.fault] * (not one.sound and harmless)
                alone += [one.fault] * (one.sound and ours)
        sound = bool(clean) and all(one.sound and "digest files valid" in one.said for one in clean)
        said = (clean[0].said if clean else "") or "nothing"
        sentence = "validate-logs does not say that all is valid in a delivery without a fault."
        judgement.expect("without a fault", "all valid", "all valid" if sound else said, otherwise=sentence)
        judgement.expect(
            "seen by validate-logs and not by the kit", NONE, missed or NONE,
            otherwise=f"validate-logs finds what the kit does not: {', '.join(missed)}.",
        )  # fmt: skip
        judgement.observe("seen by the kit and not by validate-logs", alone)
        judgement.observe("harmless, and called invalid by validate-logs", false)
        return [judgement.finding(f"On {count(len(tool.comparisons) - 1, 'fault')} the kit finds all that it finds.")]

    return _of_tool("TQ-05", snapshot, judge)


def tq_06(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:  # noqa: ARG001
    """Seal, sign, verify and replay each accept what is untouched, and refuse what was tampered with, for the reason
    that is due.

    Source: 21 CFR 11.10(a): the ability to discern invalid or altered records.
    """

    def of_attempt(tool: Tool, one: Attempt) -> Finding:
        judgement = Judgement("TQ-06", f"{one.asked}: {one.deed}")
        judgement.rest_on(tool.evidence[BUNDLES])
        expected = f"refused: {one.due}" if one.due else "accepted"
        if one.impossible:
            judgement.doubt("outcome", expected, f"It could not be tried: {one.impossible}.")
            return judgement.finding()
        actual = "accepted" if one.accepted else f"refused: {one.said}"
        met = one.accepted if not one.due else not one.accepted and one.due in one.said
        judgement.expect("outcome", expected, actual, met=met, otherwise=f"{judgement.resource} was {actual}.")
        return judgement.finding(f"{judgement.resource} came to what is due.")

    def judge(tool: Tool) -> list[Finding]:
        if not tool.attempts:
            judgement = Judgement("TQ-06", "a record of this kit")
            judgement.doubt("attempts", "carried out", "No record could be made to be tampered with.")
            return [judgement.finding()]
        return [of_attempt(tool, one) for one in tool.attempts]

    return _of_tool("TQ-06", snapshot, judge)


def tq_07(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:  # noqa: ARG001
    """The files of the installed kit are those that its wheel's RECORD lists, by SHA-256, none missing, none changed
    and none added; the versions of everything installed are told.

    Source: Python packaging specification, "Recording installed projects".
    """

    def judge(tool: Tool) -> list[Finding]:
        here = tool.installation
        judgement = Judgement("TQ-07", f"trailkit {here.version}")
        judgement.rest_on(tool.evidence[INSTALLATION])
        if here.unrecorded or not here.recorded:
            judgement.doubt("files", "those of RECORD", here.unrecorded or "RECORD lists no file of the kit.")
        else:
            missing = sorted(set(here.recorded) - set(here.found))
            added = sorted(set(here.found) - set(here.recorded))
            changed = sorted(n for n, digest in here.recorded.items() if here.found.get(n, digest) != digest)
            for name, found in (("missing", missing), ("changed", changed), ("added", added)):
                sentence = f"Of the kit's files, {name}: {', '.join(found[:5])}."
                judgement.expect(f"files {name}", NONE, found or NONE, otherwise=sentence)
        judgement.observe("files", len(here.found))
        judgement.observe("Python", here.python)
        judgement.observe("platform", here.platform)
        judgement.observe("packages", dict(here.packages))
        return [judgement.finding(f"The {len(here.found)} files of trailkit {here.version} are those of its wheel.")]

    return _of_tool("TQ-07", snapshot, judge)
