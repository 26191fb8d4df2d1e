/** The chat, beside the meeting. */

import { type FormEvent, useContext, useEffect, useRef, useState } from 'react'

import { Icon } from '../icons'
import { LanguageContext, useText } from '../text'
import type { Chat } from './chat-lines'
import { Panel } from './panel'

export function ChatPanel({ chat, onClose }: { chat: Chat; onClose: () => void }) {
  const text = useText()
  const language = useContext(LanguageContext)
  const [written, setWritten] = useState('')
  const [hasFailed, setHasFailed] = useState(false)
  const end = useRef<HTMLLIElement>(null)
  const count = chat.lines.length

  useEffect(() => {
    if (count) end.current?.scrollIntoView({ block: 'end' })
  }, [count])

  const send = (event: FormEvent) => {
    event.preventDefault()
    const message = written.trim()
    if (!message) return
    chat.send(message).then(
      () => {
        setWritten('')
        setHasFailed(false)
      },
      () => setHasFailed(true),
    )
  }

  return (
    <Panel title={text('chat.title')} onClose={onClose}>
      {/* Lines are read out elsewhere, whether this is open or not. */}
      <ol className="lines" tabIndex={0} aria-label={text('chat.title')}>
        {count === 0 && <li className="empty">{text('chat.empty')}</li>}
        {chat.lines.map((line, place) => (
          <li key={line.key} ref={place + 1 === count ? end : null} className={line.isOwn ? 'own' : ''}>
            <span className="who">
              {line.name} <time>{line.at.toLocaleTimeString(language, { hour: '2-digit', minute: '2-digit' })}</time>
            </span>
            <span className="what">{line.text}</span>
          </li>
        ))}
      </ol>
      {hasFailed && <p role="alert">{text('chat.failed')}</p>}
      <form className="write" onSubmit={send}>
        <input
          value={written}
          maxLength={4000}
          autoComplete="off"
          aria-label={text('chat.write')}
          placeholder={text('chat.write')}
          onChange={(event) => setWritten(event.target.value)}
          autoFocus
        />
        <button type="submit" className="round primary" aria-label={text('chat.send')} disabled={!written.trim()}>
          <Icon name="send" />
        </button>
      </form>
    </Panel>
  )
}
