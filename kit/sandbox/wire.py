"""The HTTP server of the sandbox: reads a request, lets faults, additions and moto answer it in that order.

Bound to 127.0.0.1 alone, HTTP/1.1 with keep-alive, one thread a connection, no request log.
"""

import io
import json
import re
import sys
import time
import traceback
from dataclasses import replace
from email.utils import formatdate
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import BaseWSGIServer, DechunkedInput, WSGIRequestHandler, make_server
from werkzeug.test import run_wsgi_app

from kit.sandbox import additions, asymmetric, changing, event_history, locking, organization  # noqa: F401  they add to the additions
from kit.sandbox.calls import CALLER, JSON_SERVICES, Answer, Call, Rules, error, identify, s3_id, trace_headers

SERVER = "trailkit-sandbox"
"""The `Server` header of every answer, so that recorded evidence of a demonstration says of itself that it is one."""

_REGION = re.compile(r"(Credential=[^/]+/\d{8}/)[^/]+")
# What moto says of itself, of browsers, or in place of what is set for every answer.
_MOTO_HEADER = re.compile(
    r"(access-control-.*|connection|date|server|status|x-amz-id-2|x-amzn?-request-?id)$", re.IGNORECASE
)
_XML_ID = re.compile(rb"<(Request(?:Id|ID))>[^<]*<")


class Endpoint:
    """Answers requests: a fault's rule first, then what is added to moto, then moto with its answer put right."""

    def __init__(self) -> None:
        additions.ignore_bucket_policies()
        self.rules = Rules()
        self._moto = DomainDispatcherApplication(create_backend_app)

    def answer(self, environ: dict[str, Any], body: bytes) -> Answer | None:
        """Return the answer to one request, every header included; `None` drops the connection."""
        sent = {name.removeprefix("HTTP_"): member for name, member in environ.items() if name.startswith("HTTP_")}
        headers = {name.replace("_", "-").lower(): str(member) for name, member in sent.items()}
        path, query = environ["REQUEST_URI"].partition("?")[0], environ["QUERY_STRING"]
        call = identify(environ["REQUEST_METHOD"], path, query, headers, body)
        call = replace(call, caller=self.rules.sessions.get(call.access_key, CALLER))
        try:
            rule = self.rules.find(call)
            answer = rule(call) if rule else self.rules.rewritten(call, self._noted(call, environ, body))
        except Exception:  # noqa: BLE001  whatever moto trips over, AWS would answer
            traceback.print_exc(file=sys.stderr)
            answer = error(call, 500, "InternalFailure", "The request processing has failed.")
        if answer is not None:
            changing.note(call, answer)
            answer.headers |= trace_headers(call)
            answer.headers["Server"] = SERVER
            answer.headers["Date"] = formatdate(time.time() + self.rules.clock_skew, usegmt=True)
        return answer

    def _noted(self, call: Call, environ: dict[str, Any], body: bytes) -> Answer:
        answer = self._truthful(call, environ, body)
        event_history.note(call, answer)
        return answer

    def _truthful(self, call: Call, environ: dict[str, Any], body: bytes) -> Answer:
        if refused := additions.disabled_region(call):
            return refused
        if replacement := additions.REPLACED.get((call.service, call.operation)):
            return replacement(call, self.rules)
        if (refuse := additions.REFUSED.get((call.service, call.operation))) and (refused := refuse(call)):
            return refused
        by_default = additions.resolve_key if call.service == "kms" else None
        if prepare := additions.PREPARED.get((call.service, call.operation), by_default):
            prepared = prepare(call)
            if isinstance(prepared, Answer):
                return prepared
            body = json.dumps(prepared).encode()
            call = replace(call, parameters=prepared, body=body)
        answer = self._ask_moto(call, environ, body)
        correct = additions.CORRECTED.get((call.service, call.operation))
        if correct and answer.status == 200:
            corrected = correct(call, answer.json())
            if isinstance(corrected, Answer):
                return corrected
            answer.body = json.dumps(corrected).encode()
        return _spelled(call, answer)

    def _ask_moto(self, call: Call, environ: dict[str, Any], body: bytes) -> Answer:
        credential = _REGION.sub(rf"\g<1>{additions.home_region(call)}", environ.get("HTTP_AUTHORIZATION", ""))
        asked = environ | {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        if credential:
            asked["HTTP_AUTHORIZATION"] = credential
        chunks, status, headers = run_wsgi_app(self._moto, asked, buffered=True)
        kept = {name: member for name, member in headers.items() if not _MOTO_HEADER.match(name)}
        return Answer(int(status.split()[0]), kept, b"".join(chunks))


def _spelled(call: Call, answer: Answer) -> Answer:
    """Give moto's answer the content type, request id and defaults of the service's own protocol."""
    if call.service in JSON_SERVICES:
        answer.headers["Content-Type"] = "application/x-amz-json-1.1"
        return answer
    if call.service == "s3":
        answer = additions.mend_s3(call, answer)
    if answer.status >= 400:
        named = s3_id(call) if call.service in ("s3", "s3control") else call.request_id
        answer.body = _XML_ID.sub(rb"<\1>" + named.encode() + b"<", answer.body)
    return answer


class Handler(WSGIRequestHandler):
    """Speaks HTTP for an `Endpoint`; werkzeug's own handler closes every connection, this one keeps it open."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def run_wsgi(self) -> None:
        """Answer one request, or drop the connection without a byte."""
        if self.headers.get("Expect", "").lower().strip() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
            self.wfile.flush()
        environ = self.make_environ()
        length = int(environ.get("CONTENT_LENGTH") or 0)
        chunked = isinstance(environ["wsgi.input"], DechunkedInput)
        body = environ["wsgi.input"].readall() if chunked else self.rfile.read(length)
        answer = self.server.app.answer(environ, body)  # type: ignore[attr-defined]
        if answer is None:
            self.close_connection = True
            return
        self.send_response_only(answer.status)
        bare = self.command == "HEAD" or answer.status in (204, 304)
        length_known = any(name.lower() == "content-length" for name in answer.headers)
        for name, member in answer.headers.items():
            if name.lower() != "content-length" or self.command == "HEAD":
                self.send_header(name, member)
        if not bare or (self.command == "HEAD" and not length_known):
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if not bare:
            self.wfile.write(answer.body)
        self.wfile.flush()

    def log(self, *_: Any) -> None:
        """Log nothing: standard error is for what goes wrong in the sandbox itself."""


def bind(endpoint: Endpoint) -> BaseWSGIServer:
    """Return a server of an endpoint on a free port of 127.0.0.1, not yet serving."""
    return make_server("127.0.0.1", 0, endpoint, threaded=True, request_handler=Handler)  # type: ignore[arg-type]
