"""``python3 -m dev.cluster COMMAND``: see docs/how-to/development-cluster.md."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path

from dev.cluster import programs
from dev.cluster.cluster import Cluster
from dev.cluster.errors import CannotRun, ClusterError
from dev.cluster.layout import CHECKOUT


def main() -> int:
    # Ends what it waits for too, such as the compiler.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    arguments = _parser().parse_args()
    cluster = Cluster(arguments.folder)
    try:
        _do(cluster, arguments)
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _do(cluster: Cluster, arguments: argparse.Namespace) -> None:
    match arguments.command:
        case "up":
            if foreign := _foreign(cluster):
                print(f"KUBECONFIG is set: using that cluster ({foreign}), building none")
                return
            cluster.up(arguments.nodes, arguments.policies)
            print(f"export KUBECONFIG={cluster.kubeconfig}")
        case "startable":
            _check_startable(cluster)
        case "down":
            cluster.down()
        case "status":
            print(json.dumps(cluster.status(), indent=2))
        case "kubeconfig":
            print(cluster.kubeconfig)
        case "load":
            cluster.load(*arguments.archives)
        case "apiserver":
            cluster.stop_api_server() if arguments.do == "stop" else cluster.start_api_server()
        case "kubelet":
            act = cluster.stop_kubelet if arguments.do == "stop" else cluster.start_kubelet
            act(arguments.node)
        case "node":
            act = cluster.kill_node if arguments.do == "kill" else cluster.start_node
            act(arguments.node)


def _check_startable(cluster: Cluster) -> None:
    """Raises :class:`CannotRun` with the reason why ``up`` would start nothing here."""
    if _foreign(cluster):
        raise CannotRun("The cluster that KUBECONFIG names is used")
    if cluster.is_running:
        raise CannotRun("The development cluster runs already, and will run on")
    programs.check_root()
    programs.go()


def _foreign(cluster: Cluster) -> str:
    """Somebody's own cluster, if KUBECONFIG names one."""
    value = os.environ.get("KUBECONFIG", "")
    is_own = value and Path(value).resolve() == cluster.kubeconfig
    return "" if is_own else value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m dev.cluster", description=__doc__)
    parser.add_argument("--folder", type=Path, default=CHECKOUT / ".cluster", help="its state")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="build and start what is not there; print KUBECONFIG")
    up.add_argument("--nodes", type=int, default=1)
    up.add_argument(
        "--no-policies",
        dest="policies",
        action="store_false",
        help="without the test-only enforcer of NetworkPolicy",
    )
    commands.add_parser("startable", help="exit code 0 if `up` would start one here; else why not")
    commands.add_parser("down", help="end it and remove every trace but its logs")
    commands.add_parser("status", help="what runs, as JSON")
    commands.add_parser("kubeconfig", help="print the path of its kubeconfig")
    load = commands.add_parser("load", help="import docker-archives into every node")
    load.add_argument("archives", nargs="+", metavar="ARCHIVE", type=Path)
    server = commands.add_parser("apiserver", help="a fault: the API server stops")
    server.add_argument("do", choices=["stop", "start"])
    kubelet = commands.add_parser("kubelet", help="a fault: a node falls silent, its pods run on")
    kubelet.add_argument("do", choices=["stop", "start"])
    kubelet.add_argument("node")
    node = commands.add_parser("node", help="a fault: a node is switched off")
    node.add_argument("do", choices=["kill", "start"])
    node.add_argument("node")
    return parser


if __name__ == "__main__":
    sys.exit(main())
