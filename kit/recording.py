"""Record and replay of raw AWS responses, as hooks on botocore's clients.

A client that is hooked can't forget: the name and parameters of a call are put into its request context at
`before-parameter-build`, and `response-received` writes every attempt, answered or not. A body that botocore can't
parse never reaches `response-received`; it is kept at `before-parse` and written at `after-call-error`. The mirror
hook, `before-send`, serves the recorded bodies back: that is replay, with no second code path. The handlers take what
botocore documents for its events; botocore itself is not imported here.

Requests are never stored, and no credential of theirs is written where an answer repeats it (S3 quotes the whole
request, session token included, where a signature does not match). Credentials that AWS sends in a body (AssumeRole)
are masked, and the index says which members.
"""

import io
import json
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from kit.canonical import Json, canonical
from kit.errors import EvidenceError
from kit.evidence import OWN, Entry, EvidenceStore, Key, is_ledger, read_body, read_index, timestamp, utc_now
from kit.masking import credentials_of, without_credentials, without_secrets, without_signature

_CALL = "trailkit"
"""Where a request context holds the name and parameters of its call."""

_NAMED = ("service", "operation", "region", "reader")


@dataclass
class Attempts:
    """The attempts that a thread made while a `watch` block ran, and the body of the last answer."""

    entries: list[Entry]
    body: bytes = b""

    @property
    def ids(self) -> tuple[str, ...]:
        """The evidence ids, in order."""
        return tuple(entry.id for entry in self.entries)


class _Hooks:
    """What recording and replaying share: naming a call, and telling a thread which attempts it made.

    `live` says whether requests reach AWS.
    """

    live: ClassVar[bool]

    def __init__(self) -> None:
        self._thread = threading.local()

    @contextmanager
    def watch(self) -> Iterator[Attempts]:
        """Yield the attempts that this thread makes inside the block, those of blocks within it included."""
        watching = self._thread.__dict__.setdefault("watching", [])
        attempts = Attempts([])
        watching.append(attempts)
        try:
            yield attempts
        finally:
            watching.pop()

    def attach(self, events: Any, reader: str = "") -> None:
        """Hook into a client's event emitter; `reader` is the account whose role the client reads with."""

        def name_call(params: Json, model: Any, context: dict[str, Any], **_: Any) -> None:
            context[_CALL] = {
                "service": model.service_model.service_id.hyphenize(),
                "operation": model.name,
                "region": context.get("client_region") or "",
                "reader": reader,
                "parameters": without_secrets(params),
            }

        events.register("before-parameter-build", name_call)

    def _seen(self, entry: Entry, body: bytes) -> None:
        for attempts in self._thread.__dict__.get("watching", ()):
            attempts.entries.append(entry)
            attempts.body = body


class Recorder(_Hooks):
    """Writes every response that its clients receive to a store, and every attempt that got none."""

    live = True

    def __init__(self, store: EvidenceStore, clock: Callable[[], datetime] = utc_now) -> None:
        super().__init__()
        self._store = store
        self._clock = clock

    def attach(self, events: Any, reader: str = "") -> None:
        """Hook into a client's event emitter; `reader` is the account whose role the client reads with."""
        super().attach(events, reader)
        events.register("before-send", self._note_request)
        events.register("before-parse", self._keep_response)
        events.register("response-received", self._write_received)
        events.register("after-call-error", self._write_unparsed)

    @contextmanager
    def watch(self) -> Iterator[Attempts]:
        """Yield the attempts that this thread makes inside the block, numbered as the answers to one question."""
        with self._store.numbers.at(self._store.numbers.new_place()), super().watch() as attempts:
            yield attempts

    def _note_request(self, request: Any, **_: Any) -> None:
        # Nothing happens in this thread between here and the answer, so what is noted is of this attempt.
        self._thread.sent = timestamp(self._clock())
        self._thread.credentials = credentials_of(request.headers)

    def _keep_response(self, response_dict: Json, **_: Any) -> None:
        # Masked before it is parsed, so that an error's message doesn't carry a token into a finding.
        if isinstance(response_dict["body"], bytes):
            response_dict["body"] = without_signature(response_dict["body"], self._thread.credentials, {})
        self._thread.unparsed = response_dict

    def _write_received(self, context: dict[str, Any], response_dict: Json, exception: Any, **_: Any) -> None:
        self._thread.unparsed = None
        self._write(context[_CALL], response_dict, type(exception).__name__ if exception else "")

    def _write_unparsed(self, context: dict[str, Any], exception: Any = None, **_: Any) -> None:
        response = self._thread.__dict__.get("unparsed")
        self._thread.unparsed = None
        if response is not None:
            self._write(context[_CALL], response, "")
        elif type(exception).__module__.partition(".")[0] == "urllib3":
            # botocore tells of no attempt whose answer broke off while it read the body of an error
            self._write(context[_CALL], None, type(exception).__name__)

    def _write(self, call: dict[str, Any], response: Json, failure: str) -> None:
        call["attempt"] = call.get("attempt", 0) + 1
        attempt = call | {"sent": self._thread.sent, "received": timestamp(self._clock()), "failure": failure}
        body = None
        if response is not None:
            masked: dict[str, None] = {}
            # a streamed body is not here yet, and not of the kind that is kept whole
            if isinstance(response["body"], bytes):
                body = without_signature(response["body"], self._thread.credentials, masked)
                body = without_credentials(body, call["service"], masked)
            headers = {
                str(name).lower(): without_signature(
                    str(value).encode("utf-8", "replace"), self._thread.credentials, masked
                ).decode()
                for name, value in response["headers"].items()
            }
            headers.pop("set-cookie", None)
            attempt |= {
                "status": response["status_code"],
                "headers": headers,
                "date": headers.get("date", ""),
                "request_id": headers.get("x-amzn-requestid") or headers.get("x-amz-request-id", ""),
                "masked": tuple(masked),
            }
        self._seen(self._store.add(body, **attempt), body or b"")

    def keep(self, operation: str, parameters: Json, tell: Callable[[], Json]) -> tuple[Json, tuple[str, ...]]:
        """Return what `tell` says, kept as evidence of its own, and the id of that: of what no service of AWS answers.

        Raises:
            EvidenceError: it can't be written.
        """
        sent = timestamp(self._clock())
        body = canonical(tell())
        named = _kept(operation, parameters)
        entry = self._store.add(body, **named, attempt=1, sent=sent, received=timestamp(self._clock()))
        return json.loads(body), (entry.id,)


def _kept(operation: str, parameters: Json) -> dict[str, Json]:
    return {"service": OWN, "operation": operation, "region": "", "reader": "", "parameters": parameters}


class Unanswered(Exception):
    """A recorded attempt that got no answer; `failure` is the kind of the transport error."""

    def __init__(self, failure: str) -> None:
        super().__init__(failure)
        self.failure = failure


class Replayer(_Hooks):
    """Serves the recorded responses of an evidence folder to its clients; nothing reaches a network.

    Requests are matched by service, operation, Region, reader and canonical parameters, first in, first out. A call
    that was tried several times is served its last attempt: replay neither retries nor sleeps. Without a folder it
    serves nothing, until it is turned to one.

    Raises:
        EvidenceError: the index can't be read.
    """

    live = False

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._waiting: dict[Key, deque[list[Entry]]] = defaultdict(deque)
        if folder:
            self.turn_to(folder)

    def turn_to(self, folder: Path, index: Sequence[Entry] | None = None) -> None:
        """Serve the recordings of another folder from now on, to the same clients; its index is read if not given.

        Raises:
            EvidenceError: the index can't be read.
        """
        waiting: dict[Key, deque[list[Entry]]] = defaultdict(deque)
        for entry in read_index(folder) if index is None else index:
            if is_ledger(entry):
                continue  # what was read in bulk is served by whoever reads in bulk
            calls = waiting[entry.key]
            if entry.attempt > 1 and calls:
                calls[-1].append(entry)
            else:
                calls.append([entry])
        self._folder, self._waiting = folder, waiting

    def attach(self, events: Any, reader: str = "") -> None:
        """Hook into a client's event emitter; `reader` is the account whose role the client reads with."""
        super().attach(events, reader)
        events.register("request-created", self._note_key)
        events.register("before-send", self._serve)

    @property
    def unused(self) -> list[Entry]:
        """The recordings that were never asked for."""
        return [entry for waiting in self._waiting.values() for attempts in waiting for entry in attempts]

    def require_used(self) -> None:
        """Hold that every recording was asked for.

        Raises:
            EvidenceError: one was not: the record holds an answer that nothing rests on.
        """
        for entry in self.unused:
            raise EvidenceError(
                f"evidence {entry.id} ({entry.service}:{entry.operation}) was never asked for",
                "the record holds more than this kit version asks; verify it with the version that made it",
            )

    def keep(
        self,
        operation: str,
        parameters: Json,
        tell: Callable[[], Json],  # noqa: ARG002 - what was told then is in the evidence
    ) -> tuple[Json, tuple[str, ...]]:
        """Return what was kept of a question that no service of AWS answers, and its id; it is not asked again.

        Raises:
            EvidenceError: the evidence does not hold it, or holds it changed.
        """
        (entry,) = self._take((OWN, operation, "", "", canonical(parameters)))
        try:
            return json.loads(read_body(self._folder, entry)), (entry.id,)
        except (ValueError, RecursionError) as error:
            raise EvidenceError(f"evidence {entry.id} is no JSON", "restore the record from its archive") from error

    def _note_key(self, request: Any, **_: Any) -> None:
        call = request.context[_CALL]
        named = (call[name] for name in _NAMED)
        self._thread.key = (*named, canonical(call["parameters"]))

    def _serve(self, **_: Any) -> "RecordedResponse":
        attempts = self._take(self._thread.key)
        entry = attempts[-1]
        body = read_body(self._folder, entry)
        for attempt in attempts:
            self._seen(attempt, body)
        if entry.status is None:
            raise Unanswered(entry.failure)
        return RecordedResponse(entry.status, entry.headers or {}, body)

    def _take(self, key: Key) -> list[Entry]:
        with self._lock:
            if not self._waiting[key]:
                raise EvidenceError(
                    f"no recording of {key[0]}:{key[1]} in {key[2]} with {key[4].decode()}",
                    "the record does not hold what this kit version asks; verify it with the version that made it",
                )
            return self._waiting[key].popleft()


class RecordedResponse:
    """A recorded answer in the shape that botocore expects of a `before-send` handler."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status_code = status
        self.headers = _CaselessHeaders(headers)
        self.content = body
        # botocore takes an answer without a stream for none, and leaves a bucket's Region unread
        self.raw = io.BytesIO(body)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode("utf-8", "replace")


class _CaselessHeaders(dict[str, str]):
    """Headers by name in any case; stored in lower case."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return super().__contains__(str(name).lower())

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)
