/** The start page: begin a meeting, or open one by its name or link. */

import { type FormEvent, useState } from 'react'

import { newRoom, roomFrom } from '../link'
import { type Language, useText } from '../text'
import { Masthead } from './masthead'

interface Props {
  language: Language
  onLanguage: (language: Language) => void
  onRoom: (room: string) => void
}

export function Home({ language, onLanguage, onRoom }: Props) {
  const text = useText()
  const [typed, setTyped] = useState('')
  const room = roomFrom(typed)
  const go = (event: FormEvent) => {
    event.preventDefault()
    if (room) onRoom(room)
  }
  return (
    <div className="entry">
      <Masthead language={language} onLanguage={onLanguage} />
      <main className="home">
        <h1>{text('home.title')}</h1>
        <p className="lead">{text('home.lead')}</p>
        <button type="button" className="button primary large" onClick={() => onRoom(newRoom())}>
          {text('home.start')}
        </button>
        <form className="join-by-name" onSubmit={go} aria-label={text('home.join')}>
          <label className="field">
            <span>{text('home.code')}</span>
            <input
              value={typed}
              onChange={(event) => setTyped(event.target.value)}
              placeholder="abc-defg-hij"
              autoCapitalize="none"
              autoComplete="off"
              spellCheck={false}
            />
          </label>
          <button type="submit" className="button" disabled={!room}>
            {text('home.go')}
          </button>
        </form>
      </main>
    </div>
  )
}
