"""What a process of the control lane is told by its node: one JSON object on standard input."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from relmachine.gates.grants import Grants
from relmachine.gates.opa_bounds import OpaBounds
from relmachine.kernel.limits import Limits
from relmachine.store.rqlite.bounds import RqliteBounds
from relmachine.stream.bounds import StreamBounds


class LaneTold(BaseModel):
    """`plan` is its text as stores keep it; `stream` the address, with its login. Of the store either `store_path` or
    `store_urls`."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    plan: str
    limits: Limits
    stream: str
    stream_bounds: StreamBounds
    store_id: str
    store_path: Path | None
    store_urls: tuple[str, ...]
    rqlite_bounds: RqliteBounds
    grants: Grants | None
    opa_url: str | None
    opa_bounds: OpaBounds
    reclaim: bool
    host: str
    port: int
