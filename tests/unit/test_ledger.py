"""Goal: what a turn records of a refusal has a bound, whatever a gate says. Method: refusals with sentences and
witnesses around the bounds, through the ledger."""

from __future__ import annotations

import orjson
import pytest

from relmachine.errors import Code
from relmachine.kernel.candidate import Candidate
from relmachine.kernel.ledger import SENTENCE_CHARACTERS_MAX, WITNESS_CHARACTERS_MAX, Ledger
from relmachine.kernel.verdicts import GateName, Refusal, Refused


@pytest.mark.parametrize("beyond", [-1, 0, 1, 2_000_000])
def test_a_sentence_and_a_witness_are_cut_where_they_are_too_long(beyond: int) -> None:
    text = "x" * (SENTENCE_CHARACTERS_MAX + beyond)
    ledger = Ledger("t")
    candidate = Candidate(1, "t", "step", '["s","1"]', "{}", "digest")
    ledger.refused(Refused(candidate, Refusal(Code.LAW_BROKEN, GateName.LAWS, text, {"violations": text})))
    (rejection,), (receipt,) = ledger.rejections, ledger.receipts
    kept = text if beyond <= 0 else text[: SENTENCE_CHARACTERS_MAX - 1] + "…"
    assert rejection.sentence == orjson.loads(receipt.outcome)["sentence"] == kept
    assert len(rejection.witness) < WITNESS_CHARACTERS_MAX + 100
    assert all(len(row.body) < 10_000 for row in ledger.outbox(0, 1, "h"))
