"""Goal: a merge exists exactly when the union does, and its order does not show. Method: random machines, a random
thread split by random into two continuations that may depend on each other; the union found by brute force over all
pairs of types, by definition; both directions through the kernel, and the laws of claims asked again on the result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from relmachine.gates.admission import AdmissionGate
from relmachine.gates.port import LawCase
from relmachine.kernel.advance import advance
from relmachine.kernel.glue import Difference, clashes, without
from relmachine.kernel.joining import Joining, PastEvent
from relmachine.kernel.proposal import Proposal
from relmachine.kernel.state import ThreadState, initial_state
from relmachine.kernel.verdicts import Admitted, Decided, Refused
from relmachine.machine.plan import Plan, Reducer
from tests.oracles import histories
from tests.unit.forks.splitting import split
from tests.unit.gates.machines_at_random import Published, plan_and_thread

SEEN: Counter[str] = Counter()
SPLITS_PER_MACHINE = 8


def past(proposal: Proposal) -> list[PastEvent]:
    """The events of a proposal, as another thread gets them."""
    import orjson

    written: dict[str, list[tuple[str, str]]] = {}
    for event, name, value in proposal.contributions:
        written.setdefault(event, []).append((name, value))
    return [
        PastEvent(
            event.event_id,
            event.step,
            event.step_key,
            event.payload_digest,
            tuple(orjson.loads(event.parents)),
            row.evidence,
            tuple(written.get(event.event_id, ())),
        )
        for event, row in zip(proposal.events, proposal.thread_events, strict=True)
    ]


def decided(plan: Plan, state: ThreadState, steps: Sequence[Published]) -> Proposal:
    """The turn of `steps` on `state`, by the real admission gate."""
    candidates = [step.candidate(state.cursor + place) for place, step in enumerate(steps, start=1)]
    once = {name for name, field in plan.fields.items() if field.reducer is Reducer.ONCE}
    values = [{name: text for name, text in step.contributions if name in once} for step in steps]
    (verdicts,) = AdmissionGate(plan).decide([LawCase(state, candidates, values)])
    found: list[Decided] = [
        Admitted(candidate, candidate.recorded) if verdict is None else Refused(candidate, verdict)
        for candidate, verdict in zip(candidates, verdicts, strict=True)
    ]
    return advance(plan, state, found)


def history(plan: Plan, genesis: str, events: Sequence[PastEvent]) -> histories.History:
    return histories.History.of(
        genesis,
        [histories.Event(e.event_id, plan.step_index[e.step], frozenset(e.parents)) for e in events],
    )


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_merge_exists_exactly_when_no_pair_depends_on_each_other(seed: int) -> None:
    splits(seed)


def splits(seed: int) -> None:
    """Check a few splits of a random thread."""
    plan, thread = plan_and_thread(seed)
    rng = Random(seed)
    for turn in range(0 if plan is None else SPLITS_PER_MACHINE):
        assert plan is not None
        cut = rng.randrange(len(thread) // 2 + 1)
        rest = list(thread[cut:])
        sides = [step for step in rest if rng.random() < 0.6], [step for step in rest if rng.random() < 0.6]
        prefix = list(thread[:cut])
        if turn % 2:  # parts that do not depend on each other, so that merges with two sides are not rare
            prefix, *apart = split(plan, thread, lambda step: step.step, rng)
            sides = apart[0], apart[1]
        start = decided(plan, initial_state(plan, "t"), prefix)
        check(plan, start, *(decided(plan, start.after, side) for side in sides))


def check(plan: Plan, start: Proposal, ours: Proposal, theirs: Proposal) -> None:
    """The merge of two continuations of `start`, by definition and as it is done, in both directions."""
    mine, other = past(ours), past(theirs)
    shared = {event.event_id for event in mine} & {event.event_id for event in other}
    mine, other = ([event for event in side if event.event_id not in shared] for side in (mine, other))
    found = clashes(plan, Difference("a", "b", mine, other), 9, 10_000)
    types = plan.step_index
    dependent = [
        (x, y) for x in mine for y in other if plan.dependent[types[x.step]] >> types[y.step] & 1
    ]  # by definition
    keyed = [(x, y) for x in mine for y in other if x.step_key == y.step_key and (x, y) not in dependent]
    assert found.pairs == len(dependent) + len(keyed)
    named = {(row.left_side, row.right_side) for row in found.rows}
    assert len(named) >= min(1, found.pairs)
    assert bool(found.rows) == bool(dependent or keyed)
    base = past(start)
    whole = [history(plan, start.after.genesis, [*base, *past(side)]) for side in (ours, theirs)]
    united = histories.union(whole[0], whole[1], plan.dependent)
    assert isinstance(united, histories.History) == (not dependent)
    SEEN.update(["obstructed" if found.pairs else "merged" if mine and other else "one side"])
    if found.pairs:
        return
    assert isinstance(united, histories.History)
    one = Joining(plan, ours.after, 99, other)
    two = Joining(plan, theirs.after, 99, mine)
    assert one.head == two.head == united.history_id
    assert (one.section, one.asserted, one.standing, one.vetoed) == (
        two.section,
        two.asserted,
        two.standing,
        two.vetoed,
    )
    assert (one.frontier.lasts, one.frontier.maximal, one.values) == (
        two.frontier.lasts,
        two.frontier.maximal,
        two.values,
    )
    once = {name for name, field in plan.fields.items() if field.reducer is Reducer.ONCE}
    values = [{name: text for name, text in event.contributions if name in once} for event in other]
    case = LawCase(ours.after, [event.candidate("t", 99) for event in other], values)
    assert not any(AdmissionGate(plan).decide([case])[0]), "what was admitted apart is admitted together"


def test_the_random_machines_show_every_outcome() -> None:
    """Whether the property above says anything: on seeded machines it meets merges with two sides, and obstructions."""
    SEEN.clear()
    for seed in range(60):
        splits(seed)
    assert min(SEEN["merged"], SEEN["obstructed"]) > 10, SEEN


@given(st.integers(0, 2**32 - 1), st.sets(st.integers(0, 8)))
@settings(max_examples=100, deadline=None)
def test_leaving_out_takes_all_that_comes_after(seed: int, places: set[int]) -> None:
    plan, thread = plan_and_thread(seed)
    if plan is None:
        return
    proposal = decided(plan, initial_state(plan, "t"), thread)
    events = past(proposal)
    dropped = {events[place].event_id for place in places if place < len(events)}
    kept = without(events, dropped)
    whole = history(plan, proposal.before.genesis, events)
    expected = [event for event in events if not dropped & whole.below(event.event_id).events.keys()]
    assert kept == expected
    assert history(plan, proposal.before.genesis, kept).history_id == Joining(plan, proposal.before, 99, kept).head
