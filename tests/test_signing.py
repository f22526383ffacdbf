"""The signer of S3 reads makes the same address and headers as botocore's own."""

from datetime import UTC, datetime

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st

from kit.collect.signing import Bucket, signed_get

NOW = datetime(2026, 11, 24, 9, 30, 15, tzinfo=UTC)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def of_botocore(address, region, token):
    signer = S3SigV4Auth(ReadOnlyCredentials("AKIDEXAMPLE", "secret", token), "s3", region)
    request = AWSRequest("GET", address)
    request.context["timestamp"] = f"{NOW:%Y%m%dT%H%M%SZ}"
    signer._modify_request_before_signing(request)
    canonical = signer.canonical_request(request)
    signature = signer.signature(signer.string_to_sign(request, canonical), request)
    signer._inject_signature_to_request(request, signature)
    return {name.lower(): value for name, value in request.headers.items()}


@pytest.mark.parametrize(
    "url",
    [
        "https://logs.s3.eu-west-1.amazonaws.com",
        "https://s3.eu-west-1.amazonaws.com/dotted.logs",
        "http://127.0.0.1:5000/logs",
        "https://example.test:443/logs",
    ],
)
@given(
    key=TEXT,
    parameters=st.dictionaries(st.sampled_from(["prefix", "versionId", "key-marker", "versions"]), TEXT),
    token=st.sampled_from([None, "a/session+token=="]),
)
def test_it_signs_as_botocore_does(url, key, parameters, token):
    credentials = ReadOnlyCredentials("AKIDEXAMPLE", "secret", token)
    address, headers = signed_get(Bucket(url, "eu-west-1"), key, parameters, credentials, NOW)
    assert {name.lower(): value for name, value in headers.items()} == of_botocore(address, "eu-west-1", token)


def test_without_credentials_nothing_is_signed():
    assert signed_get(Bucket("http://127.0.0.1:1/b", "r"), "a b/../c%", {}, None, NOW) == (
        "http://127.0.0.1:1/b/a%20b/../c%25",
        {},
    )
