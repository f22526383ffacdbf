"""Start and stop the embedded account: a child process that answers as AWS would, on 127.0.0.1, and dies with us.

Light to import: moto and boto3 are loaded by the child alone.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import IO, Any

from kit.errors import SandboxError
from kit.sandbox.fault import Fault
from kit.sandbox.faults import find_fault, list_faults

__all__ = ["CREDENTIALS", "ENVIRONMENT", "Fault", "Sandbox", "list_faults"]

CREDENTIALS = {"aws_access_key_id": "sandbox", "aws_secret_access_key": "sandbox"}
"""What the sandbox takes for credentials; it never looks at the signature. `boto3.session.Session(**CREDENTIALS)`."""

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": CREDENTIALS["aws_access_key_id"],
    "AWS_SECRET_ACCESS_KEY": CREDENTIALS["aws_secret_access_key"],
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "NO_PROXY": "127.0.0.1",
}
"""The same for a process that finds credentials by itself: nobody's real profile is read, no proxy is asked."""

_PATIENCE = 60.0
_REMEDY = "install the kit with its sandbox (moto, boto3) and see that programs may listen on 127.0.0.1"


class Sandbox:
    """The embedded account as a context manager: started on entry, gone after exit, whatever happens in between.

    The child watches a pipe that only this process holds, so it ends when this process does, SIGKILL included.

    Attributes:
        faults: what is wrong with the account now, in the order applied.
        delivery: what CloudTrail has delivered, or None: `{"hours": 24, "logs_per_hour": 2, "regions": [...], "until":
            "2026-11-24T08:00:00Z", "folder": "...", "digest_regions": [...], "changes": [...]}`, of which only `hours`
            is needed. Hours are whole ones before `until` (now), and two more are delivered before them; `regions` are
            those with logs, while every enabled Region, or those of `digest_regions`, has digests; `folder` holds
            genuine log files; `changes` are events that logs tell of: `{"at": ..., "service": "kms", "name": ...,
            "asked": {...}}`.
        endpoint: `http://127.0.0.1:PORT`, for boto3's `endpoint_url`; empty until started.
        parameters: the run parameters under which the compliant account passes; they don't follow the faults.

    Raises:
        SandboxError: a fault is unknown, or (on entry) the account can't be started, delivered to or spoilt so.
    """

    def __init__(self, faults: Sequence[str] = (), delivery: Mapping[str, Any] | None = None) -> None:
        self.faults = tuple(find_fault(name) for name in faults)
        self.delivery = delivery
        self.endpoint = ""
        self.parameters: dict[str, Any] = {}
        self._process: subprocess.Popen[str] | None = None
        self._complaints: IO[str] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The variables under which boto3 talks to this sandbox as it would to AWS; the endpoint is a parameter."""
        return dict(ENVIRONMENT)

    @property
    def running(self) -> bool:
        """Whether the child is there."""
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> "Sandbox":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the child, and return once it is seeded, spoilt and answering."""
        try:
            self._complaints = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
            self._process = subprocess.Popen(
                [sys.executable, "-m", "kit.sandbox"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                encoding="utf-8",
                env=_clean_environment(),
            )
        except OSError as error:
            self.stop()
            raise SandboxError(f"the sandbox can't be started: {error}", _REMEDY) from error
        self._order(self._process)

    def reset(self, faults: Sequence[str] = (), delivery: Mapping[str, Any] | None = None) -> None:
        """Seed the account anew, with other faults and deliveries or none, at the same endpoint: quicker than a start.

        Nobody may be asking the sandbox meanwhile. When it fails, the sandbox is stopped.
        """
        self.faults = tuple(find_fault(name) for name in faults)
        self.delivery = delivery
        if self._process is None:
            raise SandboxError("the sandbox is not running", "start it before resetting it")
        self._order(self._process)

    def stop(self) -> None:
        """End the child and wait until it is gone; ending it again does nothing."""
        process, self._process = self._process, None
        complaints, self._complaints = self._complaints, None
        if process is not None:
            try:
                # Closing our end of its standard input is what ends it.
                _close(process.stdin)
                _close(process.stdout)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=5)
            finally:
                process.kill()
                process.wait()
        _close(complaints)

    def _order(self, process: "subprocess.Popen[str]") -> None:
        """Tell the child what the account is to be, and wait until it is."""
        order = {"faults": [fault.name for fault in self.faults], "delivery": self.delivery}
        # The child may have gone already: then it is its last words that say why.
        with contextlib.suppress(OSError):
            if process.stdin is not None:
                process.stdin.write(json.dumps(order) + "\n")
                process.stdin.flush()
        self._await_ready(process)

    def _await_ready(self, process: "subprocess.Popen[str]") -> None:
        """Read the child's next line, and stop it unless that says that it is ready."""
        timer = threading.Timer(_PATIENCE, process.kill)
        timer.daemon = True
        timer.start()
        try:
            line = process.stdout.readline() if process.stdout else ""
            said: dict[str, Any] = json.loads(line) if line else {"error": self._last_complaint(), "remedy": _REMEDY}
        except BaseException:
            self.stop()
            raise
        finally:
            timer.cancel()
        if "error" in said:
            self.stop()
            raise SandboxError(f"the sandbox did not start: {said['error']}", said["remedy"])
        self.endpoint, self.parameters = said["endpoint"], said["parameters"]

    def _last_complaint(self) -> str:
        if self._complaints is None:
            return "it ended without a word"
        self._complaints.seek(0)
        return (self._complaints.read().strip().splitlines() or ["it ended without a word"])[-1]


def _close(stream: IO[str] | None) -> None:
    # The child may have gone first, the pipe be broken: that is what we came for.
    with contextlib.suppress(OSError):
        if stream is not None:
            stream.close()


def _clean_environment() -> dict[str, str]:
    """Return our environment without what could send the child's own requests anywhere but to itself."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(("AWS_", "MOTO_"))}
    kept = {name: value for name, value in kept.items() if not name.upper().endswith("_PROXY")}
    return kept | ENVIRONMENT
