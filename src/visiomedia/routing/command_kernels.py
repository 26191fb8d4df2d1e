"""Commands that change routing tables. Values and body of each stand in the docstring of what applies it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from visiomedia.jit import Integer, subroutine
from visiomedia.lookup import insert, remove
from visiomedia.routing.history_kernels import forget, reset_history
from visiomedia.routing.tables import (
    DONE,
    MAPPINGS,
    MAX_LAYERS,
    NEXT_JOB,
    REPORTS,
    RESENT,
    SERVED,
    SHIFTS,
    RoutingTables,
)


@subroutine
def _list_add(rows: NDArray[np.int64], row: Integer) -> None:
    rows[0] += 1
    rows[rows[0]] = row


@subroutine
def _list_remove(rows: NDArray[np.int64], row: Integer) -> None:
    for position in range(1, rows[0] + 1):
        if rows[position] == row:
            rows[position] = rows[rows[0]]
            rows[0] -= 1
            return


@subroutine
def add_track(routing: RoutingTables, command: Any) -> None:
    """ADD_TRACK. Values: transport, is audio. Body: the CNAME that its sender reports carry."""
    track = routing.tracks[command.row]
    track.in_use = 1
    track.generation = command.generation
    track.transport = command.values[0]
    track.is_audio = command.values[1]
    track.first_subscription = -1
    for layer in range(MAX_LAYERS):
        track.layers[layer] = -1
    track.cname_length = command.length
    for i in range(command.length):
        track.cname[i] = command.body[i]


@subroutine
def remove_track(routing: RoutingTables, command: Any) -> None:
    """REMOVE_TRACK. Its sources deliver to nobody; its subscriptions end."""
    track = routing.tracks[command.row]
    if track.in_use == 0 or track.generation != command.generation:
        return
    for layer in range(MAX_LAYERS):
        if track.layers[layer] >= 0:
            routing.sources[track.layers[layer]].track = -1
    while track.first_subscription >= 0:
        _unsubscribe(routing, np.int64(track.first_subscription))
    track.in_use = 0


@subroutine
def add_source(routing: RoutingTables, receptions: NDArray[Any], nacks: NDArray[Any], command: Any) -> None:
    """ADD_SOURCE. Values: transport, SSRC, track (-1 for a repair stream), layer, source repaired (-1), clock rate,
    is audio."""
    row = np.int64(command.row)
    source = routing.sources[row]
    source.in_use = 1
    source.generation = command.generation
    source.transport = command.values[0]
    source.ssrc = command.values[1]
    source.track = command.values[2]
    source.layer = command.values[3]
    source.repairs = command.values[4]
    source.clock_rate = command.values[5]
    source.is_audio = command.values[6]
    source.key_frame_wanted = 0
    source.payload_type = 0
    source.shifts = 0
    for i in range(SHIFTS):
        source.shift_index[i] = 0
    source.highest = -1
    source.last_arrival = 0
    source.last_key_frame = 0
    source.key_frame_asked = 0
    source.packets = 0
    source.octets = 0
    source.level_sum = 0
    source.levels = 0
    source.recovered = 0
    source.duplicates = 0
    source.padding_packets = 0
    source.key_frames = 0
    source.nacks_sent = 0
    source.key_frame_requests_sent = 0
    source.waiting = 0
    reset_history(source)
    reception = receptions[row]
    reception.highest = -1
    reception.first = 0
    reception.received = 0
    reception.bytes_received = 0
    reception.expected_prior = 0
    reception.received_prior = 0
    reception.transit = 0
    reception.jitter = 0.0
    reception.last_arrival = 0
    reception.sender_report_ntp = 0
    reception.sender_report_timestamp = 0
    reception.sender_report_arrival = 0
    reception.clock_rate = command.values[5]
    nacks[row].highest = -1
    nacks[row].count = 0
    nacks[row].overflowed = 0
    if source.track >= 0:
        routing.tracks[source.track].layers[source.layer] = row
    _list_add(routing.active_sources, row)


@subroutine
def remove_source(routing: RoutingTables, command: Any) -> bool:
    """REMOVE_SOURCE. Whoever it was forwarded to goes on with what its track has left. False for a stale row."""
    row = np.int64(command.row)
    source = routing.sources[row]
    if source.in_use == 0 or source.generation != command.generation:
        return False
    if source.track >= 0:
        track = routing.tracks[source.track]
        if track.layers[source.layer] == row:
            track.layers[source.layer] = -1
        number = np.int64(track.first_subscription)
        while number >= 0:
            subscription = routing.subscriptions[number]
            if subscription.current == row:
                subscription.current = -1
            if subscription.target == row:
                subscription.target = -1
            for slot in range(MAPPINGS):
                if subscription.map_source[slot] == row:
                    subscription.map_source[slot] = -1
            number = np.int64(subscription.next)
    for position in range(1, routing.active_sources[0] + 1):
        other = routing.sources[routing.active_sources[position]]
        if other.repairs == row:
            other.repairs = -1
    forget(routing.history, source)
    source.in_use = 0
    _list_remove(routing.active_sources, row)
    return True


@subroutine
def subscribe(routing: RoutingTables, command: Any) -> None:
    """SUBSCRIBE. Values: track, transport, SSRC, RTX SSRC (0 without RTX), payload type, RTX payload type, payload
    type that the source sends, clock rate, first sequence number, first RTX sequence number, timestamp offset, is
    audio. Body: the MID."""
    row = np.int64(command.row)
    subscription = routing.subscriptions[row]
    subscription.in_use = 1
    subscription.generation = command.generation
    subscription.track = command.values[0]
    subscription.transport = command.values[1]
    subscription.ssrc = command.values[2]
    subscription.rtx_ssrc = command.values[3]
    subscription.has_rtx = 1 if command.values[3] != 0 else 0
    subscription.payload_type = command.values[4]
    subscription.rtx_payload_type = command.values[5]
    subscription.source_payload_type = command.values[6]
    subscription.clock_rate = command.values[7]
    subscription.highest = command.values[8] - 1
    subscription.rtx_next = command.values[9]
    subscription.timestamp_offset = command.values[10]
    subscription.is_audio = command.values[11]
    subscription.mid_length = command.length
    for i in range(command.length):
        subscription.mid[i] = command.body[i]
    subscription.current = -1
    subscription.target = -1
    subscription.mappings = 0
    for slot in range(MAPPINGS):
        subscription.map_source[slot] = -1
    subscription.floor = 0
    subscription.last_timestamp = 0
    subscription.last_arrival = 0
    subscription.last_marker = 0
    subscription.switched_down = 0
    subscription.rtx_tokens = 0
    for slot in range(RESENT):
        subscription.resent_index[slot] = -1
        subscription.resent_at[slot] = 0
    subscription.key_frame_at = 0
    subscription.key_frame_tokens = 0
    subscription.report_at = 0
    for slot in range(REPORTS):
        subscription.report_sent[slot] = 0
    subscription.reports = 0
    subscription.rtt = 0
    subscription.fraction_lost = 0
    subscription.cumulative_lost = 0
    subscription.remote_jitter = 0
    subscription.packets = 0
    subscription.octets = 0
    subscription.switches = 0
    subscription.late = 0
    subscription.nacks = 0
    subscription.resent = 0
    subscription.not_resent = 0
    subscription.key_frame_requests = 0
    track = routing.tracks[subscription.track]
    subscription.next = track.first_subscription
    track.first_subscription = row
    insert(routing.outgoing, subscription.transport, subscription.ssrc, 0, row)
    if subscription.has_rtx != 0:
        insert(routing.outgoing, subscription.transport, subscription.rtx_ssrc, 0, row)
    _list_add(routing.active_subscriptions, row)


@subroutine
def _unsubscribe(routing: RoutingTables, row: Integer) -> None:
    subscription = routing.subscriptions[row]
    track = routing.tracks[subscription.track]
    if track.first_subscription == row:
        track.first_subscription = subscription.next
    else:
        number = np.int64(track.first_subscription)
        while number >= 0:
            if routing.subscriptions[number].next == row:
                routing.subscriptions[number].next = subscription.next
                break
            number = np.int64(routing.subscriptions[number].next)
    for kind in range(2):
        state = routing.queue.state[kind]
        if state[SERVED] == row:  # it was being served: the next one is
            state[SERVED] = subscription.next
            state[NEXT_JOB] = state[DONE]
    remove(routing.outgoing, subscription.transport, subscription.ssrc, 0)
    if subscription.has_rtx != 0:
        remove(routing.outgoing, subscription.transport, subscription.rtx_ssrc, 0)
    subscription.in_use = 0
    _list_remove(routing.active_subscriptions, row)


@subroutine
def unsubscribe(routing: RoutingTables, command: Any) -> None:
    """UNSUBSCRIBE."""
    subscription = routing.subscriptions[command.row]
    if subscription.in_use != 0 and subscription.generation == command.generation:
        _unsubscribe(routing, np.int64(command.row))


@subroutine
def request_key_frame(routing: RoutingTables, command: Any) -> None:
    """REQUEST_KEY_FRAME of every layer of a track."""
    track = routing.tracks[command.row]
    if track.in_use == 0 or track.generation != command.generation:
        return
    for layer in range(MAX_LAYERS):
        if track.layers[layer] >= 0:
            routing.sources[track.layers[layer]].key_frame_wanted = 1
