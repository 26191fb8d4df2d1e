/** What is remembered: choices for good, by this browser; who somebody is in a meeting, by this tab. */

import type { Language } from './text'

export interface Choices {
  name: string
  language: Language | ''
  camera: string
  microphone: string
  speaker: string
  wantsCamera: boolean
  wantsMicrophone: boolean
}

const CHOICES = 'choices'
const DEFAULTS: Choices = {
  name: '',
  language: '',
  camera: '',
  microphone: '',
  speaker: '',
  wantsCamera: true,
  wantsMicrophone: true,
}

/** Storage may be forbidden, and hold what somebody else wrote. */
function read(storage: Storage, key: string): unknown {
  try {
    return JSON.parse(storage.getItem(key) ?? 'null')
  } catch {
    return null
  }
}

function write(storage: Storage, key: string, value: unknown): void {
  try {
    storage.setItem(key, JSON.stringify(value))
  } catch {
    // Then it is not remembered.
  }
}

export function choices(): Choices {
  const stored = read(localStorage, CHOICES)
  const kept = { ...DEFAULTS }
  if (typeof stored === 'object' && stored !== null) {
    for (const [name, value] of Object.entries(stored)) {
      if (name in kept && typeof value === typeof kept[name as keyof Choices]) Object.assign(kept, { [name]: value })
    }
  }
  return kept
}

export function remember(changes: Partial<Choices>): void {
  write(localStorage, CHOICES, { ...choices(), ...changes })
}

/** Who this tab is in a meeting: who reloads the page comes back as the same one. */
export interface Stay {
  identity: string
  isInside: boolean
}

export function stay(room: string): Stay {
  const stored = read(sessionStorage, `stay:${room}`) as Partial<Stay> | null
  return { identity: String(stored?.identity ?? ''), isInside: stored?.isInside === true }
}

export function rememberStay(room: string, now: Stay): void {
  write(sessionStorage, `stay:${room}`, now)
}
