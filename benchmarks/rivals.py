"""The servers of others that are measured: where each one lies, and what installs it. ``make rivals`` runs this.

python -m benchmarks.rivals
"""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

LIVEKIT_VERSION = "v1.13.3"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "visiomedia" / "rivals"
LIVEKIT = CACHE / LIVEKIT_VERSION / "server"
BUILD_LIVEKIT = f"go install github.com/livekit/livekit-server/cmd/server@{LIVEKIT_VERSION}"
JANUS = Path("/usr/bin/janus")
INSTALL_ALL = "make rivals"
INSTALL = {
    "livekit": f"GOTOOLCHAIN=local GOBIN={LIVEKIT.parent} {BUILD_LIVEKIT}",
    "janus": "apt-get install --yes --no-install-recommends janus",
    "aiortc": "python -m pip install aiortc",
}


class NotInstalledError(Exception):
    """A server is not here; the message says what installs it."""


def missing() -> dict[str, str]:
    """What is not here, and the command that installs each."""
    present = {"livekit": LIVEKIT.exists(), "janus": JANUS.exists(), "aiortc": find_spec("aiortc") is not None}
    return {name: INSTALL[name] for name, is_here in present.items() if not is_here}


def build_livekit() -> Path:
    """LiveKit's server, built by Go where it is not there yet.

    Raises:
        NotInstalledError: there is no Go; the message says what to install.
    """
    if not LIVEKIT.exists():
        if shutil.which("go") is None:
            raise NotInstalledError(
                "Go is not installed (1.26 or later: https://go.dev/dl); it builds LiveKit's server"
            )
        LIVEKIT.parent.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "GOTOOLCHAIN": "local", "GOBIN": str(LIVEKIT.parent)}
        subprocess.run(BUILD_LIVEKIT.split(), env=environment, cwd=LIVEKIT.parent, check=True)
    return LIVEKIT


def command(name: str) -> list[str]:
    """What is run to install one that a package manager has."""
    program, *arguments = INSTALL[name].split()
    if program == "python":
        return [sys.executable, *arguments]
    return [*(["sudo"] if os.geteuid() else []), program, *arguments]


def main() -> int:
    """Install what is missing; 1 where something cannot be."""
    wanted = missing()
    failed = []
    for name in wanted:
        print(f"{name}: {INSTALL[name]}")
        try:
            if name == "livekit":
                build_livekit()
            else:
                subprocess.run(command(name), check=True)
        except (NotInstalledError, OSError, subprocess.CalledProcessError) as error:
            failed.append(f"{name}: {error}")
    print("\n".join(failed) or "all rivals are here")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
