"""The child process: seed the account, deliver, apply the named faults, say where it answers, end when the parent does.

`python -m kit.sandbox` serves until its standard input ends. Each line of that is a JSON object, `{"faults": [...],
"delivery": {...} or null}`, for which the account is seeded anew; each is answered by one JSON line, `{"endpoint": ...,
"parameters": ...}` or `{"error": ..., "remedy": ...}`.
"""

import json
import os
import queue
import re
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from moto.moto_api._internal import mock_random

from kit.errors import KitError
from kit.sandbox import additions, changing
from kit.sandbox.account import REGION, Account, seed
from kit.sandbox.calls import Rules
from kit.sandbox.delivery import Delivery, read_plan
from kit.sandbox.event_history import forget_events
from kit.sandbox.faults import apply
from kit.sandbox.objects import Store
from kit.sandbox.wire import Endpoint, bind


def main() -> None:
    """Serve a seeded and spoilt account; never returns, and ends the process when standard input ends."""
    # Ctrl-C reaches the whole foreground group, but it is the parent who decides: it stops us, or its pipe ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    orders: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(orders,), daemon=True).start()
    endpoint = Endpoint()
    server = bind(endpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.port}"
    client = _clients(url)
    while True:
        order = json.loads(orders.get())
        try:
            account = prepare(endpoint, client, order["faults"], order["delivery"])
            said = {"endpoint": url, "parameters": account.parameters(url)}
        except KitError as error:
            said = {"error": error.message, "remedy": error.remedy}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


def prepare(endpoint: Endpoint, client: Any, names: Sequence[str], told: Mapping[str, Any] | None) -> Account:
    """Return a new account behind an endpoint, seeded, delivered to and spoilt; keys have the same ids at every start.

    Raises:
        SandboxError: the faults don't go together, or this can't be delivered.
    """
    endpoint.rules = Rules()
    additions.forget()
    changing.forget()
    # moto draws the ids of keys from this generator.
    mock_random.seed(11)
    account = seed(client, endpoint.rules, additions.expire_key)
    if told is not None:
        plan = read_plan(told, additions.ENABLED, datetime.now(UTC))
        if plan.digest_regions != tuple(sorted(additions.ENABLED)):
            endpoint.rules.regions = frozenset(plan.digest_regions)
        account.delivery = Delivery(plan, Store(), account.key_arn)
        account.delivery.put()
        additions.show(account.delivery)
    forget_events()
    apply(names, account)
    if account.delivery is not None:
        account.delivery.restore()
        for other in account.delivery.others:
            additions.show(other)
    endpoint.rules.armed = True
    changing.begin()
    return account


def _listen(orders: "queue.SimpleQueue[str]") -> None:
    for line in sys.stdin:
        orders.put(line)
    os._exit(0)


def _clients(url: str) -> Any:
    session = boto3.session.Session(region_name=REGION)
    config = Config(retries={"total_max_attempts": 1}, proxies={})

    @cache
    def client(service: str, region: str = REGION) -> Any:
        made: Any = session.client(service, region_name=region, endpoint_url=url, config=config)  # type: ignore[call-overload]
        made.meta.events.register("before-sign.s3-control", _without_account)
        return made

    return client


def _without_account(request: Any, **_: Any) -> None:
    # S3 Control's endpoint rules put the account before the host, which no address can have.
    request.url = re.sub(r"://\d{12}\.127\.", "://127.", request.url)


if __name__ == "__main__":
    main()
