"""Record and replay of raw AWS responses, and the store that keeps them.

Two botocore hooks make the record, so no collector can forget: the parameters of a call are put into its request
context at `before-parameter-build`, and `response-received` writes every attempt, answered or not. A body that
botocore can't parse never reaches `response-received`; it is kept at `before-parse` and written at
`after-call-error`. The mirror hook, `before-send`, serves the recorded bodies back: that is replay, with no second
code path. The hooks are called with what botocore documents for its events; botocore itself is not imported here.

Requests are never stored: no credential, signature or token is written. Credentials that AWS sends in a body
(AssumeRole, SSO) are masked, and the index says which members.
"""

import json
import re
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kit.canonical import Json, canonical, sha256, well_formed
from kit.errors import EvidenceError

INDEX = "index.jsonl"

_CREDENTIAL_SERVICES = frozenset({"sts", "sso", "sso-oidc", "signin"})
_SECRETS = "SecretAccessKey|SessionToken|AccessToken|RefreshToken|IdToken|ClientSecret"
_SECRET_IN_JSON = re.compile(rb'("(?:' + _SECRETS.encode() + rb')"\s*:\s*)"(?:[^"\\]|\\.)*"', re.IGNORECASE)
_SECRET_IN_XML = re.compile(rb"<(" + _SECRETS.encode() + rb")>[^<]*<", re.IGNORECASE)
_SECRET_PARAMETER = re.compile(
    r"^(webidentitytoken|samlassertion|tokencode|clientsecret|refreshtoken|accesstoken|devicecode|code|codeverifier)$",
    re.IGNORECASE,
)
_MASK = "**masked**"


def utc_now() -> datetime:
    """Return the local clock, in UTC."""
    return datetime.now(UTC)


def timestamp(moment: datetime) -> str:
    """Return a moment as RFC 3339 text in UTC with milliseconds, the form every date of a record takes."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class Entry:
    """One attempt of one call, as the evidence index holds it: one JSON object a line.

    `reader` is the account whose role read (empty: the credentials the run was started with). `date` is the server's
    own `Date` header; `sent` and `received` are the local clock. `attempt` counts from 1 within a call. An attempt that got no answer has `failure`, the kind
    of the transport error, and no status, body or hash. `masked` names the members that were masked in the body.
    """

    id: str
    service: str
    operation: str
    region: str
    reader: str
    parameters: Json
    attempt: int
    sent: str
    received: str
    status: int | None = None
    request_id: str = ""
    date: str = ""
    headers: Mapping[str, str] | None = None
    path: str = ""
    sha256: str = ""
    bytes: int = 0
    masked: tuple[str, ...] = ()
    failure: str = ""

    @property
    def key(self) -> tuple[str, str, str, str, bytes]:
        """What replay looks a request up by."""
        return (self.service, self.operation, self.region, self.reader, canonical(self.parameters))


class EvidenceStore:
    """A folder that holds one file a response body and `index.jsonl`, in the order the answers came.

    `count` is the number of attempts recorded so far, `bytes` what their bodies add up to.

    Safe to write from several threads. Each line is flushed as it is written, so a killed run leaves what it had.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0
        self.bytes = 0
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise EvidenceError(
                f"the evidence folder {folder} can't be made: {error.strerror}",
                "choose an output folder that can be written, and that no other run uses",
            ) from error

    def add(self, body: bytes | None, **attempt: Any) -> Entry:
        """Write one attempt and return its index entry.

        Raises:
            EvidenceError: the disk is full or the folder can't be written.
        """
        with self._lock:
            self.count += 1
            self.bytes += len(body or b"")
            entry_id = f"E{self.count:04d}"
            if body is not None:
                suffix = ".json" if body.lstrip()[:1] in (b"{", b"[") else ".xml" if body[:1] == b"<" else ".txt"
                name = f"{entry_id}-{attempt['service']}-{attempt['operation']}{suffix}"
                attempt |= {"path": name, "sha256": sha256(body), "bytes": len(body)}
            entry = Entry(id=entry_id, **attempt)
            try:
                if body is not None:
                    (self.folder / entry.path).write_bytes(body)
                with (self.folder / INDEX).open("ab") as index:
                    index.write(canonical(asdict(entry)) + b"\n")
            except OSError as error:
                raise EvidenceError(
                    f"evidence can't be written to {self.folder}: {error.strerror}",
                    "free space or choose another output folder, then run again",
                ) from error
            return entry


def read_index(folder: Path) -> list[Entry]:
    """Return the index of an evidence folder, in the order of recording; a run without a call has an empty one.

    Raises:
        EvidenceError: a line is not an entry.
    """
    path = folder / INDEX
    if not path.exists():
        return []
    names = {field.name for field in fields(Entry)}
    entries = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            value = json.loads(line)
            if set(value) != names:
                raise ValueError(f"members {sorted(set(value) ^ names)}")
            entries.append(Entry(**value | {"masked": tuple(value["masked"])}))
        except (ValueError, TypeError) as error:
            raise EvidenceError(
                f"line {number} of {path} is no evidence entry: {error}", "restore the record from its archive"
            ) from error
    return entries


def read_body(folder: Path, entry: Entry) -> bytes:
    """Return the recorded body of an entry, held against its hash; empty for an attempt without an answer.

    Raises:
        EvidenceError: the file is missing or is not what was recorded.
    """
    if not entry.path:
        return b""
    try:
        body = (folder / entry.path).read_bytes()
    except OSError as error:
        raise EvidenceError(f"evidence {entry.id} is missing: {entry.path}", "restore it from the archive") from error
    if sha256(body) != entry.sha256:
        raise EvidenceError(f"evidence {entry.id} was changed: {entry.path}", "restore it from the archive")
    return body


@dataclass
class Attempts:
    """The attempts made while a `Recorder.watch` block ran, in this thread."""

    entries: list[Entry]
    body: bytes = b""

    @property
    def ids(self) -> tuple[str, ...]:
        """The evidence ids, in order."""
        return tuple(entry.id for entry in self.entries)


class _Watched:
    """Tells a thread which attempts it made."""

    def __init__(self) -> None:
        self._thread = threading.local()

    @contextmanager
    def watch(self) -> Iterator[Attempts]:
        """Yield the attempts that this thread makes inside the block, and the body of the last answer."""
        attempts = self._thread.attempts = Attempts([])
        try:
            yield attempts
        finally:
            self._thread.attempts = None

    def _seen(self, entry: Entry, body: bytes) -> None:
        attempts = getattr(self._thread, "attempts", None)
        if attempts is not None:
            attempts.entries.append(entry)
            attempts.body = body


class Recorder(_Watched):
    """Writes every response that a session's clients receive to a store."""

    def __init__(self, store: EvidenceStore, clock: Callable[[], datetime] = utc_now) -> None:
        super().__init__()
        self._store = store
        self._clock = clock

    def attach(self, events: Any, reader: str = "") -> None:
        """Hook into a session's event emitter, before any client is made from it."""
        events.register("before-parameter-build", self._note_parameters)
        events.register("before-send", self._note_time)
        events.register("before-parse", self._keep_response)

        def received(context: dict[str, Any], response_dict: Json, exception: Any, **_: Any) -> None:
            self._thread.unparsed = None
            self._write(context, reader, response_dict, type(exception).__name__ if exception else "")

        def unparsed(context: dict[str, Any], event_name: str, **_: Any) -> None:
            response = getattr(self._thread, "unparsed", None)
            self._thread.unparsed = None
            if response is not None:
                self._write(context, reader, response, "")

        events.register("response-received", received)
        events.register("after-call-error", unparsed)

    def _note_parameters(self, params: Json, model: Any, context: dict[str, Any], **_: Any) -> None:
        context["trailkit"] = {
            "service": model.service_model.service_id.hyphenize(),
            "operation": model.name,
            "region": context.get("client_region") or "",
            "parameters": _without_secrets(params),
            "attempt": 0,
            "streams": model.has_streaming_output,
        }

    def _note_time(self, **_: Any) -> None:
        self._thread.sent = timestamp(self._clock())

    def _keep_response(self, response_dict: Json, **_: Any) -> None:
        self._thread.unparsed = response_dict

    def _write(self, context: dict[str, Any], reader: str, response: Json, failure: str) -> None:
        context["trailkit"]["attempt"] += 1
        call = dict(context["trailkit"])
        streams = call.pop("streams")
        now = timestamp(self._clock())
        call |= {"reader": reader, "sent": getattr(self._thread, "sent", now), "received": now, "failure": failure}
        body = None
        if response is not None:
            headers = {str(name).lower(): str(value) for name, value in response["headers"].items()}
            headers.pop("set-cookie", None)
            body = b"" if streams and response["status_code"] < 300 else bytes(response["body"])
            body, masked = _mask(call["service"], body)
            call |= {
                "status": response["status_code"],
                "headers": headers,
                "date": headers.get("date", ""),
                "request_id": headers.get("x-amzn-requestid") or headers.get("x-amz-request-id", ""),
                "masked": masked,
            }
        self._seen(self._store.add(body, **call), body or b"")


class RecordedResponse:
    """A recorded answer in the shape that botocore expects of a `before-send` handler."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status_code = status
        self.headers = _CaselessHeaders(headers)
        self.content = body
        self.raw = None

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode("utf-8", "replace")


class Unanswered(Exception):
    """A recorded attempt that got no answer; `failure` is the kind of the transport error."""

    def __init__(self, failure: str) -> None:
        super().__init__(failure)
        self.failure = failure


class Replayer(_Watched):
    """Serves the recorded responses of an evidence folder to a session's clients; nothing reaches a network.

    Requests are matched by service, operation, Region, reader and canonical parameters, first in, first out. A call
    that was tried several times is served its last attempt: replay neither retries nor sleeps.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, str, str, str, bytes], deque[list[Entry]]] = defaultdict(deque)
        for entry in read_index(folder):
            waiting = self._waiting[entry.key]
            if entry.attempt > 1 and waiting:
                waiting[-1].append(entry)
            else:
                waiting.append([entry])

    def attach(self, events: Any, reader: str = "") -> None:
        """Hook into a session's event emitter, before any client is made from it."""

        def note(params: Json, model: Any, context: dict[str, Any], **_: Any) -> None:
            service = model.service_model.service_id.hyphenize()
            region = context.get("client_region") or ""
            self._thread.key = (service, model.name, region, reader, canonical(_without_secrets(params)))

        events.register("before-parameter-build", note)
        events.register("before-send", self._serve)

    @property
    def unused(self) -> list[Entry]:
        """The recordings that were never asked for."""
        return [entry for waiting in self._waiting.values() for attempts in waiting for entry in attempts]

    def _serve(self, **_: Any) -> RecordedResponse:
        key = self._thread.key
        with self._lock:
            waiting = self._waiting[key]
            if not waiting:
                raise EvidenceError(
                    f"no recording of {key[0]}:{key[1]} in {key[2]} with {key[4].decode()}",
                    "the record does not hold what this kit version asks; verify it with the version that made it",
                )
            attempts = waiting.popleft()
        entry = attempts[-1]
        body = read_body(self._folder, entry)
        for attempt in attempts:
            self._seen(attempt, body)
        if entry.status is None:
            raise Unanswered(entry.failure)
        return RecordedResponse(entry.status, entry.headers or {}, body)


class _CaselessHeaders(dict[str, str]):
    """Headers by name in any case; stored in lower case."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return super().__contains__(str(name).lower())

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)


def _without_secrets(parameters: Json) -> Json:
    """Return call parameters as JSON, dates as text, with secrets masked."""
    if isinstance(parameters, Mapping):
        return {
            str(name): _MASK if _SECRET_PARAMETER.match(str(name)) else _without_secrets(value)
            for name, value in parameters.items()
        }
    if isinstance(parameters, list | tuple):
        return [_without_secrets(value) for value in parameters]
    if isinstance(parameters, datetime):
        return timestamp(parameters)
    if isinstance(parameters, str | int | float | bool) or parameters is None:
        return well_formed(parameters)
    return type(parameters).__name__


def _mask(service: str, body: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Return a body with its credentials masked, and the names of the masked members."""
    if service not in _CREDENTIAL_SERVICES:
        return body, ()
    names: list[str] = []

    def in_json(match: re.Match[bytes]) -> bytes:
        names.append(match[1].split(b'"')[1].decode())
        return match[1] + b'"' + _MASK.encode() + b'"'

    def in_xml(match: re.Match[bytes]) -> bytes:
        names.append(match[1].decode())
        return b"<" + match[1] + b">" + _MASK.encode() + b"<"

    body = _SECRET_IN_JSON.sub(in_json, body)
    body = _SECRET_IN_XML.sub(in_xml, body)
    return body, tuple(dict.fromkeys(names))
