/** Everybody's names, with who is muted and who asks to speak. */

import type { Room } from 'livekit-client'

import { Icon } from '../icons'
import { useText } from '../text'
import { CopyLink } from './copy-link'
import { Panel } from './panel'
import { everybody, isMuted, nameOfParticipant, raisedHand } from './people'

export function PeoplePanel({ room, onClose }: { room: Room; onClose: () => void }) {
  const text = useText()
  return (
    <Panel title={text('people.title')} onClose={onClose}>
      <ul className="people" tabIndex={0} aria-label={text('people.title')}>
        {everybody(room).map((one) => {
          const name = nameOfParticipant(one)
          return (
            <li key={one.identity}>
              <span>{one === room.localParticipant ? text('tile.you', { name }) : name}</span>
              {raisedHand(one) !== '' && (
                <span role="img" aria-label={text('tile.hand')}>
                  <Icon name="hand" />
                </span>
              )}
              {isMuted(one) && (
                <span role="img" aria-label={text('tile.muted')}>
                  <Icon name="microphoneOff" />
                </span>
              )}
            </li>
          )
        })}
      </ul>
      <CopyLink />
    </Panel>
  )
}
