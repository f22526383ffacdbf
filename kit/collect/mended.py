"""What a remediation is challenged with: approved plans, carried out on the embedded account, soundly and not."""

from concurrent.futures import Executor
from dataclasses import dataclass
from time import sleep

from kit.collect.account import Progress
from kit.collect.gather import REMEDIAL, gather, gather_changed
from kit.evidence import EvidenceStore
from kit.parameters import RunParameters
from kit.remediation.plan import plan
from kit.sandbox.server import CREDENTIALS
from kit.snapshot import Snapshot
from kit.tool import KnownFault

SPOILT = ("rotation-off",)
"""What is wrong with the account for which a plan is made."""

_CHANGE_CONTROL = "CC-TQ"
_PAUSE_S = 0.3
"""The embedded account delivers sooner after a change than this; AWS takes minutes."""

_STANDING = "it spoils what a plan does, and not the account alone"


@dataclass(frozen=True)
class MendingFault:
    """A fault of what becomes of a plan, and the faults that the account has then."""

    known: KnownFault
    account: tuple[str, ...]


def _fault(name: str, description: str, changes: tuple[str, ...], account: str) -> MendingFault:
    return MendingFault(KnownFault(name, description, changes, _STANDING, "remediation"), (*SPOILT, account))


MENDING_FAULTS = (
    _fault("change-refused", "AWS refuses a change of the approved plan.",
           ("IQ-06", "PQ-04", "RM-01", "RM-02", "RM-03"), "deny-enable-key-rotation"),
    _fault("change-without-delivery", "CloudTrail tells a delivery error after the changes.",
           ("OQ-01", "RM-02"), "delivery-error"),
    _fault("change-without-effect", "AWS takes a change of the approved plan, and the setting stays as it was.",
           ("IQ-06", "PQ-04", "RM-03"), "rotation-without-effect"),
)  # fmt: skip


def approved(before: Snapshot, told: RunParameters) -> RunParameters:
    """Return parameters that approve the plan for what was collected, each step that asks for it confirmed."""
    found = plan(before, told)
    confirmed = [step.id for step in found.steps if step.may_stop_delivery]
    approval = {"plan": found.sha256, "change_control": _CHANGE_CONTROL, "confirmed": confirmed}
    return RunParameters.load(told.to_json() | {"remediation": approval})


def mend(
    told: RunParameters, store: EvidenceStore, executor: Executor, progress: Progress
) -> tuple[Snapshot, RunParameters]:
    """Plan for the account as it is, carry the plan out, and return what came of it, and by which parameters."""
    before = gather(REMEDIAL, told, store, CREDENTIALS, executor, progress)
    approving = approved(before, told)
    return gather_changed(before, approving, store, CREDENTIALS, executor, progress, _pause), approving


def _pause(seconds: float) -> None:
    sleep(min(seconds, _PAUSE_S))
