/** What the others say: one element a sound, none of them visible. */

import { type RemoteTrack, type Room, Track } from 'livekit-client'
import { useEffect, useRef } from 'react'

function One({ track }: { track: RemoteTrack }) {
  const element = useRef<HTMLAudioElement>(null)
  useEffect(() => {
    const audio = element.current
    if (!audio) return
    track.attach(audio)
    return () => {
      track.detach(audio)
    }
  }, [track])
  return <audio ref={element} />
}

export function Sound({ room }: { room: Room }) {
  const tracks = [...room.remoteParticipants.values()].flatMap((participant) =>
    [...participant.trackPublications.values()]
      .map((publication) => publication.track)
      .filter((track): track is RemoteTrack => track?.kind === Track.Kind.Audio),
  )
  return (
    <div hidden>
      {tracks.map((track) => (
        <One key={track.sid} track={track} />
      ))}
    </div>
  )
}
