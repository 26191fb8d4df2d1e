/** A picture on the screen, as long as it is there. */

import type { Track } from 'livekit-client'
import { useEffect, useRef } from 'react'

interface Props {
  track: Track
  label: string
  isMirrored?: boolean
  isWhole?: boolean
}

export function Video({ track, label, isMirrored = false, isWhole = false }: Props) {
  const element = useRef<HTMLVideoElement>(null)
  useEffect(() => {
    const video = element.current
    if (!video) return
    track.attach(video)
    return () => {
      track.detach(video)
    }
  }, [track])
  const classes = ['video', isMirrored ? 'mirrored' : '', isWhole ? 'whole' : ''].filter(Boolean).join(' ')
  return <video ref={element} className={classes} aria-label={label} autoPlay playsInline muted />
}
