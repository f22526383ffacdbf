"""Addenda: what one says of its record and of the deviation is what the record says, whoever reads it and when."""

import json
import shutil
from unittest.mock import patch

import pytest
from fixtures.runs import PEOPLE, copied, executed_once, redo_sums, sealed
from fixtures.signed import DEVIATION, FAULT, HANDLING

from kit.canonical import canonical, sha256
from kit.errors import RejectionError
from kit.evidence import read_index
from kit.record.addenda import DATA, PAGE, add, read_addenda
from kit.record.manifest import ADDENDA, EVIDENCE
from kit.record.verification.verify import verify

FIRST = ("id", "test_case", "verdict", "expected", "actual", "message")
"""What an addendum of the first schema told of its deviation."""


def plain_page(folder, _, digest):
    (folder / PAGE).write_text(f"<p>{digest}</p>", encoding="utf-8")
    return []


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The record of a run that failed, with an addendum."""
    record = sealed(copied(executed_once(FAULT), tmp_path_factory.mktemp("made"))).folder
    add(record, DEVIATION, HANDLING, plain_page)
    return record


@pytest.fixture
def record(made, tmp_path):
    """A copy of it, to be spoilt; without a register, which would hold its hashes."""
    return shutil.copytree(made, tmp_path / made.name)


def rewrite(record, edit):
    """Edit what the addendum says, and put its page and sums right."""
    (folder,) = (record / ADDENDA).iterdir()
    data = json.loads((folder / DATA).read_bytes())
    edit(data)
    (folder / DATA).write_bytes(canonical(data))
    plain_page(folder, data, sha256(canonical(data)))
    redo_sums(folder)


def as_first(data):
    """Make of an addendum what an earlier version wrote."""
    del data["record"]
    data["schema"] = 1
    data["deviation"] = {name: data["deviation"][name] for name in FIRST}


def test_it_tells_of_which_system_account_and_protocol_the_record_is_and_what_it_came_to(made):
    (addendum,) = read_addenda(made)
    assert addendum.data["record"] == {
        "system_id": PEOPLE["system_id"], "environment": PEOPLE["environment"], "aws_account": "123456789012",
        "protocol": PEOPLE["protocol_id"], "protocol_version": "1.0", "verdict": "FAIL",
    }  # fmt: skip


def test_it_tells_resource_criticality_and_evidence_of_the_deviation(made):
    (addendum,) = read_addenda(made)
    told = addendum.data["deviation"]
    assert (told["test_case"], told["title"], told["criticality"]) == ("IQ-06", "The key rotates", "major")
    assert told["resource"].startswith("arn:aws:kms:eu-west-1:123456789012:key/")
    assert told["evidence"]
    assert set(told["evidence"]) <= {entry.id for entry in read_index(made / EVIDENCE)}


def test_title_and_criticality_are_the_records_whatever_a_later_catalogue_says(made, tmp_path):
    later = shutil.copytree(made, tmp_path / made.name, ignore=shutil.ignore_patterns(ADDENDA))
    with patch("kit.catalogue.kit_protocol", side_effect=LookupError("the catalogue was asked")):
        add(later, DEVIATION, HANDLING, plain_page)
        assert read_addenda(later)[0].data["deviation"]["criticality"] == "major"
    assert read_addenda(later)[0].data["deviation"]["title"] == "The key rotates"


def test_a_test_case_that_was_never_taken_is_named_as_in_the_summary(tmp_path):
    record = sealed(copied(executed_once(leave_out=('step("IQ-06")',)), tmp_path)).folder
    addendum, _ = add(record, DEVIATION, HANDLING, plain_page)
    told = addendum.data["deviation"]
    assert (told["verdict"], told["title"], told["resource"]) == ("NOT_EXECUTED", "The key rotates", "")


def test_an_addendum_of_an_earlier_version_still_holds(record):
    rewrite(record, as_first)
    assert [addendum.data["schema"] for addendum in read_addenda(record)] == [1]
    assert "addenda 01-DEV-01 tell of this record" in " ".join(step.text for step in verify(record))
    add(record, DEVIATION, HANDLING, plain_page)
    assert [addendum.data["schema"] for addendum in read_addenda(record)] == [1, 2]


OTHER_DEVIATION = "tells of another deviation than the record has"
OTHER_RECORD = "says of the record what its manifest does not"
NOT_OURS = "is not as the kit writes it"


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        pytest.param(lambda data: data["deviation"].update(criticality="minor"), OTHER_DEVIATION, id="criticality"),
        pytest.param(lambda data: data["deviation"].update(title="Nothing"), OTHER_DEVIATION, id="title"),
        pytest.param(lambda data: data["deviation"].update(resource="another"), OTHER_DEVIATION, id="resource"),
        pytest.param(lambda data: data["deviation"].update(evidence=["E0001"]), OTHER_DEVIATION, id="evidence"),
        pytest.param(lambda data: data["deviation"].update(id="DEV-09"), OTHER_DEVIATION, id="unknown deviation"),
        pytest.param(lambda data: data["deviation"].pop("resource"), OTHER_DEVIATION, id="no resource"),
        pytest.param(lambda data: data["record"].update(verdict="PASS"), OTHER_RECORD, id="verdict"),
        pytest.param(lambda data: data["record"].update(aws_account="111122223333"), OTHER_RECORD, id="account"),
        pytest.param(lambda data: data.pop("record"), NOT_OURS, id="no record"),
        pytest.param(lambda data: data.update(schema=1), NOT_OURS, id="earlier schema, later members"),
        pytest.param(lambda data: data.update(schema=3), NOT_OURS, id="later schema"),
        pytest.param(lambda data: data.update(schema=[2]), NOT_OURS, id="no schema"),
        pytest.param(lambda data: (as_first(data), data["deviation"].update(message="")), OTHER_DEVIATION, id="first"),
    ],
)
def test_what_differs_from_the_record_is_rejected(record, edit, why):
    rewrite(record, edit)
    with pytest.raises(RejectionError) as error:
        read_addenda(record)
    assert error.value.message.startswith("addenda/01-DEV-01")
    assert why in error.value.message


@pytest.mark.parametrize("notebook", [b"[]", b"{", b'{"cells": [{"outputs": 1}]}'], ids=["list", "cut", "no outputs"])
def test_a_notebook_that_is_none_is_rejected_by_name(record, notebook):
    (record / "record.ipynb").write_bytes(notebook)
    with pytest.raises(RejectionError, match=r"record\.ipynb is not as the kit writes it"):
        read_addenda(record)
