"""Goal: the status page shows people what is there and never runs what it shows. Method: parse it back as HTML."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import quote

from relmachine.observe.html import HEADERS
from relmachine.observe.overview import Overview, RejectionRow, ThreadRow
from relmachine.observe.page import render

HOSTILE = [f"<script>alert({place})</script>'\"&" for place in range(19)]
STATUS = {
    "phase": "READY",
    "machine": "permit",
    "version": "1",
    "lag": {"journal": 0},
    "http": "http://127.0.0.1:8000",
}
THREAD = ThreadRow("case%201", 1234, 2, "(receive)(check note)", ["checked", "received"], ["noted"], ["sent"])
REJECTION = RejectionRow("case%201", 7, "check", "laws", "requires", "publish receive first")


class Page(HTMLParser):
    """Tags, attributes and visible text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.extend((tag, name, value) for name, value in attrs)

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


def page(**changes: object) -> Page:
    parts: dict[str, object] = {
        "status": STATUS,
        "figures": {
            "threads": 1500,
            "committed": 8574,
            "settled_by_claim": {"received": 1434},
            "rejected_by": {"once": 2},
        },
        "threads": [THREAD],
        "rejections": [REJECTION],
        "gates": {"laws": {"questions": 4, "steps": 1000, "seconds": 0.5}},
    }
    return Page(render(Overview(**{**parts, **changes})))  # pyright: ignore[reportArgumentType]


def test_it_shows_machine_phase_figures_threads_and_rejections() -> None:
    shown = page().text
    for part in ("permit", "READY", "8,574", "1,434", "(receive)(check note)", "checked, received", "case 1"):
        assert part in shown
    for part in ("requires", "publish receive first", "http://127.0.0.1:8000"):
        assert part in shown


def test_the_claims_of_a_thread_stand_under_settled_open_and_superseded() -> None:
    shown = page().words
    titles = [shown.index(title) for title in ("settled", "open", "superseded")]
    names = [shown.index(claims) for claims in ("checked, received", "noted", "sent")]
    assert [place - titles[0] for place in titles] == [place - names[0] for place in names]


def test_a_threads_links_lead_to_its_token() -> None:
    for part in ("", "/section", "/events"):
        assert ("a", "href", f"/threads/case%25201{part}") in page().attributes


def test_a_settled_claim_is_drawn_against_all_threads() -> None:
    assert [value for tag, _, value in page().attributes if tag == "meter"] == ["0", "1500", "1434"]


def test_gates_are_told_with_what_they_cost() -> None:
    shown = page().text.split()
    place = shown.index("laws", shown.index("Gates"))
    assert shown[place : place + 5] == ["laws", "1,000", "4", "125.0", "500.0"]


def test_it_loads_itself_again() -> None:
    assert ("meta", "http-equiv", "refresh") in page().attributes


def test_hostile_text_stays_text_everywhere() -> None:
    h = HOSTILE
    hostile = page(
        status={**STATUS, "machine": h[0], "version": h[1], "phase": h[2], h[3]: h[4], "lag": {h[5]: h[6]}},
        figures={h[7]: 1, "rejected_by": {h[8]: 2}, "settled_by_claim": {h[16]: 3}},
        threads=[ThreadRow(quote(h[9]), 1, 1, h[10], [h[11]], [h[17]], [h[18]])],
        rejections=[RejectionRow("t", 1, h[12], h[13], h[14], h[15])],
    )
    assert set(hostile.tags) == set(page().tags)
    for text in HOSTILE:
        assert text in hostile.text


def test_nothing_is_loaded_from_anywhere() -> None:
    assert not {"script", "img", "link", "iframe", "object", "form"} & set(page().tags)
    assert not [value for _, name, value in page().attributes if name in ("src", "style") or name.startswith("on")]
    assert "default-src 'none'" in HEADERS["Content-Security-Policy"]


def test_an_empty_node_says_what_to_do() -> None:
    shown = page(threads=[], rejections=[], figures={}).text
    assert "publish a step" in shown
    assert "No step was refused" in shown


def test_a_long_history_does_not_flood_the_page() -> None:
    flood = ThreadRow("t", 9, 9, "(step)" * 10_000, ["claim"] * 1000)
    assert len(page(threads=[flood]).text) < 3000
