/** What the page says, in the language of its reader. Numbers and names stand in braces. */

import { createContext, useContext } from 'react'

import en from './locales/en.json'
import fr from './locales/fr.json'

export type Key = keyof typeof en
export type Language = 'en' | 'fr'
export type Values = Record<string, string | number>

const TEXTS: Record<Language, Record<Key, string>> = { en, fr }
export const LANGUAGES = Object.keys(TEXTS) as Language[]

export function nameOf(language: Language): string {
  return TEXTS[language].language
}

export function say(language: Language, key: Key, values: Values = {}): string {
  return TEXTS[language][key].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ''))
}

/** The first of the browser's languages that we have. */
export function preferred(languages: readonly string[]): Language {
  const known = languages.map((tag) => tag.slice(0, 2).toLowerCase())
  return known.find((tag): tag is Language => LANGUAGES.includes(tag as Language)) ?? 'en'
}

export const LanguageContext = createContext<Language>('en')

export function useText(): (key: Key, values?: Values) => string {
  const language = useContext(LanguageContext)
  return (key, values) => say(language, key, values)
}
