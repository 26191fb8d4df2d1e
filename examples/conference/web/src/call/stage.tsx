/** One large, the others beside it. */

import { MOST_TILES } from './layout'
import type { Shown } from './people'
import { Tile } from './tile'

interface Props {
  large: Shown
  others: Shown[]
  isPinned: boolean
  onPin: (key: string) => void
}

export function Stage({ large, others, isPinned, onPin }: Props) {
  return (
    <div className="stage">
      <div className="large">
        <Tile key={large.key} shown={large} isPinned={isPinned} onPin={() => onPin(isPinned ? '' : large.key)} />
      </div>
      <div className="strip">
        {others.slice(0, MOST_TILES).map((one) => (
          <Tile key={one.key} shown={one} isPinned={false} onPin={() => onPin(one.key)} />
        ))}
      </div>
    </div>
  )
}
