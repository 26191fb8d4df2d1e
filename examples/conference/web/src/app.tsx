/** Which view is shown: the start page, the door of a room, the meeting, or what ended it. */

import { useCallback, useEffect, useState } from 'react'

import { Call } from './call/call'
import { Door } from './entry/door'
import { Home } from './entry/home'
import { Outside } from './entry/outside'
import { pathOf, roomOf } from './link'
import { choices, remember, rememberStay, stay } from './memory'
import { browserProblem, type Problem } from './problems'
import { type Language, LanguageContext, preferred } from './text'

type View = { at: 'home' } | { at: 'door'; problem: Problem | null } | { at: 'call' } | { at: 'outside'; problem: Problem | null }

function firstView(room: string): View {
  if (!room) return { at: 'home' }
  // Who reloads the page in a meeting goes on with it.
  return stay(room).isInside && choices().name ? { at: 'call' } : { at: 'door', problem: null }
}

export function App() {
  const [language, setLanguage] = useState<Language>(() => choices().language || preferred(navigator.languages))
  const [room, setRoom] = useState(() => roomOf(location.pathname))
  const [view, setView] = useState<View>(() => firstView(roomOf(location.pathname)))
  const cannot = browserProblem()

  useEffect(() => {
    document.documentElement.lang = language
  }, [language])

  const open = useCallback((name: string) => {
    history.pushState(null, '', name ? pathOf(name) : '/')
    setRoom(name)
    setView(firstView(name))
  }, [])

  useEffect(() => {
    document.title = room ? `${room} · visiomedia` : 'visiomedia'
    const back = () => {
      const name = roomOf(location.pathname)
      setRoom(name)
      setView(firstView(name))
    }
    addEventListener('popstate', back)
    return () => removeEventListener('popstate', back)
  }, [room])

  const choose = (chosen: Language) => {
    remember({ language: chosen })
    setLanguage(chosen)
  }

  const leave = useCallback(
    (problem: Problem | null) => {
      rememberStay(room, { ...stay(room), isInside: false })
      const isOfTheDoor = problem === 'name_taken' || problem === 'bad_name' || problem === 'room_full'
      setView(isOfTheDoor ? { at: 'door', problem } : { at: 'outside', problem })
    },
    [room],
  )

  return (
    <LanguageContext value={language}>
      {cannot && room ? (
        <Outside problem={cannot} onHome={() => open('')} onReturn={() => location.reload()} />
      ) : view.at === 'home' ? (
        <Home language={language} onLanguage={choose} onRoom={open} />
      ) : view.at === 'door' ? (
        <Door
          room={room}
          problem={view.problem}
          language={language}
          onLanguage={choose}
          onJoin={() => setView({ at: 'call' })}
        />
      ) : view.at === 'call' ? (
        <Call key={room} room={room} onLeft={leave} />
      ) : (
        <Outside problem={view.problem} onHome={() => open('')} onReturn={() => setView({ at: 'call' })} />
      )}
    </LanguageContext>
  )
}
