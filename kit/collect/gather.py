"""Gathers what a protocol judges: from AWS, or from challenges of the kit itself, into an evidence folder; or from that
folder alone.
"""

from collections.abc import Mapping
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from time import sleep
from typing import cast

from kit.collect.account import Progress
from kit.collect.changes import Pause, await_delivery, carry_out
from kit.collect.cluster import Cluster, Spread
from kit.collect.iq import collect_iq
from kit.collect.live_objects import LiveObjects
from kit.collect.logged import Sought, collect_logged
from kit.collect.objects import Objects, ReplayedObjects, Search
from kit.collect.oq import OpenObjects, OpenStorage, OperationalScope, collect_oq
from kit.collect.prospect import Wanted, collect_for_plan
from kit.collect.readers import Readers
from kit.collect.refusal import DENIED
from kit.collect.review import ReviewScope, Source, collect_review
from kit.collect.scope import readers_for, scope_of
from kit.collect.summary import Targets, collect_summary
from kit.evidence import EvidenceStore
from kit.numbering import NumberedExecutor
from kit.parameters import RunParameters
from kit.recording import Recorder, Replayer
from kit.remediation.approval import hold_approved
from kit.remediation.plan import plan
from kit.review.logged import Logged
from kit.snapshot import Remediation, Snapshot

OPERATIONAL, REVIEW, REMEDIAL, TOOL, SUMMARY = "OQ", "PQ", "RM", "TQ", "VS"


def gather(
    protocol_id: str,
    parameters: RunParameters,
    store: EvidenceStore,
    credentials: Mapping[str, str],
    executor: Executor,
    progress: Progress,
    source: Source | Targets | None = None,
    cluster: Cluster | None = None,
) -> Snapshot:
    """Return the snapshot that a protocol judges; everything that it rests on is written to the store.

    `source` is what earlier runs left, for a protocol that reviews or sums up that. `cluster` reads the objects, where
    they are many; what its workers sign in with is their own.

    Raises:
        CredentialsError: no AWS credentials can be found.
        EvidenceError: an answer can't be recorded.
        SandboxError: the kit is to be challenged, and the embedded account can't be started.
        ParameterError: no cluster answers.
        ExecutionError: the cluster did not read what it was to read.
    """
    if protocol_id == TOOL:
        # imported here: only this needs the sandbox, and what makes and signs records
        from kit.collect.tool import collect_tool  # noqa: PLC0415

        return collect_tool(parameters, store, executor, progress)
    numbered = NumberedExecutor(executor, store.numbers)
    opens = _opens(store, parameters, cluster)
    return _gather(protocol_id, parameters, Recorder(store), opens, credentials, numbered, progress, source)


def gather_review(
    found: Snapshot,
    parameters: RunParameters,
    store: EvidenceStore,
    credentials: Mapping[str, str],
    executor: Executor,
    progress: Progress,
    source: Source,
) -> Snapshot:
    """Return settings that were gathered, with all that a review judges besides, by parameters of its own.

    Raises:
        CredentialsError: no AWS credentials can be found.
        EvidenceError: an answer can't be recorded.
    """
    recorder = Recorder(store)
    readers = readers_for(parameters, recorder, credentials)
    numbered = NumberedExecutor(executor, store.numbers)
    return _reviewed(found, parameters, recorder, readers, _opens(store, parameters), numbered, progress, source)


def _opens(store: EvidenceStore, parameters: RunParameters, cluster: Cluster | None = None) -> OpenObjects:
    def opened(storage: OpenStorage, search: Search | None = None) -> AbstractContextManager[Objects]:
        home = scope_of(parameters).first_region
        spread = Spread(cluster, parameters.account, home, search) if cluster else None
        return LiveObjects(store, storage, search, spread=spread)

    return opened


def gather_again(
    protocol_id: str,
    parameters: RunParameters,
    evidence: Path,
    executor: Executor,
    progress: Progress,
    review: RunParameters | None = None,
    mending: RunParameters | None = None,
) -> Snapshot:
    """Return the snapshot that a protocol judges, from recorded evidence alone: nothing reaches a network.

    `review` are the parameters by which `gather_review` added to it, and `mending` those of a remediation that was
    carried out after that, of which it then has what became of the plan.

    Raises:
        EvidenceError: the evidence does not hold what is asked, holds what was not asked for, or can't be read.
    """
    if protocol_id == TOOL:
        from kit.collect.tool import collect_tool_again  # noqa: PLC0415 - as above

        return collect_tool_again(evidence, executor, progress)
    recorder, objects = Replayer(evidence), ReplayedObjects(evidence)

    def opened(open_storage: OpenStorage, _: Search | None = None) -> AbstractContextManager[Objects]:
        objects.open_storage = open_storage
        return nullcontext(objects)

    found = _gather(protocol_id, parameters, recorder, opened, {}, executor, progress)
    if protocol_id == REMEDIAL:
        found = _change(found, parameters, recorder, {}, executor, progress, lambda _: None)
    if review is not None:
        readers = readers_for(review, recorder)
        found = _reviewed(found, review, recorder, readers, opened, executor, progress, None)
    if mending is not None:
        before = _gather(REMEDIAL, mending, recorder, opened, {}, executor, progress)
        after = _change(before, mending, recorder, {}, executor, progress, lambda _: None)
        found = replace(found, remediation=after.remediation)
    recorder.require_used()
    objects.require_used()
    return found


def gather_changed(
    before: Snapshot,
    parameters: RunParameters,
    store: EvidenceStore,
    credentials: Mapping[str, str],
    executor: Executor,
    progress: Progress,
    pause: Pause = sleep,
) -> Snapshot:
    """Carry out the approved plan for what `gather` found, wait for a new delivery, and return the account as it is
    then, with what became of the plan; where none was approved, nothing is changed and the account is as it was found.

    Raises:
        PlanError: the plan for what was found is not the one that was approved, or a step of it was not confirmed;
            nothing was changed.
        CredentialsError: no AWS credentials can be found.
        EvidenceError: an answer can't be recorded.
    """
    numbered = NumberedExecutor(executor, store.numbers)
    return _change(before, parameters, Recorder(store), credentials, numbered, progress, pause)


def _change(
    before: Snapshot,
    parameters: RunParameters,
    recorder: Recorder | Replayer,
    credentials: Mapping[str, str],
    executor: Executor,
    progress: Progress,
    pause: Pause,
) -> Snapshot:
    found, approved = plan(before, parameters), parameters.remediation
    titles = {step.id: step.title for step in found.steps}
    if approved is None:
        return replace(before, remediation=Remediation(found.sha256, None, None, titles))
    hold_approved(found, approved)
    carried = carry_out(readers_for(parameters, recorder, credentials, attempts=1), found, pause, progress)
    told = Remediation(found.sha256, approved.plan, approved.change_control, titles, carried)
    status = None
    trail = parameters.expected.trail_arn or next((trail.arn for trail in before.trails if trail.judged), None)
    if trail and told.changed and all(one.done for one in carried):
        readers = readers_for(parameters, recorder, credentials)
        status = await_delivery(readers, trail, told.changed, pause, progress)
    after = _gather(REMEDIAL, parameters, recorder, _nothing, credentials, executor, progress)
    remaining = tuple(step.title for step in plan(after, parameters).steps)
    return replace(after, remediation=replace(told, status=status, remaining=remaining))


def _reviewed(
    found: Snapshot,
    parameters: RunParameters,
    recorder: Recorder | Replayer,
    readers: Readers,
    open_objects: OpenObjects,
    executor: Executor,
    progress: Progress,
    source: Source | None,
) -> Snapshot:
    asked = parameters.expected.review
    scope = ReviewScope(parameters.window, asked.archived_restored, asked.event_logs == "all", source)

    def read_logs(snapshot: Snapshot, sought: Sought, now: datetime) -> tuple[Logged, ...]:
        settings, window = scope_of(parameters), _window(parameters)
        return collect_logged(readers, open_objects, settings, window, snapshot, sought, now, executor, progress)

    return collect_review(recorder, readers, found, scope, read_logs, progress)


def _window(parameters: RunParameters) -> OperationalScope:
    expected = parameters.expected
    return OperationalScope(
        parameters.window,
        timedelta(minutes=expected.digest_settling_minutes),
        expected.organization_id or "",
        expected.organization_accounts or (),
        expected.denied_role_arn,
    )


def _nothing(_: OpenStorage, __: Search | None = None) -> AbstractContextManager[Objects]:
    raise NotImplementedError("a remediation reads no objects")


def _gather(
    protocol_id: str,
    parameters: RunParameters,
    recorder: Recorder | Replayer,
    open_objects: OpenObjects,
    credentials: Mapping[str, str],
    executor: Executor,
    progress: Progress,
    source: Source | Targets | None = None,
) -> Snapshot:
    expected = parameters.expected
    if protocol_id == SUMMARY and parameters.of_round:
        asks = parameters.of_round.organization and readers_for(parameters, recorder, credentials)
        return collect_summary(recorder, parameters.of_round, cast("Targets | None", source), asks or None, progress)
    operational = protocol_id == OPERATIONAL
    denied = {DENIED: expected.denied_role_arn} if operational and expected.denied_role_arn else {}
    readers = readers_for(parameters, recorder, credentials, denied)
    scope = scope_of(parameters)
    if protocol_id == REMEDIAL:
        wanted = Wanted(expected.kms_key_arn, expected.key_alias, expected.log_bucket)
        return collect_for_plan(readers, scope, wanted, executor, progress)
    if operational:
        return collect_oq(readers, open_objects, scope, _window(parameters), executor, progress)
    settings = collect_iq(readers, scope, executor, progress)
    if protocol_id == REVIEW:
        earlier = cast("Source | None", source)
        return _reviewed(settings, parameters, recorder, readers, open_objects, executor, progress, earlier)
    return settings
