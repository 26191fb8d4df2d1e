"""What arrived when, by transport: the state of transport-wide feedback."""

from visiomedia.jit import record

TRANSPORT_WINDOW = 2048
"""Packets remembered; one report covers at most this many."""

TRANSPORT_ARRIVALS = record(
    [
        ("highest", "<i8"),  # unwrapped transport sequence number; -1 before the first
        ("reported", "<i8"),  # everything below this has been reported once
        ("deadline", "<i8"),  # monotonic ns of the next report; 0 where nothing waits
        ("feedback_count", "<i8"),
        ("media_ssrc", "<u4"),  # of the last packet: a report must name one
        (
            "arrival",
            "<i8",
            (TRANSPORT_WINDOW,),
        ),  # monotonic ns by sequence number % window; 0 where nothing came
        ("sequence", "<i8", (TRANSPORT_WINDOW,)),
    ]
)
"""Row: transport."""
