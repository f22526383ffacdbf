"""Whether a plan may be carried out: exactly the one that was approved, each step that can stop delivery confirmed."""

from kit.errors import PlanError
from kit.remediation.steps import Plan
from kit.sections import Approved


def hold_approved(found: Plan, approved: Approved) -> None:
    """Hold the plan for the account as it is now against what was approved.

    Raises:
        PlanError: it is another plan, it has no step, or a step that can stop delivery was not confirmed.
    """
    if found.sha256 != approved.plan:
        raise PlanError(
            f"the account, or what is required of it, moved since the plan was approved: {approved.plan[:12]}… was"
            f" approved, and the plan is now {found.sha256[:12]}…; nothing was changed",
            "plan again with `trailkit remediate`, and have that plan approved",
        )
    if not found.steps:
        raise PlanError("the plan has no step: there is nothing to carry out", "qualify the account: trailkit run iq")
    asked = [step.id for step in found.steps if step.may_stop_delivery]
    if missing := [step for step in asked if step not in approved.confirmed]:
        raise PlanError(
            f"{', '.join(missing)}: not confirmed, and can stop delivery; nothing was changed",
            f"read the risk of each, and confirm it: --yes-to {' --yes-to '.join(missing)}",
        )
    if unknown := sorted(set(approved.confirmed) - set(asked)):
        raise PlanError(
            f"{', '.join(unknown)}: confirmed, and no step of the plan that can stop delivery; nothing was changed",
            f"confirm only {', '.join(asked)}" if asked else "confirm nothing: no step can stop delivery",
        )
