"""Goal: a store that belongs to something else is refused.
Method: tests that every store adapter inherits."""

from __future__ import annotations

import pytest

from relmachine.errors import Code, RelmError
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

    def test_a_store_of_a_later_schema_is_refused(self) -> None:
        async def test(_store: Store, made: Desk) -> None:
            self.raw("DROP TRIGGER meta_update")
            assert self.raw("UPDATE meta SET value = '999' WHERE key = 'schema_version'") == ""
            with pytest.raises(RelmError) as refused:
                await self.open(made.plan)
            assert refused.value.code is Code.STORE_SCHEMA_FUTURE

        self.run(test)
