"""What a notebook talks to: begin a run, collect, take the steps one by one, conclude.

A step that fails is a finding and no exception. What the user can mend (wrong parameters, no credentials) is a
`KitError`, shown as a card in place of a traceback; the notebook then stops, and never reaches its conclusion.
"""

import atexit
import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit import __version__
from kit.canonical import Json, canonical, sha256, well_formed
from kit.catalogue import Protocol, protocol
from kit.errors import ExecutionError, RecordError
from kit.evidence import INDEX, EvidenceStore, index_sha256, new_id, timestamp, utc_now
from kit.findings import Verdict, count
from kit.jupyter import progress_shown, show, show_kit_errors_as_cards, tell_progress
from kit.parameters import RunParameters
from kit.present.displays import Display
from kit.present.period_runs import runs
from kit.record import results
from kit.record.earlier import latest_record, qualification
from kit.record.folders import hold
from kit.record.history import settle, start, target_of
from kit.record.kit_qualification import TOOL, kit_qualification
from kit.record.manifest import APPROVAL, EVIDENCE, RUNS
from kit.record.register import Register, locked_register
from kit.remediation.plan import plan
from kit.remediation.told import changes
from kit.sections import Window
from kit.snapshot import Reason, Snapshot, answers

if TYPE_CHECKING:
    from kit.collect.cluster import Cluster
    from kit.collect.outputs import OutputsFolder
    from kit.collect.summary import TargetFolders

OUTPUT_VARIABLE = "TRAILKIT_OUTPUT"
APPROVED_VARIABLE = "TRAILKIT_APPROVED"
CLUSTER_VARIABLE = "TRAILKIT_DASK"
THREADS = 12
INSTALLATION, OPERATION, REVIEW, SUMMARY = "IQ", "OQ", "PQ", "VS"

_PACKAGES = ("boto3", "botocore", "ipykernel", "matplotlib", "nbconvert", "papermill", "pydantic", "weasyprint")


def outputs_folder() -> Path:
    """Return where runs and records go: `TRAILKIT_OUTPUT`, else the nearest `outputs` folder at or above this one."""
    if named := os.environ.get(OUTPUT_VARIABLE):
        return Path(named)
    here = Path.cwd()
    found = (folder / "outputs" for folder in (here, *here.parents) if (folder / "outputs").is_dir())
    return next(found, here / "outputs")


def begin(
    protocol_id: str,
    *,
    target: Json = "sandbox",
    expected: Json = None,
    window: Json = None,
    execution: Json = None,
    requirements: Json = None,
    remediation: Json = None,
    of_round: Json = None,
) -> "Run":
    """Validate the parameters, open the evidence folder and return the run; shown, it is the identity of the run.

    Raises:
        ParameterError: a parameter is refused; nothing was asked of AWS.
        SandboxError: the target is the embedded account and it can't be started.
        EvidenceError: the evidence folder can't be made.
        RecordError: the start can't be registered, or the approved protocol is another than what this is.
    """
    show_kit_errors_as_cards()
    named = {
        "target": target,
        "expected": expected,
        "window": window,
        "execution": execution,
        "requirements": requirements,
        "remediation": remediation,
        "of_round": of_round,
    }
    parameters = RunParameters.load({name: value for name, value in named.items() if value is not None})
    of = protocol(protocol_id)
    approved = os.environ.get(APPROVED_VARIABLE)
    if not approved:
        return Run(of, parameters)
    # imported here: only a run of an approved protocol needs to read signatures
    from kit.record.verification.approval import hold_approval, read_approval  # noqa: PLC0415

    approval = read_approval(Path(approved))
    hold_approval(approval, of, parameters)
    run = Run(of, parameters, approval.to_json())
    run.keep(Path(approved))
    return run


class Run:
    """One execution of a protocol: its parameters, what it collected, and the verdicts so far.

    Shown in a notebook, it and whatever its methods return is a card; printed, a line.

    >>> run = begin("IQ", target="sandbox")
    >>> run.collect()
    <collection>
    >>> run.step("IQ-08")
    <step IQ-08 PASS>
    >>> run.verdict.value  # the other ten test cases were not executed
    'INCONCLUSIVE'
    >>> len(run.deviations().data["rows"])
    10
    >>> run.step("IQ-99")
    Traceback (most recent call last):
    kit.errors.ExecutionError: IQ has no test case 'IQ-99'...
    """

    def __init__(self, of: Protocol, parameters: RunParameters, approval: Mapping[str, Json] | None = None) -> None:
        started = utc_now()
        self.id = new_id(of.id, started)
        self.protocol = of
        self.started = timestamp(started)
        self.demonstration = parameters.demonstration
        self._approval = approval
        self._steps: dict[str, dict[str, Json]] = {}
        self._snapshot: Snapshot | None = None
        self._credentials: Mapping[str, str] = {}
        self._cluster: Cluster | None = None
        if parameters.sandbox:
            parameters, self._credentials = _open_sandbox(parameters, delivers=of.id == OPERATION)
        self.parameters = parameters
        self._outputs = outputs_folder()
        with locked_register(self._outputs) as register:
            # first: a qualification that was sealed and not registered yet is then registered
            settle(register, self._outputs)
            self._kit = self._qualified(register)
            self._registered = start(register, self._outputs, self.id, self._told())
            self._store = EvidenceStore(self._outputs / RUNS / self.id / EVIDENCE)
            # for as long as this process lives, so that the next start can tell a run under way from a dead one
            self._held = hold(self._store.folder.parent)

    def _qualified(self, register: Register) -> dict[str, Json] | None:
        """Return what qualifies the kit; nothing is asked of that by the run that is to qualify it."""
        if self.protocol.id == TOOL:
            return None
        return kit_qualification(self._outputs, register.entries, demonstration=self.demonstration)

    def keep(self, approved: Path) -> None:
        """Keep the approved protocol with the run, for its record.

        Raises:
            RecordError: it can't be copied.
        """
        try:
            shutil.copyfile(approved, self._store.folder.parent / APPROVAL)
        except OSError as error:
            raise RecordError(f"{approved} can't be kept: {error.strerror}", "free space, and run again") from error

    def _told(self) -> dict[str, Json]:
        """Return what the register holds of the start of this run."""
        return {
            "target": target_of(self.protocol.id, self.parameters),
            "protocol": {"id": self.protocol.id, "version": self.protocol.version},
            "approval": self._approval["sha256"] if self._approval else None,
            **self._facts(),
        }

    def _facts(self) -> dict[str, Json]:
        """Return what the register and the notebook say alike of the start of this run."""
        told = self.parameters.to_json()
        return {
            "kit_version": __version__,
            "kit_qualification": self._kit,
            "catalogue_sha256": self.protocol.sha256,
            "own_checks": [dict(one) for one in self.protocol.own],
            "started": self.started,
            "demonstration": self.demonstration,
            "parameters_sha256": sha256(canonical(told)),
            **told["execution"],
        }

    def __repr__(self) -> str:
        return f"<run {self.id}, {len(self._steps)} of {len(self.protocol.test_cases)} test cases executed>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return self.identity()._repr_mimebundle_(include, exclude)

    def identity(self) -> Display:
        """Return what identifies the run: protocol, parameters, who, when, and with which versions."""
        told = self.parameters.to_json()
        return Display(
            "run",
            {
                "run_id": self.id,
                "protocol": results.protocol_data(self.protocol),
                "python": platform.python_version(),
                "platform": platform.platform(),
                "packages": {name: version(name) for name in _PACKAGES},
                "approval": self._approval,
                **self._registered,
                **self._facts(),
                **{name: value for name, value in told.items() if name != "execution"},
            },
        )

    def collect(self) -> Display:
        """Read everything the protocol judges, once, and return what was asked and what gave no answer.

        Raises:
            CredentialsError: no AWS credentials can be found.
            EvidenceError: an answer can't be recorded.
            ParameterError: the cluster that is to read the objects does not answer.
            ExecutionError: the run has collected before: its steps would rest on two states of the account; or the
                cluster did not read what it was to read.
        """
        if self._snapshot is not None:
            raise ExecutionError("this run has collected already", "run the whole notebook again, from the top")
        # imported here: only a run that reaches AWS needs boto3
        from kit.collect.cluster import Cluster  # noqa: PLC0415
        from kit.collect.gather import gather  # noqa: PLC0415

        address = os.environ.get(CLUSTER_VARIABLE)
        # the embedded account is reached from this process alone
        self._cluster = Cluster(address) if address and not self._credentials else None
        with ThreadPoolExecutor(THREADS) as executor, progress_shown() as progress:
            self._snapshot = gather(
                self.protocol.id,
                self.parameters,
                self._store,
                self._credentials,
                executor,
                progress,
                self._earlier_runs(),
                self._cluster,
            )
        return self._collection(self._snapshot)

    def _earlier_runs(self) -> "OutputsFolder | TargetFolders | None":
        """Return what earlier runs left, for a review or a summary of it."""
        # imported here as `gather` is
        if self.protocol.id == REVIEW:
            from kit.collect.outputs import OutputsFolder  # noqa: PLC0415

            return OutputsFolder(self._outputs, self.id, self.parameters)
        if self.protocol.id == SUMMARY and self.parameters.of_round:
            from kit.collect.summary import TargetFolders  # noqa: PLC0415

            return TargetFolders(self._outputs, self.parameters.of_round.id)
        return None

    def plan(self) -> Display:
        """Return the plan for what was collected: what would mend it, step by step, and what is left to the operator.

        Raises:
            ExecutionError: nothing was collected yet.
        """
        return Display("plan", plan(self._collected("the plan"), self.parameters).to_json())

    def remediate(self) -> Display:
        """Carry out the plan that the parameters approve, wait for a delivery and collect anew; return what changed.

        From here on the steps judge the account as it is after the changes. Where no plan was approved, nothing is
        changed.

        Raises:
            ExecutionError: nothing was collected yet.
            PlanError: the plan for what was collected is not the one that was approved; nothing was changed.
            CredentialsError: no AWS credentials can be found.
            EvidenceError: an answer can't be recorded.
        """
        before = self._collected("the plan's execution")
        # imported here: only a run that reaches AWS needs boto3
        from kit.collect.gather import gather_changed  # noqa: PLC0415

        with ThreadPoolExecutor(THREADS) as executor, progress_shown() as progress:
            after = gather_changed(before, self.parameters, self._store, self._credentials, executor, progress)
        self._snapshot = after
        return Display("changes", changes(after.remediation, self.parameters) if after.remediation else {})

    def _collection(self, snapshot: Snapshot) -> Display:
        # that a role is refused what it must not read is no gap in what was collected
        sent = (snapshot.refusal.assumed, snapshot.refusal.listed) if snapshot.refusal else ()
        asked = [*answers(replace(snapshot, refusal=None)), *answers(sent)]
        silent = [answer for answer in asked if answer.absence and not answer.missing]
        denied = sum(answer.absence is not None and answer.absence.reason is Reason.DENIED for answer in silent)
        index = self._store.folder / INDEX
        return Display(
            "collection",
            well_formed(
                {
                    "finished": timestamp(utc_now()),
                    "regions": sorted(snapshot.regions),
                    "calls": self._store.count,
                    "denied": denied,
                    "failed": len(silent) - denied,
                    "caller": self._caller(),
                    "period": _period(snapshot),
                    "evidence": {"count": self._store.count, "bytes": self._store.bytes + _size(index)},
                    "trails": [
                        {
                            "arn": trail.arn,
                            "home_region": trail.home_region,
                            "kind": "organization trail" if trail.description.get("IsOrganizationTrail") else "trail",
                            "seen in": f"{len(trail.seen_in)} Region(s)",
                            "judged": trail.judged,
                        }
                        for trail in snapshot.trails
                    ],
                    "notes": [*dict.fromkeys(answer.why for answer in silent), *self._who_read()],
                }
            ),
        )

    def _who_read(self) -> Iterator[str]:
        """Yield in words who read objects besides the caller."""
        if self._cluster and self._cluster.read:
            read = count(self._cluster.read, "object")
            yield f"{read} were read by the workers of the cluster {self._cluster.address}, each signed in for itself."

    def _caller(self) -> dict[str, Json] | None:
        """Return who collected, as STS said; None where nothing was collected, or STS did not say."""
        caller = self._snapshot.caller.value if self._snapshot else None
        return {"account": caller.account, "arn": caller.arn} if caller else None

    def step(self, test_case_id: str) -> Display:
        """Judge one test case on what was collected, and return its card.

        Raises:
            ExecutionError: nothing was collected yet, or the protocol has no such test case.
        """
        case = self.protocol.test_cases.get(test_case_id)
        if case is None:
            known = ", ".join(self.protocol.test_cases)
            raise ExecutionError(f"{self.protocol.id} has no test case {test_case_id!r}", f"name one of {known}")
        snapshot = self._collected(test_case_id)
        started = timestamp(utc_now())
        findings = case.judge(snapshot, self.parameters)
        self._steps[case.id] = results.step_data(case, findings, started, timestamp(utc_now()))
        tell_progress("Test cases", len(self._steps), len(self.protocol.test_cases))
        return Display("step", self._steps[case.id])

    def own_steps(self) -> None:
        """Show what a team added to the protocol, and judge and show each of its test cases in turn.

        Raises:
            ExecutionError: nothing was collected yet.
        """
        show(Display("own_checks", {"checks": [dict(one) for one in self.protocol.own]}))
        for test_case_id in self.protocol.own_test_cases:
            show(self.step(test_case_id))

    def _collected(self, wanted: str) -> Snapshot:
        if self._snapshot is None:
            raise ExecutionError(f"{wanted} was asked for before anything was collected", "run the cells in order")
        return self._snapshot

    @property
    def steps(self) -> list[Mapping[str, Json]]:
        """The data of every step of the protocol, in its order; a step that was not taken is NOT_EXECUTED."""
        return results.all_steps(self.protocol, self._steps)

    @property
    def verdict(self) -> Verdict:
        """The verdict over all steps of the protocol."""
        return results.verdict_of(self.steps)

    def summary(self) -> Display:
        """Return the verdict of each test case, and over all."""
        return Display("summary", results.summary(self.steps))

    def traceability(self) -> Display:
        """Return which requirement and clause each test case answers, with its verdict and evidence."""
        requirements = self.parameters.to_json()["requirements"]
        return Display("traceability", results.traceability(self.steps, requirements))

    def chart(self, name: str) -> Display:
        """Return one of the charts of the protocol: `verdicts`, `controls`; of what was delivered `coverage`, `chain`,
        `encryption`, `lag` and `key_use`; of a period `timeline`, `changes`, `days` and `objects`; of the kit itself
        `detection_settings`, `detection_deliveries` and `detection_others`.

        Raises:
            ExecutionError: nothing was collected yet, or there is no such chart.
        """
        # imported here: matplotlib takes longer to import than everything before it
        from kit.present.run_charts import CHARTS  # noqa: PLC0415

        if name not in CHARTS:
            raise ExecutionError(f"there is no chart {name!r}", f"name one of {', '.join(CHARTS)}")
        return CHARTS[name](self.steps, self._collected(f"the chart {name}"), self.parameters)

    def qualification(self) -> Display:
        """Return the installation qualification that this run builds on, and what it judged that is otherwise now."""
        snapshot = self._collected("the installation qualification")
        earlier = latest_record(self._outputs, INSTALLATION, self.parameters)
        return Display("qualification", qualification(earlier, snapshot, self.parameters))

    def runs(self) -> Display:
        """Return the registered runs of the period under review, each with verdict, digest, and whether it holds."""
        return runs(self._collected("the runs of the period"))

    def deviations(self) -> Display:
        """Return what did not pass, each with an id under which its deviation is handled."""
        steps = self.steps
        return Display("deviations", results.deviations(results.findings_of(steps), steps))

    def conclude(self) -> Display:
        """Close the run: its verdict, all findings, and the hashes that tie them and the evidence to this notebook.

        Raises:
            RecordError: the verdict can't be registered.
        """
        steps = self.steps
        findings = results.findings_of(steps)
        hashes = {
            "findings_sha256": sha256(canonical(findings)),
            "evidence_sha256": index_sha256(self._store.folder),
        }
        finished = timestamp(utc_now())
        with locked_register(self._outputs) as register:
            # whoever sees a verdict and leaves the run unsealed does not make it vanish
            told = {"verdict": self.verdict.value, "finished": finished, "caller": self._caller(), **hashes}
            register.append("concluded", self.id, told)
        return Display(
            "conclusion",
            {
                "run_id": self.id,
                "verdict": self.verdict.value,
                "findings": findings,
                **hashes,
                "evidence_count": self._store.count,
                "finished": finished,
                "counts": results.counts(steps),
                **{name: list(getattr(self.protocol, name)) for name in ("scope", "exclusions", "limitations")},
            },
        )

    def signatures(self) -> Display:
        """Return the block for the signatures of executor, reviewer and approver [21 CFR 11.50]."""
        executed_by = self.parameters.execution.executed_by
        roles = [{"role": "Executed by", "name": executed_by}, {"role": "Reviewed by"}, {"role": "Approved by"}]
        note = "Each signature states the printed name, the date and time (UTC), and its meaning."
        return Display("signatures", {"roles": roles, "note": note})


def _period(snapshot: Snapshot) -> dict[str, Json] | None:
    """Return the period under review, and up to when its digests must be there; None where no delivery was read."""
    if snapshot.review is not None and not isinstance(snapshot.review, str):
        start, end = snapshot.review.period
        return {"start": timestamp(start), "end": timestamp(end), "judged_to": timestamp(min(snapshot.review.now, end))}
    read = next((each for each in snapshot.deliveries.values() if not isinstance(each, str)), None)
    if read is None:
        return None
    start, end = read.window
    return {"start": timestamp(start), "end": timestamp(end), "judged_to": timestamp(min(read.settled, end))}


def _open_sandbox(parameters: RunParameters, *, delivers: bool) -> tuple[RunParameters, Mapping[str, str]]:
    """Start the embedded account and return the parameters that point to it; what was stated is kept.

    Where the protocol judges what was delivered, the account has delivered for the whole window.
    """
    from kit.sandbox.server import CREDENTIALS, Sandbox  # noqa: PLC0415 - only a demonstration needs it

    sandbox = Sandbox(delivery=_delivered(parameters.window) if delivers else None)
    sandbox.start()
    atexit.register(sandbox.stop)
    told = parameters.to_json()
    given = {name: value for name, value in told["expected"].items() if value not in (None, [], {})}
    filled = told | {"target": sandbox.parameters["target"], "expected": sandbox.parameters["expected"] | given}
    return RunParameters.load(filled), CREDENTIALS


def _delivered(window: Window) -> dict[str, Json]:
    if window.start is None or window.end is None:
        return {"hours": window.hours}
    return {"hours": -((window.start - window.end) // timedelta(hours=1)), "until": timestamp(window.end)}


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
