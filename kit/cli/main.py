"""The entry point: `trailkit`."""

import io
import signal
import sys
import traceback
from typing import Annotated, Any

import typer

from kit import __version__
from kit.cli import account, exchange, qualify, records, remediate, review, working_copy  # noqa: F401 - each adds its commands
from kit.cli.app import INTERRUPTED, app, tell
from kit.errors import KitError

_CTRL_C = 130  # what Typer makes of it


def main() -> None:
    """Run the command and exit with its status; what the user can mend is told in two lines, without a traceback."""
    for stream in (sys.stdout, sys.stderr):
        # a name that the terminal can't print is no reason to stop
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # ended by a scheduler or by Ctrl-C, all the same: what was started is stopped, and nothing half is left
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app(prog_name="trailkit")
    except SystemExit as ended:
        if ended.code != _CTRL_C:
            raise
        tell(KitError("interrupted", "run it again; nothing half is left"))
        sys.exit(INTERRUPTED)
    except KitError as error:
        tell(error)
        sys.exit(error.exit_code)
    except OSError as error:
        # of a file or folder that was named, and that nothing before could tell better
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        tell(KitError(what[:300], "name another file or folder, or make it readable"))
        sys.exit(KitError.exit_code)
    except Exception:  # noqa: BLE001 - a defect of ours; Python's own status for it, 1, would read as a FAIL
        traceback.print_exc()
        sys.exit(INTERRUPTED)


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        typer.echo(f"trailkit {__version__}")
        raise typer.Exit


if __name__ == "__main__":
    main()
