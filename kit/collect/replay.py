"""Judges a run again on its parameters and evidence alone, as a process of its own: `python -m kit.collect.replay`.

Standard input is one JSON object: `protocol`, `own_checks` as the record names them, `parameters`, and `evidence`, the
folder. Standard output is one JSON
object: `kit_version`, and `findings` and `caller`, or `error` and `remedy`. Whatever would reach a network or start a
program raises.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

_REFUSED = (
    "socket.connect", "socket.getaddrinfo", "socket.gethost", "socket.send", "socket.bind", "subprocess.", "os.exec",
    "os.fork", "os.posix_spawn", "os.spawn", "os.system", "pty.spawn",
)  # fmt: skip


def _refuse(event: str, _: Any) -> None:
    if event.startswith(_REFUSED):
        raise RuntimeError(f"a replay has no use for {event}")


def main() -> None:
    """Judge what standard input names, and print the findings."""
    sys.addaudithook(_refuse)
    # imported here: from the first import on, nothing may reach a network
    from kit import __version__  # noqa: PLC0415
    from kit.catalogue import protocol_as_executed  # noqa: PLC0415
    from kit.collect.gather import gather_again  # noqa: PLC0415
    from kit.errors import KitError  # noqa: PLC0415
    from kit.parameters import RunParameters  # noqa: PLC0415

    told: dict[str, Any] = {"kit_version": __version__}
    try:
        asked = json.load(sys.stdin)
        parameters = RunParameters.load(asked["parameters"])
        of = protocol_as_executed(asked["protocol"], asked["own_checks"])
        with ThreadPoolExecutor(1) as executor:
            snapshot = gather_again(of.id, parameters, Path(asked["evidence"]), executor, lambda *_, **__: None)
        cases = of.test_cases.values()
        caller = snapshot.caller.value
        told["caller"] = {"account": caller.account, "arn": caller.arn} if caller else None
        told["findings"] = [finding.to_json() for case in cases for finding in case.judge(snapshot, parameters)]
    except KitError as error:
        told |= {"error": error.message, "remedy": error.remedy}
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
