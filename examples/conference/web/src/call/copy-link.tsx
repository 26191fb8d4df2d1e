/** Copies the meeting's link, which is all that somebody needs to come. */

import { useState } from 'react'

import { Icon } from '../icons'
import { useText } from '../text'

const TOLD_MS = 2000

export function CopyLink() {
  const text = useText()
  const [isCopied, setIsCopied] = useState(false)
  const copy = () => {
    navigator.clipboard.writeText(location.href).then(
      () => {
        setIsCopied(true)
        setTimeout(() => setIsCopied(false), TOLD_MS)
      },
      () => {}, // it is in the address bar all the same
    )
  }
  return (
    <button type="button" className="button" onClick={copy} aria-live="polite">
      <Icon name="link" /> {text(isCopied ? 'control.linkCopied' : 'control.copyLink')}
    </button>
  )
}
