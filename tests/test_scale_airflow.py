"""The example for Airflow: what its operators are given is executed as they execute it, and comes to sealed records."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import jinja2
import papermill
import pytest
import yaml
from fixtures.runs import PEOPLE

from kit.record.verification.verify import verify
from kit.sandbox.server import Sandbox

ROOT = Path(__file__).resolve().parent.parent
DAG_FILE = ROOT / "docs" / "scale" / "airflow_dag.py"
BIN = Path(sys.executable).parent

# A day ago: whenever this runs, the day before it has all its digests.
RUN_AFTER = datetime.now(UTC).replace(hour=4, minute=0, second=0, microsecond=0) - timedelta(days=1)
CONTEXT = {
    "run_id": f"scheduled__{RUN_AFTER.isoformat()}",
    "dag_run": SimpleNamespace(run_after=RUN_AFTER),
    "macros": SimpleNamespace(
        ds_add=lambda ds, days: (datetime.fromisoformat(ds) + timedelta(days=days)).strftime("%Y-%m-%d")
    ),
}


class Dag:
    """Stands in for airflow.sdk.DAG: takes note of its tasks, in the order in which they were made."""

    made: dict[str, list[Any]]
    open: list[str]

    def __init__(self, dag_id: str, *, schedule, start_date, catchup, max_active_runs, default_args) -> None:
        assert (schedule, start_date.tzinfo is None) == ("0 4 * * *", False)
        assert (catchup, max_active_runs, default_args) == (False, 1, {"retries": 0})
        self.dag_id = dag_id

    def __enter__(self) -> "Dag":
        Dag.made[self.dag_id] = []
        Dag.open.append(self.dag_id)
        return self

    def __exit__(self, *_: object) -> None:
        Dag.open.pop()


class Operator:
    """What both operators share: rendered fields, as Airflow renders its templated ones, and an order."""

    def __init__(self, task_id: str, fields: dict[str, Any], trigger_rule: str = "all_success") -> None:
        self.task_id, self.trigger_rule = task_id, trigger_rule
        self.upstream: list[str] = []
        self.fields = rendered(fields)
        Dag.made[Dag.open[-1]].append(self)

    def __rshift__(self, other: "Operator") -> "Operator":
        other.upstream.append(self.task_id)
        return other


class Papermill(Operator):
    """Stands in for PapermillOperator of apache-airflow-providers-papermill, by the arguments that its page names."""

    def __init__(self, *, task_id, input_nb=None, output_nb=None, parameters=None, kernel_name=None) -> None:
        fields = {"input_nb": input_nb, "output_nb": output_nb, "parameters": parameters, "kernel_name": kernel_name}
        super().__init__(task_id, fields)

    def execute(self) -> None:
        """Execute as the operator does: inputs hidden, no progress bar."""
        papermill.execute_notebook(
            self.fields["input_nb"],
            self.fields["output_nb"],
            parameters=self.fields["parameters"],
            progress_bar=False,
            report_mode=True,
            kernel_name=self.fields["kernel_name"],
        )


class Bash(Operator):
    """Stands in for BashOperator of apache-airflow-providers-standard."""

    def __init__(self, *, task_id, bash_command, env=None, append_env=False, trigger_rule="all_success") -> None:
        super().__init__(task_id, {"bash_command": bash_command, "env": env or {}}, trigger_rule)
        self.append_env = append_env

    def execute(self) -> subprocess.CompletedProcess[str]:
        command = ["bash", "-c", self.fields["bash_command"]]
        environment = os.environ | self.fields["env"] if self.append_env else self.fields["env"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def rendered(value: Any) -> Any:
    """Return templates rendered: Airflow goes into lists and mappings, and leaves the rest."""
    if isinstance(value, str):
        environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701 - no page
        environment.filters["ds"] = lambda moment: moment.strftime("%Y-%m-%d")
        return environment.from_string(value).render(CONTEXT)
    if isinstance(value, dict):
        return {key: rendered(one) for key, one in value.items()}
    return [rendered(one) for one in value] if isinstance(value, list) else value


@pytest.fixture
def home(tmp_path: Path, monkeypatch) -> Path:
    """The HOME of the DAG file: the kit, its notebooks and a kernel as docs/scale.md sets them up."""
    for name in ("parameters", "executed", "outputs", "venv"):
        (tmp_path / name).mkdir()
    (tmp_path / "venv" / "bin").symlink_to(BIN)
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    install = ["-m", "ipykernel", "install", "--prefix", tmp_path / "airflow", "--name", "trailkit"]
    told = ["--env", "TRAILKIT_OUTPUT", tmp_path / "outputs"]
    subprocess.run([sys.executable, *install, *told], check=True, capture_output=True)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "airflow" / "share" / "jupyter"))
    monkeypatch.setenv("TRAILKIT_HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path


@pytest.fixture
def dags(home: Path) -> Iterator[dict[str, dict[str, Operator]]]:
    """The tasks of each DAG of the file, by id; the account is the embedded one."""
    with Sandbox(["rotation-off"], {"hours": 96}) as sandbox:
        told = sandbox.parameters | {"execution": PEOPLE}
        (home / "parameters" / "account.yaml").write_text(yaml.safe_dump(told), encoding="utf-8")
        made = {
            "airflow.providers.papermill.operators.papermill": {"PapermillOperator": Papermill},
            "airflow.providers.standard.operators.bash": {"BashOperator": Bash},
            "airflow.sdk": {"DAG": Dag},
        }
        modules = {}
        for name, members in made.items():
            modules[name] = ModuleType(name)
            vars(modules[name]).update(members)
        Dag.made, Dag.open = {}, []
        code = compile(DAG_FILE.read_text(encoding="utf-8"), str(DAG_FILE), "exec")
        with patch.dict(sys.modules, modules), patch.dict(os.environ, sandbox.environment):
            exec(code, {"__name__": "dag"})  # noqa: S102 - the example itself
            yield {name: {task.task_id: task for task in tasks} for name, tasks in Dag.made.items()}


def manifests(home: Path) -> dict[str, Any]:
    found = [json.loads(path.read_bytes()) for path in (home / "outputs").glob("*/manifest.json")]
    return {one["record_id"].split("-")[0]: one for one in found}


@pytest.mark.slow
def test_papermill_operator_and_seal_come_to_a_record_and_its_verdict(dags, home):
    tasks = dags["trailkit_papermill"]
    assert {name: task.upstream for name, task in tasks.items()} == {
        "execute_iq": [], "seal_iq": ["execute_iq"], "execute_oq": [], "seal_oq": ["execute_oq"],
    }  # fmt: skip
    statuses = {}
    for protocol in ("iq", "oq"):
        assert tasks[f"execute_{protocol}"].execute() is None
        done = tasks[f"seal_{protocol}"].execute()
        statuses[protocol] = done.returncode, done.stderr
    # the fault is of the IQ alone
    assert statuses == {"iq": (1, ""), "oq": (0, "")}
    hold_records(home, IQ="FAIL", OQ="PASS")


@pytest.mark.slow
def test_the_command_comes_to_the_same_record_and_its_verdict(dags, home):
    iq, oq = dags["trailkit"].values()
    assert (oq.upstream, oq.trigger_rule) == (["iq"], "all_done")
    assert oq.fields == rendered(
        {**iq.fields, "bash_command": iq.fields["bash_command"].replace(" run iq ", " run oq ")}
    )
    done = iq.execute()
    assert (done.returncode, done.stderr) == (1, "")
    hold_records(home, IQ="FAIL")


def hold_records(home: Path, **verdicts: str) -> None:
    """Hold that each protocol has a record that verifies, of the day that is over, with the run's reason."""
    found = manifests(home)
    assert {name: one["verdict"] for name, one in found.items()} == verdicts
    day = RUN_AFTER.replace(hour=0)
    for one in found.values():
        record = home / "outputs" / one["record_id"]
        assert list(verify(record))
        shown = json.loads((record / "record.ipynb").read_text(encoding="utf-8"))
        text = json.dumps(shown)
        assert f"{day - timedelta(days=1):%Y-%m-%dT00:00:00}" in text
        assert f"Airflow {CONTEXT['run_id']}" in text
