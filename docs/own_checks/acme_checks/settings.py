"""Checks on settings, judged on what the installation qualification collects.

A check is a function of what was collected and of the parameters of the run. It asks nobody, reads no file and no
clock; it names the evidence that it rests on; and what AWS did not say it leaves open.
"""

from kit.checks.bucket import each_bucket
from kit.checks.reading import judge, text
from kit.checks.trail import each_key
from kit.findings import Finding, Judgement
from kit.parameters import RunParameters
from kit.snapshot import Bucket, Key, Snapshot, Trail

DESCRIPTION = "CloudTrail/GxP Annex 11 key"
RESIDENCY = ("eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3")


def acme_01(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """The log bucket lies in a Region that ACME's data protection office has cleared."""

    def of_bucket(trail: Trail, bucket: Bucket, judgement: Judgement) -> Finding:
        judge(
            judgement,
            "Region of the log bucket",
            {"one of": list(RESIDENCY)},
            bucket.region,
            lambda region: region,
            accepts=lambda region: region in RESIDENCY,
            otherwise=f"The log bucket of {trail.arn} lies in a Region that was not cleared.",
        )
        return judgement.finding(f"The bucket {bucket.name} lies in {bucket.region.value}, which was cleared.")

    return each_bucket("ACME-01", snapshot, parameters, of_bucket)


def acme_02(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """The trail's key carries the description by which ACME's key inventory finds it."""

    def of_key(trail: Trail, key: Key, judgement: Judgement) -> Finding:
        wrong = f"The key of {trail.arn} is described otherwise, and the inventory will not find it."
        judge(judgement, "description", DESCRIPTION, key.metadata, text("Description"), otherwise=wrong)
        return judgement.finding(f"The key {key.named} is described as the inventory knows it.")

    return each_key("ACME-02", snapshot, parameters, of_key)
