"""Sections: a compatible family glues to exactly one section, in any grouping; any other keeps both sides."""

from __future__ import annotations

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from relmachine.algebra.identity import contributions_digest, set_add, set_digest
from relmachine.algebra.sections import Section, values
from tests.oracles.gluing import accumulator, glue, restrict, uncovered
from tests.oracles.histories import Event, History
from tests.oracles.obstructions import Disagreement, Obstruction, Side
from tests.unit.algebra.words import GENESIS, Trace, words

EVENTS = ("e1", "e2", "e3", "e4")
FIELDS = ("decision", "officers")
ONCE = ("decision",)
TEXTS = ('"x"', '"y"')


def sections(events: frozenset[str]) -> st.SearchStrategy[Section]:
    """Any contributions of `events`, at most one for each event and field."""
    keys = [(event, name) for event in sorted(events) for name in FIELDS]
    if not keys:
        return st.just(Section(events, {}))
    return st.dictionaries(st.sampled_from(keys), st.sampled_from(TEXTS)).map(lambda found: Section(events, found))


SUBSETS = st.frozensets(st.sampled_from(EVENTS))
LOCAL = SUBSETS.flatmap(sections)
FAMILIES = st.lists(LOCAL, max_size=3)


def fits(whole: Section, family: list[Section]) -> bool:
    """Whether `whole` is a gluing of `family`: it restricts to each and takes each `once` field for one value."""
    decisions = {text for (_, name), text in whole.contributions.items() if name in ONCE}
    return all(restrict(whole, piece.events) == piece for piece in family) and len(decisions) < 2


@settings(max_examples=60)
@given(st.lists(st.frozensets(st.sampled_from(EVENTS[:3])).flatmap(sections), max_size=3))
def test_there_is_one_gluing_or_none_and_glue_finds_it(family: list[Section]) -> None:
    covered = frozenset[str]().union(*(piece.events for piece in family))
    keys = [(event, name) for event in sorted(covered) for name in FIELDS]
    candidates = (
        Section(covered, {key: text for key, text in zip(keys, chosen, strict=True) if text})
        for chosen in product(("", *TEXTS), repeat=len(keys))
    )
    gluings = [whole for whole in candidates if fits(whole, family)]
    found = glue(family, ONCE)
    assert gluings == ([found] if isinstance(found, Section) else [])


@given(sections(frozenset(EVENTS)), st.lists(SUBSETS, min_size=1))
def test_pieces_of_one_section_glue_to_it_again(whole: Section, cuts: list[frozenset[str]]) -> None:
    family = [restrict(whole, cut) for cut in cuts]
    found = glue(family, ())
    assert found == restrict(whole, frozenset[str]().union(*cuts))


@given(LOCAL, LOCAL, LOCAL)
def test_gluing_is_associative_and_commutative(a: Section, b: Section, c: Section) -> None:
    assert glue([a, b], ONCE) == glue([b, a], ONCE)
    whole, first, second = glue([a, b, c], ONCE), glue([a, b], ONCE), glue([b, c], ONCE)
    left = glue([first, c], ONCE) if isinstance(first, Section) else first
    right = glue([a, second], ONCE) if isinstance(second, Section) else second
    assert isinstance(left, Section) == isinstance(right, Section) == isinstance(whole, Section)
    assert not isinstance(whole, Section) or left == right == whole


@given(FAMILIES)
def test_obstructions_are_all_disagreements_with_both_sides(family: list[Section]) -> None:
    found = glue(family, ONCE)
    expected: set[Obstruction] = set()
    for event, name in product(EVENTS, FIELDS):
        texts = {piece.contributions.get((event, name), "") for piece in family if event in piece.events}
        for one, other in product(texts, repeat=2):
            if one < other:
                sides = Side((event,), one), Side((event,), other)
                expected.add(Obstruction(Disagreement.CONTRIBUTION, name, *sides))
    written = {
        text: {
            event
            for piece in family
            for (event, name), value in piece.contributions.items()
            if name in ONCE and value == text
        }
        for text in TEXTS
    }
    if all(written.values()):
        sides = sorted(Side(tuple(sorted(events)), text) for text, events in written.items())
        expected.add(Obstruction(Disagreement.ONCE, "decision", *sides))
    assert (set() if isinstance(found, Section) else set(found)) == expected


def test_a_contribution_that_one_side_lacks_is_an_obstruction() -> None:
    ours, theirs = Section(frozenset(("e1",)), {("e1", "officers"): '"x"'}), Section(frozenset(("e1",)), {})
    expected = Obstruction(Disagreement.CONTRIBUTION, "officers", Side(("e1",), ""), Side(("e1",), '"x"'))
    assert glue([ours, theirs], ()) == (expected,)


def test_two_decisions_keep_both_sides() -> None:
    ours = Section(frozenset(("e1", "e3")), {("e3", "decision"): '"x"', ("e1", "decision"): '"x"'})
    theirs = Section(frozenset(("e2",)), {("e2", "decision"): '"y"'})
    expected = Obstruction(Disagreement.ONCE, "decision", Side(("e1", "e3"), '"x"'), Side(("e2",), '"y"'))
    assert glue([theirs, ours], ONCE) == (expected,)
    assert isinstance(glue([theirs, ours], ()), Section)


@given(sections(frozenset(EVENTS)), SUBSETS, SUBSETS)
def test_restriction_is_functorial(whole: Section, one: frozenset[str], other: frozenset[str]) -> None:
    assert restrict(restrict(whole, one), other) == restrict(whole, one & other)
    assert restrict(whole, EVENTS) == whole


@given(sections(frozenset(EVENTS)), SUBSETS, SUBSETS)
def test_digest_of_a_gluing_is_that_of_its_parts_less_the_overlap(
    whole: Section, one: frozenset[str], other: frozenset[str]
) -> None:
    asserts = dict.fromkeys(EVENTS, ("received",))
    a, b = restrict(whole, one), restrict(whole, other)
    total = accumulator(a, asserts)
    for event, pairs in _by_event(b).items():
        if event not in a.events:
            total = set_add(total, event, contributions_digest(asserts[event], pairs))
    glued = glue([a, b], ())
    assert isinstance(glued, Section)
    assert set_digest(total) == set_digest(accumulator(glued, asserts))


@given(LOCAL, LOCAL)
def test_digests_tell_contributions_apart(a: Section, b: Section) -> None:
    asserts = dict.fromkeys(EVENTS, ())
    assert (accumulator(a, asserts) == accumulator(b, asserts)) == (a.contributions == b.contributions)


def _by_event(section: Section) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for (event, name), text in section.contributions.items():
        found.setdefault(event, []).append((name, text))
    return found


def test_values_fold_each_field_in_the_order_of_events() -> None:
    contributions = {
        ("e2", "notes"): '"second"',
        ("e1", "notes"): '"first"',
        ("e1", "amount"): "0.1",
        ("e2", "amount"): "0.2",
        ("e2", "officers"): '"b"',
        ("e3", "officers"): '"a"',
    }
    section = Section(frozenset(EVENTS), contributions)
    reducers = {"notes": "log", "amount": "sum", "officers": "union", "decision": "once"}
    assert values(section, reducers, EVENTS) == {
        "amount": 0.3,
        "notes": ["first", "second"],
        "officers": ["a", "b"],
    }


@given(words(), st.data())
def test_log_order_is_that_of_the_history(case: tuple[tuple[int, ...], list[int]], data: st.DataObject) -> None:
    """Writers of a log depend on each other, so tier order and arrival order list them alike."""
    dependent, word = case
    trace = Trace(dependent, tuple(word))
    step = data.draw(st.integers(0, len(dependent) - 1))
    writers = {name: str(x) for x, name in enumerate(trace.ids) if word[x] == step}
    section = Section(frozenset(trace.ids), {(name, "notes"): text for name, text in writers.items()})
    reducers = {"notes": "log"}
    assert values(section, reducers, trace.history.order()) == values(section, reducers, trace.ids)


@given(words(), st.data())
def test_a_family_covers_iff_its_prefixes_hold_every_event(
    case: tuple[tuple[int, ...], list[int]], data: st.DataObject
) -> None:
    whole = Trace(case[0], tuple(case[1])).history
    names = sorted(whole.events)
    tops = data.draw(st.lists(st.sampled_from(names), max_size=4)) if names else []
    family = [whole.below(name) for name in tops]
    held = {name for piece in family for name in piece.events}
    assert uncovered(whole, family) == set(names) - held
    assert uncovered(whole, [*family, whole]) == set()
    strange = History.of(GENESIS, [Event("strange", 0, frozenset())])
    assert uncovered(whole, [whole, strange]) == {"strange"}
