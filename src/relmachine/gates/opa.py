"""Gate 2, policy, on the node's own OPA server: the rules of `policy.py`, one query for each batch, default deny.

What an answer of the server means is decided here; `DESIGN.md`, "What a server's trouble means", has the table.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Sequence
from typing import cast

from relmachine.errors import Code, RelmError
from relmachine.gates.classes import RateMeter, SizeBounds
from relmachine.gates.deciding import Deciding
from relmachine.gates.grants import Grants, policy_source
from relmachine.gates.opa_bounds import OpaBounds
from relmachine.gates.opa_client import Answer, Answered, Failed, Gone, OpaClient, Silent
from relmachine.gates.questions import DENIED, SILENT, Decision, Question
from relmachine.kernel.candidate import Candidate
from relmachine.kernel.verdicts import Refusal

ENTRYPOINT = "relmachine/steps/decisions"
"""The rule that is asked."""


class OpaPolicy:
    """The policy gate on an OPA server, for one event loop. Use `OpaPolicy.opened`."""

    def __init__(
        self,
        client: OpaClient,
        machine: str,
        grants: Grants | None = None,
        meter: RateMeter | None = None,
        bounds: SizeBounds | None = None,
        opa_bounds: OpaBounds | None = None,
    ) -> None:
        """As `RegoPolicy`; the server must serve the bundle of these grants."""
        self._client = client
        self._opa_bounds = opa_bounds or OpaBounds()
        self._revision = policy_source(grants).revision
        self._served = frozenset({self._revision})
        self._deciding = Deciding(machine, self._revision, self._ask, meter, bounds)

    @classmethod
    @contextlib.asynccontextmanager
    async def opened(
        cls,
        url: str,
        machine: str,
        grants: Grants | None = None,
        meter: RateMeter | None = None,
        bounds: SizeBounds | None = None,
        opa_bounds: OpaBounds | None = None,
    ) -> AsyncGenerator[OpaPolicy]:
        """A policy on the server at `url`, until the block ends, after a check that it serves these rules and grants.

        Errors: `policy_mismatch` when it serves others; `unreachable` when it does not answer.
        """
        async with OpaClient(url, opa_bounds or OpaBounds()) as client:
            policy = cls(client, machine, grants, meter, bounds, opa_bounds)
            await policy.check()
            yield policy

    @property
    def revision(self) -> str:
        """Digest of the rules and the grants, the same as in process."""
        return self._revision

    async def decide(self, steps: Sequence[Candidate]) -> Sequence[Refusal | None]:
        """One verdict for each step, None when allowed.

        Errors: `unreachable` when no server with this revision is there; nothing is decided then.
        """
        return await self._deciding.decide(steps)

    async def check(self) -> None:
        """Ask nothing, to see who answers. Errors: `policy_mismatch`, `unreachable`."""
        answer = await self._client.query(ENTRYPOINT, {"questions": []})
        if not isinstance(answer, Answered):
            raise self._unreachable(str(answer))
        if answer.revisions != self._served or answer.result != []:
            sentence = "the policy server serves other rules or grants: give it the bundle of this node, and restart it"
            witness = {"expected": self._revision, "found": sorted(answer.revisions), "url": self._client.url}
            raise RelmError(Code.POLICY_MISMATCH, sentence, **witness)

    async def _ask(self, questions: Sequence[Question]) -> Sequence[Decision]:
        """One query, unless there are more questions than it may have. Who is silent once is not asked again here."""
        decisions: list[Decision] = []
        for start in range(0, len(questions), self._opa_bounds.questions_max):
            asked = [question._asdict() for question in questions[start : start + self._opa_bounds.questions_max]]
            answer = await self._client.query(ENTRYPOINT, {"questions": asked})
            decisions += self._decisions(answer, len(asked))
            if isinstance(answer, Silent):
                break
        return decisions + [SILENT] * (len(questions) - len(decisions))

    def _decisions(self, answer: Answer, count: int) -> list[Decision]:
        match answer:
            case Answered(result, revisions) if revisions == self._served:
                return _read(result, count)
            case Answered(_, revisions):
                raise self._unreachable(f"its bundle has another revision: {sorted(revisions)}")
            case Failed():
                return [DENIED] * count
            case Silent() if self._opa_bounds.silence == "deny":
                return [SILENT] * count
            case Silent():
                raise self._unreachable("it took the query and did not answer in time")
            case Gone(detail):
                raise self._unreachable(detail)

    def _unreachable(self, detail: str) -> RelmError:
        sentence = "the policy server cannot be asked: start it with the bundle of this node"
        return RelmError(Code.UNREACHABLE, sentence, url=self._client.url, policy=self._revision, detail=detail)


def _read(result: object, count: int) -> list[Decision]:
    """The decisions in the order asked; where their number is another, which is whose cannot be said."""
    answers = cast(list[object], result) if isinstance(result, list) else []
    return [_decision(answer) for answer in answers] if len(answers) == count else [DENIED] * count


def _decision(answer: object) -> Decision:
    if not isinstance(answer, dict):
        return DENIED
    found = cast(dict[str, object], answer)
    allow, reasons, any_thread = found.get("allow"), found.get("reasons"), found.get("any_thread")
    if not (isinstance(allow, bool) and isinstance(reasons, list) and isinstance(any_thread, bool)):
        return DENIED
    return Decision(allow, tuple(str(reason) for reason in cast(list[object], reasons)), any_thread)
