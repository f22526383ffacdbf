"""The register of outputs in S3: put there only where it continues the one that lies there. Loads boto3."""

import threading

from kit.canonical import sha256
from kit.errors import ArchiveError
from kit.record.place import Place
from kit.record.register import REGISTER
from kit.record.s3 import ATTEMPTS, code_of

_TAKEN = ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey")
"""What S3 answers to a conditional write where something else is there, or nothing, or another write is under way."""


class RemoteRegister:
    """A register as it lies in S3, `content` in whole lines, as far as is known. Safe to use from several threads."""

    def __init__(self, place: Place) -> None:
        self.content = b""
        self._etag = ""
        self._place = place
        self._lock = threading.Lock()

    def read(self) -> None:
        """Learn what lies there.

        Raises:
            ArchiveError: a call was refused or got no answer.
        """
        self.content, self._etag = _read(self._place, REGISTER)

    def hold(self, content: bytes) -> None:
        """Require that a register continues the one that is known to lie there.

        Raises:
            ArchiveError: it is another.
        """
        if not content.startswith(self.content):
            what = f"another run has continued the register {self._place.uri(REGISTER)} meanwhile"
            remedy = (
                "let one run end before another begins, and run again; nothing was put over it; what was signed here "
                "has to be signed again on a fresh copy"
            )
            raise ArchiveError(what, remedy)

    def put(self, content: bytes) -> None:
        """Put a register in the place of the one that it continues; of two at once only one can.

        Raises:
            ArchiveError: it does not continue that one; or a call was refused or got no answer.
        """
        with self._lock:
            for _ in range(ATTEMPTS + 1):
                self.hold(content)
                if content == self.content:
                    return
                condition = {"IfMatch": self._etag} if self._etag else {"IfNoneMatch": "*"}
                try:
                    self._etag = self._place.put(REGISTER, content, sha256(content), **condition)
                except ArchiveError as error:
                    if code_of(error) not in _TAKEN:
                        raise
                    # somebody else put it meanwhile, or we did, by an attempt whose answer never came
                    self.read()
                else:
                    self.content = content
                    return
            raise ArchiveError(f"{self._place.uri(REGISTER)} is being written by others", "run again when they end")


def read_remote(place: Place, name: str) -> bytes:
    """Return the whole lines of a register at a place; nothing where there is none.

    Raises:
        ArchiveError: a call was refused or got no answer.
    """
    return _read(place, name)[0]


def whole_lines(register: bytes) -> bytes:
    """Return a register without a line that was not written to its end: nothing rests on that."""
    return register[: register.rfind(b"\n") + 1]


def _read(place: Place, name: str) -> tuple[bytes, str]:
    try:
        content, etag = place.read(name, lambda blocks, etag: (b"".join(blocks), etag))
    except ArchiveError as error:
        if code_of(error) == "NoSuchKey":
            return b"", ""
        raise
    return whole_lines(content), etag
