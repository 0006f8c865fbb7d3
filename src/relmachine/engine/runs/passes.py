"""The passes of a run as rows, and the digest of all that was found: a pass that finds nothing new leaves it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import orjson

from relmachine.algebra.identity import digest
from relmachine.engine.runs.recorder import Recorder
from relmachine.engine.runs.registry import Call, Misuse
from relmachine.kernel.answer import Pass

TEXT_CHARACTERS = 1000
"""How much of a text a pass shows. It is no setting: a playback under other settings must show the same."""

Result = tuple[Call | Misuse, str, str]
"""A call, the JSON text of its result, and its error; one of the two is empty."""


class Passes:
    """Adds rows to the record of one run. What was found is a set: neither order nor repetition shows in its digest."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._found: set[str] = set()
        self._draft = ""

    def answered(self, text: str) -> None:
        """A valid output."""
        self._draft = digest("draft", text)
        self._add("answer", output=text)

    def called(self, results: Sequence[Result]) -> bool:
        """Calls of tools; whether they found anything new. A misuse finds nothing."""
        before = len(self._found)
        made = [(call, result, error) for call, result, error in results if isinstance(call, Call)]
        self._found |= {digest("found", call.name, call.arguments, result, error) for call, result, error in made}
        self._add(
            "call" if made else "retry",
            tool=", ".join(call.name for call, _, _ in results),
            input=_shown([call.arguments for call, _, _ in results]),
            output=_shown([result for _, result, _ in results]),
            error="; ".join(error for _, _, error in results if error),
        )
        return len(self._found) > before

    def wrong(self, decision: Literal["retry", "fail"], text: str, error: str) -> None:
        """Nothing that counts: an answer that goes back, or none."""
        self._add(decision, output=text, error=error)

    def _add(
        self,
        decision: Literal["answer", "call", "retry", "fail"],
        *,
        tool: str = "",
        input: str = "",
        output: str = "",
        error: str = "",
    ) -> None:
        row = Pass(
            number=len(self._recorder.passes),
            decision=decision,
            tool=_cut(tool),
            input=_cut(input),
            output=_cut(output),
            error=_cut(error),
            state=digest("state", self._draft, *sorted(self._found)),
        )
        self._recorder.add(row)


def _shown(texts: Sequence[str]) -> str:
    """One text as it is, several as a JSON array, none of any as nothing."""
    if len(texts) == 1 or not any(texts):
        return texts[0]
    return orjson.dumps(list(texts)).decode()


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_CHARACTERS else text[: TEXT_CHARACTERS - 1] + "…"
