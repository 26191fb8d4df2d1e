/** A room is a link: `/r/` and its name. */

const LETTERS = 'abcdefghjkmnpqrstuvwxyz'

/** A name that nobody guesses: ten letters, about 45 bits. */
export function newRoom(): string {
  const numbers = crypto.getRandomValues(new Uint32Array(10))
  const letters = [...numbers].map((number) => LETTERS.charAt(number % LETTERS.length)).join('')
  return `${letters.slice(0, 3)}-${letters.slice(3, 7)}-${letters.slice(7)}`
}

export function pathOf(room: string): string {
  return `/r/${encodeURIComponent(room)}`
}

/** The room of a path; empty on the start page. */
export function roomOf(path: string): string {
  const found = /^\/r\/([^/]+)\/?$/.exec(path)?.[1]
  if (found === undefined) return ''
  try {
    return decodeURIComponent(found)
  } catch {
    return found
  }
}

/** The room of what somebody has typed: a name or a whole link. */
export function roomFrom(typed: string): string {
  const text = typed.trim()
  try {
    return roomOf(new URL(text).pathname) || ''
  } catch {
    return text.replace(/^\/?r\//, '').replace(/\s+/g, '-')
  }
}
