/** What was written in a meeting since one came: text streams of the topic that LiveKit's clients chat by. */

import type { Room } from 'livekit-client'
import { useCallback, useEffect, useState } from 'react'

import { nameOfParticipant } from './people'

const TOPIC = 'lk.chat'
const MOST_LINES = 500

export interface Line {
  key: number
  name: string
  text: string
  isOwn: boolean
  at: Date
}

export interface Chat {
  lines: Line[]
  send: (text: string) => Promise<void>
}

let lastKey = 0

export function useChat(room: Room): Chat {
  const [lines, setLines] = useState<Line[]>([])

  const add = useCallback((name: string, text: string, isOwn: boolean) => {
    const line = { key: ++lastKey, name, text, isOwn, at: new Date() }
    setLines((before) => [...before, line].slice(-MOST_LINES))
  }, [])

  useEffect(() => {
    room.registerTextStreamHandler(TOPIC, (reader, { identity }) => {
      // The name as it was when it was written: its author may leave.
      const author = room.remoteParticipants.get(identity)
      const name = author ? nameOfParticipant(author) : identity
      reader.readAll().then(
        (text) => add(name, text, false),
        () => {}, // its sender left in the middle of it
      )
    })
    return () => room.unregisterTextStreamHandler(TOPIC)
  }, [room, add])

  const send = async (text: string) => {
    await room.localParticipant.sendText(text, { topic: TOPIC })
    add(nameOfParticipant(room.localParticipant), text, true)
  }
  return { lines, send }
}
