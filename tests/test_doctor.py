"""The doctor: every row asks the machine, and a machine that lacks something is told what to do."""

import errno
import json
import re
import resource
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from visiomedia import doctor
from visiomedia.doctor import Finding, Verdict


def test_this_machine_can_be_examined() -> None:
    findings = doctor.examine()
    assert len(findings) == len(doctor.PROBES)
    assert doctor.is_fit(findings)
    by_name = {finding.what: finding for finding in findings}
    assert by_name["UDP GSO"].verdict is Verdict.FIT
    assert by_name["arrival times"].found == "by the kernel"
    assert by_name["AES-GCM"].found.startswith("OpenSSL")
    assert re.search(r"\d+ kernels", by_name["kernel cache"].found)
    assert not [finding for finding in findings if "could not be asked" in finding.advice]
    for finding in findings:
        assert finding.verdict is Verdict.FIT or finding.advice or finding.what == "UDP GRO", finding


@pytest.fixture
def no_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "segments_per_message", lambda: 1)


@pytest.mark.usefixtures("no_segments")
def test_a_host_without_segmentation_is_slower() -> None:
    finding = doctor.segmentation()
    assert (finding.found, finding.verdict) == ("refused", Verdict.SLOWER)
    assert "Linux 4.18" in finding.advice


def refuse(*_: Any, **__: Any) -> Any:
    raise OSError(errno.EPERM, "Operation not permitted")


@pytest.mark.parametrize(
    ("probe", "change", "verdict", "advice"),
    [
        (doctor.python, ("HAS_NUMBA", False), Verdict.SLOWER, "pip install numba"),
        (doctor.system, ("kernels_available", lambda: False), Verdict.SLOWER, "64-bit Linux"),
        (doctor.encryption, ("evp_library", lambda: None), Verdict.SLOWER, "libcrypto"),
        (doctor.kernels, ("cache_directory", lambda: None), Verdict.SLOWER, "VISIOMEDIA_CACHE_DIR"),
        (doctor.addresses, ("interface_addresses", lambda: ["127.0.0.1"]), Verdict.SLOWER, "only this machine"),
        (doctor.memory, ("WANTED_MEMORY", 1 << 60), Verdict.SLOWER, "1 GB"),
        (doctor.receive_buffer, ("SOCKET_BUFFER", 1 << 30), Verdict.SLOWER, "net.core.rmem_max"),
        (doctor.coalescing, ("UDP_GRO", 9999), Verdict.SLOWER, "Linux 5.0"),
        (doctor.overflow_counts, ("SO_RXQ_OVFL", 9999), Verdict.SLOWER, "not seen"),
        (doctor.priority, ("come_first", lambda: False), Verdict.SLOWER, "LimitNICE=-10"),
        (doctor.loopback, ("_loopback", refuse), Verdict.UNFIT, "ip link set lo up"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_is_missing_is_told_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
    probe: Callable[[], Finding],
    change: tuple[str, Any],
    verdict: Verdict,
    advice: str,
) -> None:
    monkeypatch.setattr(doctor, *change)
    finding = probe()
    assert finding.verdict is verdict
    assert advice in finding.advice


def test_a_cache_without_kernels_asks_for_warming(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "cache_directory", lambda: tmp_path)
    assert "warmup" in doctor.kernels().advice


@pytest.mark.parametrize(
    ("flags", "verdict"),
    [
        ("flags : fpu aes pclmulqdq vaes", Verdict.FIT),
        ("Features : fp asimd aes pmull sha1", Verdict.FIT),
        ("flags : fpu sse2", Verdict.SLOWER),
    ],
)
def test_the_processors_instructions_are_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flags: str, verdict: Verdict
) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor : 0\n{flags}\n")
    monkeypatch.setattr(doctor, "CPU_INFORMATION", tmp_path / "cpuinfo")
    assert doctor.cipher_instructions().verdict is verdict


@pytest.mark.parametrize(
    ("probe", "kind", "flag"),
    [(doctor.http_port, socket.SOCK_STREAM, "--bind"), (doctor.media_port, socket.SOCK_DGRAM, "--media-port")],
)
def test_a_port_in_use_is_named_with_the_flag_that_takes_another(
    probe: Callable[[], Finding], kind: socket.SocketKind, flag: str
) -> None:
    assert probe().found == "free"
    port = int(probe().what.split()[1])
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", port))
        if kind is socket.SOCK_STREAM:
            taken.listen()
        finding = probe()
    assert finding.verdict is Verdict.SLOWER
    assert flag in finding.advice


def test_too_few_open_files_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 1024))
    assert "LimitNOFILE" in doctor.descriptors().advice


def test_a_probe_that_fails_is_a_finding_and_no_traceback() -> None:
    def broken() -> Finding:
        raise ZeroDivisionError("nobody thought of it")

    (finding,) = doctor.examine([broken])
    assert finding.found == "ZeroDivisionError: nobody thought of it"
    assert finding.verdict is Verdict.SLOWER


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "visiomedia", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=50)


def test_it_prints_a_table_and_json() -> None:
    table = run("doctor")
    assert table.returncode == 0, table.stderr
    assert "UDP GSO" in table.stdout and "This machine is fit" in table.stdout
    findings = json.loads(run("doctor", "--json").stdout)
    assert {"what", "found", "verdict", "advice"} == findings[0].keys()
    assert len(findings) == len(doctor.PROBES)
