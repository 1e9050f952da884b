#!/bin/sh
# What `make test` runs, once everything is installed:
#
#     dev/test.sh [PYTEST ARGUMENT...]
#
# The development cluster is built and started meanwhile, where root and Go are there, and is ended
# afterwards unless it ran before. If it does not start, the tests that need it fail and say why.
# So are the images, wherever there is a cluster to load them into.
set -eu
cd "$(dirname "$0")/.."
python=$PWD/.venv/bin/python
log=.cluster/log/up.log
images_log=.cache/images.log

ours=
starting=
building=
end() {
    for process in $starting $building; do
        kill "$process" 2>/dev/null || true
        wait "$process" || true
    done
    if [ -n "$ours" ]; then "$python" -m dev.cluster down; fi
}
trap end EXIT
trap 'exit 1' INT TERM HUP

if "$python" -m dev.cluster startable; then
    mkdir -p "$(dirname "$log")"
    make -s .cache/cluster-packages || true
    "$python" -m dev.cluster up --nodes "${NODES:-2}" > "$log" 2>&1 &
    starting=$! ours=yes
fi
if [ -n "$starting" ] || [ -n "${KUBECONFIG:-}" ] || [ "${CI:-}" = true ] || [ -e .cluster/kubeconfig ]; then
    make --no-print-directory .cache/images-packages || true
    "$python" -m dev.images build > "$images_log" 2>&1 &
    building=$!
fi

make --no-print-directory lint
npm --prefix docker/web/page test
if [ -n "$starting" ]; then
    echo "Waiting for the development cluster ($log)"
    wait "$starting" || tail -n 40 "$log"
    starting=
fi
if [ -n "$building" ]; then
    echo "Waiting for the images ($images_log)"
    { wait "$building" && "$python" -m dev.images; } || tail -n 40 "$images_log"
    building=
fi
"$python" -m demo.reachable "$python" -m pytest --numprocesses 2 --dist loadfile "$@"
