"""The control lane of the replicated store: requests that may be sent again, since an effect is written once."""

from __future__ import annotations

from collections.abc import Sequence

from relmachine.kernel.lane import Asked, Effect, Foretold
from relmachine.store import foretelling
from relmachine.store.lane import EFFECTS
from relmachine.store.lane_taking import BEGIN, CONFLICT, TAKE, effects_of, parameter, places
from relmachine.store.rqlite.answers import Done, Refused, Unknown, refusal
from relmachine.store.rqlite.client import RqliteClient, Statement


async def take(client: RqliteClient, asked: Sequence[Asked]) -> list[Effect]:
    """One transaction, again until its outcome is known. Errors: `unreachable`, `internal`."""
    statements: list[Statement] = []
    for one in asked:
        text = parameter(one)
        statements += [(BEGIN, text), (TAKE, text, CONFLICT)]
    await _written(client, statements)
    return effects_of(asked, await client.rows((EFFECTS, places(asked))))


async def foretell(client: RqliteClient, told: Sequence[Foretold]) -> None:
    """One transaction, again until its outcome is known. Errors: `unreachable`, `internal`."""
    text = foretelling.parameter(told)
    await _written(client, [(statement, text) for statement in foretelling.FORETELL])


async def _written(client: RqliteClient, statements: Sequence[Statement]) -> None:
    patience = client.patience()
    while True:
        match await client.write(statements):
            case Done():
                return
            case Refused() as refused:
                raise refusal(refused)
            case Unknown(detail):
                await patience.wait(detail)
