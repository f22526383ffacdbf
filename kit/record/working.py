"""The outputs folder that a run works in: the one that was named, or for `s3://bucket/prefix` one of its own, from
which what is new goes there.
"""

import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec

from kit.errors import ArchiveError, KitError, RecordError

if TYPE_CHECKING:
    from kit.record.remote import RemoteOutputs

P = ParamSpec("P")


@dataclass
class WorkingOutputs:
    """A folder to work in; `place` is the address in S3 that it works for, empty where it is the outputs folder itself.

    `kept` is true once something could not be sent: then the folder is what there is of it.
    """

    folder: Path
    place: str = ""
    remote: "RemoteOutputs | None" = None
    kept: bool = False

    def below(self, name: str) -> str:
        """Return the outputs of a target of a round: a path, or an address."""
        return f"{self.place}/{name}" if self.place else str(self.folder / name)

    def send(self) -> None:
        """Have everything that is new where it belongs: sealed records, and what the register says of other runs.

        Raises:
            ArchiveError: it could not be sent; the folder is kept, and named.
        """
        if self.remote is None:
            return
        self.kept = True
        try:
            self.remote.send()
        except (KitError, OSError, KeyboardInterrupt) as error:
            told = error if isinstance(error, KitError) else KitError(_unsent(error), "see that it can be sent")
            again = shlex.join(["trailkit", "send", str(self.folder), self.place])
            what = f"{told.message}; what was not sent is kept in {self.folder}"
            raise ArchiveError(what, f"{told.remedy}; that folder is sent with `{again}`") from error
        self.kept = False

    def noting(self, progress: Callable[P, None]) -> Callable[P, None]:
        """Return what passes progress on, and has the register of the place follow: a run that was begun is known
        there, whatever becomes of this machine.
        """

        def noted(*told: P.args, **named: P.kwargs) -> None:
            if self.remote:
                self.remote.note()
            progress(*told, **named)

        return noted if self.remote else progress

    def bring_targets(self, targets: Sequence[str], protocols: Sequence[str], round_id: str) -> None:
        """Bring what the summary of a round reads of its targets, where that is not here.

        Raises:
            ArchiveError: a call was refused or got no answer.
            RecordError: the working folder can't be written.
        """
        if self.remote:
            self.remote.bring_targets(targets, protocols, round_id)

    def relocate(self, error: KitError) -> None:
        """Have what an error says is to be done with something in the folder be said of where it will be found."""
        told = str(self.folder)
        if self.place and not self.kept and told in error.remedy:
            brought = (
                f"`aws s3 sync {shlex.quote(self.place)} outputs` brings all of it to outputs, a new folder; then "
            )
            error.remedy = brought + error.remedy.replace(told, "outputs")


def _unsent(error: BaseException) -> str:
    return f"it can't be read: {error}" if isinstance(error, OSError) else "interrupted while sending"


def is_remote(output: str) -> bool:
    """Return whether outputs were named that are no folder of this machine."""
    return "://" in output or output.lower().startswith("s3:")


@contextmanager
def working_outputs(output: str, protocols: Sequence[str]) -> Iterator[WorkingOutputs]:
    """Yield the folder to work in, with what a run by these protocols reads of the outputs that were named.

    What is new there is sent when the block ends, also where it raises: a run that failed can't vanish. What can't be
    sent is kept.

    Raises:
        ArchiveError: the outputs can't be asked, or something could not be sent; the folder is then kept, and named.
        RecordError: the working folder can't be made or written.
    """
    if not is_remote(output):
        yield WorkingOutputs(Path(output))
        return
    # imported here: it loads boto3
    from kit.record.remote import remote_outputs  # noqa: PLC0415

    try:
        folder = Path(tempfile.mkdtemp(prefix="trailkit-outputs-")).resolve()
    except OSError as error:
        what = f"no working folder can be made: {error.strerror}"
        raise RecordError(what, "free space, or name a folder that has it: TMPDIR") from error
    outputs = WorkingOutputs(folder, output.removesuffix("/"))
    try:
        with remote_outputs(output, folder) as remote:
            remote.bring(protocols)
            outputs.remote = remote
            try:
                yield outputs
            except BaseException as error:
                send_after(error, outputs)
                raise
            # what could not be sent a moment ago was told, and is not tried again
            if not outputs.kept:
                outputs.send()
    finally:
        if not outputs.kept:
            shutil.rmtree(folder, ignore_errors=True)


def send_after(error: BaseException, outputs: WorkingOutputs) -> None:
    """Send what there is after an error; that it could not be is told with it."""
    if not outputs.kept:
        try:
            outputs.send()
        except ArchiveError as unsent:
            if not isinstance(error, KitError):
                raise unsent from error
            error.message, error.remedy = f"{error.message}; and {unsent.message}", f"{error.remedy}; {unsent.remedy}"
    if isinstance(error, KitError):
        outputs.relocate(error)
