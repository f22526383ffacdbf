"""Collects what a protocol judges: an account for a qualification, challenges of the kit for its own."""

from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path

from kit.collect.account import Progress
from kit.collect.gather import TOOL, gather, gather_again
from kit.collect.review import Source
from kit.evidence import EvidenceStore
from kit.parameters import RunParameters
from kit.snapshot import Snapshot


def collect(
    protocol_id: str,
    parameters: RunParameters,
    store: EvidenceStore,
    credentials: Mapping[str, str],
    executor: Executor,
    progress: Progress,
    source: Source | None = None,
) -> Snapshot:
    """Return the snapshot that a protocol judges; everything it rests on is written to the store.

    `source` is what earlier runs left, for the protocol that reviews it.

    Raises:
        CredentialsError: no AWS credentials can be found.
        EvidenceError: an answer can't be recorded.
        SandboxError: the kit is to be challenged, and the embedded account can't be started.
    """
    if protocol_id != TOOL:
        return gather(protocol_id, parameters, store, credentials, executor, progress, source)
    # imported here: only this needs the sandbox, and what makes and signs records
    from kit.collect.tool import collect_tool  # noqa: PLC0415

    return collect_tool(parameters, store, executor, progress)


def collect_again(
    protocol_id: str, parameters: RunParameters, evidence: Path, executor: Executor, progress: Progress
) -> Snapshot:
    """Return the snapshot that a protocol judges, from recorded evidence alone: nothing reaches a network.

    Raises:
        EvidenceError: the evidence does not hold what is asked, holds what was not asked for, or can't be read.
    """
    if protocol_id != TOOL:
        return gather_again(protocol_id, parameters, evidence, executor, progress)
    from kit.collect.tool import collect_tool_again  # noqa: PLC0415

    return collect_tool_again(evidence, executor, progress)
