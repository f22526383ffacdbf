"""The receipt of an archived record, as a file keeps it: what S3 held of each file, and an entry of the register."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kit.canonical import Json, canonical
from kit.errors import EvidenceError, RecordError, RejectionError
from kit.record.register import Seen

RECEIPTS = "receipts"
"""The folder of receipts, in the outputs folder."""


@dataclass(frozen=True)
class Kept:
    """A receipt as its file keeps it: the record, what S3 held of each file, and the entry of the register.

    `told` is the receipt as that entry holds it.
    """

    name: str
    record_id: str
    files: Mapping[str, str]
    seen: Seen
    told: Mapping[str, Json]


def read_receipt(path: Path) -> Kept:
    """Return a receipt that `archive_record` wrote.

    Raises:
        RecordError: it can't be read, or is none.
    """
    try:
        content = path.read_bytes()
        told = json.loads(content)
        whole = canonical(told) == content
        place = f"{told['destination'].removeprefix('s3://').partition('/')[2]}"
        files = {str(file["key"]).removeprefix(place): str(file["sha256"]) for file in told["files"]}
        record_id, seen = str(told.pop("record_id")), Seen(**told.pop("register"))
        kept = Kept(path.name, record_id, files, seen, told)
    except OSError as error:
        raise RecordError(
            f"{path} can't be read: {error.strerror}", "name the receipt of an archived record"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, EvidenceError) as error:
        raise RecordError(
            f"{path} is no receipt of an archived record", "name a file of the folder receipts"
        ) from error
    if not whole:
        raise RejectionError(f"{path.name} is not in canonical form (RFC 8785)", "restore the receipt")
    return kept
