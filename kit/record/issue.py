"""Issues a protocol for approval: the notebook before it is executed, with its parameters, in a folder of its own."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit import __version__
from kit.canonical import Json, canonical, sha256
from kit.catalogue import Protocol
from kit.errors import KitError, RecordError
from kit.evidence import new_id, timestamp, utc_now
from kit.findings import not_executed
from kit.parameters import RunParameters
from kit.present.displays import Display, cells, source
from kit.record import results
from kit.record.executed import PARAMETERS, sources_sha256
from kit.record.folders import temporary_folder
from kit.record.history import settle
from kit.record.manifest import MANIFEST, NOTEBOOK, PROTOCOL, SCHEMA, file_table, files_in
from kit.record.register import locked_register
from kit.record.seal import close

Render = Callable[[Path, Mapping[str, Any], str], list[KitError]]
"""Writes `record.html` and `record.pdf` into a folder, given the notebook to show and the digest."""

_STEP = re.compile(r'run\.step\("([A-Z0-9-]+)"\)')


@dataclass(frozen=True)
class Issued:
    """A protocol that was issued: its folder, the digest of its manifest, and what could not be rendered."""

    folder: Path
    digest: str
    warnings: tuple[KitError, ...]


def issue(of: Protocol, notebook: Path, parameters: RunParameters, outputs: Path, render: Render) -> Issued:
    """Write a protocol, its parameters and its rendering into `outputs/<id>`, whole or not at all, and register it.

    Nothing is executed, and nothing is asked of AWS.

    Raises:
        RecordError: the notebook can't be read, or the folder can't be written.
        RenderError: the HTML can't be made.
    """
    issued = utc_now()
    name = new_id(f"{of.id}P", issued)
    try:
        content = notebook.read_bytes()
        written = json.loads(content)
        with temporary_folder(outputs / f".sealing-{name}") as temporary:
            (temporary / NOTEBOOK).write_bytes(content)
            with locked_register(outputs) as register:
                settle(register, outputs)
                head = register.head.to_json()
            told = _told(of, written, parameters) | {
                "record_id": name,
                "issued": timestamp(issued),
                "register": {"head": head},
                "files": file_table(temporary, files_in(temporary)),
            }
            manifest = canonical(told)
            (temporary / MANIFEST).write_bytes(manifest)
            warnings = render(temporary, _shown(of, written, told), sha256(manifest))
            registered = {"digest": sha256(manifest), "protocol": {"id": of.id, "version": of.version}}
            close(temporary, outputs / name, outputs, "issued", registered)
    except ValueError as error:
        raise RecordError(f"{notebook} is no notebook: {error}", "name a notebook of the kit") from error
    except OSError as error:
        raise RecordError(
            f"the protocol can't be written to {outputs}: {error.strerror or error}", "free space, and issue it again"
        ) from error
    return Issued(outputs / name, sha256(manifest), tuple(warnings))


def _told(of: Protocol, notebook: Mapping[str, Any], parameters: RunParameters) -> dict[str, Json]:
    given = parameters.to_json()
    return {
        "schema": SCHEMA,
        "kind": PROTOCOL,
        "kit_version": __version__,
        "protocol": results.protocol_data(of),
        "protocol_sha256": sources_sha256(notebook),
        "catalogue_sha256": of.sha256,
        "own_checks": list(of.own),
        "demonstration": parameters.demonstration,
        "parameters": {name: given[name] for name in PARAMETERS},
        **{name: given["execution"][name] for name in ("system_id", "environment", "protocol_id", "page_size")},
    }


def _shown(of: Protocol, notebook: Mapping[str, Any], told: Mapping[str, Json]) -> dict[str, Any]:
    """Return the notebook's prose, with what the catalogue says of each step in the place of its code."""
    steps = [
        results.step_data(case, [not_executed(case.id)]) | {"findings": [], "planned": True}
        for case in of.test_cases.values()
    ]
    by_case = {step["test_case"]: step for step in steps}
    run = {**told, **told["parameters"], "run_id": told["record_id"]}
    shown: list[dict[str, Any]] = []
    for cell in cells(notebook):
        text = source(cell)
        if cell.get("cell_type") == "markdown":
            shown.append(dict(cell))
        elif step := _STEP.search(text):
            shown.append(_cell(Display("step", by_case[step[1]])))
        elif "run.own_steps()" in text:
            shown.append(_cell(Display("own_checks", {"checks": list(of.own)})))
            shown += [_cell(Display("step", by_case[case_id])) for case_id in of.own_test_cases]
        elif "begin(" in text:
            shown.append(_cell(Display("run", run)))
        elif "run.traceability()" in text:
            shown.append(
                _cell(
                    Display(
                        "traceability",
                        results.traceability(steps, told["parameters"]["requirements"]) | {"planned": True},
                    )
                )
            )
        elif "parameters" not in (cell.get("metadata") or {}).get("tags", []):
            shown.append({"cell_type": "markdown", "metadata": {}, "source": "*Filled in when it is executed.*"})
    limits = [(name, getattr(of, name)) for name in ("scope", "exclusions", "limitations")]
    lists = "".join(
        f"### {name.capitalize()}\n\n" + "".join(f"- {line}\n" for line in lines) + "\n" for name, lines in limits
    )
    shown.append({"cell_type": "markdown", "metadata": {}, "source": f"## What it covers, and what not\n\n{lists}"})
    return {**notebook, "cells": shown}


def _cell(display: Display) -> dict[str, Any]:
    output = {"output_type": "display_data", "metadata": {}, "data": display._repr_mimebundle_()}
    return {"cell_type": "code", "metadata": {}, "source": "", "execution_count": None, "outputs": [output]}
