#!/bin/sh
# Installs the programs that cannot come from PyPI or npm, or says which are missing.
#
#     dev/system-packages.sh nginx slapd
#
# Debian's packages start their services when installed; here they are only programs that others
# start, so a policy of 101 forbids it for as long as the installation takes.
set -eu
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

debian() {
    case $1 in
        nginx) echo nginx-light ;;
        venv) echo python3-venv ;;
        busybox) echo busybox-static ;;
        cni) echo containernetworking-plugins ;;
        nft) echo nftables ;;
        ip) echo iproute2 ;;
        unshare) echo util-linux ;;
        *) echo "$1" ;;
    esac
}

redhat() {
    case $1 in
        slapd) echo openldap-servers ;;
        venv) echo python3.11 ;;
        cni) echo containernetworking-plugins ;;
        nft) echo nftables ;;
        ip) echo iproute ;;
        conntrack) echo conntrack-tools ;;
        unshare) echo util-linux ;;
        *) echo "$1" ;;
    esac
}

present() {
    case $1 in
        venv) "${PYTHON:-/usr/bin/python3}" -c 'import ensurepip, venv' 2>/dev/null ;;
        cni) [ -x /usr/lib/cni/ptp ] || [ -x /usr/libexec/cni/ptp ] || [ -x /opt/cni/bin/ptp ] ;;
        chromium) command -v chromium >/dev/null || command -v chromium-browser >/dev/null ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

missing= packages= rpms=
for program in "$@"; do
    present "$program" && continue
    missing="$missing $program"
    packages="$packages $(debian "$program")"
    rpms="$rpms $(redhat "$program")"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "Missing:$missing" >&2
    echo "  Debian, Ubuntu:  sudo apt-get install --no-install-recommends$packages" >&2
    echo "  RHEL, Rocky:     sudo dnf install$rpms" >&2
    exit 1
fi

echo "Installing$packages"
policy=/usr/sbin/policy-rc.d
kept=
if [ -e "$policy" ] || [ -L "$policy" ]; then
    kept=$(mktemp -u "$policy.XXXXXX")
    mv "$policy" "$kept"
fi
restore() {
    rm -f "$policy"
    if [ -n "$kept" ]; then mv "$kept" "$policy"; fi
}
trap restore EXIT
trap 'exit 1' INT TERM HUP
printf '#!/bin/sh\nexit 101\n' > "$policy"
chmod 755 "$policy"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # a list of names
apt-get install -qq -y --no-install-recommends $packages >/dev/null 2>&1 || {
    apt-get update -qq
    apt-get install -qq -y --no-install-recommends $packages >/dev/null
}
