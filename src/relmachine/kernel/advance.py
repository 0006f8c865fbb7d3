"""The pure turn: from a thread's state and decided steps to a proposal. No I/O, no clock, nothing decided here.

Source: `docs/math.md` sections 1 to 3. Cost per step does not depend on the length of the history.
"""

from __future__ import annotations

from collections.abc import Sequence

from relmachine.kernel.proposal import Proposal
from relmachine.kernel.state import ThreadState
from relmachine.kernel.turn import Turn
from relmachine.kernel.verdicts import Admitted, Decided, Held, Refused, Repeated
from relmachine.machine.plan import Plan


def advance(plan: Plan, state: ThreadState, decided: Sequence[Decided]) -> Proposal:
    """The proposal that decides `decided`, steps of one thread in subject order, all after `state.cursor`.

    Every step gets exactly one outcome. The same arguments give the same proposal, on any node, any number of times.
    """
    turn = Turn(plan, state)
    for item in decided:
        assert item.candidate.sequence > turn.cursor, "steps of a turn come in subject order, after the cursor"
        match item:
            case Admitted(candidate, contributions, follow_ups):
                turn.propose(candidate, turn.commit(candidate, contributions), follow_ups)
            case Refused():
                turn.ledger.refused(item)
            case Held():
                turn.hold(item.candidate)
            case Repeated():
                turn.ledger.repeated(item)
        turn.cursor = item.candidate.sequence
    return turn.proposal()
