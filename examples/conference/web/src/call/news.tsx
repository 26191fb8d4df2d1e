/** What has just happened, shown for some seconds and read out by screen readers. */

import { type Participant, type Room, RoomEvent, Track } from 'livekit-client'
import { useEffect, useRef, useState } from 'react'

import { useText } from '../text'
import type { Line } from './chat-lines'
import { HAND, nameOfParticipant } from './people'

const SHOWN_MS = 5000
const MOST = 4

interface Item {
  key: number
  text: string
}

let lastKey = 0

export function News({ room, lines, isChatOpen }: { room: Room; lines: Line[]; isChatOpen: boolean }) {
  const text = useText()
  const [items, setItems] = useState<Item[]>([])
  const say = useRef((_: string) => {})
  const words = useRef(text)
  words.current = text

  useEffect(() => {
    const timers = new Set<ReturnType<typeof setTimeout>>()
    say.current = (said) => {
      const item = { key: ++lastKey, text: said }
      setItems((before) => [...before, item].slice(-MOST))
      const timer = setTimeout(() => {
        timers.delete(timer)
        setItems((before) => before.filter((one) => one.key !== item.key))
      }, SHOWN_MS)
      timers.add(timer)
    }
    const came = (one: Participant) => say.current(words.current('news.joined', { name: nameOfParticipant(one) }))
    const went = (one: Participant) => say.current(words.current('news.left', { name: nameOfParticipant(one) }))
    const changed = (attributes: Record<string, string>, one: Participant) => {
      if (attributes[HAND] && one !== room.localParticipant)
        say.current(words.current('news.hand', { name: nameOfParticipant(one) }))
    }
    const published = (publication: { source: Track.Source }, one: Participant) => {
      if (publication.source === Track.Source.ScreenShare)
        say.current(words.current('news.shares', { name: nameOfParticipant(one) }))
    }
    room
      .on(RoomEvent.ParticipantConnected, came)
      .on(RoomEvent.ParticipantDisconnected, went)
      .on(RoomEvent.ParticipantAttributesChanged, changed)
      .on(RoomEvent.TrackPublished, published)
    return () => {
      for (const timer of timers) clearTimeout(timer)
      room
        .off(RoomEvent.ParticipantConnected, came)
        .off(RoomEvent.ParticipantDisconnected, went)
        .off(RoomEvent.ParticipantAttributesChanged, changed)
        .off(RoomEvent.TrackPublished, published)
    }
  }, [room])

  const last = lines.at(-1)
  useEffect(() => {
    if (last && !last.isOwn) say.current(words.current('news.message', { name: last.name, text: last.text }))
  }, [last])

  return (
    <div className={isChatOpen ? 'news beside' : 'news'} role="log" aria-live="polite">
      {items.map((item) => (
        <p key={item.key}>{item.text}</p>
      ))}
    </div>
  )
}
