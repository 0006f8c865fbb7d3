"""How many steps may follow from one: each passes on what it may still cause, in equal parts, to those it proposes.

So a step that somebody published leads to at most `FOLLOWING_MAX` others, however its machine loops or branches.
"""

from __future__ import annotations

from relmachine.errors import Code, RelmError
from relmachine.kernel.candidate import Candidate
from relmachine.kernel.envelope import FOLLOWING_MAX


def passed_on(cause: Candidate, count: int) -> int:
    """How many steps may follow from each of the `count` that `cause` proposes; it may propose so many."""
    return (cause.following - count) // count if count else 0


def check_follow_ups(cause: Candidate, count: int) -> None:
    """Errors: `limit_exceeded` when `cause` may not propose `count` steps."""
    if count > cause.following:
        sentence = (
            f"step {cause.step!r} proposes {count} steps and may {cause.following}: at most {FOLLOWING_MAX} follow "
            "from one that is published, so look for steps that propose each other without an end"
        )
        raise RelmError(Code.LIMIT_EXCEEDED, sentence, following_max=FOLLOWING_MAX, following=cause.following)
