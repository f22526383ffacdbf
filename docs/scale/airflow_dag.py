"""trailkit in Airflow 3, in two ways, each a DAG of its own: keep one. docs/scale.md says which, and what they need.

HOME is one folder that every Airflow worker sees: `venv` with the kit, apart from Airflow's own packages; `notebooks`
and the reviewed `parameters/account.yaml`; `executed` and `outputs`, where executed notebooks and records go.
"""

import os
from datetime import UTC, datetime
from pathlib import Path

import yaml
from airflow.providers.papermill.operators.papermill import PapermillOperator
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

HOME = Path(os.environ.get("TRAILKIT_HOME", "/srv/trailkit"))
PARAMETERS = HOME / "parameters" / "account.yaml"
COMMAND = f"{HOME}/venv/bin/trailkit"
NOTEBOOKS = {"iq": "iq_trail_encryption", "oq": "oq_log_integrity"}

# At 04:00 the day before has all its digests. What did not pass is not tried again until it does, and no run overtakes
# another in the register.
SCHEDULED = {
    "schedule": "0 4 * * *",
    "start_date": datetime(2026, 1, 1, tzinfo=UTC),
    "catchup": False,
    "max_active_runs": 1,
    "default_args": {"retries": 0},
}
TODAY = "dag_run.run_after | ds"
WINDOW = {"start": f"{{{{ macros.ds_add({TODAY}, -1) }}}}T00:00:00Z", "end": f"{{{{ {TODAY} }}}}T00:00:00Z"}
REASON = "Airflow {{ run_id }}"  # a repeat needs a reason

# 1. The command: a task for each protocol, whose status is the verdict.
with DAG("trailkit", **SCHEDULED):
    iq, oq = (
        BashOperator(
            task_id=protocol,
            bash_command=f"{COMMAND} run {protocol} --parameters {PARAMETERS} --output {HOME}/outputs"
            ' --fail-on inconclusive --set "execution.reason=$REASON" --set "window={start: $START, end: $END}"',
            env={"REASON": REASON, "START": WINDOW["start"], "END": WINDOW["end"]},
            append_env=True,
            trigger_rule="all_done",  # an OQ is executed whatever the IQ's verdict was
        )
        for protocol in NOTEBOOKS
    )
    iq >> oq

# 2. PapermillOperator, and `trailkit seal`, whose status is the verdict: papermill's own is no verdict.
with DAG("trailkit_papermill", **SCHEDULED):
    told = yaml.safe_load(PARAMETERS.read_text(encoding="utf-8"))
    told |= {"window": WINDOW, "execution": told["execution"] | {"reason": REASON}}
    for protocol, notebook in NOTEBOOKS.items():
        executed = f"{HOME}/executed/{protocol}-{{{{ run_id }}}}.ipynb"
        execute = PapermillOperator(
            task_id=f"execute_{protocol}",
            input_nb=f"{HOME}/notebooks/{notebook}.ipynb",
            output_nb=executed,
            parameters=told,
            kernel_name="trailkit",
        )
        seal = BashOperator(
            task_id=f"seal_{protocol}",
            bash_command=f'{COMMAND} seal "{executed}" --output {HOME}/outputs --fail-on inconclusive',
            append_env=True,
        )
        execute >> seal
