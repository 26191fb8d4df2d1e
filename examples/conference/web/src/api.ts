/** What the page asks of the node besides the meeting itself. */

import { isProblem, ProblemError } from './problems'

export interface Ticket {
  token: string
  identity: string
}

/** A token for a room. `identity`: what an earlier one said, or empty. Throws ProblemError. */
export async function fetchTicket(room: string, name: string, identity: string): Promise<Ticket> {
  let response: Response
  try {
    response = await fetch('/api/token', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ room, name, identity }),
      signal: AbortSignal.timeout(5000),
    })
  } catch {
    throw new ProblemError('node_gone')
  }
  const answer = (await response.json().catch(() => null)) as Partial<Ticket & { error: string }> | null
  if (response.ok && answer?.token && answer.identity) return { token: answer.token, identity: answer.identity }
  if (isProblem(answer?.error)) throw new ProblemError(answer.error)
  throw new ProblemError(response.status >= 500 ? 'node_gone' : 'unknown')
}

/** Where the node's websocket is. */
export function nodeUrl(): string {
  return `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}`
}
