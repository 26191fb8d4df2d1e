/** One participant, or one screen: the picture or a monogram, the name, and what is to be known at a glance. */

import { ConnectionQuality } from 'livekit-client'

import { Icon } from '../icons'
import { type Key, useText } from '../text'
import { Video } from '../video'
import { isMuted, nameOfParticipant, pictureOf, raisedHand, type Shown } from './people'

interface Props {
  shown: Shown
  isPinned: boolean
  onPin: () => void
}

function monogram(name: string): string {
  const words = name.trim().split(/\s+/)
  return [words[0], words.length > 1 ? words.at(-1) : undefined]
    .map((word) => [...(word ?? '')][0] ?? '')
    .join('')
    .toLocaleUpperCase()
}

/** One of six hues, always the same for one participant. */
function hue(identity: string): number {
  let sum = 0
  for (const letter of identity) sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) % 6
  return sum
}

const BARS: Partial<Record<ConnectionQuality, number>> = {
  [ConnectionQuality.Excellent]: 3,
  [ConnectionQuality.Good]: 2,
  [ConnectionQuality.Poor]: 1,
  [ConnectionQuality.Lost]: 0,
}

function Quality({ quality }: { quality: ConnectionQuality }) {
  const text = useText()
  const bars = BARS[quality]
  if (bars === undefined) return null
  return (
    <span className="quality" data-bars={bars} role="img" aria-label={text(`quality.${quality}` as Key)}>
      <i />
      <i />
      <i />
    </span>
  )
}

export function Tile({ shown, isPinned, onPin }: Props) {
  const text = useText()
  const { participant, isScreen, isOwn } = shown
  const name = nameOfParticipant(participant)
  const picture = pictureOf(shown)
  const label = isScreen ? text('tile.screen', { name }) : isOwn ? text('tile.you', { name }) : name
  const hand = !isScreen && raisedHand(participant) !== ''
  return (
    <article
      className="tile"
      data-identity={participant.identity}
      data-name={name}
      data-screen={isScreen || undefined}
      data-speaking={(!isScreen && participant.isSpeaking) || undefined}
      data-hue={hue(participant.identity)}
      aria-label={label}
    >
      {picture ? (
        <Video
          track={picture}
          label={text(isScreen ? 'tile.screen' : 'tile.picture', { name })}
          isMirrored={isOwn && !isScreen}
          isWhole={isScreen}
        />
      ) : (
        <span className="monogram" aria-hidden="true">
          {monogram(name)}
        </span>
      )}
      {hand && (
        <span className="raised" role="img" aria-label={text('tile.hand')}>
          <Icon name="hand" />
        </span>
      )}
      <button
        type="button"
        className="pin"
        aria-pressed={isPinned}
        aria-label={text(isPinned ? 'tile.unpin' : 'tile.pin', { name: label })}
        onClick={onPin}
      >
        <Icon name="pin" />
      </button>
      <footer>
        {!isScreen && isMuted(participant) && (
          <span className="muted" role="img" aria-label={text('tile.muted')}>
            <Icon name="microphoneOff" />
          </span>
        )}
        <span className="name">{label}</span>
        {!isScreen && <Quality quality={participant.connectionQuality} />}
      </footer>
    </article>
  )
}
