"""What a recorded step contributes: members of its own payload."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from relmachine.algebra.reducers import parse
from relmachine.kernel.candidate import Contributions
from relmachine.machine.canonical import canonical_text
from relmachine.machine.plan import StepPlan


def recorded(step: StepPlan, payload: str) -> Contributions:
    """The contributions of `step` with the canonical `payload`; none for one that computes them."""
    if not step.recorded:
        return ()
    members = cast("Mapping[str, object]", parse(payload))
    return tuple(sorted((name, canonical_text(members[member])) for name, member in step.recorded if member in members))
