"""A conference in LiveKit's messages."""

from collections.abc import Iterable
from typing import cast

from livekit.protocol import models, rtc

from visiomedia.clock import NANOSECONDS, Clock
from visiomedia.conference.events import ParticipantsUpdated, Speaker
from visiomedia.conference.grants import Grants
from visiomedia.conference.participant import LeaveReason, Participant, ParticipantKind, ParticipantState
from visiomedia.conference.quality import ConnectionQuality
from visiomedia.conference.room import Room
from visiomedia.conference.track import Kind, Layer, Quality, Source, Track, TrackDescription
from visiomedia.livekit.settings import PROTOCOL, SERVER_VERSION, LiveKitSettings

ROOM_CODECS = ("audio/opus", "video/VP8", "video/VP9", "video/H264", "video/AV1", "video/rtx")

STATES = {
    ParticipantState.JOINING: models.ParticipantInfo.JOINING,
    ParticipantState.ACTIVE: models.ParticipantInfo.ACTIVE,
    ParticipantState.DISCONNECTED: models.ParticipantInfo.DISCONNECTED,
}
KINDS = {
    ParticipantKind.STANDARD: models.ParticipantInfo.STANDARD,
    ParticipantKind.INGRESS: models.ParticipantInfo.INGRESS,
    ParticipantKind.EGRESS: models.ParticipantInfo.EGRESS,
    ParticipantKind.SIP: models.ParticipantInfo.SIP,
    ParticipantKind.AGENT: models.ParticipantInfo.AGENT,
}
SOURCES = {
    Source.UNKNOWN: models.TrackSource.UNKNOWN,
    Source.CAMERA: models.TrackSource.CAMERA,
    Source.MICROPHONE: models.TrackSource.MICROPHONE,
    Source.SCREEN_SHARE: models.TrackSource.SCREEN_SHARE,
    Source.SCREEN_SHARE_AUDIO: models.TrackSource.SCREEN_SHARE_AUDIO,
}
QUALITIES = {
    Quality.LOW: models.VideoQuality.LOW,
    Quality.MEDIUM: models.VideoQuality.MEDIUM,
    Quality.HIGH: models.VideoQuality.HIGH,
}
REASONS = {
    LeaveReason.CLIENT_INITIATED: models.DisconnectReason.CLIENT_INITIATED,
    LeaveReason.DUPLICATE_IDENTITY: models.DisconnectReason.DUPLICATE_IDENTITY,
    LeaveReason.SERVER_SHUTDOWN: models.DisconnectReason.SERVER_SHUTDOWN,
    LeaveReason.PARTICIPANT_REMOVED: models.DisconnectReason.PARTICIPANT_REMOVED,
    LeaveReason.ROOM_DELETED: models.DisconnectReason.ROOM_DELETED,
    LeaveReason.STATE_MISMATCH: models.DisconnectReason.STATE_MISMATCH,
    LeaveReason.JOIN_FAILURE: models.DisconnectReason.JOIN_FAILURE,
    LeaveReason.SIGNAL_CLOSE: models.DisconnectReason.SIGNAL_CLOSE,
    LeaveReason.CONNECTION_TIMEOUT: models.DisconnectReason.CONNECTION_TIMEOUT,
    LeaveReason.MEDIA_FAILURE: models.DisconnectReason.MEDIA_FAILURE,
}
COMES_BACK = {LeaveReason.STATE_MISMATCH, LeaveReason.CONNECTION_TIMEOUT, LeaveReason.MEDIA_FAILURE}
"""After these a client joins anew by itself; after the others the application decides."""

SOURCE_OF = {number: source for source, number in SOURCES.items()}
QUALITY_OF = {number: quality for quality, number in QUALITIES.items()}


class Messages:
    """Writes what clients are told. One for a service, so that what many are told is composed once."""

    __slots__ = ("_clock", "_last_update", "_settings", "_sif_trailer")

    def __init__(self, settings: LiveKitSettings, clock: Clock, sif_trailer: bytes) -> None:
        self._settings = settings
        self._clock = clock
        self._sif_trailer = sif_trailer
        self._last_update: tuple[ParticipantsUpdated, rtc.SignalResponse] | None = None

    def unix_ns(self, now: float) -> int:
        """Of monotonic seconds."""
        return int(now * NANOSECONDS) + self._clock.wall_offset_ns

    def join(
        self, room: Room, participant: Participant, others: Iterable[Participant], *, subscriber_primary: bool
    ) -> rtc.SignalResponse:
        """The welcome: always the first message, and complete, since the Rust SDK ends its process otherwise."""
        settings = self._settings
        return rtc.SignalResponse(
            join=rtc.JoinResponse(
                room=self.room(room),
                participant=self.participant(participant),
                other_participants=[self.participant(other) for other in others],
                server_version=SERVER_VERSION,
                server_region=settings.region,
                server_info=self.server_info(),
                ice_servers=self._ice_servers(),
                subscriber_primary=subscriber_primary,
                ping_interval=settings.ping_interval,
                ping_timeout=settings.ping_timeout,
                sif_trailer=self._sif_trailer,
                enabled_publish_codecs=[models.Codec(mime=mime) for mime in settings.publish_codecs],
                fast_publish=participant.grants.can_publish,
            )
        )

    def reconnect(self, last_message: int) -> rtc.SignalResponse:
        """The welcome of a client whose signalling is back. ``last_message``: the last reliable one it has sent."""
        return rtc.SignalResponse(
            reconnect=rtc.ReconnectResponse(
                ice_servers=self._ice_servers(),
                server_info=self.server_info(),
                last_message_seq=last_message,
            )
        )

    def server_info(self) -> models.ServerInfo:
        """Who we are."""
        return models.ServerInfo(
            edition=models.ServerInfo.Standard,
            version=SERVER_VERSION,
            protocol=PROTOCOL,
            region=self._settings.region,
            node_id=self._settings.node_id,
            agent_protocol=1,
        )

    def _ice_servers(self) -> list[rtc.ICEServer]:
        return [
            rtc.ICEServer(urls=list(server.urls), username=server.username, credential=server.credential)
            for server in self._settings.ice_servers
        ]

    def room(self, room: Room) -> models.Room:
        """The room's properties."""
        created = self.unix_ns(room.created_at)
        return models.Room(
            sid=room.sid,
            name=room.name,
            empty_timeout=int(room.settings.empty_timeout),
            departure_timeout=int(room.settings.departure_timeout),
            max_participants=room.settings.max_participants,
            creation_time=created // NANOSECONDS,
            creation_time_ms=created // 1_000_000,
            enabled_codecs=[models.Codec(mime=mime) for mime in ROOM_CODECS],
            metadata=room.metadata,
            num_participants=room.participant_count,
            num_publishers=room.publisher_count,
            active_recording=room.is_recorded,
        )

    def participant(self, participant: Participant) -> models.ParticipantInfo:
        """What others are told of a participant."""
        joined = self.unix_ns(participant.joined_at)
        info = models.ParticipantInfo(
            sid=participant.sid,
            identity=participant.identity,
            name=participant.name,
            state=STATES[participant.state],
            metadata=participant.metadata,
            attributes=participant.attributes,
            joined_at=joined // NANOSECONDS,
            joined_at_ms=joined // 1_000_000,
            version=participant.version,
            permission=permission(participant.grants),
            region=self._settings.region,
            is_publisher=participant.is_publisher,
            kind=KINDS[participant.kind],
            client_protocol=participant.client_protocol,
            tracks=[self.track(track) for track in participant.tracks.values()],
        )
        info.capabilities.extend(cast(models.ClientInfo.Capability, one) for one in participant.capabilities)
        if participant.leave_reason is not None:
            info.disconnect_reason = REASONS[participant.leave_reason]
        return info

    def track(self, track: Track) -> models.TrackInfo:
        """What others are told of a track."""
        described = track.description
        is_video = track.kind is Kind.VIDEO
        info = models.TrackInfo(
            sid=track.sid,
            type=models.TrackType.VIDEO if is_video else models.TrackType.AUDIO,
            source=SOURCES[track.source],
            name=described.name,
            muted=track.is_muted,
            width=track.width,
            height=track.height,
            simulcast=is_video and len(described.layers) > 1,
            stream=described.stream,
            mime_type=track.mime_type,
            mid=track.mid,
            encryption=cast(models.Encryption.Type, described.encryption),
            layers=[_video_layer(layer) for layer in described.layers],
        )
        codec = models.SimulcastCodecInfo(
            mime_type=track.mime_type,
            mid=track.mid,
            cid=described.cid,
            layers=[_video_layer(layer) for layer in described.layers],
            video_layer_mode=models.VideoLayer.ONE_SPATIAL_LAYER_PER_STREAM,
        )
        info.codecs.append(codec)
        request = described.extras.get("request")
        if isinstance(request, rtc.AddTrackRequest):
            _copy_extras(request, info)
        if track.is_live:
            info.version.unix_micro = self.unix_ns(track.published_at) // 1000
        return info

    def participants(self, participants: Iterable[Participant]) -> rtc.SignalResponse:
        """An update of participants."""
        infos = [self.participant(participant) for participant in participants]
        return rtc.SignalResponse(update=rtc.ParticipantUpdate(participants=infos))

    def update(self, event: ParticipantsUpdated) -> rtc.SignalResponse:
        """The same for every recipient of an event."""
        if self._last_update is None or self._last_update[0] is not event:
            self._last_update = (event, self.participants(event.participants))
        return self._last_update[1]


def permission(grants: Grants) -> models.ParticipantPermission:
    """What a participant may do. Applications read it to show their buttons, and write it back with one change."""
    result = models.ParticipantPermission(
        can_subscribe=grants.can_subscribe,
        can_publish=grants.can_publish,
        can_publish_data=grants.can_publish_data,
        hidden=grants.hidden,
        recorder=grants.recorder,
        can_update_metadata=grants.can_update_own_metadata,
        agent=grants.agent,
    )
    result.can_publish_sources.extend(SOURCES[source] for source in Source if source in grants.can_publish_sources)
    return result


def description(request: rtc.AddTrackRequest) -> TrackDescription:
    """The track that a client is about to publish."""
    source = SOURCE_OF.get(request.source, Source.UNKNOWN)
    layers = sorted(
        (
            Layer(quality=QUALITY_OF[layer.quality], width=layer.width, height=layer.height, bitrate=layer.bitrate)
            for layer in list(request.layers)[: len(Quality)]
            if layer.quality in QUALITY_OF
        ),
        key=lambda layer: layer.quality.value,
    )
    return TrackDescription(
        cid=request.cid,
        kind=Kind.VIDEO if request.type == models.TrackType.VIDEO else Kind.AUDIO,
        source=source,
        name=request.name,
        stream=request.stream or _default_stream(source),
        width=request.width,
        height=request.height,
        layers=tuple(layers),
        encryption=int(request.encryption),
        extras={"request": request},
    )


def leave(reason: LeaveReason) -> rtc.SignalResponse:
    """A goodbye, and what the client shall do next."""
    comes_back = reason in COMES_BACK
    action = rtc.LeaveRequest.RECONNECT if comes_back else rtc.LeaveRequest.DISCONNECT
    # Clients older than protocol 13 know no action.
    return rtc.SignalResponse(leave=rtc.LeaveRequest(reason=REASONS[reason], action=action, can_reconnect=comes_back))


def speakers(changed: Iterable[Speaker]) -> rtc.SignalResponse:
    """Who speaks louder, softer, or no longer."""
    infos = [
        models.SpeakerInfo(sid=speaker.participant.sid, level=speaker.level, active=speaker.is_active)
        for speaker in changed
    ]
    return rtc.SignalResponse(speakers_changed=rtc.SpeakersChanged(speakers=infos))


QUALITY_GRADES = {
    ConnectionQuality.LOST: models.ConnectionQuality.LOST,
    ConnectionQuality.POOR: models.ConnectionQuality.POOR,
    ConnectionQuality.GOOD: models.ConnectionQuality.GOOD,
    ConnectionQuality.EXCELLENT: models.ConnectionQuality.EXCELLENT,
}
SCORES = {
    ConnectionQuality.LOST: 1.0,
    ConnectionQuality.POOR: 2.0,
    ConnectionQuality.GOOD: 3.5,
    ConnectionQuality.EXCELLENT: 4.5,
}
"""On the scale of mean opinion scores, which clients may show."""


def quality(participants: Iterable[Participant]) -> rtc.SignalResponse:
    """How well networks carry media; who is not rated yet is left out."""
    infos = [
        rtc.ConnectionQualityInfo(
            participant_sid=one.sid, quality=QUALITY_GRADES[one.quality], score=SCORES[one.quality]
        )
        for one in participants
        if one.quality is not None
    ]
    return rtc.SignalResponse(connection_quality=rtc.ConnectionQualityUpdate(updates=infos))


def _default_stream(source: Source) -> str:
    """Camera and microphone are played together, and so are a screen and its sound."""
    if source in (Source.CAMERA, Source.MICROPHONE):
        return "camera"
    return "screen" if source in (Source.SCREEN_SHARE, Source.SCREEN_SHARE_AUDIO) else ""


def _video_layer(layer: Layer) -> models.VideoLayer:
    return models.VideoLayer(
        quality=QUALITIES[layer.quality],
        width=layer.width,
        height=layer.height,
        bitrate=layer.bitrate,
        spatial_layer=layer.quality.value,
    )


def _copy_extras(request: rtc.AddTrackRequest, info: models.TrackInfo) -> None:
    info.disable_red = request.disable_red
    info.backup_codec_policy = request.backup_codec_policy
    info.audio_features.extend(request.audio_features)
    info.packet_trailer_features.extend(request.packet_trailer_features)
    info.stereo = models.AudioTrackFeature.TF_STEREO in request.audio_features
    info.disable_dtx = models.AudioTrackFeature.TF_NO_DTX in request.audio_features
