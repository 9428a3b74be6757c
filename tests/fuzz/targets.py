"""What is fuzzed: every reader of what others wrote, with what is done with it afterwards."""

from __future__ import annotations

import contextlib
import io
import os
import re
from pathlib import Path

from tests.fuzz import flags, measures, peers, provisioned, readers, seeds, supply
from tests.fuzz.common import language_of, put
from tests.fuzz.drive import Case, Target


def run_command(case: Case, place: Path) -> None:
    """The whole command, as a user calls it: its exit code, and what it says where it cannot do its work."""
    from pytest_xinchuang.cli.entry import main

    os.environ["XC_CACHE"] = str(place / "cache")
    path = put(case, place)
    words = next(line for name, line in _COMMANDS.items() if re.search(name, case.name)).split()
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        code = main([*("--language", *language_of(case)), *(word.format(file=path, place=place) for word in words)])
    told = said.getvalue()
    if (
        code not in range(5)
        or (code == 2 and "xc" not in told)
        or "Traceback" in told
        or list(place.glob("cache/errors/*"))
    ):
        raise ValueError(f"{' '.join(words)} ends with {code}: {told[-300:]}")


_COMMANDS = {
    r"journal\.ndjson": "report {file}",
    r"xinchuang\.yaml": "subject check {place}",
    r"own\.yaml": "platforms validate {file}",
    r"api\.jsonl": "api diff {file} {file} --offline --format json",
    r"layouts\.jsonl": "syscalls layout diff {file} {file}",
    r"xc-mirror": "supply-chain verify {place} --key {file}",
    r"": "inspect {file} --platform kunpeng --format sarif",
}
"""The beginning of a file's name -> the command that reads it."""


def _command_seeds() -> list[Case]:
    return [
        *seeds.journals(),
        *readers.manifest_seeds(),
        *readers.platform_seeds()[:1],
        *seeds.snapshots(),
        *seeds.layouts()[:1],
        *seeds.artifacts()[-6:],
    ]


TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target("journal", readers.read_report, seeds.journals, seal=readers.sealed, prepare=readers.prepare_reports),
        Target("manifest", readers.read_manifest, readers.manifest_seeds, prepare=readers.installed_packages),
        Target("platforms", readers.read_platforms, readers.platform_seeds),
        Target("lists", readers.read_lists, readers.yaml_seeds),
        Target("vectors", measures.read_vectors, seeds.vectors, prepare=measures.sm_hello),
        Target("api", measures.read_api, seeds.snapshots, prepare=measures.api_rules),
        Target(
            "layouts",
            measures.read_layouts,
            seeds.layouts,
            prepare=lambda: (measures.good_layouts(), measures.good_table()),
        ),
        Target(
            "harness",
            peers.hear_harness,
            peers.harness_seeds,
            prepare=lambda: (peers.some_vectors(), peers.shipped_probes()),
        ),
        Target("agent", peers.hear_agent, peers.agent_seeds),
        Target("supply", supply.read_supply, supply.supply_seeds, prepare=supply.good_mirror),
        Target("go", supply.read_go_files, supply.go_seeds),
        Target(
            "inspect",
            readers.read_artifact,
            seeds.artifacts,
            prepare=lambda: (readers.chosen_platforms(), readers.finding_rules()),
        ),
        Target("flags", flags.read_flags, flags.flags_seeds),
        Target("cache", supply.read_entry, supply.cache_seeds),
        Target("provisioned", provisioned.read_provisioned, provisioned.provisioned_seeds),
        Target("tls", peers.hear_server, peers.tls_seeds),
        Target("output", peers.read_output, peers.output_seeds),
        Target("commands", run_command, _command_seeds, prepare=readers.installed_packages),
    )
}
