"""Sends signed GET requests to S3 over one pool of connections, whose content encoding is never decoded.

libcurl's multi interface drives all connections from the calling thread: what bounds the speed is the CPU of that one
thread for each object, most of it for signing, inflating and hashing.
"""

import heapq
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

import pycurl

from kit.collect.objects import error_of, text_of
from kit.collect.readers import Storage
from kit.collect.responses import is_throttled
from kit.collect.signing import signed_get
from kit.evidence import utc_now
from kit.masking import credentials_of, without_signature

IN_FLIGHT = 128
ATTEMPTS = 4
CONNECT_TIMEOUT_S, STALL_TIMEOUT_S = 5, 60
PAUSES_S = (0.2, 0.8, 3.2)

_STARTED = 16
_ERROR_BODY = 1 << 16
_FAILURES = {
    code: name.removeprefix("E_")
    for name, code in vars(pycurl).items()
    # the multi interface numbers its own errors, from the start again
    if name.startswith("E_") and not name.startswith("E_MULTI") and isinstance(code, int)
}
_STATUS = re.compile(r"HTTP/\d\S* (\d{3})\b", re.ASCII)


@dataclass(slots=True)
class Answer:
    """One answer over the wire, or why there was none; the body is that of an error, or of a listing."""

    status: int | None
    headers: Mapping[str, str]
    body: bytes
    failure: str = ""
    attempts: int = 1


@dataclass
class Job:
    """One request: what to ask, who takes the bytes of a good answer, and what follows it."""

    bucket: str
    key: str
    parameters: Mapping[str, str]
    done: "Callable[[Answer], Job | None]"
    sink: "Callable[[], Callable[[bytes], object]] | None" = None
    attempts: int = 0


class Transfers:
    """Does requests, many at a time, from one thread.

    `open_storage` gives, for a bucket, how it is reached and with whose credentials, or in words why it can't be: it is
    asked once. A throttled or dropped request is tried again, up to `attempts` times in all.
    """

    def __init__(
        self, open_storage: Callable[[str], Storage | str], *, attempts: int = ATTEMPTS, in_flight: int = IN_FLIGHT
    ) -> None:
        self._open_storage = open_storage
        self._attempts = attempts
        self._storages: dict[str, Storage | str] = {}
        self._pool = _Pool(in_flight)

    def storage(self, bucket: str) -> Storage | str:
        """Return how a bucket is reached, or in words why it can't be."""
        if bucket not in self._storages:
            self._storages[bucket] = self._open_storage(bucket)
        return self._storages[bucket]

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()

    def run(self, jobs: Iterable[Job]) -> None:
        """Do every job and those that follow them; one that failed in passing is done again, after a pause."""
        waiting = iter(jobs)
        paused: list[tuple[float, int, Job]] = []
        while True:
            # few at a time, so that answers are taken while the next requests are signed
            started = 0
            for job in islice(self._due(waiting, paused), _STARTED):
                started += 1
                storage = self.storage(job.bucket)
                failure = storage if isinstance(storage, str) else self._pool.start(job, storage)
                if failure:
                    self._finish(job, Answer(None, {}, b"", failure), paused, again=False)
            # what could not even be started is done: more may be waiting behind it
            if not started and not self._pool.busy and not paused:
                return
            for job, answer in self._pool.finished(self._patience(paused, started)):
                self._finish(job, answer, paused, again=_passing(answer))

    def _due(self, waiting: Iterator[Job], paused: list[tuple[float, int, Job]]) -> Iterator[Job]:
        while self._pool.free:
            if paused and paused[0][0] <= time.monotonic():
                yield heapq.heappop(paused)[2]
                continue
            job = next(waiting, None)
            if job is None:
                return
            yield job

    def _finish(self, job: Job, answer: Answer, paused: list[tuple[float, int, Job]], *, again: bool) -> None:
        job.attempts += 1
        answer.attempts = job.attempts
        pause = 0.0
        following: Job | None = job
        if again and job.attempts < self._attempts:
            pause = PAUSES_S[min(job.attempts, len(PAUSES_S)) - 1]
        else:
            following = job.done(answer)
        if following is not None:
            heapq.heappush(paused, (time.monotonic() + pause, id(following), following))

    def _patience(self, paused: list[tuple[float, int, Job]], started: int) -> float:
        """Return for how many seconds to wait for an answer: not at all while more can be started."""
        if started == _STARTED:
            return 0.0
        return min(max(paused[0][0] - time.monotonic(), 0.0), 1.0) if paused and self._pool.free else 1.0


@dataclass
class _Transfer:
    """What one connection is at: its job, the headers that it sent, and what came back so far."""

    handle: pycurl.Curl
    job: Job | None = None
    sent: Mapping[str, str] = field(default_factory=dict)
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    headed: bool = False
    arrived: int = 0
    body: bytearray = field(default_factory=bytearray)
    take: Callable[[bytes], object] | None = None

    @property
    def whole(self) -> bool:
        """Whether the answer arrived to its end: its head, and as much of what was asked for as that announces."""
        announced = "transfer-encoding" in self.headers or self.headers.get("content-length") == str(self.arrived)
        return self.headed and (self.status != 200 or announced)

    def head(self, line: bytes) -> None:
        """Take one line of the head of an answer."""
        text = line.decode("latin-1").strip()
        if status := _STATUS.match(text):
            self.status, self.headers, self.headed = int(status[1]), {}, False
        elif not text:
            self.headed = True
        else:
            name, colon, value = text.partition(":")
            if colon:
                self.headers[name.strip().lower()] = value.strip()

    def write(self, data: bytes) -> None:
        """Take bytes of the body: of what was asked for, or of an error, as far as one is read."""
        self.arrived += len(data)
        if self.status == 200 and self.take is not None:
            self.take(data)
        elif self.status == 200 or len(self.body) < _ERROR_BODY:
            self.body += data


def _transfer() -> _Transfer:
    handle = pycurl.Curl()
    transfer = _Transfer(handle)
    handle.setopt(pycurl.PATH_AS_IS, 1)  # a key may hold `..`, and is no path
    handle.setopt(pycurl.HEADERFUNCTION, transfer.head)
    handle.setopt(pycurl.WRITEFUNCTION, transfer.write)
    handle.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
    handle.setopt(pycurl.NOSIGNAL, 1)
    handle.setopt(pycurl.CONNECTTIMEOUT, CONNECT_TIMEOUT_S)
    handle.setopt(pycurl.LOW_SPEED_LIMIT, 1)
    handle.setopt(pycurl.LOW_SPEED_TIME, STALL_TIMEOUT_S)
    return transfer


class _Pool:
    """A fixed number of connections, each kept open for the next request."""

    def __init__(self, size: int) -> None:
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, size)
        self._idle = [_transfer() for _ in range(size)]
        self._busy: dict[pycurl.Curl, _Transfer] = {}

    @property
    def free(self) -> bool:
        """Whether one more request can be started."""
        return bool(self._idle)

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""
        return bool(self._busy)

    def start(self, job: Job, storage: Storage) -> str:
        """Start a request on a free connection, signed with the credentials of this moment, or say why it can't be."""
        credentials = storage.credentials.get_frozen_credentials() if storage.credentials else None
        handle = self._idle[-1].handle
        try:
            address, headers = signed_get(storage.bucket, job.key, job.parameters, credentials, utc_now())
            handle.setopt(pycurl.URL, address)
        except (UnicodeError, pycurl.error):
            # a forged digest may name what no UTF-8 can hold, or a place of megabytes
            return "its name makes no address"
        transfer = self._idle.pop()
        transfer.job, transfer.sent = job, headers
        transfer.status, transfer.headers, transfer.headed, transfer.arrived = 0, {}, False, 0
        transfer.body.clear()
        transfer.take = job.sink() if job.sink else None
        handle.setopt(pycurl.HTTPHEADER, ["Accept:", "User-Agent:", *(f"{n}: {v}" for n, v in headers.items())])
        if storage.ca_bundle:
            handle.setopt(pycurl.CAINFO, storage.ca_bundle)
        if not storage.proxied:
            handle.setopt(pycurl.PROXY, "")
        self._busy[handle] = transfer
        self._multi.add_handle(handle)
        return ""

    def finished(self, patience: float) -> list[tuple[Job, Answer]]:
        """Return the jobs that are done, with their answers; wait for one up to `patience` seconds."""
        self._multi.perform()
        done = self._read_info()
        if not done and patience > 0:
            self._multi.select(patience)
            self._multi.perform()
            done = self._read_info()
        return done

    def close(self) -> None:
        """Close every connection."""
        for handle in self._busy:
            self._multi.remove_handle(handle)
        for transfer in (*self._busy.values(), *self._idle):
            transfer.handle.close()
        self._multi.close()

    def _read_info(self) -> list[tuple[Job, Answer]]:
        done = []
        while True:
            queued, good, bad = self._multi.info_read()
            done += [self._take(handle, "") for handle in good]
            done += [self._take(handle, _FAILURES.get(code, str(code))) for handle, code, _ in bad]
            if not queued:
                return done

    def _take(self, handle: pycurl.Curl, failure: str) -> tuple[Job, Answer]:
        self._multi.remove_handle(handle)
        transfer = self._busy.pop(handle)
        self._idle.append(transfer)
        job, transfer.job, transfer.take = transfer.job, None, None
        if job is None:
            raise RuntimeError("a connection without a job ended")
        if not failure and not transfer.whole:
            # libcurl takes a connection closed within the head for the end of an empty answer
            failure = "PARTIAL_FILE"
        if failure:
            return job, Answer(None, {}, b"", f"no answer ({failure})")
        body = without_signature(bytes(transfer.body), credentials_of(transfer.sent), {}) if transfer.body else b""
        return job, Answer(transfer.status, transfer.headers, body)


def _passing(answer: Answer) -> bool:
    """Return whether another attempt may do better: no answer, a failure of S3's own, or one that came too soon."""
    if answer.status is None:
        return bool(answer.failure)
    return answer.status >= 500 or answer.status == 429 or is_throttled(error_of(text_of(answer.body))[0])
