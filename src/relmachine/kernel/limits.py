"""Every bound of a turn and its wire, in one place. An error that a bound causes names it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import ConfigDict


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds with their defaults. Bytes, counts and seconds as the names say."""

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")
    """A misspelt name in settings is an error, not a bound that silently does not hold."""

    payload_bytes_max: int = 256 * 1024
    step_key_characters_max: int = 512
    thread_token_characters_max: int = 200
    steps_per_turn_max: int = 256
    threads_per_round_max: int = 256
    steps_per_round_max: int = 4096
    payload_bytes_per_turn_max: int = 2 * 1024 * 1024
    payload_bytes_per_round_max: int = 16 * 1024 * 1024
    rounds_in_flight_max: int = 2
    hints_in_flight_max: int = 20_000
    hints_per_fetch_max: int = 1000
    publishes_in_flight_max: int = 1000
    reruns_per_turn_max: int = 64
    commit_attempts_max: int = 8
    events_joined_max: int = 4096
    obstructions_per_merge_max: int = 256
    runs_open_per_thread_max: int = 64
    runs_in_flight_max: int = 64
    run_attempts_max: int = 8
    held_per_thread_max: int = 64
    own_law_facts_max: int = 4096
    own_law_facts_bytes_max: int = 1024 * 1024
    own_law_cases_max: int = 256
    own_law_cpu_seconds_max: float = 1.0
    own_law_wall_seconds_max: float = 60.0
    own_law_memory_bytes_max: int = 512 * 1024 * 1024
    answer_text_bytes_max: int = 64 * 1024
    run_record_bytes_max: int = 192 * 1024
    fiber_table_elements_max: int = 64
    section_snapshot_every: int = 256
    query_rows_max: int = 10_000
    query_seconds_max: float = 10.0
    hot_threads_max: int = 10_000
    hot_values_threads_max: int = 2_000
    outcome_wait_seconds_max: float = 30.0
    outcome_waits_max: int = 1000
    submits_in_flight_max: int = 256
    undecided_steps_max: int = 20_000
    early_look_seconds_max: float = 1.0
    lag_threads_max: int = 100
    lag_rows_max: int = 10_000
    telemetry_waiting_max: int = 1000
    telemetry_undecided_max: int = 2_000
