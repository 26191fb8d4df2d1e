"""Kernels, their oracles and their cache. The one module that imports numba.

``@kernel(oracle=..., example=...)`` compiles a function over arrays without the GIL and registers it beside the
plain-Python reference that it must agree with; ``@subroutine`` compiles a piece that only kernels call;
``external`` declares a C function that kernels call by address. Without numba the oracle takes the kernel's place.

numba's own cache looks only at the file a function stands in. Here the key is the text of that file and of every
file of the project it imports, transitively, with numba's version and flags: an edited callee recompiles its callers.
"""

import ctypes
import hashlib
import importlib.util
import inspect
import os
import re
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np

from visiomedia.errors import ConfigurationError

try:
    import llvmlite.binding
    import numba
    from numba.core import caching, types
except ImportError:  # the references run: slow, the same bytes
    numba = None

HAS_NUMBA = numba is not None

P = ParamSpec("P")
R = TypeVar("R")

Arguments = tuple[Any, ...]

Integer = int | np.integer[Any]
"""An integer argument of a kernel: widened by ``np.int64``, a constant, or Python's own."""

RECORD_SEPARATOR = b"\x1e"
_FORMATS = {"u1": "B", "u2": "H", "u4": "I", "u8": "Q", "i1": "b", "i2": "h", "i4": "i", "i8": "q"}
_C_TYPES: dict[str, Any] = {
    "i4": ctypes.c_int32,
    "i8": ctypes.c_int64,
    "u4": ctypes.c_uint32,
    "u8": ctypes.c_uint64,
}


def record(fields: list[Any]) -> np.dtype[Any]:
    """An aligned record dtype whose elements read and write by attribute, in kernels and in Python alike."""
    return np.dtype((np.record, np.dtype(fields, align=True)))


def layout(dtype: np.dtype[Any], *names: str) -> struct.Struct:
    """How the first fields of a record lie in memory, to read and write one from Python at once."""
    fields, form, at = cast(Any, dtype.fields), "=", 0
    for name in names:
        field, offset = fields[name][:2]
        base, shape = field.subdtype or (field, ())
        count = int(np.prod(shape, dtype=int))
        unit = "s" if base == np.uint8 and shape else _FORMATS[base.str[1:]]
        form += "x" * (offset - at) + f"{count}{unit}"
        at = offset + field.itemsize
    return struct.Struct(form)


@dataclass(frozen=True, slots=True)
class KernelEntry:
    """A kernel as registered: what is compiled, what it must agree with, and arguments to try both on."""

    name: str
    function: Callable[..., Any]
    oracle: Callable[..., Any]
    example: Callable[[np.random.Generator], Arguments]
    observe: Callable[[Arguments], Any] | None
    tolerance: float
    """By so much an array of floats may differ from the oracle's."""


KERNELS: list[KernelEntry] = []
"""Every kernel in the order of definition, so that callees come before callers."""


def kernel(
    *,
    oracle: Callable[P, R],
    example: Callable[[np.random.Generator], Arguments],
    observe: Callable[[Arguments], Any] | None = None,
    tolerance: float = 0.0,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a function over arrays and register it with its reference.

    ``oracle`` has the same name and signature; ``example(rng)`` makes arguments for both; ``observe(arguments)``
    says what of the arguments afterwards must agree, and by default that is every array; floats may differ by
    ``tolerance``.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        name = f"{function.__module__.removeprefix('visiomedia.')}.{function.__qualname__}"
        compiled = _compile(function) if HAS_NUMBA else oracle
        KERNELS.append(KernelEntry(name, compiled, oracle, example, observe, tolerance))
        return compiled

    return decorate


def subroutine(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function that kernels call; it is covered by the oracles of its callers and by tests of its own."""
    return _compile(function) if HAS_NUMBA else function


def _compile(function: Callable[P, R]) -> Callable[P, R]:
    # error_model: a kernel has bounded every divisor itself, and must never raise into a thread without the GIL.
    # _nrt: without numba's runtime a kernel that allocates does not compile, and arrays are not counted by atomics.
    dispatcher = numba.njit(nogil=True, error_model="numpy", _nrt=False)(function)
    if cache_directory() is not None:
        dispatcher._cache = _KernelCache(function)
    return cast(Callable[P, R], dispatcher)


def compile_for(function: Callable[..., Any], arguments: Arguments) -> Callable[..., Any]:
    """The compiled entry point of a kernel for arguments of these types.

    Calling it skips numba's dispatch on types (some µs a call); the caller vouches that every call's arguments
    have the same types. Without numba it is the function itself.
    """
    if not HAS_NUMBA:
        return function
    signature = tuple(numba.typeof(argument) for argument in arguments)
    dispatcher = cast(Any, function)
    dispatcher.compile(signature)
    return cast(Callable[..., Any], dispatcher.overloads[signature].entry_point)


def is_kept(function: Callable[..., Any], arguments: Arguments) -> bool:
    """Whether the cache has a function compiled for arguments of these types, all that it calls included."""
    if not HAS_NUMBA or cache_directory() is None:
        return False
    dispatcher = cast(Any, function)
    signature = tuple(numba.typeof(argument) for argument in arguments)
    return bool(dispatcher._cache.holds(signature, dispatcher.targetctx.codegen()))


def warm_up(stages: Sequence[tuple[str, Callable[..., Any], Arguments]]) -> Iterator[tuple[str, int]]:
    """Compile or load functions for arguments of these types; yields (name, how many are done) before each one."""
    for done, (name, function, arguments) in enumerate(stages):
        yield name, done
        compile_for(function, arguments)
    yield "", len(stages)


# --- C functions -------------------------------------------------------------------------------------------------


def external(symbol: str, result: str, *arguments: str, address: int | None = None) -> Callable[..., int]:
    """A C function that kernels and references may call. Pointers are plain integers (type ``u8``).

    ``result`` and ``arguments`` are of ``i4 i8 u4 u8``. With ``address`` the symbol is a private name registered for
    it: several OpenSSLs live in one process, so a public name could resolve to the wrong one.
    """
    if address is None:
        python_function = getattr(ctypes.CDLL(None), symbol)
        python_function.restype = _C_TYPES[result]
        python_function.argtypes = [_C_TYPES[argument] for argument in arguments]
    else:
        prototype: Any = ctypes.CFUNCTYPE(_C_TYPES[result], *(_C_TYPES[argument] for argument in arguments))
        python_function = prototype(address)
    if not HAS_NUMBA:
        return cast(Callable[..., int], python_function)
    if address is not None:
        llvmlite.binding.add_symbol(symbol, address)
    native: dict[str, Any] = {"i4": types.int32, "i8": types.int64, "u4": types.uint32, "u8": types.uintp}
    signature = native[result](*(native[argument] for argument in arguments))
    return cast(Callable[..., int], types.ExternalFunction(symbol, signature))


_compiled_here: list[str] = []


def compilations() -> int:
    """How many functions this process has compiled, because the cache did not have them."""
    return len(_compiled_here)


# --- cache -------------------------------------------------------------------------------------------------------


@cache
def cache_directory() -> Path | None:
    """Where compiled kernels are kept, or None where nowhere is writable.

    ``VISIOMEDIA_CACHE_DIR`` if set, else the user's cache folder, else a folder of the user's own under the
    temporary one.
    """
    chosen = os.environ.get("VISIOMEDIA_CACHE_DIR")
    if chosen:
        if not _is_writable(Path(chosen)):
            raise ConfigurationError("VISIOMEDIA_CACHE_DIR", chosen, "a folder that can be written")
        return Path(chosen)
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    user = getattr(os, "getuid", lambda: 0)()
    fallback = Path(tempfile.gettempdir()) / f"visiomedia-{user}"
    return next((path for path in (home / "visiomedia", fallback) if _is_writable(path)), None)


def _is_writable(path: Path) -> bool:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Compiled code is loaded from here: a folder that somebody else owns is not ours to trust.
        if hasattr(os, "getuid") and path.stat().st_uid != os.getuid():
            return False
        with tempfile.TemporaryFile(dir=path):
            return True
    except OSError:
        return False


CPUS = ("host", "generic")
"""What kernels may be compiled for: this processor, or any of its architecture."""


def choose_cpu(name: str) -> bool:
    """Say what the cache's kernels are compiled for; True where that changed and the process has to start again.

    Every process that uses the cache goes by it, whatever its own processor has: an image that was warmed for
    ``generic`` compiles nothing on a machine that it moves to.
    """
    directory = cache_directory()
    if directory is None or cpu() == name:
        return False
    marker = directory / CPU_FILE
    marker.unlink(missing_ok=True) if name == CPUS[0] else marker.write_text(name)
    return True


CPU_FILE = "cpu"


def cpu() -> str:
    """What the cache's kernels are compiled for, one of ``CPUS``."""
    directory = cache_directory()
    try:
        chosen = "" if directory is None else (directory / CPU_FILE).read_text().strip()
    except OSError:
        chosen = ""
    return chosen if chosen in CPUS else CPUS[0]


def source_stamp(path: Path) -> str:
    """A hash of a kernel file, of what it imports of its own project, and of the compiler's version and flags."""
    digest = hashlib.sha256()
    for file in sorted(_closure(path)):
        digest.update(file.name.encode() + RECORD_SEPARATOR + file.read_bytes() + RECORD_SEPARATOR)
    if HAS_NUMBA:
        flags = (
            numba.__version__,
            llvmlite.__version__,
            np.__version__,
            numba.config.BOUNDSCHECK,
            numba.config.OPT,
        )
        digest.update(repr(flags).encode())
    return digest.hexdigest()


def _closure(path: Path) -> set[Path]:
    """The files that a kernel's code depends on: its own and those it imports, transitively, references apart."""
    found: set[Path] = set()
    waiting = [path.resolve()]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting.extend(_imports(file, file.read_bytes()))
    return found


_IMPORT = re.compile(rb"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+)?import[ \t]+(\([^)]*\)|[^\n]*)", re.MULTILINE)


@cache
def _imports(path: Path, source: bytes) -> tuple[Path, ...]:
    """The files of this file's own project, or of visiomedia, that it imports directly.

    By its lines: a parser would take a sixth of the node's start. What only looks like an import costs a look at
    the disk, or makes a kernel depend on one file more.
    """
    files: list[Path] = []
    for module, imported in _IMPORT.findall(source):
        words = [words[0] for part in imported.decode().strip("()").split(",") if (words := part.split())]
        names = [module.decode(), *(f"{module.decode()}.{word}" for word in words)] if module else words
        files.extend(file for name in names if (file := _module_file(name, path)) is not None)
    return tuple(files)


def _module_file(name: str, importer: Path) -> Path | None:
    if name.rsplit(".", 1)[-1] == "reference":
        return None
    sibling = importer.parent / f"{name}.py"
    if sibling.is_file():
        return sibling
    if name.split(".", 1)[0] != __name__.split(".", 1)[0]:
        return None
    try:
        specification = importlib.util.find_spec(name)
    except (ImportError, AttributeError, ValueError):
        return None  # a name inside a module, not a module
    if specification is None or specification.origin is None:
        return None
    return Path(specification.origin)


if HAS_NUMBA:
    if cpu() == "generic":
        # Before anything is compiled: both are in the key of what is kept.
        numba.config.CPU_NAME, numba.config.CPU_FEATURES = "generic", ""

    class _KernelLocator(caching._CacheLocator):  # type: ignore[misc]  # numba is untyped
        """Tells numba's cache where a kernel's code lies: in a folder named after its source stamp."""

        def __init__(self, function: Callable[..., Any], file: str) -> None:
            self._py_file = file  # numba reads this name in its warnings
            self._line = function.__code__.co_firstlineno
            self._stamp = _stamp_of(file)

        def get_cache_path(self) -> str:
            directory = cache_directory()
            assert directory is not None, "a kernel is cached only where a folder is"
            return str(directory / f"{Path(self._py_file).parent.name}-{self._stamp[:20]}")

        def get_source_stamp(self) -> str:
            return self._stamp

        def get_disambiguator(self) -> str:
            return str(self._line)

        @classmethod
        def from_function(cls, function: Callable[..., Any], file: str) -> "_KernelLocator":
            return cls(function, file)

    class _KernelCacheImplementation(caching.CompileResultCacheImpl):  # type: ignore[misc]  # numba is untyped
        _locator_classes = [_KernelLocator]  # noqa: RUF012  # numba's own declaration

    class _KernelCache(caching.Cache):  # type: ignore[misc]  # numba is untyped
        _impl_class = _KernelCacheImplementation

        def holds(self, signature: Any, codegen: Any) -> bool:
            return self._index_key(signature, codegen) in self._cache_file._load_index()

        def save_overload(self, sig: Any, data: Any) -> None:
            _compiled_here.append(self._name)
            super().save_overload(sig, data)

    @cache
    def _stamp_of(file: str) -> str:
        return source_stamp(Path(file))


def kernel_source(function: Callable[..., Any]) -> Path:
    """The file in which a kernel or subroutine is written."""
    return Path(inspect.getfile(getattr(function, "py_func", function)))


def running_python() -> str:
    """Interpreter and compiler in a few words, for headers of reports."""
    compiler = f"numba {numba.__version__}" if HAS_NUMBA else "no numba: references run"
    return f"Python {sys.version.split()[0]}, {compiler}"
