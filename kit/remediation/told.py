"""What a notebook shows of the changes: each step with what became of it, the delivery after it, and what is left."""

from datetime import datetime

from kit.canonical import Json, well_formed
from kit.findings import when
from kit.parameters import RunParameters
from kit.snapshot import Carried, Remediation

NOT_REACHED, DONE, REFUSED = "not reached", "done", "refused"


def changes(held: Remediation, parameters: RunParameters) -> dict[str, Json]:
    """Return what became of a plan, as JSON; where nothing was approved, every step is not reached."""
    carried = {one.step: one for one in held.carried}
    approved = parameters.remediation
    return dict(
        well_formed(
            {
                "plan": held.plan,
                "approved": held.approved,
                "change_control": held.change_control,
                "confirmed": approved.confirmed if approved else [],
                "steps": [_step(step, title, carried.get(step)) for step, title in held.steps.items()],
                "delivery": _delivery(held),
                "evidence": held.status.evidence if held.status else [],
                "remaining": held.remaining,
            }
        )
    )


def _step(step: str, title: str, carried: Carried | None) -> dict[str, Json]:
    if carried is None:
        return {"step": step, "title": title, "outcome": NOT_REACHED, "message": "", "date": "", "evidence": []}
    last, times = carried.answers[-1], len(carried.answers)
    again = f"Asked {times} times, until AWS saw what was changed before. " if times > 1 else ""
    return {
        "step": step,
        "title": title,
        "outcome": DONE if carried.done else REFUSED,
        "message": f"{again}{last.why}".strip(),
        "date": carried.date,
        "evidence": [evidence for answer in carried.answers for evidence in answer.evidence],
    }


def _delivery(held: Remediation) -> str:
    if held.status is None:
        return "No delivery was waited for."
    if held.status.value is None:
        return held.status.why
    latest = held.status.value.get("LatestDeliveryTime")
    told = when(latest) if isinstance(latest, datetime) else "not known"
    return f"The latest log that CloudTrail tells of was delivered: {told}."
