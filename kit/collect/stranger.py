"""Has AWS's own verifier, where it is installed, read what the embedded account has delivered."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kit.canonical import Json
from kit.collect.account import Progress
from kit.collect.commands import output_of
from kit.sandbox.server import Sandbox

HOME = "eu-west-1"
HOURS = 4
"""Which hours of a delivery are read, up to the last whole one, and which Region is the trail's."""

_SAID = 2000


def comparisons(
    faults: Sequence[str], spoilt: Callable[[Sequence[str]], Sandbox], scratch: Path, progress: Progress
) -> Iterator[Json]:
    """Yield first what the AWS command line is, and then what it says of what was delivered, sound and with each fault.

    `spoilt` gives the account with faults.
    """
    beside = Path(sys.executable).with_name("aws")
    command = str(beside) if beside.exists() else shutil.which("aws") or ""
    version = output_of([command, "--version"], os.environ)[1].partition(" ")[0] if command else ""
    why = "" if version else "The AWS command line is not installed beside the kit."
    yield {"stranger": version, "no_stranger": why}
    if not version:
        return
    names = ["", *faults]
    for number, name in enumerate(names, start=1):
        status, said = _validated(command, spoilt([name] if name else []), scratch)
        yield {"fault": name, "status": status, "said": said[-_SAID:]}
        progress("validate-logs", number, len(names))


def _validated(command: str, sandbox: Sandbox, scratch: Path) -> tuple[int, str]:
    config = scratch / "config"
    config.write_text("[default]\ns3 =\n    addressing_style = path\n", encoding="utf-8")
    until = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    since = until - timedelta(hours=HOURS)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment = kept | sandbox.environment
    environment |= {"AWS_CONFIG_FILE": str(config), "AWS_ENDPOINT_URL_S3": sandbox.endpoint}
    asked = [command, "--endpoint-url", sandbox.endpoint, "--region", HOME, "cloudtrail", "validate-logs"]
    trail = sandbox.parameters["expected"]["trail_arn"]
    window = ["--start-time", f"{since:%Y-%m-%dT%H:%M:%SZ}", "--end-time", f"{until:%Y-%m-%dT%H:%M:%SZ}"]
    return output_of([*asked, "--verbose", "--trail-arn", trail, *window], environment)
