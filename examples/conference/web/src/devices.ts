/** Cameras, microphones and speakers of this machine. */

import {
  createAudioAnalyser,
  createLocalAudioTrack,
  createLocalVideoTrack,
  type LocalAudioTrack,
  type LocalVideoTrack,
  Room,
} from 'livekit-client'
import { useEffect, useState } from 'react'

import { deviceProblem, type Problem } from './problems'

export type DeviceKind = 'camera' | 'microphone' | 'speaker'

export const BROWSERS_KIND: Record<DeviceKind, MediaDeviceKind> = {
  camera: 'videoinput',
  microphone: 'audioinput',
  speaker: 'audiooutput',
}

/** What there is of a kind. Names are known once the browser may use one: `isAllowed` asks again. */
export function useDevices(kind: DeviceKind, isAllowed: boolean): MediaDeviceInfo[] {
  const [devices, setDevices] = useState<MediaDeviceInfo[]>([])
  useEffect(() => {
    let isOver = false
    const look = () => {
      Room.getLocalDevices(BROWSERS_KIND[kind], false).then(
        (found) => !isOver && setDevices(found.filter((device) => device.deviceId !== '')),
        () => {},
      )
    }
    look()
    navigator.mediaDevices?.addEventListener('devicechange', look)
    return () => {
      isOver = true
      navigator.mediaDevices?.removeEventListener('devicechange', look)
    }
  }, [kind, isAllowed])
  return devices
}

interface Opened<T> {
  track: T | null
  problem: Problem | null
}

/** A device opened for a look at it, while `isWanted`. */
function usePreview<T extends LocalAudioTrack | LocalVideoTrack>(
  kind: 'camera' | 'microphone',
  isWanted: boolean,
  device: string,
  open: (device: string) => Promise<T>,
): Opened<T> {
  const [opened, setOpened] = useState<Opened<T>>({ track: null, problem: null })
  useEffect(() => {
    if (!isWanted) return
    let isOver = false
    let track: T | null = null
    open(device).then(
      (found) => {
        track = found
        if (isOver) found.stop()
        else setOpened({ track, problem: null })
      },
      (error: unknown) => !isOver && setOpened({ track: null, problem: deviceProblem(error, kind) }),
    )
    return () => {
      isOver = true
      track?.stop()
      setOpened({ track: null, problem: null })
    }
  }, [kind, isWanted, device, open])
  return opened
}

const openCamera = (device: string) => createLocalVideoTrack(device ? { deviceId: device } : {})
const openMicrophone = (device: string) => createLocalAudioTrack(device ? { deviceId: device } : {})

export const useCameraPreview = (isWanted: boolean, device: string) =>
  usePreview('camera', isWanted, device, openCamera)

export const useMicrophonePreview = (isWanted: boolean, device: string) =>
  usePreview('microphone', isWanted, device, openMicrophone)

/** How loud a microphone is, ten times a second: 0 to 1. */
export function useLevel(track: LocalAudioTrack | null): number {
  const [level, setLevel] = useState(0)
  useEffect(() => {
    if (!track) return
    const { calculateVolume, cleanup } = createAudioAnalyser(track, { smoothingTimeConstant: 0.5 })
    const timer = setInterval(() => setLevel(Math.min(1, calculateVolume() * 2)), 100)
    return () => {
      clearInterval(timer)
      void cleanup()
      setLevel(0)
    }
  }, [track])
  return level
}
