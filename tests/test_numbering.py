"""Evidence has the same ids in every run, whichever answer arrives first."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fixtures.runs import PEOPLE
from hypothesis import given
from hypothesis import strategies as st

from kit.collect.gather import gather
from kit.collect.readers import Readers
from kit.evidence import EvidenceStore, read_index
from kit.numbering import NumberedExecutor, Numbers, number_of
from kit.parameters import RunParameters
from kit.sandbox.server import CREDENTIALS, Sandbox


def test_answers_are_numbered_below_their_question() -> None:
    numbers = Numbers()
    with ThreadPoolExecutor(2) as threads:
        executor = NumberedExecutor(threads, numbers)

        def ask() -> list[str]:
            inner = executor.submit(numbers.new_id).result()
            return [inner, numbers.new_id(), numbers.new_id()]

        first, task, last = numbers.new_id(), executor.submit(ask), numbers.new_id()
        assert (first, task.result(), last) == ("E0001", ["E0002", "E0002.02", "E0002.03"], "E0003")


def test_a_thread_is_where_it_was_after_a_task_that_failed() -> None:
    numbers = Numbers()
    place = numbers.new_place()
    with pytest.raises(ZeroDivisionError), numbers.at(place):
        1 // 0  # noqa: B018 - it raises
    assert numbers.new_id() == "E0002"


Tree = list["Tree"]


@given(st.recursive(st.just([]), lambda inner: st.lists(inner, max_size=4), max_leaves=30), st.randoms())
def test_no_id_is_given_twice_and_none_depends_on_who_is_first(tree: Tree, chance: random.Random) -> None:
    def asked(shuffle: Callable[[list[Callable[[], None]]], None]) -> list[str]:
        numbers, found = Numbers(), list[str]()
        later: list[Callable[[], None]] = []

        def below(place: Any, branches: Tree) -> None:
            with numbers.at(place):
                ask(branches)

        def ask(branches: Tree) -> None:
            found.append(numbers.new_id())
            for branch in branches:
                place = numbers.new_place()
                later.append(partial(below, place, branch))

        ask(tree)
        while later:
            shuffle(later)
            later.pop()()
        return found

    in_order, in_disorder = asked(lambda _: None), asked(chance.shuffle)
    assert len(set(in_order)) == len(in_order)
    assert sorted(in_order) == sorted(in_disorder)
    assert len({number_of(one) for one in in_order}) == len(in_order)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as started:
        yield started


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Answers that come at random, by a seed."""
    ask, lock = Readers._ask, threading.Lock()
    chance = random.Random()  # noqa: S311 - it only lets answers wait

    def late_ask(self: Readers, *args: object) -> object:
        with lock:
            pause = chance.random() / 50
        time.sleep(pause)
        return ask(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Readers, "_ask", late_ask)
    return chance.seed


@pytest.mark.parametrize("protocol_id", ["IQ", "OQ"])
def test_the_same_questions_have_the_same_ids_in_every_run(
    protocol_id: str, late: Callable[[int], None], sandbox: Sandbox, tmp_path: Path
) -> None:
    parameters = RunParameters.load(sandbox.parameters | {"execution": PEOPLE})
    found = []
    for seed in range(4):
        late(seed)
        store = EvidenceStore(tmp_path / str(seed))
        with ThreadPoolExecutor(8) as executor:
            gather(protocol_id, parameters, store, CREDENTIALS, executor, lambda *_, **__: None)
        index = read_index(store.folder)
        found.append(({entry.id: (entry.service, entry.operation, entry.region) for entry in index}, index))
    assert all(ids == found[0][0] for ids, _ in found)
    # and not because the answers came in order
    assert len({tuple(entry.id for entry in index) for _, index in found}) > 1
