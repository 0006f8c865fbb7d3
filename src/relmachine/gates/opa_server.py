"""What an OPA server is started with: a bundle that carries the policy's revision, a configuration, a command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from relmachine.gates.grants import Grants, policy_source, shipped_policy
from relmachine.machine.canonical import canonical_text

_MANIFEST = ".manifest"


def bundle_files(grants: Grants | None = None) -> Mapping[str, str]:
    """Texts of the bundle's files by name: the rules, the mask of the decision log, the grants, the manifest.

    The revision is that of the policy in process, so that nodes of both kinds have one plan digest; the mask decides
    nothing and is no part of it. The bundle owns every path, so nothing can be added or changed over HTTP.
    """
    source = policy_source(grants)
    manifest = {"revision": source.revision, "roots": [""], "rego_version": 1}
    return {
        "steps.rego": source.rules,
        "log.rego": shipped_policy("log.rego"),
        "data.json": canonical_text(source.data),
        _MANIFEST: canonical_text(manifest),
    }


def write_bundle(folder: Path, grants: Grants | None = None) -> str:
    """Write the bundle into `folder` and return its revision.

    The manifest goes first and comes back last: a server started in between finds no revision, and no node takes it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MANIFEST).unlink(missing_ok=True)
    files = bundle_files(grants)
    for name in sorted(files, key=lambda name: name == _MANIFEST):
        draft = folder.parent / f"{folder.name}.{name}.draft"
        draft.write_text(files[name], encoding="utf-8")
        draft.replace(folder / name)
    return policy_source(grants).revision


def opa_config(machine: str, decision_log: bool = True) -> str:
    """The server's configuration as YAML. The decision log goes to the server's own log, a JSON line per query."""
    config: dict[str, object] = {"labels": {"machine": machine}, "default_decision": "/relmachine/steps/decision"}
    if decision_log:
        config["decision_logs"] = {"console": True, "mask_decision": "/system/log/mask"}
    return yaml.safe_dump(config, sort_keys=True)


def opa_command(binary: str, bundle: str, port: int, config: str, host: str = "127.0.0.1") -> Sequence[str]:
    """The command line of a server of the bundle folder `bundle` with the configuration file `config`.

    It is ready when `/health?bundles` answers 200. It has no state: it may be killed and started again at any time.
    """
    return [
        binary,
        "run",
        "--server",
        f"--addr={host}:{port}",
        f"--config-file={config}",
        "--log-format=json",
        "--log-level=info",
        "--skip-version-check",
        "--shutdown-grace-period=5",
        "--bundle",  # takes no value: it says that the paths which follow are bundles
        bundle,
    ]
