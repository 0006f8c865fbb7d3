"""Goal: a store that belongs to something else is refused.
Method: tests that every store adapter inherits."""

from __future__ import annotations

import pytest

from relmachine.errors import Code, RelmError
from relmachine.store.opening import SCHEMA_VERSION
from relmachine.store.port import Store
from tests.contract.store_contract import StoreContract
from tests.contract.store_turns import Desk, desk


class OpeningContract(StoreContract):
    def test_another_machine_or_other_laws_are_refused(self) -> None:
        async def test(_store: Store, _made: Desk) -> None:
            for plan in (desk("other"), desk(stricter=True)):
                with pytest.raises(RelmError) as refused:
                    await self.open(plan)
                assert refused.value.code is Code.STORE_MACHINE_MISMATCH

        self.run(test)

    @pytest.mark.parametrize(
        ("version", "code"),
        [(SCHEMA_VERSION + 1, Code.STORE_SCHEMA_FUTURE), (SCHEMA_VERSION - 1, Code.STORE_SCHEMA_PAST)],
    )
    def test_a_store_of_another_schema_is_refused(self, version: int, code: Code) -> None:
        async def test(_store: Store, made: Desk) -> None:
            self.raw("DROP TRIGGER meta_update")
            assert self.raw(f"UPDATE meta SET value = '{version}' WHERE key = 'schema_version'") == ""
            with pytest.raises(RelmError) as refused:
                await self.open(made.plan)
            assert refused.value.code is code

        self.run(test)
