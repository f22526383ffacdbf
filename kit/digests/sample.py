"""A few digests in a row and logs that they name, with their bytes: what the verifier is challenged on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kit.digests.digest import NamedLog, PublicKey, RawDigest, Verified

_DIGESTS, _FEWEST, _LOGS = 4, 3, 2


@dataclass(frozen=True)
class Sample:
    """Sound digests of one chain, each the next one's previous, and the bytes of some logs by bucket and key.

    `wanted` are the logs whose bytes are to be had; `bodies` holds those that were.
    """

    digests: tuple[RawDigest, ...]
    wanted: tuple[NamedLog, ...]
    keys: Mapping[str, PublicKey]
    bodies: Mapping[tuple[str, str], bytes]

    def filled(self, bodies: Mapping[tuple[str, str], bytes]) -> "Sample":
        """Return the sample with the bytes of its logs."""
        return replace(self, bodies=dict(bodies))


def choose_sample(digests: Sequence[tuple[RawDigest, Verified]], keys: Mapping[str, PublicKey]) -> Sample | None:
    """Return the first three or four digests in a row that name two logs of different content, or None.

    `digests` are of one chain, in the order of their ends.
    """
    run: list[tuple[RawDigest, Verified]] = []
    for raw, verified in digests:
        digest = verified.digest
        if digest is None or not verified.sound or raw.name.backfill:
            run = []
            continue
        follows = run and _follows(verified, run[-1])
        run = [*run[-(_DIGESTS - 1) :], (raw, verified)] if follows else [(raw, verified)]
        # the last digest's logs may be too young to judge a planted one by
        logs = {log.sha256: log for _, one in run[:-1] if one.digest for log in one.digest.logs}
        if len(run) >= _FEWEST and len(logs) >= _LOGS:
            return Sample(tuple(raw for raw, _ in run), tuple(logs.values())[:_LOGS], keys, {})
    return None


def _follows(verified: Verified, last: tuple[RawDigest, Verified]) -> bool:
    """Return whether a digest names the one before it, with its hash and signature."""
    previous = verified.digest.previous if verified.digest else None
    raw, digest = last[0], last[1].digest
    return (
        previous is not None
        and digest is not None
        and (previous.bucket, previous.key) == (raw.bucket, raw.key)
        and (previous.sha256, previous.signature) == (digest.sha256, digest.signature)
    )
