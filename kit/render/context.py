"""What a rendering needs to know besides the notebook: which record this is, and the evidence it rests on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Self

from kit.canonical import Json
from kit.errors import RenderError
from kit.evidence import INDEX, OWN, ledger_of, read_body, read_index
from kit.numbering import number_of


@dataclass(frozen=True)
class EvidenceEntry:
    """One recorded response: what was asked, what came back, and the text of it.

    `time` is when the answer was received, by the local clock; `date` is the server's own. `path` is relative to the
    folder of the evidence. `text` is None where there is no body that is text, and where it is read from `folder` when
    it is needed: very many bodies don't fit into memory.
    """

    id: str
    service: str
    operation: str
    region: str
    status: int | None
    request_id: str
    date: str
    time: str
    sha256: str
    bytes: int
    path: str
    text: str | None
    failure: str = ""
    parameters: Json = None
    masked: tuple[str, ...] = ()
    folder: Path | None = None

    @property
    def own(self) -> bool:
        """Whether it is what the kit itself read, and no answer of AWS."""
        return self.service == OWN

    @property
    def ledger(self) -> str:
        """What it is a ledger of; empty where it is an answer."""
        return str(ledger_of(self.parameters) or "")

    def read(self) -> str | None:
        """Return the text of the body, held against its hash; None where there is none that is text.

        Raises:
            EvidenceError: it is missing or changed.
        """
        # a ledger is no text, and may be large
        if self.text is not None or self.folder is None or not self.path or self.ledger:
            return self.text
        try:
            return read_body(self.folder, self).decode("utf-8")
        except UnicodeDecodeError:
            return None

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return an entry from a mapping; members that are none of its own are left out."""
        known = {name: value[name] for name in cls.__dataclass_fields__ if name in value}
        return cls(**known | {"masked": tuple(value.get("masked") or ())})


@dataclass(frozen=True)
class Attachment:
    """A file that travels inside the PDF. `relationship` is ISO 32000-2's: Source, Data or Supplement, say."""

    name: str
    content: bytes | Path
    description: str
    mime: str = "application/octet-stream"
    relationship: str = "Data"

    def read(self) -> bytes:
        """Return the bytes of the attachment."""
        return self.content.read_bytes() if isinstance(self.content, Path) else self.content


@dataclass(frozen=True)
class RecordContext:
    """Which record is rendered. The defaults are those of a notebook that no record holds: unsealed, no evidence.

    `created` is an RFC 3339 moment in UTC; it is the only date of the page and of the PDF, so that the same record
    gives the same bytes whenever it is rendered.
    """

    record_id: str = ""
    record_digest: str = ""
    sealed: bool = False
    evidence: tuple[EvidenceEntry, ...] = ()
    created: str = ""
    page_size: Literal["A4", "Letter"] = "A4"
    manifest: Mapping[str, Any] | None = None
    executed: bool = True
    """False for a protocol that is to be approved before it is executed."""

    def __post_init__(self) -> None:
        """Refuse a sheet that no stylesheet knows.

        Raises:
            RenderError: the page size is neither A4 nor Letter.
        """
        if self.page_size not in ("A4", "Letter"):
            raise RenderError(f"the page size {self.page_size!r} is unknown", "choose A4 or Letter")


def evidence_entries(folder: Path) -> tuple[EvidenceEntry, ...]:
    """Return the evidence of a folder, by number; each body is read when it is needed.

    Raises:
        EvidenceError: the index can't be read.
    """
    return tuple(
        EvidenceEntry(
            entry.id, entry.service, entry.operation, entry.region, entry.status, entry.request_id, entry.date,
            entry.received, entry.sha256, entry.bytes, str(PurePosixPath(entry.path)) if entry.path else "", None,
            entry.failure, entry.parameters, entry.masked, folder,
        )
        for entry in sorted(read_index(folder), key=lambda entry: number_of(entry.id))
    )  # fmt: skip


_WHAT = {False: "body of the response, as received", True: "what the kit read, as it was kept"}


def attach_evidence(folder: Path, entries: Sequence[EvidenceEntry]) -> list[Attachment]:
    """Return the files of an evidence folder as attachments: the index first, then the bodies of its entries."""
    mimes = {
        ".json": "application/json", ".xml": "application/xml", ".txt": "text/plain", ".gz": "application/gzip",
    }  # fmt: skip
    found = []
    if (folder / INDEX).is_file():
        found.append(Attachment(f"evidence/{INDEX}", folder / INDEX, "Index of the evidence", "application/jsonl"))
    for entry in entries:
        if entry.path:
            mime = mimes.get(PurePosixPath(entry.path).suffix, "application/octet-stream")
            what = "a line for each answer" if entry.ledger else _WHAT[entry.own]
            said = f"{entry.id}, {entry.service}:{entry.operation}: {what}"
            found.append(Attachment(f"evidence/{entry.path}", folder / entry.path, said, mime))
    return found
