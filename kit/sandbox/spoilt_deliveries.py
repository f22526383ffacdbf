"""Faults of what was delivered: digests and logs altered, deleted, planted or exchanged, chains broken and restarted.

What CloudTrail itself would have done otherwise is put in place of what it delivered. What somebody does to the bucket
afterwards leaves its trace there: a noncurrent version below what was overwritten, a delete marker above what was
deleted. Each does nothing where nothing was delivered.
"""

import functools
import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from kit.errors import SandboxError
from kit.sandbox import account as seeded
from kit.sandbox.account import ACCOUNT_ID, LOG_BUCKET, REGION, TRAIL_ARN, Account
from kit.sandbox.fault import CLOUDTRAIL, fault

if TYPE_CHECKING:
    from kit.sandbox.delivery import Delivery
    from kit.sandbox.digesting import Digest, Log, Period

OLD_BUCKET = f"gxp-cloudtrail-logs-before-{ACCOUNT_ID}"
FOREIGN_BUCKET = "logs-of-somebody-else"
SECOND_TRAIL = "second-trail"

_CHAIN = ("OQ-04", "OQ-06", "OQ-07")
_UNSOUND = ("OQ-04", "OQ-05", "OQ-06", "OQ-07")

SpoilDelivery = Callable[[Account, "Delivery"], None]


def delivery_fault(name: str, changes: tuple[str, ...]) -> Callable[[SpoilDelivery], SpoilDelivery]:
    """Register a function as the fault of that name; it is left alone where nothing was delivered."""

    def register(spoil: SpoilDelivery) -> SpoilDelivery:
        @functools.wraps(spoil)
        def where_delivered(account: Account) -> None:
            if account.delivery is not None:
                spoil(account, account.delivery)

        fault(name, changes, area="deliveries")(where_delivered)
        return spoil

    return register


def middle(delivery: "Delivery") -> int:
    """Return the index of a digest in the middle of the home Region's window that names logs, as the next one does.

    Raises:
        SandboxError: there is none.
    """
    periods = delivery.periods[delivery.home]
    # the first two lie before the window
    for index in range((len(periods) + 2) // 2, len(periods) - 1):
        if periods[index].logs and periods[index + 1].logs:
            return index
    raise SandboxError(
        "too little was delivered to be spoilt so", "deliver four hours or more, with logs in the home Region"
    )


def middle_log(delivery: "Delivery", number: int = 0) -> "Log":
    """Return a log in the middle of the home Region's, or the one of the same place `number` digests later."""
    return delivery.periods[delivery.home][middle(delivery) + number].logs[0]


# --- How the objects are encrypted


@delivery_fault("log-sse-s3", changes=("OQ-02",))
def log_sse_s3(_: Account, delivery: "Delivery") -> None:
    """One log is encrypted by S3's own keys and not by the trail's."""
    _put_encrypted(delivery, middle_log(delivery), "")


@delivery_fault("log-other-key", changes=("OQ-02",))
def log_other_key(account: Account, delivery: "Delivery") -> None:
    """One log is encrypted under another KMS key than the trail's."""
    _put_encrypted(delivery, middle_log(delivery), seeded.make_key(account.client, TRAIL_ARN))


@delivery_fault("digest-sse-s3", changes=())
def digest_sse_s3(_: Account, delivery: "Delivery") -> None:
    """The older half of the digests is encrypted by S3's own keys, as they all once were: nothing is wrong."""
    for digest in delivery.digests[delivery.home][: middle(delivery)]:
        _put_encrypted(delivery, digest, "")


@delivery_fault("digest-other-key", changes=("OQ-03",))
def digest_other_key(account: Account, delivery: "Delivery") -> None:
    """One digest is encrypted under another KMS key than the trail's."""
    digest = delivery.digests[delivery.home][middle(delivery)]
    _put_encrypted(delivery, digest, seeded.make_key(account.client, TRAIL_ARN))


def _put_encrypted(delivery: "Delivery", one: "Log | Digest", kms_key: str) -> None:
    metadata = getattr(one, "metadata", None)
    delivery.store.put(one.bucket, one.key, one.body, modified=one.modified, metadata=metadata, kms_key=kms_key)


# --- Digests


@delivery_fault("digest-flipped", changes=_UNSOUND)
def digest_flipped(_: Account, delivery: "Delivery") -> None:
    """One digit is another in a digest: the hash of a log."""

    def flip(digest: "Digest") -> bytes:
        sha256 = json.loads(digest.text)["logFiles"][0]["hashValue"]
        return _zipped(digest.text.replace(sha256.encode(), _flipped(sha256).encode()))

    _overwrite_digest(delivery, body=flip)


@delivery_fault("digest-signature-missing", changes=_UNSOUND)
def digest_signature_missing(_: Account, delivery: "Delivery") -> None:
    """The metadata of a digest hold no signature."""
    _overwrite_digest(delivery, metadata=lambda digest: {"signature-algorithm": digest.metadata["signature-algorithm"]})


@delivery_fault("digest-signature-flipped", changes=_UNSOUND)
def digest_signature_flipped(_: Account, delivery: "Delivery") -> None:
    """One digit is another in the signature of a digest."""
    _overwrite_digest(delivery, metadata=lambda digest: _signed(digest, _flipped(digest.metadata["signature"])))


@delivery_fault("digest-foreign-signature", changes=_UNSOUND)
def digest_foreign_signature(_: Account, delivery: "Delivery") -> None:
    """A digest is signed by a key that CloudTrail does not list, and names the one that it does."""
    signer = delivery.foreign_signer
    _overwrite_digest(delivery, metadata=lambda digest: _signed(digest, signer.sign(digest.signed)))


@delivery_fault("digest-algorithm-other", changes=_UNSOUND)
def digest_algorithm_other(_: Account, delivery: "Delivery") -> None:
    """The metadata of a digest declare another algorithm than CloudTrail signs with."""
    _overwrite_digest(delivery, metadata=lambda digest: digest.metadata | {"signature-algorithm": "SHA1withRSA"})


@delivery_fault("digest-moved", changes=_UNSOUND)
def digest_moved(_: Account, delivery: "Delivery") -> None:
    """An older digest, signature and all, lies where a newer one was."""
    older = delivery.digests[delivery.home][middle(delivery) - 1]
    _overwrite_digest(delivery, body=lambda _: older.body, metadata=lambda _: older.metadata)


@delivery_fault("digest-not-gzip", changes=_UNSOUND)
def digest_not_gzip(_: Account, delivery: "Delivery") -> None:
    """A digest is not compressed."""
    _overwrite_digest(delivery, body=lambda digest: digest.text)


@delivery_fault("digest-not-json", changes=_UNSOUND)
def digest_not_json(_: Account, delivery: "Delivery") -> None:
    """A digest is no JSON."""
    _overwrite_digest(delivery, body=lambda _: _zipped(b"<html>Please sign in.</html>"))


@delivery_fault("digest-bomb", changes=_UNSOUND)
def digest_bomb(_: Account, delivery: "Delivery") -> None:
    """A digest expands to two gigabytes of zeros."""
    _overwrite_digest(delivery, body=lambda _: _bomb())


@delivery_fault("digest-wrong-types", changes=_UNSOUND)
def digest_wrong_types(_: Account, delivery: "Delivery") -> None:
    """A digest is validly signed, and a number stands where it should describe a log file."""
    _forge(delivery, lambda told: told.update(logFiles=[17], oldestEventTime=17))


@delivery_fault("digest-forged-link", changes=("OQ-04",))
def digest_forged_link(_: Account, delivery: "Delivery") -> None:
    """A digest is validly signed, and says another hash of the one before it than that has."""
    _forge(delivery, lambda told: told.update(previousDigestHashValue="0" * 64))


@delivery_fault("digest-deleted", changes=_CHAIN)
def digest_deleted(_: Account, delivery: "Delivery") -> None:
    """A digest in the middle of the chain is deleted."""
    _delete_digests(delivery, lambda index: index == middle(delivery))


@delivery_fault("digests-head-deleted", changes=("OQ-06", "OQ-07"))
def digests_head_deleted(_: Account, delivery: "Delivery") -> None:
    """The digests before the middle of the chain are deleted, up to its beginning."""
    _delete_digests(delivery, lambda index: index < middle(delivery))


@delivery_fault("digests-tail-deleted", changes=("OQ-06", "OQ-07"))
def digests_tail_deleted(_: Account, delivery: "Delivery") -> None:
    """The digests from the middle of the chain on are deleted, up to its end."""
    _delete_digests(delivery, lambda index: index >= middle(delivery))


@delivery_fault("digests-all-deleted", changes=("OQ-06", "OQ-07"))
def digests_all_deleted(_: Account, delivery: "Delivery") -> None:
    """Every digest of the home Region is deleted."""
    _delete_digests(delivery, lambda _: True)


@delivery_fault("restart-in-window", changes=_CHAIN)
def restart_in_window(_: Account, delivery: "Delivery") -> None:
    """Validation was off for an hour: the chain ends, and a new one begins behind the gap."""
    _restart(delivery, middle(delivery))


@delivery_fault("restart-before-window", changes=())
def restart_before_window(_: Account, delivery: "Delivery") -> None:
    """Validation was off for an hour, and on again when the window begins: nothing is wrong."""
    _restart(delivery, 1)


@delivery_fault("hours-backfilled", changes=())
def hours_backfilled(_: Account, delivery: "Delivery") -> None:
    """The digests of two hours were delivered late, as backfills, and the chain begins anew behind them: no gap."""
    periods, at = delivery.periods[delivery.home], middle(delivery) - 1
    for period in periods[at : at + 2]:
        period.backfill = True
        period.modified = min(period.end + timedelta(hours=3), delivery.plan.limit)
    periods[at].starting = periods[at + 2].starting = True
    delivery.put_digests(delivery.home)


@delivery_fault("signing-key-rotated", changes=())
def signing_key_rotated(_: Account, delivery: "Delivery") -> None:
    """The newer half of the digests is signed by the next public key that is listed: nothing is wrong."""
    for period in delivery.periods[delivery.home][middle(delivery) :]:
        period.signer = delivery.next_signer
    delivery.put_digests(delivery.home)


def _overwrite_digest(
    delivery: "Delivery",
    *,
    body: "Callable[[Digest], bytes]" = lambda digest: digest.body,
    metadata: "Callable[[Digest], dict[str, str]]" = lambda digest: digest.metadata,
) -> None:
    digest = delivery.digests[delivery.home][middle(delivery)]
    place = (digest.bucket, digest.key, body(digest))
    delivery.store.overwrite(*place, modified=_now(delivery), metadata=metadata(digest))


def _signed(digest: "Digest", signature: str) -> dict[str, str]:
    return digest.metadata | {"signature": signature}


def _forge(delivery: "Delivery", forge: Callable[[dict[str, Any]], None]) -> None:
    delivery.periods[delivery.home][middle(delivery)].forge = forge
    delivery.put_digests(delivery.home)


def _delete_digests(delivery: "Delivery", which: Callable[[int], bool]) -> None:
    for index, digest in enumerate(delivery.digests[delivery.home]):
        if which(index):
            delivery.store.delete(digest.bucket, digest.key, _now(delivery))


def _restart(delivery: "Delivery", index: int) -> None:
    periods = delivery.periods[delivery.home]
    del periods[index]
    periods[index].starting = True
    delivery.put_digests(delivery.home)


# --- Logs


@delivery_fault("log-flipped", changes=("OQ-05", "OQ-07"))
def log_flipped(_: Account, delivery: "Delivery") -> None:
    """One letter is another in a log."""
    log = middle_log(delivery)
    _overwrite(delivery, log, _altered(log))


@delivery_fault("log-deleted", changes=("OQ-05", "OQ-07"))
def log_deleted(_: Account, delivery: "Delivery") -> None:
    """A log that a digest names is deleted."""
    log = middle_log(delivery)
    delivery.store.delete(log.bucket, log.key, _now(delivery))


@delivery_fault("log-planted", changes=("OQ-07",))
def log_planted(_: Account, delivery: "Delivery") -> None:
    """A log, well named and under the trail's key, lies among the others, and no digest names it."""
    log = middle_log(delivery)
    stem, unique = log.key.removesuffix(".json.gz").rsplit("_", 1)
    delivery.put_log(replace(log, key=f"{stem}_{unique[::-1]}.json.gz", body=_altered(log)))


@delivery_fault("log-swapped", changes=("OQ-05", "OQ-07"))
def log_swapped(_: Account, delivery: "Delivery") -> None:
    """Two logs have exchanged their contents."""
    one, other = middle_log(delivery), middle_log(delivery, 1)
    _overwrite(delivery, one, other.body)
    _overwrite(delivery, other, one.body)


@delivery_fault("log-trailing-rubbish", changes=("OQ-05", "OQ-07"))
def log_trailing_rubbish(_: Account, delivery: "Delivery") -> None:
    """Behind the compressed content of a log, which is what it was, come other bytes."""
    log = middle_log(delivery)
    _overwrite(delivery, log, log.body + b"and more")


@delivery_fault("log-concatenated-members", changes=())
def log_concatenated_members(_: Account, delivery: "Delivery") -> None:
    """A log was compressed in two parts, one behind the other, which is as good: nothing is wrong."""
    log = middle_log(delivery)
    text = gzip.decompress(log.body)
    delivery.put_log(replace(log, body=_zipped(text[:100]) + _zipped(text[100:])))


@delivery_fault("log-bomb", changes=("OQ-05", "OQ-07"))
def log_bomb(_: Account, delivery: "Delivery") -> None:
    """A log expands to two gigabytes of zeros."""
    _overwrite(delivery, middle_log(delivery), _bomb())


@delivery_fault("log-named-twice", changes=("OQ-07",))
def log_named_twice(_: Account, delivery: "Delivery") -> None:
    """Two digests, both validly signed, name the same log."""
    delivery.periods[delivery.home][middle(delivery) + 1].logs.append(middle_log(delivery))
    delivery.put_digests(delivery.home)


@delivery_fault("log-names-other-bucket", changes=("OQ-05", "OQ-07"))
def log_names_other_bucket(_: Account, delivery: "Delivery") -> None:
    """A digest, validly signed, names a log in a bucket that is not the trail's."""
    logs = delivery.periods[delivery.home][middle(delivery)].logs
    logs[0] = replace(logs[0], bucket=FOREIGN_BUCKET)
    delivery.put_digests(delivery.home)


@delivery_fault("log-replaced-and-restored", changes=("OQ-07",))
def log_replaced_and_restored(_: Account, delivery: "Delivery") -> None:
    """A log was replaced for a while, and is again what it was: only its versions tell."""
    log = middle_log(delivery)
    _overwrite(delivery, log, _altered(log))
    _overwrite(delivery, log, log.body)


@delivery_fault("hostile-keys", changes=("OQ-07",))
def hostile_keys(_: Account, delivery: "Delivery") -> None:
    """Among the logs lie objects whose keys climb, hide, break lines, read backwards, and are as long as can be."""
    log = middle_log(delivery)
    folder = log.key.rpartition("/")[0] + "/"
    names = ("../../../etc/passwd", "%41%2e%2e%2f", "line\nbreak\r\n.json.gz", "\u202ezg.nosj.\u2066\u200b")
    for key in (*(folder + name for name in names), folder.ljust(1024, "k")):
        delivery.put_log(replace(log, key=key))


def _overwrite(delivery: "Delivery", log: "Log", body: bytes) -> None:
    delivery.store.overwrite(log.bucket, log.key, body, modified=_now(delivery))


def _altered(log: "Log") -> bytes:
    """Return a log's body, one letter altered: still a sound log, of the same length."""
    return _zipped(gzip.decompress(log.body).replace(b"eventName", b"eventNane", 1))


# --- Trails and buckets


@fault("second-trail-shares-bucket", changes=("PQ-04",))
def second_trail_shares_bucket(account: Account) -> None:
    """A second compliant trail delivers logs and digests of its own into the same bucket: nothing is wrong."""
    _second_trail(account, validated=True)


@fault("second-trail-shares-bucket-unvalidated", changes=("IQ-11", "OQ-07", "PQ-04"))
def second_trail_shares_bucket_unvalidated(account: Account) -> None:
    """A second trail delivers into the same bucket and makes no digests: its logs can't be told from planted ones."""
    _second_trail(account, validated=False)


def _second_trail(account: Account, *, validated: bool) -> None:
    arn = TRAIL_ARN.rpartition("/")[0] + f"/{SECOND_TRAIL}"

    def let_both(statements: seeded.Statements) -> seeded.Statements:
        for statement in statements:
            if statement["Principal"] == CLOUDTRAIL:
                statement["Condition"]["StringEquals"]["aws:SourceArn"] = [TRAIL_ARN, arn]
        return statements

    account.edit_key_policy(let_both)
    account.edit_bucket_policy(let_both)
    settings = {"KmsKeyId": account.key_arn, "EnableLogFileValidation": validated, "IsMultiRegionTrail": False}
    seeded.make_trail(account.client, SECOND_TRAIL, LOG_BUCKET, REGION, **settings)
    if account.delivery is not None:
        other = account.delivery.of_trail(arn, digested=validated)
        other.put()
        account.delivery.others.append(other)


@delivery_fault("bucket-renamed", changes=())
def bucket_renamed(account: Account, delivery: "Delivery") -> None:
    """The trail delivered into another bucket of the account until half-way, and its digests link back to it."""
    seeded.make_log_bucket(account.client, OLD_BUCKET, TRAIL_ARN, account.key_arn)
    until = delivery.periods[delivery.home][middle(delivery)].end
    moved = {}
    for logs in delivery.logs.values():
        for index, log in enumerate(logs):
            if log.modified < until:
                logs[index] = moved[log.key] = replace(log, bucket=OLD_BUCKET)
                delivery.store.remove(log.bucket, log.key)
                delivery.put_log(logs[index])
    for region, periods in delivery.periods.items():
        for period in periods:
            _move_period(period, until, moved)
        delivery.put_digests(region)


def _move_period(period: "Period", until: datetime, moved: "dict[str, Log]") -> None:
    if period.end <= until:
        period.bucket = OLD_BUCKET
    period.logs = [moved.get(log.key, log) for log in period.logs]


# --- Bytes


def _now(delivery: "Delivery") -> datetime:
    return delivery.plan.limit


def _flipped(digits: str) -> str:
    return digits[:-1] + ("0" if digits[-1] != "0" else "1")


def _zipped(text: bytes) -> bytes:
    return gzip.compress(text, mtime=0)


@functools.cache
def _bomb() -> bytes:
    # members one behind the other are one content: cheaper to make than one of two gigabytes
    return _zipped(bytes(1 << 24)) * 128
