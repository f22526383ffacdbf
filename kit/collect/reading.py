"""Reads objects, each to its ledger line: in this process for a run here, or on a worker elsewhere.

One GET serves content and headers both. A log's bytes are hashed and inflated as they arrive, and not kept; a digest's
are kept whole.
"""

import base64
from collections.abc import Callable, Sequence

from kit.canonical import Json, well_formed
from kit.collect.ledger import encode_line
from kit.collect.objects import META, Progress, Search, read_of, text_of
from kit.collect.transfers import IN_FLIGHT, Answer, Job, Transfers
from kit.digests.content import Inflater
from kit.digests.data_keys import data_keys
from kit.digests.objects import Read, Wanted

_SEARCHED = 2 << 20
"""Bytes of text up to which a log is searched for data keys; a longer one is hashed only."""
_SEARCHED_WHOLE, _IN_FLIGHT_WHOLE = 32 << 20, 16
"""The same where logs are searched for something that must not be missed; so many are then in memory at a time."""
_KEPT = 16 << 20
"""Bytes up to which a digest, or a sampled log, is kept."""
_HEADERS = (
    "content-length", "date", "etag", "last-modified", "x-amz-request-id", "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id", "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-version-id",
)  # fmt: skip


def in_flight(search: Search | None) -> int:
    """Return how many objects are read at a time."""
    return _IN_FLIGHT_WHOLE if search else IN_FLIGHT


def read_lines(
    transfers: Transfers, wanted: Sequence[Wanted], search: Search | None, progress: Progress
) -> list[tuple[bytes, Read]]:
    """Return the ledger line of each object, and what it says, in the order asked for; all are in memory.

    What `search` finds in a log is kept in its line; without it, the calls for data keys are.
    """
    lines: list[tuple[bytes, Read]] = [(b"", Read("", "", ""))] * len(wanted)
    transfers.run(_job(one, search, index, lines, progress) for index, one in enumerate(wanted))
    return lines


def line_of(answer: Answer) -> dict[str, Json]:
    """Return what a ledger line says of any answer: its status and headers, or why there was none."""
    kept = {name: value for name, value in answer.headers.items() if name in _HEADERS or name.startswith(META)}
    return {
        "status": answer.status,
        "headers": well_formed(kept),
        "failure": answer.failure,
        "attempts": answer.attempts,
    }


def _job(wanted: Wanted, search: Search | None, index: int, lines: list[tuple[bytes, Read]], progress: Progress) -> Job:
    inflater, kept = Inflater(), bytearray()

    def sink() -> Callable[[bytes], object]:
        nonlocal inflater
        kept.clear()
        inflater = Inflater(keep=_SEARCHED_WHOLE if search else _SEARCHED)
        return keep if wanted.keep else inflater.feed

    def keep(data: bytes) -> None:
        # of one that is too large, as much as tells so
        if len(kept) <= _KEPT:
            kept.extend(data)

    def done(answer: Answer) -> None:
        line = line_of(answer) | {"bucket": wanted.bucket, "key": wanted.key, "version": wanted.version}
        if answer.status != 200:
            line["body"] = text_of(answer.body)
        elif len(kept) > _KEPT:
            line |= {"too_large": True, "stored": int(answer.headers.get("content-length") or 0)}
        elif wanted.keep:
            line |= {"content": base64.b64encode(kept).decode(), "stored": len(kept)}
        else:
            line |= _content(inflater, int(answer.headers.get("content-length") or 0), search)
        found = read_of(line)
        lines[index] = (encode_line(line), found)
        progress(1, found.stored)

    asked = {"versionId": wanted.version} if wanted.version else {}
    return Job(wanted.bucket, wanted.key, asked, done, sink)


def _content(inflater: Inflater, stored: int, search: Search | None) -> dict[str, Json]:
    content = inflater.close()
    told = {"sha256": content.sha256, "size": content.size, "problem": content.problem, "stored": stored}
    if search:
        return told | {"changes": None if content.text is None else search(content.text)}
    searched = None if content.text is None and not content.problem else data_keys(content.text or b"")
    return told | {"data_keys": searched}
