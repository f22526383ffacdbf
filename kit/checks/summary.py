"""Checks on a round: every account was a target, every target has its records, and what these say."""

from collections.abc import Callable, Mapping

from kit import __version__
from kit.findings import Finding, Judgement, Verdict, count
from kit.parameters import RunParameters
from kit.sections import Round
from kit.snapshot import Snapshot
from kit.summary import Summary, Told

_CLOSED = (Verdict.PASS, Verdict.NOT_APPLICABLE)


def _of_round(
    test_case: str, snapshot: Snapshot, parameters: RunParameters, judge: Callable[[Round, Summary], list[Finding]]
) -> list[Finding]:
    if snapshot.summary is None or parameters.of_round is None:
        judgement = Judgement(test_case, "the round")
        judgement.doubt("targets", "read", "No round was named, and no target was read.")
        return [judgement.finding()]
    return judge(parameters.of_round, snapshot.summary)


def vs_01(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """Every active account of the organization was a target of the round, or is excluded with a reason.

    Source: Organizations API reference, ListAccounts.
    """

    def judge(of: Round, summary: Summary) -> list[Finding]:
        if of.organization is None:
            judgement = Judgement("VS-01", "the list of targets")
            judgement.observe("targets", [f"{one.name} {one.account_id or 'embedded account'}" for one in of.targets])
            reason = "The targets are those that were listed; no organization was asked for its accounts."
            return [judgement.not_applicable(reason)]
        judgement = Judgement("VS-01", f"the organization of account {of.organization.account_id}")
        excluded = {one.account_id: one.reason for one in of.excluded}
        listed = summary.members
        judgement.rest_on(listed.evidence if listed else ())
        if listed is None or listed.value is None:
            why = listed.why if listed else "They were not asked for."
            judgement.doubt("active accounts left out", [], f"The accounts are not known. {why}")
            return [judgement.finding()]
        active = {one.id: one.name for one in listed.value if one.active}
        targets = {one.account_id for one in of.targets}
        left_out = sorted(set(active) - targets - set(excluded))
        accounts = count(len(left_out), "active account")
        sentence = f"The round leaves out {accounts} of the organization: {', '.join(left_out)}."
        judgement.expect("active accounts left out", [], left_out, otherwise=sentence)
        judgement.observe("active accounts", len(active))
        judgement.observe("excluded", excluded)
        judgement.observe("not active", [one.id for one in listed.value if not one.active])
        passed = f"Every active account, {len(active):,} in all, was a target"
        return [judgement.finding(f"{passed}, or is excluded with a reason." if excluded else f"{passed}.")]

    return _of_round("VS-01", snapshot, parameters, judge)


def vs_02(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """Each target has, by each protocol of the round, a record that is whole and as it was registered, of a caller in
    the target's own account.

    Source: EU GMP Annex 11, 7.1; 21 CFR 11.10(c).
    """

    def judge(judgement: Judgement, account: str | None, told: Told) -> str:
        name = f"{told.protocol} record"
        if told.missing:
            judgement.doubt(name, "whole, and as registered", f"There is no {name}: {told.missing}.")
            return ""
        if told.unread:
            judgement.doubt(
                name, "whole, and as registered", f"The {name} {told.record_id} can't be read: {told.unread}."
            )
            return ""
        judgement.expect(
            name,
            "whole, and as registered",
            told.problem or "whole, and as registered",
            otherwise=f"The {name} {told.record_id} is not what was registered: {told.problem}.",
        )
        if account and not told.problem and not told.account_id:
            judgement.doubt(f"{told.protocol} account", account, f"STS did not say whose the caller of the {name} was.")
        elif account and not told.problem:
            other = f"The {name} was made in account {told.account_id}, and not in the target's, {account}."
            judgement.expect(f"{told.protocol} account", account, told.account_id, otherwise=other)
        judgement.observe(name, f"{told.record_id} {told.digest}")
        return told.record_id

    return _by_target("VS-02", snapshot, parameters, judge, "Its records are whole, and as they were registered: {}.")


def vs_03(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """Each target passed each protocol of the round.

    Source: EU GMP Annex 11, 4.
    """

    def judge(judgement: Judgement, account: str | None, told: Told) -> str:  # noqa: ARG001
        name = f"{told.protocol} verdict"
        if not told.stands:
            judgement.doubt(name, Verdict.PASS.value, f"{told.protocol} left no record that counts: {told.why}.")
            return ""
        cases = told.test_cases or {}
        open_cases = {case: verdict for case, verdict in cases.items() if verdict not in _CLOSED}
        sentence = f"{told.protocol}: {_in_words(open_cases) or told.verdict}."
        if told.verdict in (Verdict.PASS, Verdict.FAIL):
            judgement.expect(name, Verdict.PASS.value, told.verdict, otherwise=sentence)
        else:
            judgement.doubt(name, Verdict.PASS.value, sentence, told.verdict)
        judgement.observe("record", f"{told.record_id} {told.digest}")
        return f"{told.protocol} with {count(len(cases), 'test case')}"

    return _by_target("VS-03", snapshot, parameters, judge, "It passed {}.")


def vs_04(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """All records of the round were made by this version of the kit, and those of a protocol by the same test cases.

    Source: EU GMP Annex 11, 4.7: what was qualified is what is used.
    """

    def judge(of: Round, summary: Summary) -> list[Finding]:
        judgement = Judgement("VS-04", f"the round {of.id}")
        versions, catalogues = dict[str, list[str]](), dict[str, dict[str, list[str]]]()
        for told in summary.records:
            judgement.rest_on(told.evidence)
            if told.stands:
                versions.setdefault(told.kit_version, []).append(told.target)
                catalogues.setdefault(told.protocol, {}).setdefault(told.catalogue_sha256, []).append(told.target)
        if not versions:
            judgement.doubt("kit versions", [__version__], "There is no record that counts.")
            return [judgement.finding()]
        others = f"Records were made by other versions of the kit: {_told_apart(versions)}."
        judgement.expect("kit versions", [__version__], sorted(versions), otherwise=others)
        for name, found in sorted(catalogues.items()):
            differ = f"{name} was not the same protocol everywhere: {_told_apart(found)}."
            judgement.expect(f"{name} protocols", 1, len(found), otherwise=differ)
        return [judgement.finding(f"All records were made by version {__version__} of the kit, by the same protocols.")]

    return _of_round("VS-04", snapshot, parameters, judge)


def _by_target(
    test_case: str,
    snapshot: Snapshot,
    parameters: RunParameters,
    judge_one: Callable[[Judgement, str | None, Told], str],
    passed: str,
) -> list[Finding]:
    """Judge each target by what it left of each protocol; `passed` is filled with what each of them gives."""

    def judge(of: Round, summary: Summary) -> list[Finding]:
        by_target: dict[str, list[Told]] = {}
        for told in summary.records:
            by_target.setdefault(told.target, []).append(told)
        found = []
        for target in of.targets:
            judgement = Judgement(test_case, f"{target.name}, {target.account_id or 'the embedded account'}")
            given = []
            for told in by_target.get(target.name, []):
                judgement.rest_on(told.evidence)
                given.append(judge_one(judgement, target.account_id, told))
            if len(given) < len(of.protocols):
                judgement.doubt("protocols", len(of.protocols), "Not every protocol of the round was looked for.")
            found.append(judgement.finding(passed.format(", ".join(given))))
        return found

    return _of_round(test_case, snapshot, parameters, judge)


def _in_words(verdicts: Mapping[str, str]) -> str:
    return ", ".join(f"{case} {verdict.replace('_', ' ')}" for case, verdict in sorted(verdicts.items()))


def _told_apart(found: Mapping[str, list[str]]) -> str:
    """Return each value with how many targets have it, and the first of them."""
    return "; ".join(f"{value[:12]} by {len(names)} ({names[0]})" for value, names in sorted(found.items()))
