"""Goal: a law of the author's own never lets a step pass because the solver calculated wrongly. Method: sums and terms
whose results fit into 32 bits, hardly fit and do not, by the real process against Python's numbers; values that are no
number where one is calculated with; numbers that no term is as large as."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random

import pytest

from relmachine.gates.own_law_process import LawProcess
from relmachine.gates.own_laws import OwnLaws
from relmachine.kernel.limits import Limits
from relmachine.kernel.verdicts import Refusal
from tests.unit.gates.own_law_desk import case, desk, law, sighting

MAX = 2**31 - 1
PLAN = desk().plan()
READS = 'guards("determine"). reads(field,"amount"). reads(field,"share"). reads(field,"remark").'


@pytest.fixture(scope="module")
def process() -> Iterator[LawProcess]:
    one = LawProcess(Limits())
    yield one
    one.close()


def asked(process: LawProcess, rules: str, past: Sequence[int], now: int | None = None, **more: str) -> Refusal | None:
    """The verdict after events that wrote `past` amounts, on a step that writes `now`."""
    laws = OwnLaws(desk(law=law(READS, rules)).plan(), Limits(), process)
    events = [sighting("receive", amount=str(amount)) for amount in past]
    written = more | ({} if now is None else {"amount": str(now)})
    return laws.decide([case(PLAN, "determine", events, written=written)])[0]


def code(refusal: Refusal | None) -> str:
    return "" if refusal is None else str(refusal.code)


SUMS = {
    "assigned": 'violation(S) :- S = #sum { V,E : value(E,"amount",V) }, S > BOUND.',
    "compared": 'violation :- #sum { V,E : value(E,"amount",V) } > BOUND.',
    "denied": 'violation :- not #sum { V,E : value(E,"amount",V) } <= BOUND.',
    "derived": 'total(S) :- S = #sum { V,E : value(E,"amount",V) }. violation :- total(S), S > BOUND.',
    "in a rule with more": 'bound(BOUND). violation(S,T) :- bound(B), value(this,"amount",N), '
    'S = #sum { V,E : value(E,"amount",V), N = N }, T = S, T > B, not less(S).  less(-5).',
}


@pytest.mark.parametrize("form", SUMS)
@pytest.mark.parametrize(
    ("past", "expected"),
    [
        ([500], ""),
        ([999], "law_broken"),
        ([2_000_000_000, 2_000_000_000], "law_limit"),
        ([MAX, -MAX, 999], "law_broken"),
        ([MAX, -MAX, 5], ""),
        ([-MAX, -MAX, -MAX], "law_limit"),
        ([MAX - 2], "law_broken"),
        ([MAX - 1], "law_limit"),
        ([100_000_000] * 22, "law_limit"),
        ([2_000_000_000] * 4000, "law_limit"),
    ],
)
def test_a_sum_decides_as_it_would_with_all_numbers_or_refuses(
    process: LawProcess, form: str, past: list[int], expected: str
) -> None:
    refusal = asked(process, SUMS[form].replace("BOUND", "999"), past, 1)
    assert code(refusal) == expected
    if expected == "law_limit":
        assert refusal is not None
        assert refusal.witness["limit"] in ("numbers", "own_law_facts_max")


def test_a_bound_of_the_largest_number_is_no_way_past(process: LawProcess) -> None:
    rules = f'violation :- #sum {{ V,E : value(E,"amount",V) }} > {MAX}.'
    assert code(asked(process, rules, [MAX, MAX], 1)) == "law_limit"


def test_only_where_positive_amounts_are_summed_up_negative_ones_do_not_help(process: LawProcess) -> None:
    rules = 'violation :- #sum+ { V,E : value(E,"amount",V) } < 5.'
    assert code(asked(process, rules, [MAX, MAX], -5)) == "law_limit"


TERMS = ("V+W", "V-W", "V*W", "V*W+1", "-V-W", "|V|+|W|", "V*2-W", "V**2", "V**W", "2**V", "V/W", "V\\W", "(V+W)/2")


@pytest.mark.parametrize("term", TERMS)
def test_a_term_is_what_it_is_with_all_numbers_or_refuses(process: LawProcess, term: str) -> None:
    """Also what is found on the way to it: a product that does not fit makes no difference that does."""
    rng, seen = Random(term), set[str]()
    numbers = [0, 1, -1, 2, 3, 31, 1000, -1000, 46340, 46341, 65536, MAX // 2, MAX - 1, MAX, -MAX]
    for _ in range(40):
        v, w, bound = rng.choice(numbers), rng.choice(numbers), rng.choice(numbers)
        rules = f'violation(R) :- value(_,"amount",W), V = {v}, R = {term}, R > {bound}.'
        exact = _exact(term, v, w)
        expected = "law_limit" if exact is None else "law_broken" if exact > bound else ""
        found = code(asked(process, rules, [w]))
        assert found == expected, (term, v, w, bound, exact)
        seen.add(found)
    assert len(seen) > 1


def _exact(term: str, v: int, w: int) -> int | None:
    """The term's value, None when it or a part of it is none or does not fit."""
    forms: dict[str, Callable[[], int | None]] = {
        "V+W": lambda: fit(v + w),
        "V-W": lambda: fit(v - w),
        "V*W": lambda: fit(v * w),
        "V*W+1": lambda: None if fit(v * w) is None else fit(v * w + 1),
        "-V-W": lambda: fit(-v - w),
        "|V|+|W|": lambda: fit(abs(v) + abs(w)),
        "V*2-W": lambda: None if fit(v * 2) is None else fit(v * 2 - w),
        "V**2": lambda: power(v, 2),
        "V**W": lambda: power(v, w),
        "2**V": lambda: power(2, v),
        "V/W": lambda: quotient(v, w),
        "V\\W": lambda: v - w * (quotient(v, w) or 0) if w else None,
        "(V+W)/2": lambda: None if fit(v + w) is None else quotient(v + w, 2),
    }
    return forms[term]()


def fit(number: int) -> int | None:
    return number if abs(number) <= MAX else None


def power(one: int, other: int) -> int | None:
    return fit(one**other) if 0 <= other < 64 or (other >= 0 and abs(one) < 2) else None


def quotient(one: int, other: int) -> int | None:
    """Towards zero."""
    return None if not other else abs(one) // abs(other) * (1 if (one < 0) == (other < 0) else -1)


@pytest.mark.parametrize(
    "rules",
    [
        'violation :- value(this,"remark",V), V+1 < 0.',
        'violation :- value(this,"remark",V), -V < 0.',
        'violation :- value(this,"remark",V), |V| < 0.',
        'violation :- value(this,"remark",V), V/2 < 0.',
        'violation :- value(this,"remark",V), 3 = 1..V.',
        'violation :- value(this,"amount",V), V/0 > 3.',
        'violation :- #sum { V : value(_,"remark",V) } > 0.',
        'violation :- S = #sum { V : value(_,"remark",V) }, S > 0.',
        'n(X+1) :- n(X), X < 9. n(X) :- value(this,"remark",X+1), n(X). n(0). violation :- n(10), n(11).',
    ],
)
def test_what_is_no_number_is_not_left_out(process: LawProcess, rules: str) -> None:
    refusal = asked(process, rules, [], 1, remark='"a"')
    if "n(X+1)" in rules:  # matching a text with a number is no calculation
        assert refusal is None
        return
    assert refusal is not None
    assert refusal.witness == {"law": "law", "limit": "numbers"}


def test_only_the_case_that_cannot_be_calculated_is_refused(process: LawProcess) -> None:
    laws = OwnLaws(desk(law=law(READS, SUMS["assigned"].replace("BOUND", "9"))).plan(), Limits(), process)
    events = [sighting("receive", amount=str(MAX))]
    few, many, some = laws.decide(
        [
            case(PLAN, "determine", past, written={"amount": amount})
            for past, amount in (([], "5"), (events, "1"), ([], "10"))
        ]
    )
    assert [code(one) for one in (few, many, some)] == ["", "law_limit", "law_broken"]


@pytest.mark.parametrize("value", ["2147483648", "-2147483648", "5000000000", "0.5", "1e21", "-0.5"])
@pytest.mark.parametrize("rules", ['violation :- value(_,"share",V), V < 0.', "violation :- value(_,_,V), V < 0."])
def test_a_number_without_a_term_is_refused_where_a_law_looks_at_it(
    process: LawProcess, value: str, rules: str
) -> None:
    laws = OwnLaws(desk(law=law(READS, rules)).plan(), Limits(), process)
    past = case(PLAN, "determine", [sighting("receive", share=value)])
    for refusal in laws.decide([past, case(PLAN, "determine", written={"share": value})]):
        assert refusal is not None
        assert refusal.witness == {"law": "law", "limit": "numbers", "field": "share"}
        assert value in refusal.sentence


@pytest.mark.parametrize("value", ["2147483648", "0.5"])
def test_a_number_that_no_law_looks_at_may_be_any(process: LawProcess, value: str) -> None:
    laws = OwnLaws(desk(law=law(READS, 'violation :- value(_,"amount",V), V < 0.')).plan(), Limits(), process)
    assert laws.decide([case(PLAN, "determine", [sighting("receive", share=value)])]) == [None]


@pytest.mark.parametrize("value", ["2147483647", "-2147483647", "0"])
def test_every_other_whole_number_is_one(process: LawProcess, value: str) -> None:
    refusal = asked(process, 'violation(V) :- value(this,"amount",V).', [], int(value))
    assert refusal is not None
    assert refusal.witness["violations"] == [[int(value)]]
