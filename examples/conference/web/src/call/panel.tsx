/** Something beside the meeting; the whole page where that is narrow. Escape closes it. */

import { type KeyboardEvent, type ReactNode, useId } from 'react'

import { Icon } from '../icons'
import { useText } from '../text'

interface Props {
  title: string
  onClose: () => void
  children: ReactNode
}

export function Panel({ title, onClose, children }: Props) {
  const text = useText()
  const id = useId()
  const keyDown = (event: KeyboardEvent) => {
    if (event.key === 'Escape') onClose()
  }
  return (
    <aside className="panel" aria-labelledby={id} onKeyDown={keyDown}>
      <header>
        <h2 id={id}>{title}</h2>
        <button type="button" className="round small" aria-label={text('control.close')} onClick={onClose}>
          <Icon name="close" />
        </button>
      </header>
      {children}
    </aside>
  )
}
