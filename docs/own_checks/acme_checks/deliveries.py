"""Checks on what was delivered, judged on what the operational qualification collects."""

from kit.checks.deliveries import each_delivery
from kit.findings import Finding, Judgement
from kit.parameters import RunParameters
from kit.snapshot import Delivery, Snapshot, Trail

MINUTES = 15


def acme_11(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """No log file of the window was delivered more than 15 minutes after its newest event."""

    def of_delivery(trail: Trail, delivery: Delivery, judgement: Judgement) -> Finding:
        name, expected = "longest delivery, minutes", f"at most {MINUTES}"
        lags = delivery.logs.lags
        if not lags:
            judgement.doubt(name, expected, f"No log file of {trail.arn} tells how long its delivery took.")
            return judgement.finding("")
        longest = max(lags)
        late = f"A log file of {trail.arn} was delivered {longest} minutes after its newest event."
        judgement.expect(name, expected, longest, met=longest <= MINUTES, otherwise=late)
        return judgement.finding(f"Every log file of {trail.arn} was delivered within {MINUTES} minutes.")

    return each_delivery("ACME-11", snapshot, parameters, of_delivery)
