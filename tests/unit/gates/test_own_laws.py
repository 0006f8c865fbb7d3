"""Goal: laws of an author's own see what is documented, decide as they are written, and can use up no more than their
limits. Method: hand-made scenes for every word; random laws and threads, judged together in the worker and each alone
by the solver on the law as written; programs without end, without measure and under fire, through the real
process."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from clingo import Control
from pydantic import BaseModel

from relmachine import Budget, Run, Section, View
from relmachine.errors import Code, RelmError
from relmachine.gates import own_law_process
from relmachine.gates.own_law_facts import facts, sights
from relmachine.gates.own_law_process import Answer, Excess, Gone, LawProcess
from relmachine.gates.own_law_terms import text_term, time_term
from relmachine.gates.own_law_vocabulary import VOCABULARY
from relmachine.gates.own_laws import OwnLaws
from relmachine.gates.port import OwnLawCase
from relmachine.kernel.limits import Limits
from relmachine.kernel.verdicts import Refusal
from relmachine.machine.plan import Plan
from tests.unit.gates.own_law_desk import FOUR_EYES, case, desk, law, sighting
from tests.unit.gates.own_laws_at_random import PRINCIPALS, lawful_plan_and_thread

GUARDED = 'guards("determine").'
ENDLESS = law(GUARDED + ' reads(step,"note").', "n(0) :- event(_). n(X+1) :- n(X). violation(X) :- n(X), X < 0.")


class Nothing(BaseModel):
    """A payload without members."""


@pytest.fixture(scope="module")
def process() -> Iterator[LawProcess]:
    one = LawProcess(Limits())
    yield one
    one.close()


def judged(process: LawProcess, text: str, *cases: OwnLawCase, limits: Limits | None = None) -> list[Refusal | None]:
    return list(OwnLaws(desk(law=text).plan(), limits or Limits(), process).decide(cases))


def witnesses(process: LawProcess, text: str, one: OwnLawCase) -> object:
    """What the law says against the step, None when nothing."""
    (refusal,) = judged(process, text, one)
    return None if refusal is None else refusal.witness["violations"]


PLAN = desk().plan()
PAST = [
    sighting(
        "receive", "ann", amount="3", share="5", remark='"a\\"b"', urgent="true", due='"2026-01-02T03:04:05.000006Z"'
    ),
    sighting("check", "ann"),
    sighting("note", "bob"),
    sighting("doubt", "bob"),
    sighting("check", "bob"),
]


@pytest.mark.parametrize(
    ("declared", "rules", "expected"),
    [
        ("", "violation(E) :- candidate(E).", [["this"]]),
        ("", "violation(E) :- step(E,S).", [["this"]]),
        ('reads(step,"check").', "violation(E) :- event(E).", [[2, "check"], [1, "check"]]),
        ('reads(step,"note").', 'violation(E) :- step(E,"note").', [[1, "note"]]),
        (
            'reads(principal,"check").',
            "violation(E,P) :- principal(E,P).",
            [[[1, "check"], "ann"], [[2, "check"], "bob"]],
        ),
        ('reads(principal,"determine").', "violation(E,P) :- principal(E,P).", [["this", "eve"]]),
        ('reads(field,"amount").', 'violation(E,V) :- value(E,"amount",V).', [[[1, "receive"], 3], ["this", 7]]),
        ('reads(field,"share").', 'violation(V) :- value(_,"share",V).', [[5]]),
        ('reads(field,"remark").', 'violation(V) :- value(_,"remark",V).', [['a"b']]),
        ('reads(field,"urgent").', 'violation(V) :- value(_,"urgent",V).', [[True]]),
        ('reads(field,"due").', 'violation(V) :- value(_,"due",V).', [["2026-01-02T03:04:05.000006Z"]]),
        ('reads(claim,"checked").', 'violation(E) :- asserts(E,"checked").', [[2, "check"], [1, "check"]]),
        ('reads(claim,"checked").', 'violation(E) :- contests(E,"checked").', [[1, "doubt"]]),
        ('reads(claim,"printed").', 'violation(E) :- vetoes(E,"printed").', None),
        ('reads(claim,"checked"). reads(claim,"determined").', "violation(C) :- asserted(C).", [["checked"]]),
        ('reads(claim,"checked").', "violation(C) :- contested(C).", None),
        ('reads(claim,"printed").', "violation(C) :- vetoed(C).", None),
        ('reads(claim,"checked").', "violation(C) :- effective(C).", [["checked"]]),
        (
            'reads(claim,"checked").',
            "violation(E,P) :- parent(E,P).",
            [[[1, "check"], [1, "receive"]], [[1, "doubt"], [1, "check"]], [[2, "check"], [1, "doubt"]]],
        ),
    ],
)
def test_every_word_says_what_is_there(process: LawProcess, declared: str, rules: str, expected: object) -> None:
    one = case(PLAN, "determine", PAST, principal="eve", written={"amount": "7"})
    found = witnesses(process, law(GUARDED + declared, rules), one)
    assert _sorted(found) == _sorted(expected)


def _sorted(found: object) -> object:
    """Violations without the ids of events and without order; of many only the first three are told."""
    return found if found is None else sorted((_short(item) for item in found), key=str)[:3]  # type: ignore[attr-defined]


def _short(item: object) -> object:
    match item:
        case {"number": number, "step": step}:
            return [number, step]
        case [int(), str()]:
            return item
        case [one]:
            return _short(one)
        case list():
            return [_short(one) for one in item]
        case _:
            return item


def test_claims_are_told_by_how_they_stand(process: LawProcess) -> None:
    reads = GUARDED + 'reads(claim,"checked"). reads(claim,"printed").'
    past = [sighting("receive"), sighting("check"), sighting("doubt"), sighting("print_out"), sighting("stop")]
    for word, expected in (
        ("asserted", [["checked"], ["printed"]]),
        ("contested", [["checked"]]),
        ("vetoed", [["printed"]]),
        ("effective", None),
    ):
        assert witnesses(process, law(reads, f"violation(C) :- {word}(C)."), case(PLAN, "determine", past)) == expected


def test_a_refusal_names_law_witness_and_the_events_it_speaks_of(process: LawProcess) -> None:
    refused, other = judged(
        process,
        FOUR_EYES,
        case(PLAN, "determine", PAST, principal="ann"),
        case(PLAN, "determine", PAST, principal="eve"),
    )
    assert other is None
    assert refused is not None
    assert refused.code is Code.LAW_BROKEN
    assert (
        refused.sentence
        == "law 'law' forbids step 'determine' here: ann, check no. 1; the witness has what it speaks of"
    )
    assert refused.witness == {
        "law": "law",
        "violations": [["ann", {"step": "check", "number": 1, "event": "check by ann"}]],
        "given": {"principal": "ann"},
    }


def test_a_step_that_no_law_guards_is_not_asked_about(process: LawProcess) -> None:
    starts = process.starts
    laws = OwnLaws(desk(law=law('guards("note").', "violation.")).plan(), Limits(), process)
    assert laws.decide([case(PLAN, "determine", PAST)]) == [None]
    assert (laws.batches, process.starts) == (0, starts)


@pytest.mark.parametrize("seed", range(6))
def test_cases_judged_together_are_judged_as_each_alone_by_the_law_as_written(seed: int, process: LawProcess) -> None:
    """Also with many cases in a batch, and with laws whose cases have nothing in common."""
    rng, asked, broken = Random(seed), 0, 0
    while asked < 60:
        plan, _ = lawful_plan_and_thread(rng.getrandbits(32))
        if plan is None:
            continue
        cases = [_random_case(rng, plan) for _ in range(8)]
        refusals = OwnLaws(plan, Limits(), process).decide(cases)
        for one, refusal in zip(cases, refusals, strict=True):
            expected = next((name for name in _broken_alone(plan, one)), None)
            assert (refusal and refusal.witness["law"]) == expected, one
            asked, broken = asked + 1, broken + (expected is not None)
    assert 5 < broken < asked


def _random_case(rng: Random, plan: Plan) -> OwnLawCase:
    values = ['"a"', '"b"']
    past = [
        sighting(step.name, rng.choice(PRINCIPALS), **{name: rng.choice(values) for name in step.writes})
        for step in rng.choices(plan.steps, k=rng.randint(0, 6))
    ]
    step = rng.choice([plan.steps[plan.step_index[name]] for one in plan.own_laws for name in one.guards])
    written = {name: rng.choice(values) for name in step.writes}
    return case(plan, step.name, past, principal=rng.choice(PRINCIPALS), written=written)


def _broken_alone(plan: Plan, one: OwnLawCase) -> Iterator[str]:
    """The laws that the step breaks, by plain solving: the author's own text, with the facts of this case alone."""
    for sight in sights(plan):
        if one.scene.step.step in sight.law.guards:
            every = replace(sight, lifted=replace(sight.lifted, looks=frozenset(VOCABULARY)))
            plain = [line.replace("(0,", "(", 1).replace("(0).", ".") for line in facts(every, one.scene, 0)]
            control = Control(["--warn=none"])
            control.add("base", [], sight.law.program + "\n".join(plain))
            control.ground([("base", [])])
            with control.solve(yield_=True) as answers:
                (names,) = ({symbol.name for symbol in model.symbols(atoms=True)} for model in answers)
            if "violation" in names:
                yield sight.law.name


@pytest.mark.parametrize(
    ("text", "term"),
    [('a"b\\c\nd', r'"a\"b\\c\nd"'), ('"a"', r'"\"\\\"a\\\"\""'), ("a\0", r'"\"a\\u0000\""'), ("", '""')],
)
def test_texts_are_terms_of_their_own(text: str, term: str) -> None:
    assert text_term(text) == term


def test_any_text_comes_through_the_solver_as_it_is(process: LawProcess) -> None:
    rng = Random(0)
    for _ in range(40):
        text = "".join(rng.choice('ab"\\\n\r\t%{}.():-é→😀\x01\x7f') for _ in range(rng.randint(0, 12)))
        found = process.ask(f"violation(1,{text_term(text)}).")
        assert isinstance(found, dict)
        told = found[1].atoms[0][0]
        assert told == (text if not text.startswith('"') else _json(text))


def _json(text: str) -> str:
    from relmachine.machine.canonical import canonical_text

    return canonical_text(text)


def test_times_compare_as_terms_do() -> None:
    assert time_term("1970-01-01T00:00:00.000000Z") == "at(0,0,0)"
    assert time_term("1969-12-31T23:59:59.000001Z") == "at(-1,86399,1)"
    assert time_term("2011-10-11T11:45:40.276000Z") == "at(15258,42340,276000)"


def test_a_program_without_end_refuses_only_the_case_that_sets_it_going() -> None:
    limits = Limits(own_law_cpu_seconds_max=0.4)
    process = LawProcess(limits)
    try:
        laws = OwnLaws(desk(law=ENDLESS).plan(), limits, process)
        quiet, wild = case(PLAN, "determine"), case(PLAN, "determine", [sighting("note")])
        refusals = laws.decide([quiet, quiet, wild, quiet])
        assert [refusal and refusal.code for refusal in refusals] == [None, None, Code.LAW_LIMIT, None]
        assert refusals[2] is not None
        assert refusals[2].witness == {"law": "law", "limit": "own_law_cpu_seconds_max", "own_law_cpu_seconds_max": 0.4}
    finally:
        process.close()


def test_what_a_run_gives_is_judged_within_the_solver_seconds_of_its_step() -> None:
    """Beside a step without such a bound: together they have the smaller one, and alone each its own."""

    class Bounded(LawProcess):
        def ask(self, text: str, cpu_seconds: float | None = None) -> Answer:
            bounds.append(cpu_seconds)
            return super().ask(text, cpu_seconds)

    bounds: list[float | None] = []
    endless = "n(z) :- event(_). n(f(X)) :- n(X). violation(X) :- n(X), X = w."
    machine = desk(law=law(GUARDED + ' guards("judge"). reads(step,"note").', endless))

    @machine.derivation(budget=Budget(solver_seconds=0.2))
    async def judge(step: Nothing, view: View, run: Run) -> Section:
        return Section()

    limits, plan = Limits(own_law_cpu_seconds_max=20), machine.plan()
    process = Bounded(limits)
    try:
        cases = [case(plan, "determine"), case(plan, "judge", [sighting("note")]), case(plan, "judge")]
        refusals = OwnLaws(plan, limits, process).decide(cases)
        assert [refusal and refusal.witness for refusal in refusals] == [
            None,
            {"law": "law", "limit": "solver_seconds", "solver_seconds": 0.2},
            None,
        ]
        assert bounds == [0.2, 20, 0.2, 0.2]
    finally:
        process.close()


def test_a_program_beyond_its_memory_refuses_only_its_case() -> None:
    limits = Limits(own_law_cpu_seconds_max=120, own_law_memory_bytes_max=160 * 1024 * 1024)
    process = LawProcess(limits)
    large = law(
        GUARDED + 'reads(step,"note").',
        "p(1..300) :- event(_). q(X,Y,Z) :- p(X), p(Y), p(Z). violation(X) :- q(X,X,0).",
    )
    try:
        laws = OwnLaws(desk(law=large).plan(), limits, process)
        refusals = laws.decide([case(PLAN, "determine"), case(PLAN, "determine", [sighting("note")])])
        assert [refusal and refusal.witness["limit"] for refusal in refusals] == [None, "own_law_memory_bytes_max"]
    finally:
        process.close()


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        (Limits(own_law_facts_max=5), "own_law_facts_max"),
        (Limits(own_law_facts_bytes_max=100), "own_law_facts_bytes_max"),
    ],
)
def test_facts_beyond_their_bounds_are_never_asked(process: LawProcess, limits: Limits, name: str) -> None:
    past = [sighting("check", f"p{number}") for number in range(9)]
    few, many = judged(process, FOUR_EYES, case(PLAN, "determine"), case(PLAN, "determine", past), limits=limits)
    assert few is None
    assert many is not None
    assert (many.code, many.witness["limit"]) == (Code.LAW_LIMIT, name)


def test_many_cases_go_in_batches(process: LawProcess) -> None:
    laws = OwnLaws(desk(law=FOUR_EYES).plan(), Limits(own_law_cases_max=4), process)
    cases = [case(PLAN, "determine", PAST, principal=name) for name in ("ann", "eve") * 5]
    assert [refusal is not None for refusal in laws.decide(cases)] == [True, False] * 5
    assert laws.batches == 3


@pytest.mark.parametrize(
    ("rules", "batches"),
    [
        ('violation(V) :- value(this,"amount",V), V > 5.', 1),
        ('violation(V) :- value(this,"amount",V), V+1 > 5.', 3),
        ('violation(V) :- value(this,"amount",V), |V| > 5.', 3),
        ('violation(V) :- value(this,"amount",V), V/2 > 5.', 3),
        ('violation(V) :- value(this,"amount",V), V = 1..9.', 3),
        ('violation(V) :- value(this,"amount",V), not bound(V). bound(-V) :- value(this,"amount",V).', 3),
        ('violation(S) :- S = #sum { V : value(this,"amount",V) }, S > 5.', 3),
        ('violation(S) :- S = #count { V : value(this,"amount",V) }, S > 5.', 1),
    ],
)
def test_steps_are_judged_one_by_one_by_a_law_that_calculates(process: LawProcess, rules: str, batches: int) -> None:
    """What the solver comes upon in one batch must not hang on which steps share it."""
    laws = OwnLaws(desk(law=law('guards("determine"). reads(field,"amount").', rules)).plan(), Limits(), process)
    laws.decide([case(PLAN, "determine", written={"amount": "3"})] * 3)
    assert laws.batches == batches


def test_a_worker_that_died_is_started_again(process: LawProcess) -> None:
    one = case(PLAN, "determine", PAST, principal="ann")
    assert judged(process, FOUR_EYES, one) != [None]
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    starts = process.starts
    assert judged(process, FOUR_EYES, one) != [None]
    assert process.starts == starts + 1


class Dying(LawProcess):
    """A worker that ends in the same way whenever it is asked."""

    ending: Excess | Gone = Gone.ENDED

    def ask(self, text: str, cpu_seconds: float | None = None) -> Excess | Gone:
        self.starts += 1
        return self.ending


@pytest.mark.parametrize("ending", [Gone.ENDED, Gone.SILENT])
def test_what_is_not_the_programs_doing_refuses_nobody(ending: Gone) -> None:
    process = Dying(Limits())
    process.ending = ending
    with pytest.raises(RelmError) as caught:
        judged(process, FOUR_EYES, case(PLAN, "determine"), case(PLAN, "determine"))
    assert caught.value.code is Code.UNREACHABLE
    assert process.starts == 3  # together, then the first alone, twice


def test_a_case_that_crashes_the_solver_alone_twice_is_refused() -> None:
    process = Dying(Limits())
    process.ending = Excess.CRASH
    (refusal,) = judged(process, FOUR_EYES, case(PLAN, "determine"))
    assert refusal is not None
    assert refusal.witness == {"law": "law", "limit": "crash"}
    assert process.starts == 2


@pytest.mark.parametrize(
    "worker", ["", "raise SystemExit(1)", "import signal, os; os.kill(os.getpid(), signal.SIGSEGV)"]
)
def test_a_worker_that_cannot_start_refuses_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worker: str
) -> None:
    """Its file is gone, or what it imports fails: it has seen no program that could be at fault."""
    if worker:
        (tmp_path / "worker.py").write_text(worker)
    process = LawProcess(Limits())
    with monkeypatch.context() as patched:
        patched.setattr(own_law_process, "WORKER", tmp_path / "worker.py")
        with pytest.raises(RelmError) as caught:
            judged(process, FOUR_EYES, case(PLAN, "determine"))
        assert caught.value.code is Code.UNREACHABLE
        patched.setattr(own_law_process.sys, "executable", str(tmp_path / "gone"))
        with pytest.raises(RelmError):
            judged(process, FOUR_EYES, case(PLAN, "determine"))
    try:
        assert judged(process, FOUR_EYES, case(PLAN, "determine")) == [None]
    finally:
        process.close()


def test_a_long_violation_makes_no_long_refusal(process: LawProcess) -> None:
    """Neither one of nested terms, which grow without end, nor one of many arguments."""
    nested = 'a(f(V,V,V,V,V,V,V,V)) :- value(this,"amount",V). b(f(X,X,X,X,X,X,X,X)) :- a(X).'
    nested += "c(f(X,X,X,X,X,X,X,X)) :- b(X). violation(" + ",".join("X" * 20) + ") :- c(X)."
    (refusal,) = judged(process, law(GUARDED, nested), case(PLAN, "determine", written={"amount": "1234567"}))
    long = f'"{"x" * 30_000}"'
    texts = "violation(" + ",".join("V" * 8) + ') :- value(this,"remark",V).'
    (other,) = judged(process, law('guards("receive").', texts), case(PLAN, "receive", written={"remark": long}))
    for one in (refusal, other):
        assert one is not None
        assert one.code is Code.LAW_BROKEN
        assert len(one.sentence) < 400
        assert len(str(one.witness["violations"])) < 4000


def test_a_worker_that_does_not_run_is_given_up_and_counts_against_nobody() -> None:
    process = LawProcess(Limits(own_law_wall_seconds_max=1.0))
    try:
        assert process.ask("violation(1).") != {}
        assert process.pid is not None
        os.kill(process.pid, signal.SIGSTOP)
        begun = time.monotonic()
        assert process.ask("violation(1). % " + "x" * 300_000) is Gone.SILENT
        assert time.monotonic() - begun < 30
        assert isinstance(process.ask("violation(1)."), dict)
    finally:
        process.close()
