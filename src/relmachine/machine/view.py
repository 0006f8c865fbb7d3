"""What a closure may see of its thread: the fields it declares to read, and the claims it rests on.

Anything else raises `undeclared_read`, since the derived independence of steps rests on the declared reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NoReturn

from relmachine.errors import Code, RelmError
from relmachine.machine.declaration import Claim, Field
from relmachine.machine.plan import Plan, StepPlan

_NOTHING: Mapping[str, object] = {}


class View:
    """A step's view at its causal past.

    `view["field"]` is the folded value, KeyError when nothing has contributed yet; `view.get("field")` is None then.
    `view.effective("claim")` tells whether a claim that the step needs is effective.
    """

    __slots__ = ("_claims", "_effective", "_fields", "_step", "_values")

    def __init__(
        self,
        step: str = "",
        fields: frozenset[str] = frozenset(),
        values: Mapping[str, object] = _NOTHING,
        claims: frozenset[str] = frozenset(),
        effective: frozenset[str] = frozenset(),
    ) -> None:
        """`fields` and `claims` are what the step may ask for, `values` the folded values, all kept as they are."""
        self._step = step
        self._fields = fields
        self._values = values
        self._claims = claims
        self._effective = effective

    def __getitem__(self, field: str | Field) -> object:
        return self._values[self._readable(field)]

    def __contains__(self, field: str | Field) -> bool:
        return self._readable(field) in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._fields & self._values.keys()))

    def get(self, field: str | Field, default: object = None) -> object:
        """The folded value of a declared field, or `default` when nothing has contributed to it."""
        return self._values.get(self._readable(field), default)

    def effective(self, claim: str | Claim) -> bool:
        """Whether `claim`, which the step needs, is effective."""
        name = claim if isinstance(claim, str) else claim.name
        if name not in self._claims:
            self._refuse("claim", name)
        return name in self._effective

    @property
    def claims_effective(self) -> frozenset[str]:
        """The effective claims among those that the step needs."""
        return self._effective

    def _readable(self, field: str | Field) -> str:
        name = field if isinstance(field, str) else field.name
        if name not in self._fields:
            self._refuse("field", name)
        return name

    def _refuse(self, what: str, name: str) -> NoReturn:
        sentence = f"step {self._step!r} looks at {what} {name!r} without declaring it: add it to `reads`"
        raise RelmError(Code.UNDECLARED_READ, sentence, step=self._step, **{what: name})


def visible_claims(plan: Plan, step: StepPlan) -> int:
    """Mask of the claims that `step` may look at: all it needs, transitively.

    What it asserts itself is not among them: a veto of that claim may come before or after without notice, and must
    not show.
    """
    mask = 0
    for claim in plan.claims:
        if step.needs >> claim.index & 1:
            mask |= claim.up
    return mask
