"""The pace of a run: so many calls of a service in a second, in each Region, so that it never takes an account's quota
from those who work there.

AWS throttles calls for the whole account and Region, whoever makes them: 10 a second for CloudTrail's get, describe and
list operations [CloudTrail user guide: Quotas in AWS CloudTrail]. What is throttled all the same, botocore's adaptive
mode slows down further.
"""

import threading
import time
from collections.abc import Callable, Mapping

DEFAULT: Mapping[str, float] = {
    "cloudtrail": 5, "cloudtrail:LookupEvents": 2, "kms": 20, "sts": 10, "organizations": 1,
}  # fmt: skip
"""Calls in a second: half of CloudTrail's quota, all of what it has for LookupEvents, which no account can have raised,
and a small part of the others'.
"""


class Pace:
    """Lets calls through one after the other, evenly, however many threads ask.

    `rates` are calls in a second, in each Region, by service as IAM names it, or by an operation of it that has a rate
    of its own; what is not named is not held back.
    """

    def __init__(
        self,
        rates: Mapping[str, float],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rates = dict(rates)
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._free: dict[tuple[str, str], float] = {}

    def wait(self, service: str, operation: str, region: str) -> None:
        """Return when the calling thread may make its call."""
        if seconds := self.turn(service, operation, region):
            self._sleep(seconds)

    def turn(self, service: str, operation: str, region: str) -> float:
        """Take the next turn for a call, and return in how many seconds of the clock it comes."""
        name = f"{service}:{operation}"
        name = name if name in self._rates else service
        rate = self._rates.get(name)
        if rate is None:
            return 0.0
        with self._lock:
            now = self._clock()
            turn = max(now, self._free.get((name, region), now))
            self._free[name, region] = turn + 1 / rate
        return turn - now
