"""Every performance benchmark, one after the other, on the same servers.

python -m benchmarks.everything [--json] [--rounds N] [--seconds N]
"""

import argparse
import json
import sys
from typing import Final

from benchmarks.freshness import FRESHNESS
from benchmarks.growth import GROWTH
from benchmarks.harness.command import Found, chosen, log, run, text_of
from benchmarks.harness.servers import servers
from benchmarks.ingest import INGEST
from benchmarks.learn import LEARN
from benchmarks.serve import SERVE
from shared.errors import CannotStart

ALL: Final = (INGEST, LEARN, FRESHNESS, SERVE, GROWTH)


def main() -> None:
    """Run all benchmarks; report failed checks at the end."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object only")
    parser.add_argument("--rounds", help="of each benchmark")
    parser.add_argument("--seconds", help="of each load")
    arguments = parser.parse_args()
    try:
        found = _run(arguments)
    except CannotStart as error:
        sys.exit(str(error))
    if arguments.json:
        print(json.dumps(found))
    sys.exit(_wrong(found))


def _run(arguments: argparse.Namespace) -> dict[str, Found]:
    shorter = [
        f"--{name}={value}"
        for name, value in vars(arguments).items()
        if name != "json" and value is not None
    ]
    found = {}
    with servers() as running:
        for benchmark in ALL:
            log(f"{benchmark.title}:")
            one = found[benchmark.name] = run(benchmark, running, chosen(benchmark, shorter))
            if not arguments.json:
                print(text_of(benchmark, one), flush=True)
    return found


def _wrong(found: dict[str, Found]) -> str | None:
    """Return the failed checks; None when there is none."""
    reasons = []
    for benchmark in ALL:
        try:
            benchmark.check(found[benchmark.name])
        except CannotStart as error:
            reasons.append(str(error))
    return "\n".join(reasons) or None


if __name__ == "__main__":
    main()
