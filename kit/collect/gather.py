"""Gathers what a protocol judges: from AWS into an evidence folder, or from that folder alone."""

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from pathlib import Path

from kit.collect.account import Progress
from kit.collect.iq import collect_iq
from kit.collect.live_objects import LiveObjects
from kit.collect.objects import Objects, ReplayedObjects
from kit.collect.oq import OperationalScope, collect_oq
from kit.collect.readers import Storage
from kit.collect.refusal import DENIED
from kit.collect.review import ReviewScope, Source, collect_review
from kit.collect.scope import readers_for, scope_of
from kit.evidence import EvidenceStore
from kit.parameters import RunParameters
from kit.recording import Recorder, Replayer
from kit.snapshot import Snapshot

OPERATIONAL, REVIEW = "OQ", "PQ"


def gather(
    protocol_id: str,
    parameters: RunParameters,
    store: EvidenceStore,
    credentials: Mapping[str, str],
    executor: Executor,
    progress: Progress,
    source: Source | None = None,
) -> Snapshot:
    """Return the snapshot that a protocol judges, read from AWS; every answer is written to the store.

    `source` is what earlier runs left, for the protocol that reviews it.

    Raises:
        CredentialsError: no AWS credentials can be found.
        EvidenceError: an answer can't be recorded.
    """
    return _gather(
        protocol_id,
        parameters,
        Recorder(store),
        lambda storage: LiveObjects(store, storage),
        credentials,
        executor,
        progress,
        source,
    )


def gather_again(
    protocol_id: str, parameters: RunParameters, evidence: Path, executor: Executor, progress: Progress
) -> Snapshot:
    """Return the snapshot that a protocol judges, from recorded evidence alone: nothing reaches a network.

    Raises:
        EvidenceError: the evidence does not hold what is asked, holds what was not asked for, or can't be read.
    """
    recorder, objects = Replayer(evidence), ReplayedObjects(evidence)

    def opened(open_storage: Callable[[str], Storage | str]) -> AbstractContextManager[Objects]:
        objects.open_storage = open_storage
        return nullcontext(objects)

    found = _gather(protocol_id, parameters, recorder, opened, {}, executor, progress)
    recorder.require_used()
    objects.require_used()
    return found


def _gather(
    protocol_id: str,
    parameters: RunParameters,
    recorder: Recorder | Replayer,
    open_objects: Callable[[Callable[[str], Storage | str]], AbstractContextManager[Objects]],
    credentials: Mapping[str, str],
    executor: Executor,
    progress: Progress,
    source: Source | None = None,
) -> Snapshot:
    expected = parameters.expected
    operational = protocol_id == OPERATIONAL
    denied = {DENIED: expected.denied_role_arn} if operational and expected.denied_role_arn else {}
    readers = readers_for(parameters, recorder, credentials, denied)
    scope = scope_of(parameters)
    if protocol_id == REVIEW:
        reviewed = ReviewScope(parameters.window, expected.review.archived_restored, source)
        return collect_review(recorder, readers, collect_iq(readers, scope, executor, progress), reviewed, progress)
    if not operational:
        return collect_iq(readers, scope, executor, progress)
    window = OperationalScope(
        parameters.window,
        timedelta(minutes=expected.digest_settling_minutes),
        expected.organization_id or "",
        expected.organization_accounts or (),
        expected.denied_role_arn,
    )
    return collect_oq(readers, open_objects, scope, window, executor, progress)
