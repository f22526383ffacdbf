"""Reads again, from recorded evidence alone, what a run was told of the settings: trails, keys and buckets."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from kit.canonical import canonical
from kit.collect.iq import collect_iq
from kit.collect.scope import readers_for, scope_of
from kit.evidence import Entry
from kit.parameters import RunParameters
from kit.recording import Replayer
from kit.snapshot import Snapshot

if TYPE_CHECKING:
    from kit.collect.readers import Readers


class RecordedSettings:
    """Serves the settings that records hold, one after the other; nothing reaches a network.

    The collectors are those of a live run. Their clients are made once for all records of one target: making them
    takes longer than all else.
    """

    def __init__(self) -> None:
        self._replayer = Replayer()
        self._readers: dict[bytes, Readers] = {}
        self._executor = ThreadPoolExecutor(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown()

    def read(self, evidence: Path, parameters: RunParameters, index: Sequence[Entry] | None = None) -> Snapshot:
        """Return the settings that an evidence folder holds; whatever else it holds is not asked for.

        `index` is that of the folder, where it was read already.

        Raises:
            EvidenceError: the evidence does not hold what is asked, or can't be read.
        """
        self._replayer.turn_to(evidence, index)
        target = canonical(parameters.account.model_dump(mode="json"))
        if target not in self._readers:
            self._readers[target] = readers_for(parameters, self._replayer)
        return collect_iq(self._readers[target], scope_of(parameters), self._executor, lambda *_, **__: None)
