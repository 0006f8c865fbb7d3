"""Settings of a node: every one has a default that works, and a RELM_ variable."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from relmachine.kernel.limits import Limits
from relmachine.stream.bounds import StreamBounds


class Settings(BaseSettings):
    """What may differ between two nodes of one machine. Paths are relative to the working folder."""

    model_config = SettingsConfigDict(env_prefix="RELM_", extra="ignore", arbitrary_types_allowed=True, frozen=True)

    data_dir: Path = Path(".relm")
    """Folder of everything that lasts: store, stream, logs, `context.json`."""

    nats_url: str | None = None
    """A running NATS with JetStream; None starts one from the wheel, with its files in `data_dir`."""

    stream_sync: Literal["default", "always"] = "default"
    """When the embedded NATS calls fsync. `default` (every two minutes) survives kill -9 of any process, but not a
    power cut; `always` survives both and costs about six times the publish rate (docs/durability.md)."""

    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8000, ge=0, le=65535)
    """0 takes a free port."""

    http: bool = True
    """Whether to serve HTTP, MCP and the status page."""

    grants: Path | None = None
    """JSON file of grants that replaces the one shipped (docs/policy.md)."""

    steps_per_minute_max: int | None = Field(default=None, ge=1)
    """Steps a minute that a principal may have decided before its rate class is `over`; None counts nothing."""

    limits: Limits = Field(default_factory=Limits)

    stream_bounds: StreamBounds = Field(default_factory=StreamBounds)
