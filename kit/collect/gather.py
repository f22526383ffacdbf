"""Gathers what a protocol judges: from AWS into an evidence folder, or from that folder alone."""

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from pathlib import Path

from kit.collect.account import Progress
from kit.collect.iq import Scope, collect_iq
from kit.collect.live_objects import LiveObjects
from kit.collect.objects import Objects, ReplayedObjects
from kit.collect.oq import OperationalScope, collect_oq
from kit.collect.prospect import Wanted, collect_for_plan
from kit.collect.readers import Readers, Storage
from kit.collect.refusal import DENIED
from kit.evidence import EvidenceStore
from kit.parameters import RunParameters
from kit.recording import Recorder, Replayer
from kit.snapshot import Snapshot

OPERATIONAL, REMEDIAL = "OQ", "RM"


def gather(
    protocol_id: str,
    parameters: RunParameters,
    store: EvidenceStore,
    credentials: Mapping[str, str],
    executor: Executor,
    progress: Progress,
) -> Snapshot:
    """Return the snapshot that a protocol judges, read from AWS; every answer is written to the store.

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
) -> Snapshot:
    target, expected = parameters.account, parameters.expected
    operational = protocol_id == OPERATIONAL
    denied = {DENIED: expected.denied_role_arn} if operational and expected.denied_role_arn else {}
    readers = Readers(
        recorder,
        endpoint_url=target.endpoint_url,
        profile=target.profile,
        role_arn=target.role_arn,
        role_arns=target.role_arns | denied,
        credentials=credentials,
    )
    scope = Scope(
        target.account_id,
        None if target.regions == "all" else tuple(target.regions),
        expected.trail_arn,
        expected.kms_key_arn,
        target.log_bucket_account,
        expected.reader_role_arns or (),
    )
    if protocol_id == REMEDIAL:
        wanted = Wanted(expected.kms_key_arn, expected.key_alias, expected.log_bucket)
        return collect_for_plan(readers, scope, wanted, executor, progress)
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
