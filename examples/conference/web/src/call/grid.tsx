/** Everybody at one size, as large as they fit. */

import { useRef } from 'react'

import { useText } from '../text'
import { fit, MOST_TILES } from './layout'
import type { Shown } from './people'
import { useSize } from './size'
import { Tile } from './tile'

interface Props {
  shown: Shown[]
  onPin: (key: string) => void
}

export function Grid({ shown, onPin }: Props) {
  const text = useText()
  const element = useRef<HTMLDivElement>(null)
  const { width, height } = useSize(element)
  const visible = shown.slice(0, MOST_TILES)
  const cells = fit(visible.length, width, height)
  return (
    <div className="grid" ref={element} data-tiles={visible.length}>
      <div className="cells" style={{ gridTemplateColumns: `repeat(${cells.columns}, ${cells.width}px)` }}>
        {visible.map((one) => (
          <Tile key={one.key} shown={one} isPinned={false} onPin={() => onPin(one.key)} />
        ))}
      </div>
      {shown.length > visible.length && (
        <p className="more">{text('tile.more', { count: shown.length - visible.length })}</p>
      )}
    </div>
  )
}
