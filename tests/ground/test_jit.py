"""The kernel cache: an edited callee recompiles its callers, an untouched one is loaded."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from visiomedia import jit

CALLEE = """
from visiomedia.jit import subroutine

@subroutine
def step(value: int) -> int:
    return value + {added}
"""

CALLER = """
import sys
sys.path.insert(0, {folder!r})
from callee import step
from visiomedia.jit import subroutine

@subroutine
def twice(value: int) -> int:
    return step(step(value))

print(twice(1), sum(twice.stats.cache_hits.values()), sum(twice.stats.cache_misses.values()))
"""


def run_caller(folder: Path, cache: Path, **environment: str) -> list[int]:
    done = subprocess.run(
        [sys.executable, str(folder / "caller.py")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "VISIOMEDIA_CACHE_DIR": str(cache), **environment},
    )
    return [int(word) for word in done.stdout.split()]


@pytest.mark.skipif(not jit.HAS_NUMBA, reason="without numba nothing is compiled, so nothing is cached")
def test_cache_notices_an_edited_callee_and_keeps_an_untouched_one(tmp_path: Path) -> None:
    folder, cache = tmp_path / "code", tmp_path / "cache"
    folder.mkdir()
    (folder / "callee.py").write_text(CALLEE.format(added=1))
    (folder / "caller.py").write_text(CALLER.format(folder=str(folder)))

    assert run_caller(folder, cache) == [3, 0, 1], "compiled"
    assert run_caller(folder, cache) == [3, 1, 0], "loaded"

    # Only the callee's file changes; numba's own key would not see it.
    (folder / "callee.py").write_text(CALLEE.format(added=10))
    assert run_caller(folder, cache) == [21, 0, 1], "compiled again, with the new callee"

    assert run_caller(folder, cache, NUMBA_BOUNDSCHECK="1") == [21, 0, 1], "a flag is part of the key"


def test_stamp_follows_imports_but_not_references(tmp_path: Path) -> None:
    (tmp_path / "kernels.py").write_text(
        "import reference\ntry:\n    from tables import SIZE\nexcept ImportError:\n    SIZE = 0\n"
    )
    (tmp_path / "tables.py").write_text("SIZE = 1\n")
    (tmp_path / "reference.py").write_text("ORACLE = 1\n")
    before = jit.source_stamp(tmp_path / "kernels.py")
    (tmp_path / "reference.py").write_text("ORACLE = 2\n")
    assert jit.source_stamp(tmp_path / "kernels.py") == before
    (tmp_path / "tables.py").write_text("SIZE = 2\n")
    assert jit.source_stamp(tmp_path / "kernels.py") != before


def test_cache_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    done = subprocess.run(
        [sys.executable, "-c", "from visiomedia.jit import cache_directory; cache_directory()"],
        capture_output=True,
        text=True,
        env={**os.environ, "VISIOMEDIA_CACHE_DIR": str(file / "below")},
    )
    assert done.returncode != 0
    assert "VISIOMEDIA_CACHE_DIR" in done.stderr
    assert "a folder that can be written" in done.stderr


KEPT = """
import numpy as np
from visiomedia.jit import compile_for, is_kept
from visiomedia.sctp.checksum import warm_up_stages
[(_, function, arguments)] = warm_up_stages()
print(is_kept(function, arguments), end=" ")
compile_for(function, arguments)
print(is_kept(function, arguments), is_kept(function, (np.zeros(1, np.float32), *arguments[1:])))
"""


@pytest.mark.skipif(not jit.HAS_NUMBA, reason="without numba nothing is compiled")
def test_the_cache_says_what_it_has(tmp_path: Path) -> None:
    environment = {**os.environ, "VISIOMEDIA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", KEPT]
    said = [
        subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout.split()
        for _ in range(2)
    ]
    assert said == [["False", "True", "False"], ["True", "True", "False"]]


@pytest.mark.parametrize(
    "line",
    [
        "from tables import SIZE",
        "from tables import (\n    SIZE as S,\n    OTHER,\n)",
        "import tables",
        "import sys, tables as t",
        "if True:\n    from tables import SIZE",
    ],
)
def test_every_form_of_import_counts(tmp_path: Path, line: str) -> None:
    (tmp_path / "kernels.py").write_text(line + "\n")
    (tmp_path / "tables.py").write_text("SIZE = 1\n")
    before = jit.source_stamp(tmp_path / "kernels.py")
    (tmp_path / "tables.py").write_text("SIZE = 2\n")
    assert jit.source_stamp(tmp_path / "kernels.py") != before


COMPILE = """
from visiomedia.jit import choose_cpu, compilations, compile_for, cpu
from visiomedia.sctp.checksum import warm_up_stages
[(_, function, arguments)] = warm_up_stages()
compile_for(function, arguments)
print(compilations())
"""


@pytest.mark.skipif(not jit.HAS_NUMBA, reason="without numba nothing is compiled")
@pytest.mark.parametrize(("cpu", "compiled_elsewhere"), [("host", 1), ("generic", 0)])
def test_what_was_compiled_for_any_processor_is_not_compiled_again_on_another(
    tmp_path: Path, cpu: str, compiled_elsewhere: int
) -> None:
    def run(code: str, **variables: str) -> str:
        environment = {**os.environ, "VISIOMEDIA_CACHE_DIR": str(tmp_path), **variables}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout.strip()

    run(f"from visiomedia.jit import choose_cpu; choose_cpu({cpu!r})")
    assert int(run(COMPILE)) >= 1
    assert run(COMPILE) == "0"
    # Another machine: a processor that has no more than every one of its architecture.
    elsewhere = run(COMPILE, NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="-avx,-avx2,-bmi2")
    assert min(int(elsewhere), 1) == compiled_elsewhere
