"""Goal: `fixed_fiber`, `restrictions`, `restriction_maps` say what math.md says. Method: threads of the permit log in a
store; every row against sets of claims, from the definitions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import orjson

from relmachine.kernel.limits import Limits
from relmachine.machine.plan import Plan
from relmachine.store.points import table_rows
from relmachine.store.port import Store
from relmachine.store.tables import Target
from tests import permit
from tests.mutations import real

ELEMENTS_MAX = 29
Set = frozenset[str]


class StoreViews:
    """Adapters say how a store is opened."""

    def open(self, plan: Plan, limits: Limits) -> Awaitable[Store]:
        """Open the one store of the test."""
        raise NotImplementedError

    def test_views_say_what_the_definitions_say(self) -> None:
        asyncio.run(self._test())

    async def _test(self) -> None:
        store = await self.open(permit.plan(), Limits(fiber_table_elements_max=ELEMENTS_MAX))
        turns = {turn.fibers: turn for turn in real.turns() if turn.events}
        await store.commit(list(turns.values())[:60])
        points: dict[str, dict[int, tuple[str, Set, bool, bool]]] = {}
        target = Target("fiber_points", ("fiber_id", "position", "point", "up", "saturation", "transfer"))
        for fiber, position, point, up, saturation, transfer in await table_rows(store, target):
            row = (str(point), frozenset(orjson.loads(str(up))), bool(saturation), bool(transfer))
            points.setdefault(str(fiber), {})[int(str(position))] = row

        def claims(fiber: object, element: object) -> Set:
            held = points.get(str(fiber), {})
            return frozenset(row[0] for place, row in held.items() if int(str(element)) >> place & 1)

        def closed(fiber: object, element: Set, stable: int) -> Set:
            """{x : ↑x ∩ S ⊆ a}, `stable` being the column of S or of R."""
            rows = points[str(fiber)].values()
            kept = {row[0] for row in rows if row[stable]}
            return frozenset(row[0] for row in rows if row[1] & kept <= element)

        listed = await table_rows(store, Target("fiber_elements", ("fiber_id", "elem")))
        assert len({fiber for fiber, _ in listed}) > 20
        fixed = {
            (fiber, element)
            for fiber, element in listed
            if all(closed(fiber, claims(fiber, element), stable) == claims(fiber, element) for stable in (2, 3))
        }
        assert set(await table_rows(store, Target("fixed_fiber", ("fiber_id", "elem")))) == fixed
        assert 0 < len(fixed) < len(listed)

        fiber_of = dict(await table_rows(store, Target("histories", ("history_id", "fiber_id"))))
        columns = ("from_history", "to_history", "step", "elem_in", "elem_out")
        rows = await table_rows(store, Target("restrictions", columns))
        extensions = await table_rows(store, Target("extensions", ("source", "target", "step")))
        sizes = {fiber: sum(1 for other, _ in listed if other == fiber) for fiber, _ in listed}
        assert len(rows) == sum(sizes.get(fiber_of[target], 0) for _, target, _ in extensions)
        for later, earlier, _, given, found in rows:
            there = fiber_of.get(earlier, "")
            assert claims(there, found) == claims(fiber_of[later], given) & {
                row[0] for row in points.get(str(there), {}).values()
            }
        maps = await table_rows(store, Target("restriction_maps", ("from_fiber", "to_fiber", "elem_in", "elem_out")))
        assert set(maps) == {
            (fiber_of[later], fiber_of[earlier], given, found)
            for later, earlier, _, given, found in rows
            if earlier in fiber_of and fiber_of[earlier] != fiber_of[later]
        }
        await store.close()
