/** One's own place in a meeting: joined, kept through what happens to network and server, and left. */

import { DisconnectReason, Room, RoomEvent, setLogLevel, Track, VideoPresets } from 'livekit-client'
import { useEffect, useRef, useState } from 'react'

import { fetchTicket, nodeUrl } from '../api'
import { choices, rememberStay, stay } from '../memory'
import { deviceProblem, joinProblem, leaveProblem, type Problem } from '../problems'

export type Phase = 'connecting' | 'joined' | 'reconnecting' | 'returning'

export interface Meeting {
  room: Room
  phase: Phase
  /** Of devices or of sharing: the meeting goes on. */
  troubles: Problem[]
  turnMicrophone: (on: boolean) => void
  turnCamera: (on: boolean) => void
  turnShare: (on: boolean) => void
  /** A device has been chosen; an empty name is the system's choice. */
  switchDevice: (kind: MediaDeviceKind, device: string) => void
}

const RETRY_MS = 1000

type Kind = 'camera' | 'microphone' | 'share'

setLogLevel('warn')

function makeRoom(): Room {
  const chosen = choices()
  return new Room({
    adaptiveStream: true,
    dynacast: true,
    audioCaptureDefaults: chosen.microphone ? { deviceId: chosen.microphone } : {},
    videoCaptureDefaults: {
      resolution: VideoPresets.h720.resolution,
      ...(chosen.camera ? { deviceId: chosen.camera } : {}),
    },
    ...(chosen.speaker ? { audioOutput: { deviceId: chosen.speaker } } : {}),
  })
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** Joins the room, and comes back by itself after the server was gone. `onLeft` ends it, with its reason. */
export function useMeeting(name: string, onLeft: (problem: Problem | null) => void): Meeting {
  const [room] = useState(makeRoom)
  const [phase, setPhase] = useState<Phase>('connecting')
  const [troubles, setTroubles] = useState<Partial<Record<Kind, Problem>>>({})
  const wants = useRef({ camera: choices().wantsCamera, microphone: choices().wantsMicrophone })

  const trouble = (kind: Kind, problem?: Problem) =>
    setTroubles(({ [kind]: _, ...others }) => (problem ? { ...others, [kind]: problem } : others))

  const turn = (kind: 'camera' | 'microphone', on: boolean): Promise<void> => {
    wants.current[kind] = on
    const own = room.localParticipant
    return (kind === 'camera' ? own.setCameraEnabled(on) : own.setMicrophoneEnabled(on)).then(
      () => trouble(kind),
      (error: unknown) => trouble(kind, deviceProblem(error, kind)),
    )
  }

  useEffect(() => {
    let isOver = false

    const enter = async (): Promise<void> => {
      const { token, identity } = await fetchTicket(name, choices().name, stay(name).identity)
      rememberStay(name, { identity, isInside: true })
      if (isOver) return
      await room.connect(nodeUrl(), token, { maxRetries: 1, peerConnectionTimeout: 10_000 })
      if (isOver) return
      setPhase('joined')
      for (const kind of ['microphone', 'camera'] as const) if (wants.current[kind]) void turn(kind, true)
    }

    const enterOrLeave = (error: unknown): void => {
      if (!isOver) onLeft(joinProblem(error))
    }

    /** The server is gone: it may come back, under the same name. */
    const comeBack = async (): Promise<void> => {
      setPhase('returning')
      while (!isOver) {
        await pause(RETRY_MS)
        try {
          return await enter()
        } catch (error) {
          const problem = joinProblem(error)
          if (problem !== 'node_gone' && problem !== 'unknown') return enterOrLeave(error)
        }
      }
    }

    const disconnected = (reason?: DisconnectReason): void => {
      if (isOver || reason === DisconnectReason.CLIENT_INITIATED || reason === DisconnectReason.JOIN_FAILURE) return
      const problem = leaveProblem(reason)
      if (problem) onLeft(problem)
      else void comeBack()
    }

    const reconnecting = () => setPhase('reconnecting')
    const reconnected = () => setPhase('joined')
    let wasJoined = false
    room
      .on(RoomEvent.Connected, () => (wasJoined = true))
      .on(RoomEvent.Disconnected, (reason) => wasJoined && disconnected(reason))
      .on(RoomEvent.Reconnecting, reconnecting)
      .on(RoomEvent.SignalReconnecting, reconnecting)
      .on(RoomEvent.Reconnected, reconnected)
    enter().catch(enterOrLeave)
    const hide = () => void room.disconnect()
    addEventListener('pagehide', hide)
    return () => {
      isOver = true
      removeEventListener('pagehide', hide)
      room.removeAllListeners()
      void room.disconnect()
    }
    // A meeting is joined once: nothing that this depends on changes while it lasts.
  }, [])

  const turnShare = (on: boolean) => {
    room.localParticipant.setScreenShareEnabled(on, { audio: true }).then(
      () => trouble('share'),
      (error: unknown) => {
        // Who closes the browser's question has changed one's mind.
        const isOwnWish = error instanceof DOMException && error.name === 'NotAllowedError' && !/system/i.test(error.message)
        if (!isOwnWish) trouble('share', 'share_failed')
      },
    )
  }

  const switchDevice = (kind: MediaDeviceKind, device: string) => {
    const switched = room.switchActiveDevice(kind, device || 'default')
    if (kind === 'audiooutput') return void switched.catch(() => {})
    const own = kind === 'videoinput' ? 'camera' : 'microphone'
    switched.then(
      () => trouble(own),
      (error: unknown) => trouble(own, deviceProblem(error, own)),
    )
  }

  return {
    room,
    phase,
    troubles: Object.values(troubles),
    turnMicrophone: (on) => void turn('microphone', on),
    turnCamera: (on) => void turn('camera', on),
    turnShare,
    switchDevice,
  }
}

export const isSharing = (room: Room): boolean =>
  room.localParticipant.getTrackPublication(Track.Source.ScreenShare) !== undefined
