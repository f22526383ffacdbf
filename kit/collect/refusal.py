"""Sends a role that must not read logs to read one: what AWS refuses it is the evidence."""

from collections.abc import Mapping

from kit.canonical import Json
from kit.collect.calls import GET_OBJECT, LIST_OBJECTS
from kit.collect.readers import Readers
from kit.digests.objects import Read
from kit.snapshot import Refusal

DENIED = "denied reader"
"""The reader that the role goes by, in place of an account."""


def collect_refusal(readers: Readers, role: str, log: Read | None, region: str) -> Refusal:
    """Return what happened to a role that was assumed, listed a log's name and asked for its content.

    Nothing of the content is read, should S3 let the role in.

    IAM: sts:AssumeRole on the role. The role itself needs s3:ListBucket and s3:GetObject, and must lack kms:Decrypt.

    Raises:
        CredentialsError: no credentials can be found.
        EvidenceError: an answer can't be recorded.
    """
    assumed = readers.assumed(DENIED, region)
    if log is None or assumed.value is None:
        return Refusal(role, log, assumed, None, None)
    place = {"Bucket": log.bucket}
    listed = readers.ask(LIST_OBJECTS, region, _count, account=DENIED, **place, Prefix=log.key, MaxKeys=1)
    read = readers.ask(GET_OBJECT, region, _let_in, account=DENIED, **place, Key=log.key)
    return Refusal(role, log, assumed, listed, read)


def _count(response: Mapping[str, Json]) -> int:
    return int(response["KeyCount"])


def _let_in(response: Mapping[str, Json]) -> int:
    response["Body"].close()
    return int(response["ContentLength"])
