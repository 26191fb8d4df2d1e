/** A meeting: everybody in a grid, or one large with the others beside, and the controls below. */

import { useState } from 'react'

import { Icon } from '../icons'
import { Notice } from '../notice'
import type { Problem } from '../problems'
import { useText } from '../text'
import { Bar, type PanelName } from './bar'
import { useChat } from './chat-lines'
import { ChatPanel } from './chat-panel'
import { CopyLink } from './copy-link'
import { DevicePanel } from './device-panel'
import { Grid } from './grid'
import { useMeeting } from './meeting'
import { News } from './news'
import { cameras, screens } from './people'
import { PeoplePanel } from './people-panel'
import { useRoomChanges } from './room-events'
import { Sound } from './sound'
import { Stage } from './stage'

interface Props {
  room: string
  /** With what ended it, or null where one has left. */
  onLeft: (problem: Problem | null) => void
}

export function Call({ room: name, onLeft }: Props) {
  const text = useText()
  const meeting = useMeeting(name, onLeft)
  const { room, phase, troubles } = meeting
  useRoomChanges(room)
  const chat = useChat(room)
  const [open, setOpen] = useState<PanelName | null>(null)
  const [pinned, setPinned] = useState('')
  const [read, setRead] = useState(0)

  const heard = chat.lines.filter((line) => !line.isOwn).length
  if (open === 'chat' && read !== heard) setRead(heard)

  const people = cameras(room)
  const shared = screens(room)
  const all = [...shared, ...people]
  const large = all.find((one) => one.key === pinned) ?? shared.at(-1)
  const isAlone = phase === 'joined' && people.length === 1 && !large

  return (
    <div className="call" data-phase={phase} data-room={name}>
      <h1 className="only-read">{text('join.room', { room: name })}</h1>
      {phase !== 'joined' && (
        <p className="state" role="status">
          {text(phase === 'connecting' ? 'state.connecting' : `state.${phase}`)}
        </p>
      )}
      {troubles.length > 0 && (
        <div className="troubles">
          {troubles.map((problem) => (
            <Notice key={problem} problem={problem} />
          ))}
        </div>
      )}
      <div className="middle">
        <main className="faces">
          {large ? (
            <Stage
              large={large}
              others={all.filter((one) => one !== large)}
              isPinned={large.key === pinned}
              onPin={setPinned}
            />
          ) : (
            <Grid shown={people} onPin={setPinned} />
          )}
          {isAlone && (
            <div className="alone">
              <p>{text('tile.alone')}</p>
              <CopyLink />
            </div>
          )}
        </main>
        {open === 'chat' && <ChatPanel chat={chat} onClose={() => setOpen(null)} />}
        {open === 'people' && <PeoplePanel room={room} onClose={() => setOpen(null)} />}
        {open === 'devices' && <DevicePanel meeting={meeting} onClose={() => setOpen(null)} />}
      </div>
      <News room={room} lines={chat.lines} isChatOpen={open === 'chat'} />
      {phase === 'joined' && !room.canPlaybackAudio && (
        <button type="button" className="button primary hear" onClick={() => void room.startAudio()}>
          <Icon name="sound" /> {text('control.hear')}
        </button>
      )}
      <Bar
        meeting={meeting}
        open={open}
        unread={open === 'chat' ? 0 : heard - read}
        onPanel={(panel) => setOpen(open === panel ? null : panel)}
        onLeave={() => onLeft(null)}
      />
      <Sound room={room} />
    </div>
  )
}
