"""The capacity plan: what runs ask is what is committed, its tables are simulated, and the simulation is sound."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from capacity import COMMITTED
from fixtures import scale_tables
from fixtures.scale_measured import measure_asked
from fixtures.scale_model import Call, Costs, Reading, Run, Target, batches, part_seconds, simulate
from fixtures.scale_tables import Assumed, Plan, tables

from kit.collect.transfers import IN_FLIGHT

DOC = Path(__file__).resolve().parent.parent / "docs" / "scale.md"
MEASURED = json.loads(COMMITTED.read_bytes())
COSTS = Costs(object_cpu=0.001, call_latency=0.5, object_latency=0.1)
REGION = "eu-west-1"


def one(*calls: Call, cpu: float = 0.0, gets: int = 0, account: str = "1") -> Target:
    return Target(account, (Run("IQ", cpu, calls, Reading(0, gets)),))


def test_what_an_account_is_asked_is_what_the_plan_rests_on():
    assert measure_asked() == MEASURED["asked"]


class TestSimulation:
    def test_without_a_pace_one_account_takes_the_sum(self):
        plan = Plan(MEASURED)
        (target,) = plan.own_trails(1)
        outcome = simulate([target], 1, plan.costs, rates={})
        expected = 0.0
        for run in target.runs:
            requests = run.reading.pages + run.reading.gets
            expected += run.cpu + part_seconds(requests, plan.costs.object_latency, plan.costs.object_cpu)
            counts: dict[str, int] = {}
            for call in run.calls:
                counts[call.operation + call.service] = counts.get(call.operation + call.service, 0) + call.count
            # twelve threads, so that thirteen calls take as long as two
            expected += sum(-(-count // 12) * plan.costs.call_latency for count in counts.values())
        assert outcome.seconds == pytest.approx(expected)

    @pytest.mark.parametrize(("rate", "seconds"), [(4, 25.25), (2, 50.0), (1, 99.5)])
    def test_a_pace_halved_doubles_the_time_that_it_bounds(self, rate, seconds):
        outcome = simulate([one(Call("kms", "DescribeKey", REGION, 100))], 1, COSTS, {"kms": rate})
        assert outcome.seconds == pytest.approx(99 / rate + COSTS.call_latency)
        assert outcome.seconds == pytest.approx(seconds)

    def test_regions_are_asked_side_by_side_and_operations_one_after_another(self):
        regions = [Call("cloudtrail", "DescribeTrails", f"r{number}", 1) for number in range(12)]
        assert simulate([one(*regions)], 1, COSTS).seconds == pytest.approx(0.5)
        assert simulate([one(*regions, Call("kms", "ListGrants", REGION, 1))], 1, COSTS).seconds == pytest.approx(1.0)

    def test_workers_share_targets_and_the_last_one_ends_the_round(self):
        targets = [one(cpu=seconds) for seconds in (5, 1, 1, 1)]
        assert [simulate(targets, workers, COSTS).seconds for workers in (1, 2, 3, 9)] == [8, 5, 5, 5]
        assert simulate(targets, 2, COSTS).cpu == 8

    def test_objects_are_bound_by_what_is_in_flight_or_by_the_processor(self):
        waits, works = 10.0, 0.5
        assert part_seconds(IN_FLIGHT, waits, 0.0) == waits
        assert part_seconds(IN_FLIGHT + 1, waits, 0.0) == 2 * waits
        assert part_seconds(1000, 0.0, works) == pytest.approx(500)
        assert part_seconds(1000, waits, works) == pytest.approx(500 + waits)
        assert simulate([one(gets=1000)], 1, COSTS).trace.peak_reads() == pytest.approx(
            1000 / part_seconds(1000, 0.1, 0.001)
        )

    @pytest.mark.parametrize("workers", [1, 16, 64])
    def test_no_second_of_a_round_over_a_thousand_accounts_exceeds_a_quota(self, workers):
        plan = Plan(MEASURED)
        for targets in (plan.own_trails(1000), plan.one_trail(1000, plan.parts)):
            trace = simulate(targets, workers, plan.costs).trace
            for what, service, operations, quota, _ in scale_tables._QUOTAS:
                assert 0 < trace.peak(service, operations) <= quota, what
            assert 0 < trace.peak_reads() <= min(scale_tables.DECRYPT_QUOTA, scale_tables.GET_QUOTA)

    def test_a_round_that_is_too_hasty_is_seen(self):
        calls = Call("cloudtrail", "DescribeTrails", REGION, 40)
        quick = replace(COSTS, call_latency=0.01)
        assert simulate([one(calls)], 1, quick).trace.peak("cloudtrail") == 5
        assert simulate([one(calls, account=str(n)) for n in range(3)], 3, quick).trace.peak("cloudtrail") == 5
        # of those that share an account, each begins with a call at once
        assert simulate([one(calls)] * 2, 2, quick).trace.peak("cloudtrail") == 6
        assert simulate([one(calls)] * 3, 3, quick).trace.peak("cloudtrail") == 6
        assert simulate([one(calls)] * 3, 3, quick, rates={"cloudtrail": 15}).trace.peak("cloudtrail") == 15

    def test_a_window_is_divided_as_the_kit_divides_it(self):
        assert list(batches(1, 1560)) == [3]
        assert sum(batches(365, 1560)) == 367
        assert max(batches(365, 1560)) * 1560 <= 2 * 20_000


class TestDocument:
    @pytest.mark.parametrize(
        "name", ["inputs", "calls", "nights", "organization", "quotas", "year", "money", "backfill"]
    )
    def test_a_table_is_what_the_simulation_gives(self, name, made):
        shown = re.search(rf"<!-- {name} -->\n((?:\|.*\n)+)", DOC.read_text(encoding="utf-8"))
        assert shown is not None
        assert shown[1] == made[name] + "\n"

    def test_no_table_is_left_out(self, made):
        assert set(re.findall(r"<!-- (\w+) -->", DOC.read_text(encoding="utf-8"))) == set(made)

    def test_a_price_that_is_replaced_moves_the_money_alone(self, made):
        dear = tables(MEASURED, Assumed(kms_price=30))
        assert {name for name in made if dear[name] != made[name]} == {"inputs", "money"}


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return tables(MEASURED)
