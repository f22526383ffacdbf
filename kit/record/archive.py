"""Archives a record that holds, and keeps the receipt: in the register, and as a file that carries its entry."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from kit.canonical import canonical
from kit.errors import RecordError
from kit.record.folders import held, write_whole
from kit.record.object_lock import Receipt, archive
from kit.record.receipt import RECEIPTS
from kit.record.register import register_beside
from kit.record.verification.verify import hold_record


@dataclass(frozen=True)
class Archived:
    """An archived record: the receipt, and the file that keeps it, None where there is no register to carry on."""

    receipt: Receipt
    file: Path | None


def archive_record(record: Path, destination: str, retain_until: datetime, **options: Any) -> Archived:
    """Verify a record, archive it, and keep the receipt; `options` are those of `archive`.

    Raises:
        RejectionError: the record does not hold.
        ArchiveError: it can't be archived as asked.
        RecordError: the receipt can't be written; the record is archived, and archiving it again writes the receipt.
    """
    with held(record):
        hold_record(record)
        receipt = archive(record, destination, retain_until, **options)
    with register_beside(record) as register:
        if register is None:
            return Archived(receipt, None)
        entry = register.append("archived", record.name, receipt.to_json())
    file = record.parent / RECEIPTS / f"{record.name}-{entry.number}.json"
    content = canonical({**receipt.to_json(), "record_id": record.name, "register": entry.seen.to_json()})
    try:
        file.parent.mkdir(exist_ok=True)
        write_whole(file, content)
    except OSError as error:
        raise RecordError(
            f"the receipt {file} can't be written: {error.strerror or error}", "free space, and archive again"
        ) from error
    return Archived(receipt, file)
