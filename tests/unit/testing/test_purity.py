"""Goal: a closure that looks at the clock, at chance or at the world is found out, and one that only computes is left
alone. Method: closures of each kind under the guard.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from relmachine.errors import Code, RelmError
from relmachine.testing import assert_pure, purity
from tests.unit.testing import impure
from tests.unit.testing.impure import IMPURE, Given


def touched(closure: Callable[[Given], object]) -> str:
    before = sys.getprofile()
    with pytest.raises(RelmError) as caught, purity():
        closure(Given())
    assert caught.value.code is Code.IMPURE
    assert sys.getprofile() is before
    assert caught.value.witness["where"]
    return str(caught.value.witness["touched"])


@pytest.mark.parametrize(("what", "closure"), IMPURE.items(), ids=IMPURE)
def test_what_is_touched_is_refused_and_named(what: str, closure: Callable[[Given], object]) -> None:
    assert touched(closure) == what


@pytest.mark.parametrize(
    ("closure", "what"),
    [
        (impure.by_secrets, "os.urandom"),
        (impure.by_subprocess, "subprocess.Popen"),
        (impure.by_writing, "open"),
        (impure.deep, "uuid.uuid4"),
        (impure.swallowing, "time.time"),
        (impure.disguising, "time.time"),
    ],
)
def test_it_is_found_deep_inside_and_when_it_is_hidden(closure: Callable[[Given], object], what: str) -> None:
    assert touched(closure) == what


def test_what_only_computes_is_left_alone() -> None:
    with purity():
        first = impure.pure(Given(text="2"))
    assert first == impure.pure(Given(text="2"))


def test_finalizers_of_strangers_do_not_count() -> None:
    class Stranger:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            time.time()

    gc.collect()
    Stranger()
    with purity():
        made = [[number] for number in range(100_000)]  # enough for the collector to come by
    assert gc.isenabled()
    assert len(made) == 100_000
    gc.collect()


def test_other_threads_and_later_calls_are_free() -> None:
    seen: list[int] = []
    inside, done = threading.Event(), threading.Event()

    def other() -> None:
        inside.wait(30)
        seen.append(len(Path(__file__).read_text()))
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    with purity():
        inside.set()
        done.wait(30)
    thread.join()
    assert seen, "reading a file in another thread was refused"
    assert time.time() > 0


@pytest.mark.parametrize("step", ["by_set_order", "by_address", "by_memory"])
def test_what_no_guard_sees_shows_in_another_outcome(step: str) -> None:
    with pytest.raises(RelmError, match="gives something else") as caught:
        assert_pure(impure.machine, step, [{"text": "x"}], hash_seeds=(1, 2, 3, 4))
    assert caught.value.code is Code.IMPURE
    assert caught.value.witness["first"] != caught.value.witness["other"]


def test_the_order_of_a_set_is_seen_only_by_another_process() -> None:
    assert_pure(impure.machine, "by_set_order", [{}], hash_seeds=())


def test_pure_closures_pass_with_every_payload_and_view() -> None:
    assert_pure(impure.machine, "sorted_out", [{"text": "a"}, Given(text="b")], [{}, {"found": "c"}])
    assert_pure(impure.machine.plan(), "failing", [{"text": "a"}])


def test_the_guard_is_up_while_a_step_is_asserted() -> None:
    with pytest.raises(RelmError, match=r"time\.time was touched"):
        assert_pure(impure.machine, "by_clock", [{}])
    with pytest.raises(RelmError, match=r"time\.time was touched"):  # the closure that `asks` falls back on
        assert_pure(impure.machine, "asks", [{}])
    for step in ("nothing", "noted"):  # unknown, and recorded
        with pytest.raises(RelmError, match="no closure"):
            assert_pure(impure.machine, step, [{}])
