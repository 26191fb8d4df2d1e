"""Rooms: who may do what, what is sent to whom. No wire protocol."""

from visiomedia.conference.conference import Conference
from visiomedia.conference.driver import ConferenceDriver
from visiomedia.conference.grants import Grants
from visiomedia.conference.participant import Arrival, LeaveReason, Participant, ParticipantKind, ParticipantState
from visiomedia.conference.refusals import Refusal, RefusedError
from visiomedia.conference.room import Room
from visiomedia.conference.settings import RoomSettings
from visiomedia.conference.speakers import ActiveSpeakers, SpeakerSettings
from visiomedia.conference.subscriptions import SubscriptionPolicy, TrackSettings
from visiomedia.conference.track import Kind, Layer, Quality, Source, Track, TrackDescription

__all__ = [
    "ActiveSpeakers",
    "Arrival",
    "Conference",
    "ConferenceDriver",
    "Grants",
    "Kind",
    "Layer",
    "LeaveReason",
    "Participant",
    "ParticipantKind",
    "ParticipantState",
    "Quality",
    "Refusal",
    "RefusedError",
    "Room",
    "RoomSettings",
    "Source",
    "SpeakerSettings",
    "SubscriptionPolicy",
    "Track",
    "TrackDescription",
    "TrackSettings",
]
