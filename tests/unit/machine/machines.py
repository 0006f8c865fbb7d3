"""Random machines for the tests of this room: a strategy of acyclic declarations with every part of a footprint."""

from __future__ import annotations

from hypothesis import strategies as st

from relmachine.machine.machine import Machine
from relmachine.machine.plan import Kind, Reducer

REDUCERS = {f"f_{reducer}": reducer for reducer in Reducer}


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    """A machine of up to 6 claims, 6 steps and one field per reducer; it may break laws, but never one of names."""
    machine = Machine("random")
    claims = [f"c{number}" for number in range(draw(st.integers(1, 6)))]
    for number, name in enumerate(claims):
        machine.claim(name, requires=draw(subsets(claims[:number])))
    for name, reducer in REDUCERS.items():
        machine.field(name, int, reducer=reducer)
    for number in range(draw(st.integers(1, 6))):
        machine.step(
            f"s{number}",
            kind=draw(st.sampled_from(Kind)),
            asserts=draw(subsets(claims)),
            contests=draw(subsets(claims)),
            vetoes=draw(subsets(claims)),
            reads=draw(subsets([*claims, *REDUCERS])),
            writes=dict.fromkeys(draw(subsets(list(REDUCERS))), "value"),
        )
    return machine


def subsets(names: list[str]) -> st.SearchStrategy[list[str]]:
    """Up to two of `names`."""
    return st.lists(st.sampled_from(names), unique=True, max_size=2) if names else st.just([])
