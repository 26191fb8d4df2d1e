#!/usr/bin/env bash
# Makes sure that the system packages named as arguments are there: python opus iproute chromium firefox driver fonts npm.
# What is missing is installed by apt-get as root or through sudo; elsewhere the command to run is printed.
set -euo pipefail

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

missing=()
need() { # need PACKAGE COMMAND...: PACKAGE is missing unless COMMAND succeeds
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || missing+=("$package")
}
library_is_there() { [ "$(uname)" != Linux ] || ldconfig -p | grep -F "$1"; }
fonts_are_there() { find /usr/share/fonts -name '*.[to]tf' -print -quit | grep .; }

for name in "$@"; do
    case $name in
    python)
        need python3 test -x /usr/bin/python3
        need python3-venv /usr/bin/python3 -c 'import ensurepip, venv'
        ;;
    opus) need libopus0 library_is_there libopus.so.0 ;;
    iproute) need iproute2 command -v ip ;;
    chromium) need chromium command -v chromium ;;
    firefox) need firefox-esr command -v firefox-esr ;;
    driver) need libatomic1 library_is_there libatomic.so.1 ;; # of the program through which Chromium is driven
    npm) need npm command -v npm ;;
    fonts) need fonts-dejavu-core fonts_are_there ;;
    *)
        echo "$0: no package list named $name" >&2
        exit 2
        ;;
    esac
done
[ ${#missing[@]} -gt 0 ] || exit 0

install="apt-get install -y --no-install-recommends ${missing[*]}"
if ! command -v apt-get >/dev/null; then
    echo "Missing: ${missing[*]} (Debian's names). Install them with this system's package manager." >&2
    exit 1
fi
if [ "$(id -u)" = 0 ]; then
    as_root=(env)
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root=(sudo env)
else
    echo "Missing system packages, and this user may not install them. As root run:" >&2
    echo "    apt-get update && $install" >&2
    exit 1
fi
echo "Installing ${missing[*]}"
"${as_root[@]}" apt-get update -qq </dev/null
# shellcheck disable=SC2086  # a list of words
"${as_root[@]}" DEBIAN_FRONTEND=noninteractive $install -qq </dev/null
