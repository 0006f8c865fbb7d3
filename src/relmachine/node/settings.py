"""Settings of a node: every one has a default that works, and a RELM_ variable."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)

from relmachine.engine.models.bindings import NodeModels, Price
from relmachine.gates.opa_bounds import OpaBounds
from relmachine.hosts.dapr_bounds import DaprBounds
from relmachine.kernel.limits import Limits
from relmachine.store.rqlite.bounds import RqliteBounds
from relmachine.stream.bounds import StreamBounds


class Settings(BaseSettings):
    """What may differ between two nodes of one machine. Paths are relative to the working folder."""

    model_config = SettingsConfigDict(env_prefix="RELM_", extra="ignore", arbitrary_types_allowed=True, frozen=True)

    data_dir: Path = Path(".relm")
    """Folder of everything that lasts: store, stream, logs, `context.json`."""

    nats_urls: Annotated[tuple[str, ...], NoDecode] = ()
    """Addresses of a running NATS with JetStream, those of a cluster separated by commas; none starts one from the
    wheel, with its files in `data_dir`."""

    replicas: int = Field(default=1, ge=1, le=5)
    """How many servers of the cluster keep each stream. Of existing streams it must be what they were made with."""

    stream_sync: Literal["default", "always"] = "default"
    """When the embedded NATS calls fsync. `default` (every two minutes) survives kill -9 of any process, but not a
    power cut; `always` survives both and costs about six times the publish rate (docs/durability.md)."""

    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8000, ge=0, le=65535)
    """0 takes a free port."""

    control_lane: Literal["thread", "process"] = "thread"
    """Where the control lane works: in a thread of the node, or in a process of its own, as `relm dev` and `relm up`
    have it: that one answers under a flood of steps as it does without (docs/control.md)."""

    control_port: int = Field(default=0, ge=0, le=65535)
    """Where the control lane is served by itself, beside `http_port`; 0 takes a free port."""

    http: bool = True
    """Whether to serve HTTP, MCP and the status page."""

    grants: Path | None = None
    """JSON file of grants that replaces the one shipped (docs/policy.md)."""

    store_urls: Annotated[tuple[str, ...], NoDecode] = ()
    """Addresses of the rqlite servers of a cluster, as `http://host:port`, separated by commas; none keeps the store in
    a SQLite file in `data_dir`."""

    rqlite_bounds: RqliteBounds = Field(default_factory=RqliteBounds)

    dapr_address: str | None = None
    """gRPC address of the node's own Dapr sidecar, host:port: threads are placed on the nodes by their sidecars.
    Without it all turns run in this process."""

    dapr_listen: str | None = None
    """Where the sidecar calls the node back, host:port: what the sidecar was told. Needed with `dapr_address`."""

    dapr_api_token: SecretStr | None = None
    """What the sidecar asks of the node: its DAPR_API_TOKEN."""

    dapr_app_token: SecretStr | None = None
    """What the node asks of the sidecar: its APP_API_TOKEN. Without it whoever reaches `dapr_listen` may call."""

    dapr_bounds: DaprBounds = Field(default_factory=DaprBounds)

    opa_url: str | None = None
    """The node's own OPA server, as `http://host:port`, with the bundle of the same grants; without it the policy is
    evaluated in process (docs/policy.md)."""

    opa_bounds: OpaBounds = Field(default_factory=OpaBounds)

    steps_per_minute_max: int | None = Field(default=None, ge=1)
    """Steps a minute that a principal may have decided before its rate class is `over`; None counts nothing."""

    model: str = ""
    """What the model `default` is bound to, and every name that nobody else binds: a PydanticAI model string, such as
    `openai:gpt-5` (docs/models.md)."""

    models: dict[str, str] = Field(default_factory=dict[str, str])
    """Model strings by name, as JSON."""

    model_base_url: str | None = None
    """Where models called `openai:…` are asked instead: any server with an OpenAI-compatible API."""

    model_api_key: SecretStr | None = None
    """What that server asks for."""

    model_prices: dict[str, Price] = Field(default_factory=dict[str, Price])
    """US dollars for a million tokens by model string, as JSON: `{"openai:x": {"input": 1, "output": 2}}`."""

    limits: Limits = Field(default_factory=Limits)

    stream_bounds: StreamBounds = Field(default_factory=StreamBounds)

    @property
    def node_models(self) -> NodeModels:
        """The node's word on models."""
        return NodeModels(self.model, self.models, self.model_base_url, self.model_api_key, self.model_prices)

    @field_validator("nats_urls", "store_urls", mode="before")
    @classmethod
    def _separated(cls, given: object) -> object:
        return tuple(part.strip() for part in given.split(",") if part.strip()) if isinstance(given, str) else given

    @model_validator(mode="after")
    def _both_ends(self) -> Settings:
        if self.dapr_address is not None and self.dapr_listen is None:
            raise ValueError("dapr_listen: say where the sidecar at dapr_address calls back, as host:port")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Given values, variables, then files: in the folder RELM_SECRETS_DIR each has the name of a variable and its
        value, so that logins need not be in the environment.
        """
        folder = os.environ.get("RELM_SECRETS_DIR")
        files = SecretsSettingsSource(settings_cls, folder) if folder else file_secret_settings
        return init_settings, env_settings, dotenv_settings, files
