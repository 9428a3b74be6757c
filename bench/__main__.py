"""``python -m bench NAME [--json]``: peers and ours, interleaved in one run, printed as ratios."""

from __future__ import annotations

import argparse
import importlib
import sys

BENCHES = (
    "overhead", "execs", "first", "idle", "inspect", "sm", "api", "api-verdicts", "api-pairs", "system", "provision", "advise",
    "chain", "chain-packages",
)  # fmt: skip


def main() -> int:
    """Run one benchmark."""
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("name", choices=BENCHES)
    parser.add_argument("--json", action="store_true", help="print one object: bench, rows, ratios")
    parser.add_argument("-n", type=int, default=0, help="rounds (default: the benchmark's own)")
    options = parser.parse_args()
    result = importlib.import_module(f"bench.{options.name.replace('-', '_')}").measure(options.n)
    print(result.json() if options.json else result.table())
    return 0


if __name__ == "__main__":
    sys.exit(main())
