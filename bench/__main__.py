"""``python -m bench``: see the package."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
from pathlib import Path

from bench import click, on_cluster, replay
from bench.figures import Figure, table, write
from dev.cluster import Cluster


async def measure(full: bool) -> list[Figure]:
    """Everything that can be measured on this machine."""
    figures = await replay.latency(rounds=15 if full else 4)
    for pods in (0, 200, 1000):
        figures.append(await replay.hub_loop(pods, seconds=60 if full else 20))
    named = os.environ.get("KUBECONFIG")
    cluster = Cluster.of_kubeconfig(Path(named)) if named else Cluster()
    if cluster and cluster.is_running:
        figures += await on_cluster.measure(
            cluster, rounds=60 if full else 10, faults=3 if full else 1
        )
        figures.append(await click.measure(cluster, rounds=20 if full else 5))
    else:
        print("Nothing was measured on a cluster: make cluster starts the one for that")
    return figures


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--full", action="store_true", help="more rounds: as long as it needs")
    parser.add_argument("--json", type=Path, default=Path("bench/results/latest.json"))
    arguments = parser.parse_args()
    # A line for each start and stop would bury the table.
    logging.disable(logging.INFO)
    figures = asyncio.run(measure(arguments.full))
    write(arguments.json, figures, {"full": arguments.full})
    print(table(figures))
    print(f"\nAll values: {arguments.json}")


if __name__ == "__main__":
    main()
