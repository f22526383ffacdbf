"""Signed sessions by account, cached clients by service and Region, and the one function that asks AWS a question."""

import re
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import boto3
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)
from botocore.parsers import ResponseParserError

from kit.canonical import Json
from kit.collect.calls import Call
from kit.errors import KitError
from kit.evidence import Entry, Recorder, Replayer, Unanswered
from kit.snapshot import Absence, Answer, Reason

T = TypeVar("T")

CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 30
ATTEMPTS = 4

_ROOT = re.compile(rb"\s*(?:<\?xml[^>]*\?>)?\s*<(?:\w+:)?(\w+)")
_DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "UnauthorizedAccess", "403", "Forbidden")
_THROTTLED = ("Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown")
_NO_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
    ProfileNotFound,
)


class CredentialsError(KitError):
    """No usable AWS credentials were found."""


class Readers:
    """Reads AWS as the roles that a run names; every answer goes through `ask`, and so into the evidence.

    `role_arns` maps an account to the role that reads what lives there; other accounts are read with the credentials
    the run was started with, or with `role_arn` where given. A call is tried up to `attempts` times where AWS throttles or does not answer. Safe to use
    from several threads.
    """

    def __init__(
        self,
        recorder: Recorder | Replayer,
        *,
        endpoint_url: str | None = None,
        profile: str | None = None,
        role_arn: str | None = None,
        role_arns: Mapping[str, str] | None = None,
        credentials: Mapping[str, str] | None = None,
        attempts: int = ATTEMPTS,
    ) -> None:
        self._recorder = recorder
        self._endpoint_url = endpoint_url
        self._profile = profile
        self._role_arn = role_arn
        self._role_arns = dict(role_arns or {})
        self._credentials = dict(credentials or {})
        self._attempts = attempts
        self._lock = threading.RLock()
        self._sessions: dict[str, boto3.Session | Absence] = {}
        self._clients: dict[tuple[str, str, str], Any] = {}

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
        An answer that doesn't parse, or lacks a member that the call is made for, is absent too: botocore turns a body
        that is no JSON into an empty answer.

        Raises:
            CredentialsError: no credentials can be found.
            EvidenceError: the answer can't be recorded.
        """
        name = f"{call.service}:{call.operation} in {region}"
        with self._recorder.watch() as attempts:
            try:
                client = self._client(call.service, region, account)
                if isinstance(client, Absence):
                    return Answer(name, attempts.ids, absence=client)
                response = _follow(client, call, parameters, lambda: attempts.body)
                return Answer(name, attempts.ids, value=read(response, attempts.entries[-1]))
            except _NO_CREDENTIALS as error:
                raise CredentialsError(
                    f"no usable AWS credentials: {error}",
                    "sign in (for example `aws sso login`) or set AWS_PROFILE or target.profile, then run again",
                ) from error
            except (ClientError, BotoCoreError, HTTPClientError, ResponseParserError, Unanswered, _Unreadable) as error:
                return Answer(name, attempts.ids, absence=_absence(error))
            except (KeyError, TypeError, AttributeError, ValueError) as error:
                detail = f"the answer is not of the documented form ({type(error).__name__})"
                return Answer(name, attempts.ids, absence=Absence(Reason.UNREADABLE, "", detail))

    def _client(self, service: str, region: str, account: str) -> Any:
        reader = account if account in self._role_arns else ""
        with self._lock:
            key = (service, region, reader)
            if key not in self._clients:
                session = self._session(reader, region)
                self._clients[key] = (
                    session if isinstance(session, Absence) else self._new_client(session, service, region)
                )
            return self._clients[key]

    def _new_client(self, session: boto3.Session, service: str, region: str) -> Any:
        config = Config(
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            retries={"mode": "adaptive", "total_max_attempts": self._attempts},
            max_pool_connections=16,
            s3={"addressing_style": "path" if self._endpoint_url else "auto"},
        )
        endpoint = self._endpoint_url
        client = session.client(service, region_name=region, endpoint_url=endpoint, config=config)  # type: ignore[call-overload]
        if endpoint:
            client.meta.events.register("before-sign.s3-control", _without_account)
        return client

    def _session(self, reader: str, region: str) -> boto3.Session | Absence:
        if reader not in self._sessions:
            role = self._role_arns.get(reader) or self._role_arn
            source = boto3.Session(profile_name=self._profile, **self._credentials)  # type: ignore[arg-type]
            self._recorder.attach(source.events, "")
            self._sessions[reader] = self._assume(source, role, reader, region) if role else source
        return self._sessions[reader]

    def _assume(self, source: boto3.Session, role: str, reader: str, region: str) -> boto3.Session | Absence:
        client = self._new_client(source, "sts", region)
        try:
            taken = client.assume_role(RoleArn=role, RoleSessionName="trailkit")["Credentials"]
        except (ClientError, BotoCoreError, Unanswered, ResponseParserError, KeyError) as error:
            absence = _absence(error)
            return Absence(absence.reason, absence.code, f"assuming {role}: {absence.message}")
        session = boto3.Session(
            aws_access_key_id=taken["AccessKeyId"],
            aws_secret_access_key=taken["SecretAccessKey"],
            aws_session_token=taken["SessionToken"],
        )
        self._recorder.attach(session.events, reader)
        return session


def _without_account(request: Any, **_: Any) -> None:
    """Take the account off the host again: S3 Control's endpoint rules put it before any endpoint, and an endpoint
    that is given by address has no such name.
    """
    request.url = re.sub(r"://[0-9]{12}\.", "://", request.url)


class _Unreadable(Exception):
    """An answer arrived that is not the one the call is made for."""


def _follow(client: Any, call: Call, parameters: Mapping[str, Json], body: Callable[[], bytes]) -> Mapping[str, Json]:
    """Return the parsed response of a call, all pages of it joined."""
    if not call.pages:
        response = getattr(client, xform_name(call.operation))(**parameters)
        _require(call, response, body())
        return dict(response)
    collected: list[Json] = []
    for page in client.get_paginator(xform_name(call.operation)).paginate(**parameters):
        _require(call, page, body())
        collected.extend(page[call.pages])
    return {call.pages: collected}


def _require(call: Call, response: Mapping[str, Json], body: bytes) -> None:
    lacking = [member for member in call.members if response.get(member) is None]
    if lacking:
        raise _Unreadable(f"the answer lacks {', '.join(lacking)}")
    found = _ROOT.match(body)
    if call.root and (found is None or found[1].decode() != call.root):
        raise _Unreadable(f"the answer is no {call.root}")


def _absence(error: Exception) -> Absence:
    """Classify what kept a value away, by AWS's error code or the kind of the failure, never by a free text."""
    if isinstance(error, ClientError):
        code = str(error.response.get("Error", {}).get("Code") or "unknown error")
        message = str(error.response.get("Error", {}).get("Message") or "")
        return Absence(_reason(code), code, message)
    if isinstance(error, _Unreadable):
        return Absence(Reason.UNREADABLE, "", str(error))
    if isinstance(error, ResponseParserError):
        return Absence(Reason.UNREADABLE, "", "the body does not parse")
    if isinstance(error, Unanswered):
        return Absence(Reason.UNREACHABLE, error.failure)
    if isinstance(error, HTTPClientError):
        return Absence(Reason.UNREACHABLE, type(error).__name__)
    return Absence(Reason.ERROR, type(error).__name__)


def _reason(code: str) -> Reason:
    if code in _DENIED:
        return Reason.DENIED
    if code in _THROTTLED:
        return Reason.THROTTLED
    if code.startswith("NoSuch") or "NotFound" in code:
        return Reason.MISSING
    return Reason.ERROR
