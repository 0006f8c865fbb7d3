"""The recorder: a run sees nothing that it could not know beforehand but through it.

A run is a deterministic function of payload, view, frozen plan and decisions. Given the recorded ones it goes the same
way again; where they end it asks (live), ends (playback), or it asks all the time and compares (resimulate).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from relmachine.algebra.identity import digest
from relmachine.engine.runs.decisions import DecisionKind, Found, decision_of, json_bytes
from relmachine.engine.runs.differences import Difference, answer_differs, question_differs, repeatable
from relmachine.engine.runs.ended import End, RunEnded
from relmachine.engine.runs.keeping import Keeping
from relmachine.engine.runs.port import Divergence, Keep, Mode, RunRequest
from relmachine.errors import Code
from relmachine.kernel.answer import Decision, Pass, Reason

DEADLINE = "deadline"
"""Name of the `time` decision that ends a run: its wall seconds were spent."""

_END_BYTES = 2048
"""Room that the record keeps for the decision that ends it."""

_SHOWN = 200
"""Characters of either side that a divergence shows."""


_RECORD_FULL = " do not fit"
"""How the error ends that ends a run because its record is full; a tool may say anything else."""


class Recorder:
    """Decisions and passes of one run. Belongs to one event loop; nothing is recorded once the run has ended."""

    def __init__(self, request: RunRequest, keep: Keep | None, bytes_max: int) -> None:
        """`bytes_max` bounds decisions and passes together, as JSON."""
        self.decisions: list[Decision] = []
        self.passes: list[Pass] = []
        self.divergences: list[Divergence] = []
        self.end: End | None = None
        self.lost: BaseException | None = None
        """What `keep` raised: the run cannot go on here, and has no answer."""
        self._recorded, self._mode = tuple(request.recorded), request.mode
        self._keeping = Keeping(keep if request.mode is Mode.LIVE else None, len(self._recorded))
        self._frozen = request.frozen.digest()
        self._bytes, self._bytes_max = 0, bytes_max

    async def see(
        self, kind: DecisionKind, name: str, question: tuple[str, ...], ask: Callable[[], Awaitable[Found]]
    ) -> Decision:
        """What came of `question`: from the record, or by `ask`, and then kept before anything goes on with it."""
        self.check()
        asked = self._asked(kind, name, *question)
        place = len(self.decisions)
        recorded = self._recorded[place] if place < len(self._recorded) else None
        given = recorded is not None and (self._mode is not Mode.RESIMULATE or repeatable(recorded, kind, asked))
        if recorded is not None and given:
            self._differ(question_differs(recorded, kind, asked))
            await self._take(recorded)
            self.check()
            return recorded
        if self._mode is Mode.PLAYBACK:
            self.diverge(Difference("the record ends here", "", f"{kind} {name}"))
        found = await ask()
        self.check()
        decision = self._fitting(kind, name, asked, found)
        if self._mode is Mode.RESIMULATE and not self.divergences:
            self._differ(answer_differs(recorded, decision))
        taken = await self._take(decision)
        self.check()  # its time may have been over while the decision was kept
        return taken

    def add(self, row: Pass) -> None:
        """Add a pass; its decisions are in the record already."""
        self.check()
        self.passes.append(row)
        self._bytes += json_bytes(row)
        self.check()

    def check(self) -> None:
        """End the run here when it has ended already, or when its record says that its time was over here."""
        if self.end is not None:
            raise RunEnded(self.end)
        place = len(self.decisions)
        recorded = self._recorded[place] if place < len(self._recorded) else None
        if recorded is None or recorded.name != DEADLINE or self._mode is Mode.RESIMULATE:
            return
        if recorded == self._deadline():
            self.decisions.append(recorded)
            raise self.ended(_out_of_time())

    async def time_out(self) -> None:
        """The wall seconds are spent: the record ends with that. Passes so far say where, for a playback."""
        if self.end is None and self._mode is Mode.PLAYBACK:
            self.end = self._diverged(Difference("the run does not come to an end", "an answer", "nothing"))
        if self.end is None:
            self.end = _out_of_time()
            self.decisions.append(self._deadline())
            await self._keep_all()

    def abandon(self) -> None:
        """Record nothing from now on, whatever the run still does."""
        self.end = self.end or End(Reason.CANCELLED, Code.RUN_CANCELLED, "the run was cancelled")

    def close(self) -> list[Divergence]:
        """The run is over. What is recorded beyond its end is a divergence, of which all are given."""
        place = len(self.decisions)
        out_of_time = place > 0 and self.decisions[-1].name == DEADLINE
        if not self.divergences and place < len(self._recorded) and not out_of_time:
            left = self._recorded[place]
            end = self._diverged(Difference("the run ends here", f"{left.kind} {left.name}", ""))
            self.end = self.end if self._mode is Mode.RESIMULATE else end
        return self.divergences

    def ended(self, end: End) -> RunEnded:
        """End the run: raise what is returned."""
        self.end = end
        return RunEnded(end)

    def diverge(self, difference: Difference) -> None:
        """Note a difference from the record and end the run, unless it is simulated anew. Raises `RunEnded`."""
        end = self._diverged(difference)
        if self._mode is not Mode.RESIMULATE:
            raise self.ended(end)

    def _differ(self, difference: Difference | None) -> None:
        if difference is not None:
            self.diverge(difference)

    def _diverged(self, difference: Difference) -> End:
        place = len(self.decisions)
        self.divergences.append(
            Divergence(place, difference.what, difference.recorded[:_SHOWN], difference.found[:_SHOWN])
        )
        sentence = f"carried out again, the run differs from its record at decision {place}: {difference.what}"
        return End(Reason.FATAL, Code.RUN_DIVERGED, sentence, {"place": place})

    def _fitting(self, kind: DecisionKind, name: str, asked: str, found: Found) -> Decision:
        """The decision, or one that ends the run when the record would grow too large with it."""
        decision = decision_of(kind, name, asked, found)
        size = json_bytes(decision)
        if self._bytes + size + _END_BYTES <= self._bytes_max:
            return decision
        sentence = f"{size} more bytes than the {self._bytes_max} of the record{_RECORD_FULL}"
        error = f"{Code.BUDGET_SPENT}: {sentence}"
        return decision_of(kind, name, asked, Found(error=error, tokens=found.tokens, cost=found.cost))

    async def _take(self, decision: Decision) -> Decision:
        self.decisions.append(decision)
        self._bytes += json_bytes(decision)
        await self._keep_all()
        if decision.error.startswith(f"{Code.BUDGET_SPENT}: ") and decision.error.endswith(_RECORD_FULL):
            sentence = decision.error.partition(": ")[2]
            raise self.ended(End(Reason.BUDGET, Code.BUDGET_SPENT, sentence))
        return decision

    async def _keep_all(self) -> None:
        try:
            await self._keeping.all(self.decisions)
        except Exception as error:
            self.lost = error
            raise self.ended(End(Reason.FATAL, Code.INTERNAL, "a decision could not be kept")) from error

    def _deadline(self) -> Decision:
        asked = self._asked("time", DEADLINE, str(len(self.passes)))
        return decision_of("time", DEADLINE, asked, Found(error=f"{Code.BUDGET_SPENT}: the wall seconds are spent"))

    def _asked(self, *question: str) -> str:
        """Digest of a question at this place of this run: an edited frozen plan changes every one."""
        return digest("asked", self._frozen, str(len(self.decisions)), *question)


def _out_of_time() -> End:
    return End(Reason.BUDGET, Code.BUDGET_SPENT, "the wall seconds of the run are spent: give it more, or less to do")
