"""Runs a command in a process of its own: the kit as it is installed, or AWS's command line beside it."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

_PATIENCE_S = 300


def output_of(command: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
    """Return the exit status of a command, and all that it said; -1 and why, where it did not end by itself."""
    try:
        done = subprocess.run(  # noqa: S603 - this Python, and the AWS command line beside it
            list(command), env=dict(environment), stdin=subprocess.DEVNULL, capture_output=True,
            encoding="utf-8", errors="replace", check=False, timeout=_PATIENCE_S,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return -1, f"{type(error).__name__}"
    return done.returncode, done.stdout + done.stderr


def output_of_kit(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
    """Return the exit status of the kit's command as it is installed, and all that it said.

    Of this process's environment it has what is neither AWS's nor the kit's.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TRAILKIT_"))}
    return output_of([sys.executable, "-P", "-m", "kit.cli.main", *arguments], kept | dict(environment))
