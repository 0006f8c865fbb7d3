"""The control lane of the replicated store: one request that may be sent again, since an effect is written once."""

from __future__ import annotations

from collections.abc import Sequence

from relmachine.kernel.lane import Asked, Effect
from relmachine.store.lane import BEGIN, CONFLICT, EFFECTS, TAKE, effects_of, parameter, places
from relmachine.store.rqlite.answers import Done, Refused, Unknown, refusal
from relmachine.store.rqlite.client import RqliteClient, Statement


async def take(client: RqliteClient, asked: Sequence[Asked]) -> list[Effect]:
    """One transaction, again until its outcome is known. Errors: `unreachable`, `internal`."""
    statements: list[Statement] = []
    for one in asked:
        text = parameter(one)
        statements += [(BEGIN, text), (TAKE, text, CONFLICT)]
    patience = client.patience()
    while True:
        match await client.write(statements):
            case Done():
                break
            case Refused() as refused:
                raise refusal(refused)
            case Unknown(detail):
                await patience.wait(detail)
    return effects_of(asked, await client.rows((EFFECTS, places(asked))))
