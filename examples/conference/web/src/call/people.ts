/** Who is in a meeting, and what the page shows of each. */

import { type Participant, type Room, Track, type TrackPublication } from 'livekit-client'

/** One tile: a participant's camera, or a screen. */
export interface Shown {
  key: string
  participant: Participant
  isScreen: boolean
  isOwn: boolean
  publication: TrackPublication | undefined
}

export const HAND = 'handRaisedAt'

export const raisedHand = (participant: Participant): string => participant.attributes[HAND] ?? ''

export const nameOfParticipant = (participant: Participant): string => participant.name || participant.identity

export const isMuted = (participant: Participant): boolean => !participant.isMicrophoneEnabled

/** The picture to show, while there is one. */
export function pictureOf({ publication }: Shown): Track | null {
  const isThere = publication !== undefined && !publication.isMuted && publication.track !== undefined
  return isThere ? (publication.track ?? null) : null
}

function shown(participant: Participant, source: Track.Source, isOwn: boolean): Shown {
  return {
    key: `${participant.identity}/${source}`,
    participant,
    isScreen: source === Track.Source.ScreenShare,
    isOwn,
    publication: participant.getTrackPublication(source),
  }
}

/** Everybody, oneself first, the others in the order in which they came; who raised a hand before who did not. */
export function everybody(room: Room): Participant[] {
  const others = [...room.remoteParticipants.values()]
  const joined = (one: Participant) => one.joinedAt?.getTime() ?? 0
  others.sort(
    (a, b) =>
      Number(!raisedHand(a)) - Number(!raisedHand(b)) ||
      raisedHand(a).localeCompare(raisedHand(b)) ||
      joined(a) - joined(b),
  )
  return [room.localParticipant, ...others]
}

export function cameras(room: Room): Shown[] {
  return everybody(room).map((one) => shown(one, Track.Source.Camera, one === room.localParticipant))
}

export function screens(room: Room): Shown[] {
  return everybody(room)
    .filter((one) => one.getTrackPublication(Track.Source.ScreenShare) !== undefined)
    .map((one) => shown(one, Track.Source.ScreenShare, one === room.localParticipant))
}
