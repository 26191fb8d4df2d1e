/** What people meet that keeps them from meeting: each has a text that says what happened, and what to do. */

import { ConnectionError, ConnectionErrorReason, DisconnectReason, MediaDeviceFailure } from 'livekit-client'

import type { Key } from './text'

const NAMES = [
  'camera_missing',
  'microphone_missing',
  'camera_refused',
  'microphone_refused',
  'camera_busy',
  'microphone_busy',
  'share_failed',
  'room_full',
  'name_taken',
  'bad_name',
  'bad_room',
  'joined_elsewhere',
  'removed',
  'ended',
  'node_gone',
  'udp_blocked',
  'login_required',
  'other_origin',
  'insecure',
  'no_webrtc',
  'unknown',
] as const

export type Problem = (typeof NAMES)[number]

export function isProblem(name: unknown): name is Problem {
  return NAMES.includes(name as Problem)
}

export const whatHappened = (problem: Problem): Key => `problem.${problem}`
export const whatToDo = (problem: Problem): Key => `problem.${problem}.do`

export class ProblemError extends Error {
  constructor(readonly problem: Problem) {
    super(problem)
  }
}

/** Why this browser cannot meet at all. */
export function browserProblem(): Problem | null {
  if (typeof RTCPeerConnection === 'undefined') return 'no_webrtc'
  if (!window.isSecureContext || !navigator.mediaDevices) return 'insecure'
  return null
}

/** Why a camera or a microphone did not open. */
export function deviceProblem(error: unknown, kind: 'camera' | 'microphone'): Problem {
  switch (MediaDeviceFailure.getFailure(error as Error)) {
    case MediaDeviceFailure.NotFound:
      return `${kind}_missing`
    case MediaDeviceFailure.PermissionDenied:
      return `${kind}_refused`
    case MediaDeviceFailure.DeviceInUse:
      return `${kind}_busy`
    default:
      return 'unknown'
  }
}

/** Why a meeting could not be joined. */
export function joinProblem(error: unknown): Problem {
  if (error instanceof ProblemError) return error.problem
  if (error instanceof ConnectionError) {
    switch (error.reason) {
      case ConnectionErrorReason.NotAllowed:
        return error.status === 403 ? 'room_full' : 'unknown'
      case ConnectionErrorReason.ServerUnreachable:
      case ConnectionErrorReason.Timeout:
      case ConnectionErrorReason.ServiceNotFound:
      case ConnectionErrorReason.WebSocket:
        return 'node_gone'
      case ConnectionErrorReason.InternalError:
        return 'udp_blocked'
      default:
        return 'unknown'
    }
  }
  return 'unknown'
}

/** Why somebody is out of a meeting; null where one's own browser should come back by itself. */
export function leaveProblem(reason: DisconnectReason | undefined): Problem | null {
  switch (reason) {
    case DisconnectReason.DUPLICATE_IDENTITY:
      return 'joined_elsewhere'
    case DisconnectReason.PARTICIPANT_REMOVED:
      return 'removed'
    case DisconnectReason.ROOM_DELETED:
    case DisconnectReason.ROOM_CLOSED:
      return 'ended'
    default:
      return null
  }
}
