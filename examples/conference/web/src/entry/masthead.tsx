/** The top of every page outside of a meeting: whose it is, and in which language. */

import { type Language, LANGUAGES, nameOf, useText } from '../text'

interface Props {
  language: Language
  onLanguage: (language: Language) => void
}

export function Masthead({ language, onLanguage }: Props) {
  const text = useText()
  return (
    <header className="masthead">
      <span className="brand">visiomedia</span>
      <label className="language">
        <span className="only-read">{text('control.language')}</span>
        <select value={language} onChange={(event) => onLanguage(event.target.value as Language)}>
          {LANGUAGES.map((one) => (
            <option key={one} value={one} lang={one}>
              {nameOf(one)}
            </option>
          ))}
        </select>
      </label>
    </header>
  )
}
