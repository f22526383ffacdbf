"""Checks on a period, judged on what the periodic review collects."""

from kit.checks.review import of_review
from kit.findings import Finding, Judgement
from kit.parameters import RunParameters
from kit.review.period import Review
from kit.snapshot import Snapshot


def acme_21(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """No run of the period failed or was aborted."""

    def judge(review: Review, judgement: Judgement) -> list[Finding]:
        if review.register.problem:
            judgement.doubt("runs broken off", "none", f"The register is not whole: {review.register.problem}.")
            return [judgement.finding("")]
        within = [run for run in review.register.runs if review.within(run.began)]
        broken = ", ".join(run.record_id for run in within if run.state in ("failed", "aborted")) or "none"
        judgement.expect("runs broken off", "none", broken, otherwise=f"These runs were broken off: {broken}.")
        return [judgement.finding("Every run of the period was finished.")]

    return of_review("ACME-21", snapshot, parameters, judge)
