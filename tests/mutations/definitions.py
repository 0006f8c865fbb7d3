"""The laws of tables, word by word over all elements, without the programs: which are broken, and by which elements.

A set of elements is an integer with a bit for each, so that the cubic laws are cheap enough for fibers of 64 elements.
Source: `docs/math.md` sections 2 and 3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from relmachine.gates.constraint_tables import Family, FiberTables, RestrictionTable

Witness = tuple[object, ...]
Broken = set[tuple[str, Witness]]
Cells = Sequence[Sequence[int | None]]


def bits(mask: int) -> Iterator[int]:
    while mask:
        yield (mask & -mask).bit_length() - 1
        mask &= mask - 1


class Order:
    """a ≤ b, which says a ∩ b = a, in a table of ∩."""

    def __init__(self, meet: Cells) -> None:
        size = len(meet)
        self.up = [sum(1 << b for b in range(size) if meet[a][b] == a) for a in range(size)]
        self.down = [sum(1 << a for a in range(size) if self.up[a] >> b & 1) for b in range(size)]

    def le(self, a: int, b: int) -> bool:
        return bool(self.up[a] >> b & 1)


def broken_tables(tables: FiberTables) -> Broken:
    """Heyting algebra, and two nuclei that commute."""
    order = Order(tables.meet)
    found = [*_order(order), *_bounds_of_two(tables, order), *_arrows(tables, order), *_bounds(tables, order)]
    found += [*_distributive(tables), *_nuclei(tables, order)]
    return {(law, _named(tables, witness)) for law, witness in found}


def _named(tables: FiberTables, witness: Witness) -> Witness:
    return tuple(tables.elements[item] if isinstance(item, int) else item for item in witness)


def _order(order: Order) -> Iterator[tuple[str, Witness]]:
    for a, up in enumerate(order.up):
        if not up >> a & 1:
            yield "le_reflexive", (a,)
        for b in bits(up):
            yield from (("le_transitive", (a, b, c)) for c in bits(order.up[b] & ~up))
            if a < b and order.le(b, a):
                yield "le_antisymmetric", (a, b)


def _bounds_of_two(tables: FiberTables, order: Order) -> Iterator[tuple[str, Witness]]:
    size = len(tables.elements)
    for name, table in (("meet", tables.meet), ("join", tables.join), ("implies", tables.implies)):
        yield from (("operation_total", (name, a, b)) for a in range(size) for b in range(size) if table[a][b] is None)
    for a in range(size):
        for b in range(size):
            meet, join = tables.meet[a][b], tables.join[a][b]
            if meet is not None:
                if not (order.le(meet, a) and order.le(meet, b)):
                    yield "meet_lower", (a, b)
                lower = order.down[a] & order.down[b]
                yield from (("meet_greatest", (a, b, c)) for c in bits(lower & ~order.down[meet]))
            if join is not None:
                if not (order.le(a, join) and order.le(b, join)):
                    yield "join_upper", (a, b)
                upper = order.up[a] & order.up[b]
                yield from (("join_least", (a, b, c)) for c in bits(upper & ~order.up[join]))


def _distributive(tables: FiberTables) -> Iterator[tuple[str, Witness]]:
    size = len(tables.elements)

    def filled(table: Cells) -> list[list[int]]:
        return [*([*(size if cell is None else cell for cell in row), size] for row in table), [size] * (size + 1)]

    meet, join = filled(tables.meet), filled(tables.join)
    for a in range(size):
        for b in range(size):
            whole = [meet[a][cell] for cell in join[b]]
            parts = [join[meet[a][b]][cell] for cell in meet[a]]
            if whole != parts:
                for c in range(size):
                    if whole[c] != parts[c] and size not in (whole[c], parts[c]):
                        yield "distributive", (a, b, c)


def _arrows(tables: FiberTables, order: Order) -> Iterator[tuple[str, Witness]]:
    size = len(tables.elements)
    for a in range(size):
        total = 0
        under = [0] * size  # for each c the set of b with c ≤ a ⇒ b
        for b, arrow in enumerate(tables.implies[a]):
            if arrow is not None:
                total |= 1 << b
                for c in bits(order.down[arrow]):
                    under[c] |= 1 << b
        for c in range(size):
            meet = tables.meet[c][a]
            if meet is not None:
                yield from (("residuated", (a, b, c)) for b in bits((under[c] ^ order.up[meet]) & total))


def _bounds(tables: FiberTables, order: Order) -> Iterator[tuple[str, Witness]]:
    size = len(tables.elements)
    if tables.top is None:
        yield "top_present", ()
    else:
        yield from (("top_greatest", (a, tables.top)) for a in range(size) if not order.le(a, tables.top))
    if tables.bottom is None:
        yield "bottom_present", ()
    else:
        yield from (("bottom_least", (a, tables.bottom)) for a in range(size) if not order.le(tables.bottom, a))


def _nuclei(tables: FiberTables, order: Order) -> Iterator[tuple[str, Witness]]:
    size = len(tables.elements)
    for name, row in (("saturate", tables.saturate), ("transfer", tables.transfer)):
        for a, image in enumerate(row):
            if image is None:
                yield "nucleus_total", (name, a)
                continue
            if not order.le(a, image):
                yield "extensive", (name, a)
            if row[image] not in (None, image):
                yield "idempotent", (name, a)
            for b in range(size):
                other, meet = row[b], tables.meet[a][b]
                if other is not None and meet is not None:
                    left, right = row[meet], tables.meet[image][other]
                    if None not in (left, right) and left != right:
                        yield "meet_preserving", (name, a, b)
    for a in range(size):
        transferred, saturated = tables.transfer[a], tables.saturate[a]
        if transferred is not None and saturated is not None:
            left, right = tables.saturate[transferred], tables.transfer[saturated]
            if None not in (left, right) and left != right:
                yield "commuting", (a,)


def broken_map(table: RestrictionTable) -> Broken:
    """A map that keeps ∩, ∪, ⇒, ⊤ and ⊥ and commutes with both nuclei."""
    later, earlier, image = table.later, table.earlier, table.image
    found: list[tuple[str, Witness]] = [("restriction_total", (a,)) for a, there in enumerate(image) if there is None]

    def across(a: int | None) -> int | None:
        return None if a is None else image[a]

    for operation in ("meet", "join", "implies"):
        here, there = getattr(later, operation), getattr(earlier, operation)
        for a, x in enumerate(image):
            for b, y in enumerate(image):
                if x is not None and y is not None:
                    left, right = across(here[a][b]), there[x][y]
                    if None not in (left, right) and left != right:
                        found.append((f"restriction_{operation}", (a, b)))
    for bound in ("top", "bottom"):
        one, other = getattr(later, bound), getattr(earlier, bound)
        if one is not None and other is not None and image[one] not in (None, other):
            found.append((f"restriction_{bound}", (one,)))
    for name in ("saturate", "transfer"):
        here, there = getattr(later, name), getattr(earlier, name)
        for a, x in enumerate(image):
            left, right = across(here[a]), None if x is None else there[x]
            if None not in (left, right) and left != right:
                found.append(("restriction_nucleus", (name, a)))
    return {(law, _named(later, witness)) for law, witness in found}


def broken_family(family: Family) -> Broken:
    """A compatible family that covers its history and has exactly one gluing.

    The two events of `once_agrees` come in any order, so they are sorted here and in what the programs say.
    """
    found: Broken = set()
    pieces = [(f"piece {place}", piece) for place, piece in enumerate(family.pieces)]
    held = [event for _, piece in pieces for event in piece.events]
    found |= {("coverage", (event,)) for event in family.events if event not in held}
    found |= {("piece_inside", (name, event)) for name, piece in pieces for event in piece.events - family.events}
    for name, piece in pieces:
        found |= {("section_inside", (name, *key)) for key in piece.section if key[0] not in piece.events}
        for other_name, other in pieces:
            for key, value in piece.section.items():
                if key[0] in piece.events & other.events and other.section.get(key) != value:
                    found.add(("overlap", (name, other_name, *key)))
    found |= set(_once(family))
    gluings = [f"section {place}" for place, section in enumerate(family.sections) if glues(section, family)]
    if not gluings:
        found.add(("gluing_exists", ()))
    found |= {("gluing_unique", (one, two)) for at, one in enumerate(gluings) for two in gluings[at + 1 :]}
    return found


def _once(family: Family) -> Iterator[tuple[str, Witness]]:
    told = [(key, value) for piece in family.pieces for key, value in piece.section.items()]
    for (event, field), value in told:
        for (other, same), another in told:
            if field == same and field in family.once and value != another:
                yield "once_agrees", (field, *sorted((event, other)))


def glues(section: Mapping[tuple[str, str], str], family: Family) -> bool:
    """Whether `section` is one over the history that restricts to the section of every piece."""
    if any(event not in family.events for event, _ in section):
        return False
    for name in family.once:
        if len({value for (_, field), value in section.items() if field == name}) > 1:
            return False
    return all(
        {key: value for key, value in section.items() if key[0] in piece.events} == dict(piece.section)
        for piece in family.pieces
    )
