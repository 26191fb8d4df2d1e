"""Every kernel against its oracle: the same random arguments, the same effect."""

import copy
from typing import Any

import numpy as np
import pytest

import visiomedia.codecs.kernels
import visiomedia.line  # every kernel of the plane is registered by what the line imports
import visiomedia.mixer.kernels
import visiomedia.sctp.kernels
from visiomedia.jit import KERNELS, KernelEntry

assert (
    visiomedia.codecs.kernels.__name__
    and visiomedia.line.__name__
    and visiomedia.mixer.kernels.__name__
    and visiomedia.sctp.kernels.__name__
)

ROUNDS = 40
FUZZ_ROUNDS = 250


def copied(value: Any) -> Any:
    """Arrays copied, tuples of them rebuilt; everything else as it is."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, tuple):
        parts = [copied(part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return copy.copy(value)


def arrays(value: Any) -> list[np.ndarray[Any, Any]]:
    if isinstance(value, np.ndarray):
        return [value]
    if isinstance(value, tuple):
        return [array for part in value for array in arrays(part)]
    return []


def differences(ours: np.ndarray[Any, Any], oracles: np.ndarray[Any, Any], tolerance: float) -> list[str]:
    """Where two arrays differ, by row and field."""
    if ours.tobytes() == oracles.tobytes():
        return []
    if tolerance and ours.dtype.kind == "f" and np.allclose(ours, oracles, rtol=tolerance, atol=tolerance):
        return []
    names = ours.dtype.names
    if names is None:
        places = np.argwhere(ours != oracles)[:10].tolist()
        return [f"{place}: {ours[tuple(place)]} for {oracles[tuple(place)]}" for place in places]
    return [
        f"row {row} {name}: {one} for {other}"
        for row, (mine, its) in enumerate(zip(ours.ravel(), oracles.ravel(), strict=True))
        for name in names
        if np.any((one := mine[name]) != (other := its[name]))
    ][:10]


def agree(entry: KernelEntry, seed: int) -> None:
    arguments = entry.example(np.random.default_rng(seed))
    twin = copied(arguments)
    expected = entry.oracle(*twin)
    got = entry.function(*arguments)
    assert got == expected, f"{entry.name} returns something else with seed {seed}"
    if entry.observe is not None:
        assert entry.observe(arguments) == entry.observe(twin), f"{entry.name} departs with seed {seed}"
        return
    for ours, oracles in zip(arrays(arguments), arrays(twin), strict=True):
        different = differences(ours, oracles, entry.tolerance)
        assert not different, f"{entry.name} departs from its oracle with seed {seed}"


def test_kernels_are_registered() -> None:
    names = [entry.name for entry in KERNELS]
    assert len(names) == len(set(names))
    assert len(names) >= 8


@pytest.mark.parametrize("entry", KERNELS, ids=lambda entry: entry.name)
def test_kernel_agrees_with_its_oracle(entry: KernelEntry) -> None:
    for seed in range(ROUNDS):
        agree(entry, seed)


@pytest.mark.fuzz
@pytest.mark.timeout(300)
@pytest.mark.parametrize("entry", KERNELS, ids=lambda entry: entry.name)
def test_kernel_agrees_with_its_oracle_on_many_more(entry: KernelEntry) -> None:
    for seed in range(ROUNDS, ROUNDS + FUZZ_ROUNDS):
        agree(entry, seed)
