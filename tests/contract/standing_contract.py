"""Goal: what a message does where its thread stands is what `kernel/lifecycle.toml` says, on every store. Method: each
standing, reached in each way there is, with each message, through whole rounds and the store's control lane; what comes
of it is compared with the table."""

from __future__ import annotations

import orjson
import pytest

from relmachine import Machine
from relmachine.kernel.control import RELEASE
from relmachine.kernel.lane import LANE
from relmachine.kernel.lane import Asked as Told
from relmachine.kernel.state import ThreadState, dump_state, initial_state
from relmachine.kernel.transitions import EFFECTS, Does, RecordName, Standing
from relmachine.store.outcomes import outcome_at
from tests.contract.run_contract import RunStore
from tests.unit.runs.incident import Asked, machine

WAYS = {
    "open": Standing.OPEN,
    "pause": Standing.PAUSED,
    "cancel": Standing.CANCELLED,
    "close": Standing.CLOSED,
    "pause, cancel": Standing.CANCELLED,
    "close, cancel": Standing.CANCELLED,
    "merge": Standing.CLOSED,
    "merge, cancel": Standing.CANCELLED,
}
"""Ways to a standing."""

DATA: dict[str, dict[str, object]] = {"resume": {}, "budget": {"tokens": 5}}


class StandingContract(RunStore):
    def made(self) -> Machine:
        made = machine()
        made.claim("signed", requires=["confirmed"])
        made.step("sign", kind="process", asserts=["signed"], on_missing="defer")
        return made

    @pytest.mark.parametrize("way", WAYS)
    def test_each_message_does_what_the_table_says(self, way: str) -> None:
        async def work(shop: Asked) -> None:
            for record in RecordName:
                # A fork is the first message of its thread, which nobody can have merged into another.
                if record is RecordName.FORK and way.startswith("merge"):
                    continue
                scene = Scene(shop, record)
                await scene.reach(way)
                effect = EFFECTS[WAYS[way]][record]
                assert await scene.standing() is WAYS[way], (way, record)
                found = await (scene.tell() if record in LANE else scene.publish())
                expected = effect.code if effect.does is Does.REFUSED else effect.does
                assert found == expected, f"{record} on a thread that is {WAYS[way]} ({way}): {found}, not {expected}"
                assert await scene.standing() is effect.leads_to, (way, record)

        self.run(work)


class Scene:
    """A thread of the machine, named by the message that comes last, and one that it is merged with."""

    def __init__(self, shop: Asked, record: RecordName) -> None:
        self.shop, self.record = shop, record
        self.thread, self.other = str(record), f"{record}-other"
        self._told = 0
        self.request = self.held = 0

    async def reach(self, way: str) -> None:
        """Go that way, with a run and a held step that are open."""
        shop, thread = self.shop, self.thread
        if self.record is not RecordName.FORK:
            shop.step(thread, "observe", symptom="slow")
            self.request = shop.step(thread, "propose")
            self.held = shop.step(thread, "sign")
        await self.settle()
        state = (await shop.store.states([thread])).get(thread)
        if state is not None and self.record is not RecordName.FORK:
            shop.fork(self.other, thread, state.head, state.cursor)
            await self.settle()
        for word in way.split(", "):
            if word == "merge":
                shop.merge(self.other, thread)
                await self.settle()
            elif word != "open":
                assert await self.tell(word) == "applied"

    async def tell(self, word: str | None = None) -> str:
        """Tell the thread `word` on the control lane; what came of it, as the table calls it."""
        word = word or str(self.record)
        state = initial_state(self.shop.plan, self.thread)
        self._told += 1
        key, data = f'["lane","{self._told}"]', orjson.dumps(DATA.get(word, {"reason": "so"})).decode()
        told = Told(self.thread, self._told, word, key, data, "{}", "", self.thread, state.head, dump_state(state))
        (effect,) = await self.shop.store.control([told])
        self.shop.rounds = self.shop.node()
        return {"unchanged": str(Does.NO_EFFECT)}.get(effect.outcome, effect.outcome)

    async def publish(self) -> str:
        """Publish the message; what came of it, as the table calls it, or the code of its refusal."""
        shop, thread = self.shop, self.thread
        match self.record:
            case RecordName.STEP:
                sequence = shop.step(thread, "note", noted=1)
            case RecordName.FORK:
                origin = (await shop.store.states(["step"]))["step"]
                sequence = shop.fork(thread, "step", origin.head, origin.cursor)
            case RecordName.MERGE:
                sequence = shop.merge(thread, self.other)
            case RecordName.CLOSE_INTO:
                sequence = shop.merge(self.other, thread) - 1
            case RecordName.RESOLVE:
                sequence = shop.resolve(thread, "0" * 64, thread)
            case RecordName.ANSWER:
                sequence = shop.answer(thread, self.request)
            case _:
                body = shop.body(RELEASE, None, {"held": self.held, "expired": True})
                sequence = shop.stream.publish(thread, RELEASE, body)
        await self.settle()
        if (state := await self.state()).cursor < sequence:
            assert state.paused
            return str(Does.WAITS)
        asked = self.request if self.record is RecordName.ANSWER else sequence
        outcome = await outcome_at(shop.store, thread, asked)
        assert outcome, "it was decided"
        code = str(outcome.get("code", ""))
        # What the record asks for is refused by its own conditions, and that is decided where the thread goes on.
        own = {RecordName.RESOLVE: "not_found", RecordName.RELEASE: "held_too_long"}
        return code if code and code != own.get(self.record) else str(Does.APPLIED)

    async def settle(self) -> None:
        """Decide all that can be decided on both threads."""
        while True:
            before = await self.cursors()
            await self.shop.rounds.run([self.thread, self.other])
            if before == await self.cursors():
                return

    async def cursors(self) -> dict[str, int]:
        found = await self.shop.store.states([self.thread, self.other])
        return {name: state.cursor for name, state in found.items()}

    async def state(self) -> ThreadState:
        found = await self.shop.store.states([self.thread])
        return found.get(self.thread) or initial_state(self.shop.plan, self.thread)

    async def standing(self) -> Standing:
        """Where it stands, by what turns go by."""
        state = await self.state()
        if state.stopped:
            return Standing.CANCELLED if state.stopped == "cancel" else Standing.CLOSED
        return Standing.CLOSED if state.closed else Standing.PAUSED if state.paused else Standing.OPEN
