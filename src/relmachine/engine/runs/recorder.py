"""The recorder: a run sees nothing that it could not know beforehand but through it.

A run is a deterministic function of payload, view, frozen plan and decisions. Given the recorded ones it goes the same
way again; where they end it asks (live), ends (playback), or it asks all the time and compares (resimulate).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from relmachine.algebra.identity import digest
from relmachine.engine.runs.decisions import DecisionKind, Found, decision_of, json_bytes
from relmachine.engine.runs.divergences import answer_diverges, given_again, question_diverges
from relmachine.engine.runs.ended import End, RunEnded
from relmachine.engine.runs.keeping import Keeping
from relmachine.engine.runs.port import Divergence, Keep, Mode, Passed, RunRequest
from relmachine.errors import Code
from relmachine.kernel.answer import Decision, Pass, Reason

DEADLINE = "deadline"
"""Name of the `time` decision that ends a run: its wall seconds were spent."""

UNAWAITED = "unawaited"
"""Name of another: its closure did not wait for a call."""

SOLVER = "solver"
"""Name of a third: the tools that answer from the machine took all the solver seconds."""

_STOPS = {
    DEADLINE: End(
        Reason.BUDGET, Code.BUDGET_SPENT, "the wall seconds of the run are spent: give it more, or less to do"
    ),
    UNAWAITED: End(
        Reason.FATAL,
        Code.CLOSURE_FAILED,
        "the closure did not wait for a call of its run: await each before the next, without `gather`, tasks or "
        "time-outs around it, and from the closure's own thread; what bounds it is the budget",
    ),
    SOLVER: End(
        Reason.BUDGET,
        Code.BUDGET_SPENT,
        "the solver seconds of the run are spent: give it more, or let it ask less of the machine's own tools",
    ),
}
"""What ends a run that did not see it coming, by the name of the decision that says when."""

_END_BYTES = 6144
"""Room that the record keeps for the decisions that end it: at most three, of which a closure stands in for models."""

_SHOWN = 200
"""Characters of either side that a divergence shows."""


_RECORD_FULL = " do not fit"
"""How the error ends that ends a run because its record is full; a tool may say anything else."""


class Recorder:
    """Decisions and passes of one run. Belongs to one event loop; nothing is recorded once the run has ended."""

    def __init__(self, request: RunRequest, keep: Keep | None, bytes_max: int, passed: Passed | None = None) -> None:
        """`bytes_max` bounds decisions and passes together, as JSON."""
        self._passed = passed
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
        given = recorded is not None and (self._mode is not Mode.RESIMULATE or given_again(recorded, kind, asked))
        if recorded is not None and given:
            self._note_divergence(question_diverges(place, recorded, kind, asked))
            await self._take(recorded)
            self.check()
            return recorded
        if self._mode is Mode.PLAYBACK:
            self.diverge("the record ends here", "", f"{kind} {name}")
        found = await ask()
        self.check()
        decision = self._fitting(kind, name, asked, found)
        if self._mode is Mode.RESIMULATE and not self.divergences:
            self._note_divergence(answer_diverges(place, recorded, decision))
        taken = await self._take(decision)
        self.check()  # its time may have been over while the decision was kept
        return taken

    def add(self, row: Pass) -> None:
        """Add a pass; its decisions are in the record already."""
        self.check()
        self.passes.append(row)
        self._bytes += json_bytes(row)
        if self._passed is not None:
            self._passed(row)
        self.check()

    def check(self) -> None:
        """End the run here when it has ended already, or when its record says that its time was over here."""
        if self.end is not None:
            raise RunEnded(self.end)
        place = len(self.decisions)
        recorded = self._recorded[place] if place < len(self._recorded) else None
        if recorded is None or not _is_stop(recorded) or self._mode is Mode.RESIMULATE:
            return
        if recorded == self._stopped(recorded.name):
            self.decisions.append(recorded)
            raise self.ended(_STOPS[recorded.name])

    @property
    def given_more(self) -> bool:
        """Whether the record has more than the run has met so far."""
        return self._mode is not Mode.RESIMULATE and len(self.decisions) < len(self._recorded)

    async def stop(self, name: str) -> RunEnded:
        """End the run for one of `_STOPS`; the record ends with that. Passes so far say where, for a playback."""
        if self.end is None and self._mode is Mode.PLAYBACK:
            self.end = self._diverged(
                Divergence(len(self.decisions), "the run does not end as recorded", "an answer", name)
            )
        if self.end is None:
            self.end = _STOPS[name]
            self.decisions.append(self._stopped(name))
            await self._keep_all()
        return RunEnded(self.end)

    async def note(self, name: str, error: str) -> None:
        """Record what was done about the end of the run. Raises `RunEnded` where the record has something else."""
        place = len(self.decisions)
        recorded = self._recorded[place] if place < len(self._recorded) else None
        made = decision_of("time", name, self._asked("time", name, str(len(self.passes))), Found(error=error))
        asked_before = recorded is not None or self._mode is not Mode.LIVE
        if asked_before and not self.divergences:
            self._note_divergence(answer_diverges(place, recorded, made))
        self.decisions.append(made)
        await self._keep_all()

    def notes_next(self, name: str) -> bool:
        """Whether the record has such a note here. A tool may have any name."""
        if not self.given_more:
            return False
        recorded = self._recorded[len(self.decisions)]
        return (recorded.kind, recorded.name) == ("time", name)

    def abandon(self) -> None:
        """Record nothing from now on, whatever the run still does."""
        self.end = self.end or End(Reason.CANCELLED, Code.RUN_CANCELLED, "the run was cancelled")

    def close(self) -> list[Divergence]:
        """The run is over. What is recorded beyond its end is a divergence, of which all are given."""
        place = len(self.decisions)
        stopped = place > 0 and _is_stop(self.decisions[-1])
        if not self.divergences and place < len(self._recorded) and not stopped:
            left = self._recorded[place]
            end = self._diverged(Divergence(place, "the run ends here", f"{left.kind} {left.name}", ""))
            self.end = self.end if self._mode is Mode.RESIMULATE else end
        return self.divergences

    def ended(self, end: End) -> RunEnded:
        """End the run: raise what is returned."""
        self.end = end
        return RunEnded(end)

    def diverge(self, what: str, recorded: str, found: str) -> None:
        """Note here that the run diverges from its record, and end it, unless it is simulated. Raises `RunEnded`."""
        self._note_divergence(Divergence(len(self.decisions), what, recorded, found))

    def _note_divergence(self, one: Divergence | None) -> None:
        if one is None:
            return
        end = self._diverged(one)
        if self._mode is not Mode.RESIMULATE:
            raise self.ended(end)

    def _diverged(self, one: Divergence) -> End:
        self.divergences.append(replace(one, recorded=one.recorded[:_SHOWN], found=one.found[:_SHOWN]))
        sentence = f"carried out again, the run differs from its record at decision {one.place}: {one.what}"
        return End(Reason.FATAL, Code.RUN_DIVERGED, sentence, {"place": one.place})

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

    def _stopped(self, name: str) -> Decision:
        asked, end = self._asked("time", name, str(len(self.passes))), _STOPS[name]
        return decision_of("time", name, asked, Found(error=f"{end.code}: {end.sentence}"))

    def _asked(self, *question: str) -> str:
        """Digest of a question at this place of this run: an edited frozen plan changes every one."""
        return digest("asked", self._frozen, str(len(self.decisions)), *question)


def _is_stop(decision: Decision) -> bool:
    """Whether it ends its run. A tool may have the name of a stop."""
    return decision.kind == "time" and decision.name in _STOPS
