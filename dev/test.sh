#!/bin/sh
# What `make test` runs, once everything is installed:
#
#     dev/test.sh [PYTEST ARGUMENT...]
#
# The development cluster is built and started meanwhile, where root and Go are there, and is ended
# afterwards unless it ran before. If it does not start, the tests that need it fail and say why.
set -eu
cd "$(dirname "$0")/.."
python=$PWD/.venv/bin/python
log=.cluster/log/up.log

ours=
starting=
end() {
    if [ -n "$starting" ]; then
        kill "$starting" 2>/dev/null || true
        wait "$starting" || true
    fi
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

make --no-print-directory lint
npm --prefix docker/web/page test
if [ -n "$starting" ]; then
    echo "Waiting for the development cluster ($log)"
    wait "$starting" || tail -n 40 "$log"
    starting=
fi
"$python" -m demo.reachable "$python" -m pytest --numprocesses 2 --dist loadfile "$@"
