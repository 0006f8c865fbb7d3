"""Identity: ids are digests of plain JSON text, depend on all they are made of, and sets digest without order."""

from __future__ import annotations

import json
from hashlib import sha256, shake_256
from itertools import permutations

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from relmachine.algebra.identity import (
    EMPTY_SET,
    contributions_digest,
    digest,
    event_id,
    genesis_id,
    hash_of,
    history_id,
    set_add,
    set_digest,
)

TEXT = st.text(max_size=8)
PAIRS = st.lists(st.tuples(TEXT, TEXT), max_size=4)


def h(*parts: str) -> str:
    """SHA-256 of the canonical JSON array, by the reference implementation of RFC 8785."""
    return sha256(rfc8785.dumps(list(parts))).hexdigest()


@given(st.lists(TEXT))
def test_digest_is_the_hash_of_canonical_json(parts: list[str]) -> None:
    assert digest(*parts) == h(*parts)


def test_ids_are_what_anybody_can_recompute() -> None:
    genesis = genesis_id("laws", "permit", "case-1")
    assert genesis == h("genesis", "laws", "permit", "case-1")
    assert history_id(genesis, []) == genesis[:4] + h("history", genesis)
    assert history_id(genesis, ["b", "a"]) == genesis[:4] + h("history", genesis, "a", "b")
    ids = [genesis[:4] + h(parent) for parent in "ba"]
    assert history_id(genesis, ids) == history_id(genesis, [hash_of(one) for one in ids])
    event = event_id(genesis, "t02", '["src","1"]', "payload", "written", ["b", "a"])
    assert event == genesis[:4] + h("event", genesis, "t02", '["src","1"]', "payload", "written", "a", "b")
    written = contributions_digest(["sent", "checked"], [("officers", '"b"'), ("at", "1")])
    assert written == h("contributions", "checked", "sent", "", "at", "1", "officers", '"b"')


@pytest.mark.parametrize("changed", range(6))
def test_every_part_of_an_event_shows_in_its_id(changed: int) -> None:
    parts = ["genesis", "step", "key", "payload", "written"]
    parents = ["p"]
    before = event_id(parts[0], parts[1], parts[2], parts[3], parts[4], parents)
    if changed < 5:
        parts[changed] += "'"
    else:
        parents = ["p'"]
    assert event_id(parts[0], parts[1], parts[2], parts[3], parts[4], parents) != before


@given(st.lists(TEXT, max_size=4), PAIRS, st.randoms(use_true_random=False))
def test_contributions_digest_needs_no_order(asserts: list[str], pairs: list[tuple[str, str]], rng: object) -> None:
    other_asserts, other_pairs = list(asserts), list(pairs)
    rng.shuffle(other_asserts)  # type: ignore[attr-defined]
    rng.shuffle(other_pairs)  # type: ignore[attr-defined]
    assert contributions_digest(asserts, pairs) == contributions_digest(other_asserts, other_pairs)


NAMES = st.text(min_size=1, max_size=3)


@given(st.frozensets(NAMES, max_size=3), PAIRS, st.frozensets(NAMES, max_size=3), PAIRS)
def test_contributions_digest_parts_claims_from_fields(
    one: frozenset[str], pairs: list[tuple[str, str]], other: frozenset[str], more: list[tuple[str, str]]
) -> None:
    same = (one, sorted(pairs)) == (other, sorted(more))
    assert (contributions_digest(one, pairs) == contributions_digest(other, more)) == same


@given(st.lists(st.tuples(TEXT, TEXT), unique=True, max_size=4))
def test_set_digest_needs_no_order(elements: list[tuple[str, str]]) -> None:
    digests: set[str] = set()
    for order in permutations(elements):
        total = EMPTY_SET
        for element in order:
            total = set_add(total, *element)
        digests.add(set_digest(total))
    assert len(digests) == 1


@given(st.frozensets(st.tuples(TEXT, TEXT), max_size=4), st.frozensets(st.tuples(TEXT, TEXT), max_size=4))
def test_set_digest_tells_sets_apart(a: frozenset[tuple[str, str]], b: frozenset[tuple[str, str]]) -> None:
    def total(elements: frozenset[tuple[str, str]]) -> int:
        found = EMPTY_SET
        for element in elements:
            found = set_add(found, *element)
        return found

    assert (set_digest(total(a)) == set_digest(total(b))) == (a == b)


def test_the_form_of_the_set_digest_never_changes() -> None:
    text = json.dumps(["event", "written"], separators=(",", ":")).encode()
    total = set_add(set_add(EMPTY_SET, "event", "written"), "event", "written")
    doubled = 2 * int.from_bytes(shake_256(text).digest(512), "big") % 2**4096
    assert set_digest(total) == sha256(doubled.to_bytes(512, "big")).hexdigest()
