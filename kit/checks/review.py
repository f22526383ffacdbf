"""Checks on a period: that runs were made and their records stand, and that what was delivered was covered."""

from collections import Counter
from collections.abc import Callable, Collection
from datetime import date, datetime, timedelta
from itertools import pairwise

from kit.canonical import Json
from kit.checks.deliveries import NONE, more, told
from kit.findings import Finding, Judgement, Verdict, count
from kit.parameters import RunParameters
from kit.review.coverage import GAP, OPEN, PENDING, UNCOVERED, Day, days_of, objects_of
from kit.review.drift import is_open
from kit.review.period import UNREAD, Review, Reviewed, Run
from kit.snapshot import Snapshot

_CLOSED = (Verdict.PASS, Verdict.NOT_APPLICABLE)
_ENDED_WITHOUT = ("failed", "aborted", "started")


def of_review(
    test_case: str,
    snapshot: Snapshot,
    parameters: RunParameters,
    judge: Callable[[Review, Judgement], list[Finding]],
) -> list[Finding]:
    """Judge a review of the target; what was not collected leaves the criterion open."""
    judgement = Judgement(test_case, _target(parameters))
    if not isinstance(snapshot.review, Review):
        why = snapshot.review or "What earlier runs left was not collected."
        judgement.doubt("records of the period", "read", why)
        return [judgement.finding()]
    judgement.rest_on(snapshot.review.register.evidence)
    return judge(snapshot.review, judgement)


def _target(parameters: RunParameters) -> str:
    return parameters.expected.trail_arn or f"arn:aws:iam::{parameters.account.account_id}:root"


def pq_01(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """Within the period, and up to its end, the installation and the operational qualification of the target were each
    executed at least once in every so many days as the parameters state, and each left a record.

    Source: EU GMP Annex 11, 11: computerised systems are evaluated periodically.
    """
    required = parameters.expected.review

    def judge(review: Review, judgement: Judgement) -> list[Finding]:
        if review.register.problem:
            judgement.doubt("registered runs", "known", f"The register is not whole: {review.register.problem}.")
            return [judgement.finding()]
        for protocol, days in (("IQ", required.iq_every_days), ("OQ", required.oq_every_days)):
            runs = [run for run in review.register.runs if (run.protocol, run.state) == (protocol, "finished")]
            within = [run for run in runs if review.within(run.began)]
            judgement.observe(f"{protocol} runs of the period", len(within))
            name = f"{protocol} at least every so many days"
            if days is None:
                why = f"The parameter expected.review.{protocol.lower()}_every_days is not stated."
                judgement.doubt(name, None, why, len(within))
                continue
            longest = _longest(review, runs)
            actual = f"{_days(longest[1] - longest[0])}, from {_when(longest[0])} to {_when(longest[1])}"
            sentence = f"No {protocol} was executed for {actual}; the bound is {count(days, 'day')}."
            if not within:
                actual, sentence = "no run", f"No {protocol} of the target was executed within the period."
            met = bool(within) and longest[1] - longest[0] <= timedelta(days=days)
            judgement.expect(name, f"at most {count(days, 'day')} without a run", actual, met=met, otherwise=sentence)
        return [judgement.finding("Both qualifications were executed as often as the parameters ask for.")]

    return of_review("PQ-01", snapshot, parameters, judge)


def _longest(review: Review, runs: list[Run]) -> tuple[datetime, datetime]:
    """Return the longest time without a run: from the last before the period, if there is one, to the period's end."""
    end = min(review.period[1], review.now)
    before = [run.began for run in runs if run.began < review.period[0]]
    moments = [max(before, default=review.period[0]), *(run.began for run in runs if review.within(run.began)), end]
    return max(pairwise(moments), key=lambda gap: gap[1] - gap[0])


def pq_02(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """Every run of the target that the register has for the period, and that came to a verdict, has its record here,
    whole and as it was registered; the register is whole, and no record of the target lies beside it that it does not
    hold.

    Source: EU GMP Annex 11, 7.1: stored data are checked for accessibility, readability and accuracy.
    """

    def judge(review: Review, judgement: Judgement) -> list[Finding]:
        register = review.register
        problem = register.problem
        judgement.expect(
            "register", "whole", problem or "whole", met=not problem, otherwise=f"The register is not whole: {problem}."
        )
        records = [one for one in review.records if review.within(one.run.began)]
        runs = [run for run in register.runs if review.within(run.began)]
        if not runs and not problem:
            judgement.doubt("records", "whole, and as registered", "The register has no run of the target here.", 0)
        broken = [f"{one.run.record_id}: {one.problem}" for one in records if one.problem and not one.unread]
        unread = [f"{one.run.record_id}: {one.problem}" for one in records if one.unread]
        if records:
            for one in records:
                judgement.rest_on(one.evidence)
            name, expected, wrong = "records", "whole, and as registered", told(broken + unread)
            sentence = f"{wrong[0]}{more(len(broken + unread) - 1)}." if wrong else ""
            if unread and not broken:
                judgement.doubt(name, expected, sentence, wrong)
            else:
                whole = f"{count(len(records), 'record')}, {expected}"
                judgement.expect(name, expected, wrong or whole, met=not broken, otherwise=sentence)
        unsealed = [f"{run.record_id}, {run.verdict}" for run in runs if run.state == "concluded"]
        sentence = f"A run came to a verdict and left no record: {'; '.join(told(unsealed))}."
        judgement.expect("verdicts without a record", NONE, unsealed or NONE, met=not unsealed, otherwise=sentence)
        name, strangers = "records that nobody registered", list(register.strangers)
        if register.unread and not strangers:
            unheld = told(register.unread)
            why = f"The register does not hold {', '.join(unheld)}; of which target that is can't be read."
            judgement.doubt(name, NONE, why, unheld)
        else:
            sentence = f"The register does not hold {', '.join(told(strangers))}."
            judgement.expect(name, NONE, strangers or NONE, met=not strangers, otherwise=sentence)
        if ended := [f"{run.record_id}, {run.state}" for run in runs if run.state in _ENDED_WITHOUT]:
            judgement.observe("runs that came to no verdict", ended)
        return [judgement.finding(f"All {len(records)} records of the period are here, whole and as registered.")]

    return of_review("PQ-02", snapshot, parameters, judge)


def pq_03(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """At the end of the period no test case stands as not passed, unless an addendum to its record tells how the
    deviation was handled.

    Source: EU GMP Annex 11, 4.2 and 11: deviations are documented, and the periodic evaluation covers them.
    """

    def judge(review: Review, judgement: Judgement) -> list[Finding]:
        latest: dict[str, Reviewed] = {}
        earlier: dict[str, int] = {}
        for one in review.records:
            if not review.within(one.run.began):
                continue
            judgement.rest_on(one.evidence)
            for case, verdict in one.verdicts.items():
                latest[case] = one
                earlier[case] = earlier.get(case, 0) + (Verdict(verdict) not in _CLOSED)
        unread = _unread_at_the_end(review)
        name, expected = "test cases not passed and not handled", "none at the end of the period"
        standing = {case: one for case, one in latest.items() if Verdict(one.verdicts[case]) not in _CLOSED}
        unhandled = {
            case: f"{case} is {one.verdicts[case]} in {one.run.record_id}: {', '.join(one.open[case])}"
            for case, one in sorted(standing.items())
            if case in one.open
        }
        if unhandled:
            lines = list(unhandled.values())
            sentence = f"{lines[0]}, and no addendum tells how that was handled{more(len(lines) - 1)}."
            judgement.expect(name, expected, told(lines), met=False, otherwise=sentence)
        elif unread:
            why = f"What {unread[-1]} says is not believed{more(len(unread) - 1)}."
            judgement.doubt(name, expected, why, told(unread))
        elif not latest:
            judgement.doubt(name, expected, "No record of the period holds a verdict.", 0)
        else:
            judgement.expect(name, expected, f"none of {len(latest)}", met=True)
        if handled := sorted(set(standing) - set(unhandled)):
            judgement.observe("not passed, and handled", handled)
        if since := {case: number for case, number in sorted(earlier.items()) if number and case not in standing}:
            judgement.observe("runs in which a test case did not pass that passes now", since)
        return [judgement.finding(f"None of {len(latest)} test cases stands as not passed without being handled.")]

    return of_review("PQ-03", snapshot, parameters, judge)


def _unread_at_the_end(review: Review) -> list[str]:
    """Return the records of the period that are not believed, and behind which no other tells of their test cases."""
    within = [one for one in review.records if review.within(one.run.began)]
    believed = {one.run.protocol: one.run.began for one in within if not one.problem}
    return [
        one.run.record_id
        for one in within
        if one.problem and (one.run.protocol not in believed or believed[one.run.protocol] < one.run.began)
    ]


def pq_05(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """Operational qualifications read every day of the period that is over, and found it covered by sound digests in
    every Region where they had to be; a day that no run read is told as such.

    Source: EU GMP Annex 11, 9 and 11: the audit trail is reviewed regularly, over all of the period.
    """

    def judge_trail(review: Review, trail: str, judgement: Judgement) -> Finding:
        for one in review.records:
            if trail in one.delivered:
                judgement.rest_on(one.evidence)
        settling = timedelta(minutes=parameters.expected.digest_settling_minutes)
        days = days_of(review, trail, settling)
        by_state: dict[str, list[Day]] = {}
        for day in days:
            by_state.setdefault(day.state, []).append(day)
        due = len(days) - len(by_state.get(PENDING, ()))
        judgement.observe("days of the period", {name: len(found) for name, found in sorted(by_state.items())})
        if not due:
            judgement.doubt("days that are over", "at least one", "No day of the period is over, and its digests due.")
            return judgement.finding()
        uncovered, required = by_state.get(UNCOVERED, []), parameters.expected.review.every_day_covered
        if not required:
            judgement.observe("days that no run read", _listed(uncovered) or NONE)
        else:
            _judge_days(judgement, "days that no run read", trail, uncovered)
        _judge_days(judgement, "days with a gap", trail, by_state.get(GAP, []))
        doubtful = by_state.get(OPEN, [])
        if doubtful:
            why = f"Whether {doubtful[0].day} is covered is not known: {doubtful[0].what}{more(len(doubtful) - 1)}."
            judgement.doubt("days that are known to be covered", due, why, due - len(doubtful))
        return judgement.finding(f"Every day that is over, {due} in all, is covered for {trail}.")

    return _each_trail("PQ-05", snapshot, parameters, judge_trail)


def _judge_days(judgement: Judgement, name: str, trail: str, days: list[Day]) -> None:
    sentence = f"{days[0].day}: {days[0].what}, for {trail}{more(len(days) - 1)}." if days else ""
    judgement.expect(name, NONE, _listed(days) or NONE, met=not days, otherwise=sentence)


def _listed(days: list[Day]) -> list[str]:
    return told(f"{day.day}: {day.what}" for day in days)


def _each_trail(
    test_case: str,
    snapshot: Snapshot,
    parameters: RunParameters,
    judge_trail: Callable[[Review, str, Judgement], Finding],
) -> list[Finding]:
    def judge(review: Review, _: Judgement) -> list[Finding]:
        trails = {trail.arn for trail in snapshot.trails if trail.judged}
        trails |= {trail for one in review.records for trail in one.delivered}
        trails |= {parameters.expected.trail_arn} if parameters.expected.trail_arn else set()
        findings = []
        for trail in sorted(trails) or [_target(parameters)]:
            judgement = Judgement(test_case, trail)
            judgement.rest_on(review.register.evidence)
            findings.append(judge_trail(review, trail, judgement))
        return findings

    return of_review(test_case, snapshot, parameters, judge)


def key_of(one: Reviewed, trail: str) -> Json:
    """Return the ARN of the key that a trail had by a record; None where the record does not tell."""
    return one.state.values.get(f"{trail}#key/Arn") if one.state else None


def _is_key_known(one: Reviewed, trail: str) -> bool:
    """Return whether a record tells which key a trail had, or that it had none: it knows the trail, and what it does
    not say of it AWS did answer.
    """
    if one.state is None or not any(path.startswith(f"{trail}#") for path in one.state.values):
        return False
    return key_of(one, trail) is not None or not is_open(one.state, f"{trail}#key/Arn")


def _read_apart(review: Review, read: Collection[date]) -> list[str]:
    """Return the runs of the period of which it is not known what they read, where nobody else read a day of it."""
    if all(day in read for day in review.days()):
        return []
    silent = (one for one in review.records if one.run.protocol == "OQ" and not one.delivered)
    return [f"What {one.run.record_id} read is not known" for one in silent if one.run.began >= review.period[0]]


def accepted_on(day: date, parameters: RunParameters) -> set[str]:
    """Return the ARNs of the keys, besides the trail's own, that the parameters accept on a day."""
    accepted = parameters.expected.accepted_kms_keys
    return {one.arn for one in accepted if one.start.date() <= day <= one.end.date()}


def pq_06(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """Every log file of the period that operational qualifications read is encrypted under the key that the trail had
    then, or under one that the parameters accept for that time, and none was left unread.

    Source: S3 API reference, "GetObject", response headers, as the ledgers of the records hold them.
    """

    def judge_trail(review: Review, trail: str, judgement: Judgement) -> Finding:
        kinds: Counter[str] = Counter()
        wrong: list[str] = []
        untold: list[str] = []
        read = objects_of(review, trail)
        for day, (one, objects, _) in read.items():
            judgement.rest_on(one.evidence)
            kinds.update(objects)
            others = set(objects) - {key_of(one, trail)} - accepted_on(day, parameters)
            for protection in sorted(others):
                what = f"{day}: {count(objects[protection], 'log file')} {protection}"
                if protection == UNREAD:
                    untold.append(what)
                elif protection.startswith("arn:") and not _is_key_known(one, trail):
                    untold.append(f"{what}, and which key the trail had is not known from {one.run.record_id}")
                else:
                    wrong.append(what)
        untold += _read_apart(review, read)
        name, expected = "log files by what protects them", "the trail's key, or an accepted one"
        judgement.observe("digests", sum(delivered for *_, delivered in read.values()))
        if not kinds:
            judgement.doubt(name, expected, f"No log file of {trail} was read within the period.")
        elif wrong:
            sentence = f"{wrong[0]}{more(len(wrong) - 1)}."
            judgement.expect(name, expected, dict(kinds), met=False, otherwise=sentence)
        elif untold:
            judgement.doubt(name, expected, f"{untold[0]}{more(len(untold) - 1)}.", dict(kinds))
        else:
            judgement.expect(name, expected, dict(kinds), met=True)
        return judgement.finding(f"All {sum(kinds.values()):,} log files that were read are under the key of {trail}.")

    return _each_trail("PQ-06", snapshot, parameters, judge_trail)


def pq_07(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """Every record of the period that was archived was brought back from its archive, file by file as its receipt says,
    and verified.

    Source: EU GMP Annex 11, 7.1 and 7.2: data are accessible throughout retention, and restoring them is checked.
    """

    def judge(review: Review, judgement: Judgement) -> list[Finding]:
        if not parameters.expected.review.archived_restored:
            reason = "The parameter expected.review.archived_restored says that restoring archives is not required."
            return [judgement.not_applicable(reason)]
        within = {run.record_id for run in review.register.runs if review.within(run.began)}
        archived = sorted(within & set(review.register.archived))
        if review.register.problem:
            judgement.doubt("archived records", "known", f"The register is not whole: {review.register.problem}.")
            return [judgement.finding()]
        if not archived:
            return [judgement.not_applicable("The register has no archive of a record of the period.")]
        restored = {one.record_id: one for one in review.restored}
        findings = []
        for record_id in archived:
            each = Judgement("PQ-07", record_id)
            each.rest_on(review.register.evidence)
            one = restored.get(record_id)
            if one is None:
                each.doubt("restored from its archive", "whole, and verified", f"{record_id} was not restored.")
            else:
                each.rest_on(one.evidence)
                sentence = f"{record_id} did not come back from {one.destination}: {one.problem}."
                name, expected = "restored from its archive", "whole, and verified"
                if one.unread:
                    each.doubt(name, expected, sentence, one.problem)
                else:
                    actual = one.problem or f"{expected}: {count(one.files, 'file')}"
                    each.expect(name, expected, actual, met=not one.problem, otherwise=sentence)
            findings.append(each.finding(f"{record_id} came back from its archive, and holds."))
        return findings

    return of_review("PQ-07", snapshot, parameters, judge)


def _days(span: timedelta) -> str:
    return f"{span.total_seconds() / 86400:.1f} days"


def _when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
