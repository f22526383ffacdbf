"""The runs of a period, as the register has them, for a reader who goes on from the review to their records."""

from kit.evidence import timestamp
from kit.present.displays import Display
from kit.review.period import Review, Reviewed, Run
from kit.snapshot import Snapshot


def runs(snapshot: Snapshot) -> Display:
    """Return the registered runs of the period in their order, each with its verdict, digest, and whether it holds."""
    review = snapshot.review
    if not isinstance(review, Review):
        return Display("runs", {"rows": [], "note": review or "What earlier runs left was not collected."})
    records = {one.run.record_id: one for one in review.records}
    within = sorted((run for run in review.register.runs if review.within(run.began)), key=lambda run: run.began)
    problem = review.register.problem
    note = f"The register is not whole: {problem}." if problem else ""
    return Display("runs", {"rows": [_row(run, records.get(run.record_id)) for run in within], "note": note})


def _row(run: Run, record: Reviewed | None) -> dict[str, str]:
    if record is None:
        holds = "no record"
    elif record.unread:
        holds = f"not known: {record.problem}"
    else:
        holds = f"no: {record.problem}" if record.problem else "yes"
    return {
        "record_id": run.record_id,
        "protocol": run.protocol,
        "began": timestamp(run.began),
        "state": run.state,
        "outcome": run.verdict,
        "digest": run.digest,
        "holds": holds,
    }
