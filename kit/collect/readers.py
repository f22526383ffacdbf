"""Signed sessions by account, cached clients by service and Region, and the one function that asks AWS a question."""

import ipaddress
import os
import re
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore import exceptions as refused
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.httpsession import get_cert_path
from botocore.loaders import Loader, create_loader
from urllib3.exceptions import HTTPError

from kit.canonical import Json
from kit.collect.calls import ASSUME_ROLE, Call
from kit.collect.pace import Pace
from kit.collect.responses import NO_ANSWER, absence_of, code_of, follow, is_definite
from kit.collect.signing import Bucket
from kit.errors import ArchiveError, KitError, UnreachedError
from kit.evidence import Entry
from kit.recording import Recorder, Replayer
from kit.snapshot import Answer

T = TypeVar("T")

CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 30
ATTEMPTS = 4

_REPLAYED = {"aws_access_key_id": "replayed", "aws_secret_access_key": "replayed"}
_NO_CREDENTIALS = (
    refused.NoCredentialsError,
    refused.PartialCredentialsError,
    refused.CredentialRetrievalError,
    refused.UnknownCredentialError,
    refused.RefreshWithMFAUnsupportedError,
    refused.NoAuthTokenError,
    refused.TokenRetrievalError,
    refused.UnknownTokenProviderError,
    refused.SSOError,
    refused.LoginError,
    refused.ProfileNotFound,
    refused.ConfigNotFound,
    refused.ConfigParseError,
    refused.InvalidConfigError,
)


class CredentialsError(KitError):
    """No usable AWS credentials were found."""


@dataclass(frozen=True)
class Storage:
    """How a bucket is reached: its address and Region, the credentials that requests are signed with, and the
    certificates and proxies of this machine; `account` is as whose reader they sign.
    """

    bucket: Bucket
    credentials: Any
    ca_bundle: str | None
    proxied: bool
    account: str = ""


class Readers:
    """Reads AWS as the roles that a run names; every answer goes through `ask`, and so into the evidence.

    `role_arns` maps an account to the role that reads what lives there; other accounts are read with the credentials
    the run was started with, or with `role_arn` where given. These roles are assumed with the external id and the tags
    given; those that `further` names, by a name of their own, without. Calls are made at the `pace` given, and tried up
    to `attempts` times where AWS throttles or does not answer. Over a `Replayer` no credentials are looked for, and
    nothing is tried twice or waited for. Safe to use from several threads.
    """

    def __init__(
        self,
        recorder: Recorder | Replayer,
        *,
        endpoint_url: str | None = None,
        profile: str | None = None,
        role_arn: str | None = None,
        role_arns: Mapping[str, str] | None = None,
        external_id: str | None = None,
        session_tags: Mapping[str, str] | None = None,
        further: Mapping[str, str] | None = None,
        pace: Mapping[str, float] | None = None,
        credentials: Mapping[str, str] | None = None,
        attempts: int = ATTEMPTS,
    ) -> None:
        self._recorder = recorder
        self._endpoint_url = endpoint_url
        self._profile = profile if recorder.live else None
        self._roles = {"": role_arn, **(role_arns or {}), **(further or {})}
        tags = [{"Key": key, "Value": value} for key, value in sorted((session_tags or {}).items())]
        stated = {"ExternalId": external_id, "Tags": tags or None}
        self._stated = {name: value for name, value in stated.items() if value is not None}
        self._unstated = frozenset(further or {})
        self._credentials = dict(credentials or {}) if recorder.live else _REPLAYED
        self._attempts = attempts if recorder.live else 1
        self._pace = Pace(pace or {})
        self._lock = threading.RLock()
        self._sessions: dict[str, Answer[boto3.Session]] = {}
        self._clients: dict[tuple[boto3.Session, str, str], Any] = {}

    def sign_in(self, region: str, account: str | None = None) -> None:
        """Assume every role that the run names, in one Region and in one order: a replay then asks for the same. With
        an account, the role that reads for it alone.

        A role that can't be assumed makes the answers absent that it was to read; nobody else reads in its place.
        IAM: sts:AssumeRole.

        Raises:
            CredentialsError: no credentials can be found.
            EvidenceError: an answer can't be recorded.
        """
        of_account = [account if account in self._roles else ""] if account is not None else None
        for reader in of_account or self._roles:
            self._session(reader, region)

    def assumed(self, account: str, region: str) -> Answer[str]:
        """Return the ARN of the role that reads for an account, or why it can't be assumed. IAM: sts:AssumeRole.

        Raises:
            CredentialsError: no credentials can be found.
            EvidenceError: the answer can't be recorded.
        """
        session = self._session(account, region)
        value = self._roles[account] if session.value is not None else None
        return Answer(session.call, session.evidence, value, session.absence)

    def ask(
        self,
        call: Call,
        region: str,
        read: Callable[[Mapping[str, Json]], T],
        *,
        account: str = "",
        **parameters: Json,
    ) -> Answer[T]:
        """Make one call and return what `read` takes from the parsed response; see `ask_stamped`."""
        return self.ask_stamped(call, region, lambda response, _: read(response), account=account, **parameters)

    def ask_stamped(
        self,
        call: Call,
        region: str,
        read: Callable[[Mapping[str, Json], Entry], T],
        *,
        account: str = "",
        **parameters: Json,
    ) -> Answer[T]:
        """Make one call and return what `read` takes from the parsed response and its index entry, or why there is
        no value.

        Pages are followed to the last; a failing page makes the whole answer absent, since a part is not the whole.
        An answer that doesn't parse, is cut short, or lacks a member that the call is made for, is absent too: botocore
        turns a body that is no JSON into an empty answer.

        Raises:
            CredentialsError: no credentials can be found.
            EvidenceError: the answer can't be recorded.
        """
        reader = account if account in self._roles else ""
        session = self._session(reader, region)
        if session.value is None:
            return Answer(_name(call, region), session.evidence, absence=session.absence)
        return self._ask(session.value, reader, call, region, read, parameters)

    def storage(self, bucket: str, region: str, account: str) -> Storage | str:
        """Return how a bucket is reached as the role that reads for its account, or in words why it can't be.

        The address is that of the bucket's own Region, which never redirects: the bucket before the host, but where its
        name has dots (a certificate covers one label), or the endpoint is custom, behind it [S3 user guide: virtual
        hosting of buckets].

        Raises:
            CredentialsError: no credentials can be found.
        """
        reader = account if account in self._roles else ""
        session = self._session(reader, region)
        if session.value is None:
            return session.why
        try:
            address = urlsplit(self._client(session.value, reader, "s3", region).meta.endpoint_url)
            credentials = session.value.get_credentials()
            if credentials is None:
                # without any, a request would be sent unsigned, and may be answered
                raise refused.NoCredentialsError
            credentials.get_frozen_credentials()
        except (*_NO_CREDENTIALS, ClientError) as error:
            raise _no_credentials(error) from error
        except BotoCoreError as error:
            return f"the bucket can't be addressed ({type(error).__name__})"
        behind = self._endpoint_url or "." in bucket
        place = f"{address.netloc}{address.path.rstrip('/')}/{bucket}" if behind else f"{bucket}.{address.netloc}"
        core = session.value._session  # noqa: SLF001 - boto3 has no other way to its configuration
        return Storage(
            Bucket(f"{address.scheme}://{place}", region),
            credentials,
            core.get_config_variable("ca_bundle") or get_cert_path(True),
            not _is_loopback(self._endpoint_url),
            account,
        )

    def download(self, bucket: str, region: str, key: str, version: str, path: Path) -> None:
        """Write a version of an object to a file; what is kept of it as evidence is for the caller to say.

        IAM: s3:GetObjectVersion, kms:Decrypt.

        Raises:
            CredentialsError: no credentials can be found.
            ArchiveError: S3 does not have it, or not so that it can be given; names the code.
            UnreachedError: S3 refused, or did not answer; names the code.
        """
        session = self._session("", region)
        try:
            client = self._new_client(session.value or self._new_session({}), "", "s3", region, recorded=False)
            body = client.get_object(Bucket=bucket, Key=key, VersionId=version)["Body"]
            with path.open("wb") as file:
                shutil.copyfileobj(body, file)
        except _NO_CREDENTIALS as error:
            raise _no_credentials(error) from error
        except (ClientError, BotoCoreError, HTTPError, OSError) as error:
            told = code_of(error) or type(error).__name__
            kind = ArchiveError if is_definite(error) else UnreachedError
            raise kind(
                f"s3://{bucket}/{key} did not come back: {told}",
                "see that the role may read the archive, and that nothing was deleted there",
            ) from error

    def _ask(
        self,
        session: boto3.Session,
        reader: str,
        call: Call,
        region: str,
        read: Callable[[Mapping[str, Json], Entry], T],
        parameters: Mapping[str, Json],
    ) -> Answer[T]:
        name = _name(call, region)
        with self._recorder.watch() as attempts:
            try:
                client = self._client(session, reader, call.service, region)
                response = follow(client, call, parameters, attempts)
                return Answer(name, attempts.ids, value=read(response, attempts.entries[-1]))
            except _NO_CREDENTIALS as error:
                raise _no_credentials(error) from error
            except NO_ANSWER as error:
                if isinstance(error, ClientError) and error.operation_name != call.operation:
                    # the call itself was never sent: it was botocore's own, for the role of a profile
                    raise _no_credentials(error) from error
                return Answer(name, attempts.ids, absence=absence_of(error, attempts))

    def _client(self, session: boto3.Session, reader: str, service: str, region: str) -> Any:
        key = (session, service, region)
        # botocore's sessions can't make clients side by side
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self._new_client(session, reader, service, region)
            return self._clients[key]

    def _new_client(
        self, session: boto3.Session, reader: str, service: str, region: str, *, recorded: bool = True
    ) -> Any:
        config = Config(
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            # adaptive retries slow down later calls too, which a single attempt has no use for
            retries={"mode": "adaptive" if self._attempts > 1 else "standard", "total_max_attempts": self._attempts},
            max_pool_connections=16,
            s3={"addressing_style": "path" if self._endpoint_url else "auto"},
            # an endpoint set outside the parameters could pass a simulator off as AWS
            ignore_configured_endpoint_urls=True,  # type: ignore[call-arg]
            proxies={} if _is_loopback(self._endpoint_url) else None,
        )
        endpoint = self._endpoint_url
        client = session.client(service, region_name=region, endpoint_url=endpoint, config=config)  # type: ignore[call-overload]
        if self._recorder.live:
            # before what notes when a request was sent
            client.meta.events.register_first(
                "before-send", lambda event_name, **_: self._pace.wait(service, event_name.rpartition(".")[2], region)
            )
        if recorded:
            self._recorder.attach(client.meta.events, reader)
        if endpoint:
            client.meta.events.register("before-sign.s3-control", _without_account)
        return client

    def _session(self, reader: str, region: str) -> Answer[boto3.Session]:
        with self._lock:
            if reader not in self._sessions:
                self._sessions[reader] = self._open(reader, region)
            return self._sessions[reader]

    def _open(self, reader: str, region: str) -> Answer[boto3.Session]:
        """Return the session that reads for an account: that of the role it names, else the one the run started with.

        A role is assumed with the credentials the run started with; its session keeps the profile's other settings.
        """
        role = self._roles[reader]
        try:
            source = self._new_session(self._credentials)
        except _NO_CREDENTIALS as error:
            raise _no_credentials(error) from error
        if role is None:
            return Answer("", (), value=source)
        asked: dict[str, Json] = {"RoleArn": role, "RoleSessionName": "trailkit"}
        asked |= {} if reader in self._unstated else self._stated
        taken = self._ask(source, "", ASSUME_ROLE, region, lambda response, _: _taken(response), asked)
        if taken.absence is not None:
            message = f"assuming {role}: {taken.absence.message}"
            return Answer(taken.call, taken.evidence, absence=replace(taken.absence, message=message))
        return Answer(taken.call, taken.evidence, value=self._new_session(taken.value or {}))

    def _new_session(self, credentials: Mapping[str, str]) -> boto3.Session:
        # whoever brings credentials along needs nothing of this machine's configuration, and it may be broken
        core = botocore.session.Session(_NO_CONFIGURATION if self._credentials else None)
        core.register_component("data_loader", _models())
        return boto3.Session(botocore_session=core, profile_name=self._profile, **credentials)


_NO_CONFIGURATION = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}


@cache
def _models() -> Loader:
    """Return the loader of botocore's service models, which takes longer to fill than a run takes to ask."""
    return create_loader()


def _name(call: Call, region: str) -> str:
    return f"{call.service}:{call.operation} in {region}"


def _taken(response: Mapping[str, Json]) -> dict[str, str]:
    taken = response["Credentials"]
    return {
        "aws_access_key_id": taken["AccessKeyId"],
        "aws_secret_access_key": taken["SecretAccessKey"],
        "aws_session_token": taken["SessionToken"],
    }


def _no_credentials(error: Exception) -> CredentialsError:
    return CredentialsError(
        f"no usable AWS credentials: {' '.join(str(error).split())}",
        "sign in (for example `aws sso login`) or set AWS_PROFILE or target.profile, then run again",
    )


def _is_loopback(endpoint: str | None) -> bool:
    host = urlsplit(endpoint or "").hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _without_account(request: Any, **_: Any) -> None:
    """Take the account off the host again: S3 Control's endpoint rules put it before any endpoint, and an endpoint
    that is given by address has no such name.
    """
    request.url = re.sub(r"://[0-9]{12}\.", "://", request.url)
