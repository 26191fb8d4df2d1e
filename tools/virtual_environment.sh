#!/usr/bin/env bash
# Creates the virtual environment named by the first argument with a Python that can run this project.
# PYTHON=/path/to/python overrides the choice.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$1

suits() { "$1" -c 'import sys; sys.exit(not sys.version_info >= (3, 11))' >/dev/null 2>&1; }
has_venv() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

# An interpreter that has ensurepip goes first: Debian's own lacks it until python3-venv is installed.
candidates=("${PYTHON:-python3}")
[ -n "${PYTHON:-}" ] || candidates+=(python3.13 python3.12 python3.11 /usr/bin/python3)

choose() {
    local candidate
    for candidate in "${candidates[@]}"; do
        if suits "$candidate" && has_venv "$candidate"; then
            printf '%s' "$candidate"
            return
        fi
    done
}

python=$(choose)
if [ -z "$python" ]; then
    tools/system_packages.sh python
    python=$(choose)
fi
if [ -z "$python" ]; then
    echo "No Python 3.11 or later with the venv module was found (looked for: ${candidates[*]})." >&2
    echo "Install one, or name it: make PYTHON=/path/to/python3.12 ..." >&2
    exit 1
fi
echo "Creating $target with $("$python" --version) ($python)"
trap 'rm -rf "$target"' ERR INT TERM # half an environment would look like a whole one
"$python" -m venv "$target"
