/** Renders anew when something of a room has changed: at most once a frame. */

import { type Room, RoomEvent } from 'livekit-client'
import { useEffect, useState } from 'react'

const CHANGES = [
  RoomEvent.ConnectionStateChanged,
  RoomEvent.ParticipantConnected,
  RoomEvent.ParticipantDisconnected,
  RoomEvent.ParticipantNameChanged,
  RoomEvent.ParticipantAttributesChanged,
  RoomEvent.TrackPublished,
  RoomEvent.TrackUnpublished,
  RoomEvent.TrackSubscribed,
  RoomEvent.TrackUnsubscribed,
  RoomEvent.TrackMuted,
  RoomEvent.TrackUnmuted,
  RoomEvent.LocalTrackPublished,
  RoomEvent.LocalTrackUnpublished,
  RoomEvent.ActiveSpeakersChanged,
  RoomEvent.ConnectionQualityChanged,
  RoomEvent.AudioPlaybackStatusChanged,
] as const

export function useRoomChanges(room: Room): void {
  const [, setVersion] = useState(0)
  useEffect(() => {
    let frame = 0
    const changed = () => {
      frame ||= requestAnimationFrame(() => {
        frame = 0
        setVersion((version) => version + 1)
      })
    }
    for (const event of CHANGES) room.on(event, changed)
    return () => {
      cancelAnimationFrame(frame)
      for (const event of CHANGES) room.off(event, changed)
    }
  }, [room])
}
