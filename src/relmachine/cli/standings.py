"""How each claim of a thread stands, and why, as one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from rich.table import Table

    from relmachine.store.port import Reads
    from relmachine.store.why import ClaimLine, TouchLine

_LAST_TRANSITIONS = "SELECT claim, kind, max(seq) FROM transitions WHERE thread = ? GROUP BY claim"


@dataclass(frozen=True, slots=True)
class Standings:
    """The claims of a machine in one thread, and the sequence at which each superseded one was superseded."""

    claims: Sequence[ClaimLine]
    superseded: Mapping[str, int]

    def as_json(self) -> list[dict[str, object]]:
        """One object a claim: members as in `GET /threads/{thread}/why/{claim}`, and `superseded`."""
        return [{**asdict(line), "superseded": self.superseded.get(line.claim)} for line in self.claims]

    def table(self, title: str = "Claims") -> Table:
        """One row a claim, in the order of `claims`."""
        from relmachine.cli.output import cell, table

        made = table("claim", "standing", "why", title=title)
        held = {line.claim: str(line.standing) for line in self.claims}
        for line in self.claims:
            made.add_row(line.claim, f"[{_STYLES[line.standing]}]{line.standing}[/]", cell(self._why(line, held)))
        return made

    def _why(self, line: ClaimLine, held: Mapping[str, str]) -> str:
        before = ""
        if line.claim in self.superseded:
            before = f"; it had settled, and was superseded at {self.superseded[line.claim]}"
        missing = [f"{name} is {held[name]}" for name in line.requires if held[name] not in ("settled", "effective")]
        match line.standing:
            case "absent":
                return "no step has asserted it"
            case "vetoed":
                return f"vetoed by {_touch(line.vetoed)}{before}"
            case "contested":
                return f"contested by {_touch(line.contested)}, after {_touch(line.asserted)} asserted it{before}"
            case "unsupported":
                return (
                    f"asserted by {_touch(line.asserted)}, but {', '.join(missing) or 'what it rests on fell'}{before}"
                )
            case "effective":
                return f"asserted by {_touch(line.asserted)}; it holds, and may still be taken back"
            case _:
                return f"asserted by {_touch(line.asserted)}"


_STYLES = {
    "settled": "green",
    "effective": "cyan",
    "unsupported": "yellow",
    "contested": "yellow",
    "vetoed": "red",
    "absent": "dim",
}


async def standings(store: Reads, thread: str) -> Standings:
    """How the claims stand in `thread` now. Errors: `not_found`."""
    from relmachine.store import reading

    return Standings(await reading.standings(store, thread), await superseded(store, thread))


async def superseded(store: Reads, thread: str) -> dict[str, int]:
    """The sequences at which claims that had settled were superseded, as far as they did not settle again."""
    rows = cast(tuple[tuple[str, str, int], ...], (await store.select(_LAST_TRANSITIONS, (thread,))).rows)
    return {claim: sequence for claim, kind, sequence in rows if kind == "superseded"}


def _touch(touch: TouchLine | None) -> str:
    return "" if touch is None else f"{touch.step}@{touch.sequence} ({touch.principal})"
