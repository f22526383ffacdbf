"""What qualifies the kit that runs: the latest record of its own qualification, in the same outputs folder.

Told as it is: a qualification that did not pass, is of another version or of other files, was not registered here, or
does not hold, is none.
"""

import gzip
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from kit import __version__
from kit.canonical import Json, well_formed
from kit.checks.tool import INSTALLATION
from kit.collect.installation import own_files, packages
from kit.errors import EvidenceError, KitError
from kit.evidence import is_ledger, read_index
from kit.findings import Verdict, count
from kit.record.folders import records_in
from kit.record.history import History, histories
from kit.record.manifest import EVIDENCE
from kit.record.register import RegisterEntry

TOOL = "TQ"
_RECORD_ID = re.compile(rf"{TOOL}-\d{{8}}T\d{{6}}Z-[0-9a-f]{{6}}", re.ASCII)
_MOST = 16 << 20
"""How many bytes the list of what was installed may have; it has about a hundred thousand."""
_SHOWN = 5


def kit_qualification(outputs: Path, entries: Sequence[RegisterEntry], *, demonstration: bool) -> dict[str, Json]:
    """Return what qualifies the kit that runs here, or why nothing does.

    `qualified` is true only where the latest qualification of this version, of the very files that run, passed, and its
    record stands whole beside the register that holds it; `record` is then its id, digest, end and verdict, as it is
    where that verdict is another. `sentence` says it all. Whatever lies in the folder is told, and is no error. A
    demonstration qualifies the kit for demonstrations.
    """
    passed_over = []
    for one in _ended(entries):
        told = _judged(outputs, one, entries, demonstration=demonstration)
        if not isinstance(told, str):
            return dict(well_formed(told))
        passed_over.append(told)
    known = {entry.record for entry in entries}
    strangers = [name for name in (folder.name for folder in records_in(outputs)) if _RECORD_ID.fullmatch(name)]
    passed_over += [f"{name} is not in the register" for name in reversed(strangers) if name not in known]
    latest = f"; {passed_over[0]}" if passed_over else ""
    sentence = f"not qualified by any record in the outputs folder{latest}"
    return dict(well_formed(_told(sentence)))


def of_this_kit(entries: Sequence[RegisterEntry]) -> set[str]:
    """Return which records may qualify the kit that runs: those of its version, which are then held to every file."""
    return {one.record_id for one in _ended(entries) if one.first.get("kit_version") == __version__}


def _told(sentence: str, record: Mapping[str, Json] | None = None, *, qualified: bool = False) -> dict[str, Json]:
    said = " ".join(sentence.split())
    return {"record": record, "qualified": qualified, "sentence": f"trailkit {__version__}: {said}."}


def _ended(entries: Sequence[RegisterEntry]) -> Iterator[History]:
    """Yield the qualifications of a kit that came to a verdict or have a record, the latest first."""
    found = []
    for one in histories(entries).values():
        protocol, ended = one.first.get("protocol"), one.last("finished", "concluded")
        if ended and isinstance(protocol, dict) and protocol.get("id") == TOOL and _RECORD_ID.fullmatch(one.record_id):
            found.append((ended.number, one))
    yield from (one for _, one in sorted(found, key=lambda each: each[0], reverse=True))


def _judged(
    outputs: Path, one: History, entries: Sequence[RegisterEntry], *, demonstration: bool
) -> dict[str, Json] | str:
    """Return what a qualification says of the kit that runs, or why it says nothing of it."""
    version = str(one.first.get("kit_version"))[:40]
    if version != __version__:
        return f"{one.record_id} is of trailkit {version}"
    if one.first.get("demonstration") is not False and not demonstration:
        return f"{one.record_id} is a demonstration"
    verdict = one.verdict[:40].replace("_", " ")
    if one.state != "finished":
        unsealed = f"{one.record_id} came to {verdict}, and was not sealed"
        return unsealed if one.verdict == Verdict.PASS else _told(f"not qualified: {unsealed}")
    return _held(outputs / one.record_id, one, entries)


def _held(folder: Path, one: History, entries: Sequence[RegisterEntry]) -> dict[str, Json] | str:
    """Return what a record says of the kit that runs, once it is held to the register; or why it says nothing of it."""
    verdict = one.verdict[:40].replace("_", " ")
    # imported here: it reads signatures, and most runs find no qualification
    from kit.record.standing import hold_standing  # noqa: PLC0415

    try:
        manifest = hold_standing(folder, one, entries)
        files, beside = _installed(folder / EVIDENCE)
    except KitError as error:
        # where the folder lies is of no interest
        why = error.message.replace(f"{folder}/", "")[:300]
        return _told(f"not qualified: {one.record_id}, which came to {verdict}, does not hold: {why}")
    running = own_files()
    if files != running:
        differ = sorted(name for name in {*files, *running} if files.get(name) != running.get(name))
        return f"{one.record_id} is of other files than run here: {_some(differ, 'file')}"
    record = {
        "record_id": one.record_id,
        "digest": one.digest,
        **{name: manifest[name] for name in ("finished", "verdict")},
    }
    if manifest["verdict"] != Verdict.PASS:
        return _told(f"not qualified: {one.record_id} came to {verdict}", record)
    now = packages()
    others = sorted(name for name in {*beside, *now} if beside.get(name) != now.get(name))
    since = f"; installed otherwise since: {_some(others, 'package')}" if others else ""
    shown = ", a demonstration" if manifest["demonstration"] else ""
    return _told(f"qualified by {one.record_id}{shown}{since}", record, qualified=True)


def _some(names: Sequence[str], noun: str) -> str:
    return f"{count(len(names), noun)} ({', '.join(names[:_SHOWN])}{', …' * (len(names) > _SHOWN)})"


def _installed(evidence: Path) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return the files of the kit that a qualification found, with their SHA-256, and the packages with their versions.

    Raises:
        EvidenceError: its evidence does not say.
    """
    try:
        (entry,) = [one for one in read_index(evidence) if is_ledger(one, INSTALLATION)]
        with gzip.open(evidence / entry.path, "rb") as stream:
            content = stream.read(_MOST)
        told = json.loads(content)
        return {str(name): str(digest) for name, digest in told["found"].items()}, dict(told["packages"])
    except (OSError, EOFError, zlib.error, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise EvidenceError("its evidence does not say which files it is of", "run the qualification again") from error
