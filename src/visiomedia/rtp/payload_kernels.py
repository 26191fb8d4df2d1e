"""Payload descriptors of a batch's rows: whether a packet starts a frame, and a key frame."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from visiomedia.jit import Integer, subroutine
from visiomedia.rtp.wire_kernels import get16

OPUS, VP8, VP9, H264, AV1, H265 = 1, 2, 3, 4, 5, 6
"""Of ``payload.codec.Codec``."""

H264_IDR, H264_SPS, H264_STAP_A, H264_FU_A = 5, 7, 24, 28
OBU_SEQUENCE_HEADER = 1
MAX_LEB128 = 8
H265_VPS, H265_SPS, H265_AP, H265_FU = 32, 33, 48, 49


@subroutine
def describe_payload(rows: NDArray[Any], i: Integer, arena: NDArray[np.uint8]) -> None:
    """Fill ``is_key_frame`` and ``starts_frame`` of one row by its codec. Audio starts a frame in every packet."""
    row = rows[i]
    row.is_key_frame = 0
    row.starts_frame = 0
    at = np.int64(row.payload_offset)
    end = at + row.payload_length
    if at >= end:
        return
    if row.codec == VP8:
        _describe_vp8(row, arena, at, end)
    elif row.codec == VP9:
        _describe_vp9(row, arena, at, end)
    elif row.codec == H264:
        _describe_h264(row, arena, at, end)
    elif row.codec == AV1:
        _describe_av1(row, arena, at, end)
    elif row.codec == H265:
        _describe_h265(row, arena, at, end)
    else:
        row.starts_frame = 1


@subroutine
def _describe_vp8(row: Any, arena: NDArray[np.uint8], at: Integer, end: Integer) -> None:
    """RFC 7741 section 4.2: |X|R|N|S|R|PID|, extensions by their bits; a frame starts at S of partition 0."""
    first = np.int64(arena[at])
    at += 1
    if first & 0x80:
        if at >= end:
            return
        extended = np.int64(arena[at])
        at += 1
        if extended & 0x80:
            if at >= end:
                return
            at += 2 if arena[at] & 0x80 else 1
        if extended & 0x40:
            at += 1
        if extended & 0x30:
            at += 1
    if first & 0x10 and first & 0x07 == 0 and at < end:
        row.starts_frame = 1
        # RFC 7741 section 4.3: the P bit is 0 in a key frame.
        row.is_key_frame = 1 if arena[at] & 0x01 == 0 else 0


@subroutine
def _describe_vp9(row: Any, arena: NDArray[np.uint8], at: Integer, end: Integer) -> None:
    """RFC 9628 section 4.2: |I|P|L|F|B|E|V|Z|; a key picture's first packet: P is 0, B is 1, spatial layer 0."""
    first = np.int64(arena[at])
    at += 1
    if first & 0x80:
        if at >= end:
            return
        at += 2 if arena[at] & 0x80 else 1
    spatial = np.int64(0)
    if first & 0x20:
        if at >= end:
            return
        spatial = np.int64(arena[at]) >> 1 & 0x07
    if first & 0x08:
        row.starts_frame = 1
        row.is_key_frame = 1 if first & 0x40 == 0 and spatial == 0 else 0


@subroutine
def _describe_h264(row: Any, arena: NDArray[np.uint8], at: Integer, end: Integer) -> None:
    """RFC 6184 section 5.2: key where an SPS or an IDR slice begins, alone, in an aggregate or as first fragment."""
    kind = np.int64(arena[at]) & 0x1F
    row.starts_frame = 1
    if kind == H264_STAP_A:
        at += 1
        while at + 3 <= end:
            size = get16(arena, at)
            inner = np.int64(arena[at + 2]) & 0x1F
            if size > 0 and (inner == H264_SPS or inner == H264_IDR):
                row.is_key_frame = 1
            at += 2 + size
    elif kind == H264_FU_A:
        if at + 2 > end:
            row.starts_frame = 0
            return
        is_start = np.int64(arena[at + 1]) & 0x80
        inner = np.int64(arena[at + 1]) & 0x1F
        row.starts_frame = 1 if is_start else 0
        row.is_key_frame = 1 if is_start and (inner == H264_IDR or inner == H264_SPS) else 0
    else:
        row.is_key_frame = 1 if kind == H264_SPS or kind == H264_IDR else 0


@subroutine
def _has_sequence_header(arena: NDArray[np.uint8], at: Integer, end: Integer, elements: Integer) -> bool:
    """Whether an AV1 payload that is whole has a sequence header among its OBUs (AV1 RTP section 4.3)."""
    found = False
    seen = np.int64(0)
    while at < end:
        seen += 1
        size = end - at
        # "If W is not 0, the last OBU element MUST NOT be preceded by a length field."
        if seen != elements:
            size = np.int64(0)
            for place in range(MAX_LEB128):
                if at >= end:
                    return False
                byte = np.int64(arena[at])
                size |= (byte & 0x7F) << (7 * place)
                at += 1
                if byte & 0x80 == 0:
                    break
                if place == MAX_LEB128 - 1:
                    return False
            if at + size > end:
                return False
        if size > 0 and arena[at] >> 3 & 0x0F == OBU_SEQUENCE_HEADER:
            found = True
        at += size
    return found


@subroutine
def _describe_av1(row: Any, arena: NDArray[np.uint8], at: Integer, end: Integer) -> None:
    """AV1 RTP section 4.4: |Z|Y|W|N|; a key frame's first packet says so by N, or brings a sequence header."""
    header = np.int64(arena[at])
    if header & 0x80:
        return
    row.starts_frame = 1
    if header & 0x08 or _has_sequence_header(arena, at + 1, end, header >> 4 & 0x03):
        row.is_key_frame = 1


@subroutine
def _starts_h265_key(kind: Integer) -> bool:
    """A random access picture (16 to 21, H.265 table 7-1), or the parameter sets that come before one."""
    return bool(16 <= kind <= 21 or kind == H265_VPS or kind == H265_SPS)


@subroutine
def _describe_h265(row: Any, arena: NDArray[np.uint8], at: Integer, end: Integer) -> None:
    """RFC 7798 section 4.4: key where a random access picture or its parameter sets begin; without DONL fields."""
    if at + 3 > end:
        return
    kind = np.int64(arena[at]) >> 1 & 0x3F
    if kind == H265_FU:
        is_start = arena[at + 2] >= 0x80
        row.starts_frame = 1 if is_start else 0
        row.is_key_frame = 1 if is_start and _starts_h265_key(np.int64(arena[at + 2]) & 0x3F) else 0
        return
    row.starts_frame = 1
    if kind != H265_AP:
        row.is_key_frame = 1 if _starts_h265_key(kind) else 0
        return
    at += 2
    while at + 3 <= end:
        size = get16(arena, at)
        if size > 0 and _starts_h265_key(np.int64(arena[at + 2]) >> 1 & 0x3F):
            row.is_key_frame = 1
        at += 2 + size
