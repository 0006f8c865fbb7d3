"""Identity comes from content: SHA-256 over canonical text, and a set digest that needs no order.

Source: `docs/math.md` section 1 (event id, history id). Strings are hashed as the RFC 8785 form of a JSON array of
strings, so the ids can be recomputed with any JSON library.

Ids of events and histories begin with some characters of their genesis, their family. They say nothing that the hash
behind them does not, and are hashed into nothing: they keep a thread's ids side by side wherever ids are sorted, so
that a turn touches a page or two of an index and not one for each step.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256, shake_256
from json.encoder import encode_basestring

SET_DIGEST_BITS = 4096
"""Width of the set accumulator. Wagner's generalised birthday attack on a sum modulo 2^n costs about
2^(2*sqrt(n)): 4096 bits put it at 2^128 (Bellare and Micciancio, "A new paradigm for collision-free hashing", 1997).
"""

FAMILY_CHARACTERS = 4
"""Of the genesis, at the beginning of an id: 65,536 families, each a page or a few of the index of a large store."""

HASH_CHARACTERS = 64
ID_CHARACTERS = FAMILY_CHARACTERS + HASH_CHARACTERS
"""Length of the id of an event or a history, lower-case hexadecimal digits."""

ID_PATTERN = f"[0-9a-f]{{{ID_CHARACTERS}}}"
HASH_PATTERN = f"[0-9a-f]{{{HASH_CHARACTERS}}}"
"""Such an id, and the hash in it, as regular expressions."""

_SET_BYTES = SET_DIGEST_BITS // 8
_SET_MASK = (1 << SET_DIGEST_BITS) - 1
EMPTY_SET = 0
"""Accumulator of the empty set."""


def digest_bytes(data: bytes) -> str:
    """SHA-256 of `data` in lower-case hexadecimal, 64 characters."""
    return sha256(data).hexdigest()


def digest(*parts: str) -> str:
    """H(parts): SHA-256 of the canonical JSON array of the strings `parts`."""
    return digest_bytes(_encode(parts).encode())


def genesis_id(laws_digest: str, machine: str, root_thread: str) -> str:
    """Id of the empty history's root: what a thread and all its forks have in common."""
    return digest("genesis", laws_digest, machine, root_thread)


def event_id(
    genesis: str,
    step: str,
    step_key: str,
    payload_digest: str,
    contributions_digest: str,
    parents: Iterable[str],
) -> str:
    """Id of an event: its content and its covering predecessors, in any order given."""
    content = (genesis, step, step_key, payload_digest, contributions_digest)
    return id_of(genesis, digest("event", *content, *sorted(map(hash_of, parents))))


def payload_digest(payload: str, principal: str | None = None) -> str:
    """Digest of what was sent: the canonical payload, and who sent it where a law makes that part of the step."""
    return digest("payload", payload) if principal is None else digest("payload", payload, principal)


def contributions_digest(asserts: Iterable[str], contributions: Iterable[tuple[str, str]]) -> str:
    """Digest of what an event asserted and wrote: claim names, and (field, canonical text of the value) pairs.

    Neither order shows. No claim has an empty name, so the empty string parts the two.
    """
    written = [part for pair in sorted(contributions) for part in pair]
    return digest("contributions", *sorted(asserts), "", *written)


def history_id(genesis: str, maximal: Iterable[str]) -> str:
    """Id of a history: its genesis and the ids of its maximal events; of the empty history, when there are none."""
    return id_of(genesis, digest("history", genesis, *sorted(map(hash_of, maximal))))


def id_of(genesis: str, hashed: str) -> str:
    """The id of the event or the history of `genesis` with that hash."""
    return genesis[:FAMILY_CHARACTERS] + hashed


def hash_of(identity: str) -> str:
    """The hash in the id of an event or a history: what whoever names it by what it is has to use."""
    return identity[-HASH_CHARACTERS:]


def set_add(accumulator: int, *element: str) -> int:
    """Accumulator of the set with `element` added. Addition commutes, so the order of adding never shows."""
    return (accumulator + _hash_to_sum(element)) & _SET_MASK


def set_digest(accumulator: int) -> str:
    """SHA-256 of the accumulator: the digest of the set."""
    return digest_bytes(accumulator.to_bytes(_SET_BYTES))


def _hash_to_sum(element: tuple[str, ...]) -> int:
    return int.from_bytes(shake_256(_encode(element).encode()).digest(_SET_BYTES))


def _encode(parts: Iterable[str]) -> str:
    """Canonical JSON of an array of strings."""
    return f"[{','.join(map(encode_basestring, parts))}]"
