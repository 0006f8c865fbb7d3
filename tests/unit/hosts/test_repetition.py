"""Goal: a step key answers for one content only. Method: shaped steps against receipts and against each other."""

from __future__ import annotations

from relmachine.errors import Code
from relmachine.hosts.repetition import sort_out
from relmachine.kernel.candidate import Candidate
from relmachine.kernel.verdicts import GateName, Refusal, Refused, Repeated
from relmachine.store.port import Receipt


def candidate(sequence: int, key: str = "k", digest: str = "d", step: str = "s") -> Candidate:
    return Candidate(sequence, "t", step, key, "{}", digest)


def receipt(digest: str = "d", step: str = "s") -> Receipt:
    return Receipt("t", "k", step, digest, 1, "{}")


def test_what_was_never_seen_is_fresh() -> None:
    found = sort_out("t", [candidate(2), candidate(3, key="other")], {})
    assert [step.sequence for step in found.fresh] == [2, 3]
    assert not found.decided


def test_a_key_with_a_receipt_repeats_or_conflicts() -> None:
    receipts = {("t", "k"): receipt()}
    assert sort_out("t", [candidate(2)], receipts).decided == {2: Repeated(candidate(2), 1)}
    for other in (candidate(2, digest="e"), candidate(2, step="z")):
        decided = sort_out("t", [other], receipts).decided[2]
        assert isinstance(decided, Refused)
        assert decided.refusal.code is Code.ID_CONFLICT
        assert decided.refusal.witness["first_sequence"] == 1
        assert not decided.keyed


def test_a_key_of_another_thread_says_nothing() -> None:
    assert len(sort_out("t", [candidate(2)], {("other", "k"): receipt()}).fresh) == 1


def test_repeats_within_a_batch_are_told_from_the_first() -> None:
    found = sort_out("t", [candidate(2), candidate(3), candidate(4, digest="e")], {})
    assert [step.sequence for step in found.fresh] == [2]
    assert found.decided[3] == Repeated(candidate(3), 2)
    assert isinstance(found.decided[4], Refused)


def test_a_refused_step_repeats_its_refusal() -> None:
    refused = Refused(candidate(2), Refusal(Code.PAYLOAD_INVALID, GateName.SHAPE, "mend it"))
    again = Refused(candidate(3), Refusal(Code.PAYLOAD_INVALID, GateName.SHAPE, "mend it"))
    found = sort_out("t", [refused, again], {})
    assert found.decided == {2: refused, 3: Repeated(candidate(3), 2)}


def test_messages_without_a_key_never_repeat_each_other() -> None:
    unread = [
        Refused(candidate(seq, key=""), Refusal(Code.NOT_JSON, GateName.SHAPE, "send JSON"), keyed=False)
        for seq in (2, 3)
    ]
    assert sort_out("t", unread, {}).decided == {2: unread[0], 3: unread[1]}
