"""The errors that leave the public surface, each with what the user should do.

Every error a user can meet is a `KitError`: `message` says in one line what is wrong, `remedy` in one line what to
do about it, and `exit_code` is what the command returns for it (1 a record is rejected, 2 misuse,
3 inconclusive or interrupted).
"""

from typing import ClassVar


class KitError(Exception):
    """Something went wrong that the user can act on; `remedy` says how."""

    exit_code: ClassVar[int] = 2

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n{self.remedy}"


def is_unread(error: BaseException | None) -> bool:
    """Return whether an error comes of something that is there, as far as is known, and could not be read: for want of
    a permission, or because a disk or a service did not give it. What is gone, or is another than it was, is known.
    """
    while error is not None:
        if isinstance(error, UnreachedError) or (isinstance(error, OSError) and not isinstance(error, _GONE)):
            return True
        error = error.__cause__
    return False


_GONE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class ParameterError(KitError):
    """A run parameter is unknown, of the wrong kind, contradictory, or looks like a secret."""


class CatalogueError(KitError):
    """The catalogue names a test case, clause or function that does not exist."""


class EvidenceError(KitError):
    """Evidence can't be written, or what was written can't be read back as it was."""

    exit_code = 3


class SandboxError(KitError):
    """The embedded account can't be started, or a fault is unknown."""


class PlanError(KitError):
    """A plan of remediation is not carried out: it was not approved so, or a step of it was not confirmed."""


class ExecutionError(KitError):
    """The notebook did not run to its end: killed, interrupted, cut short, or never concluded."""

    exit_code = 3


class RecordError(KitError):
    """A record can't be sealed, or there is none where one was named."""


class SigningError(RecordError):
    """A signature can't be given: a rule forbids it, or the key or its certificate can't be used."""


class ArchiveError(RecordError):
    """A record can't be archived where it was to go, or S3 does not hold it as it was to be held."""


class UnreachedError(ArchiveError):
    """An archive could not be asked: it refused, throttled or did not answer, so what it holds is not known."""


class RejectionError(RecordError):
    """What lies in a record's folder is not the record that was sealed."""

    exit_code = 1


class RenderError(KitError):
    """A record can't be rendered, for want of a library or of a readable notebook."""

    exit_code = 3


class MissingLibraryError(RenderError):
    """The system libraries that set the PDF are not installed."""
