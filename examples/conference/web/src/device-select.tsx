/** One choice among the devices of a kind. */

import { type DeviceKind, useDevices } from './devices'
import { useText } from './text'

interface Props {
  kind: DeviceKind
  chosen: string
  isAllowed: boolean
  onChoose: (device: string) => void
}

export function DeviceSelect({ kind, chosen, isAllowed, onChoose }: Props) {
  const text = useText()
  const devices = useDevices(kind, isAllowed)
  const kindName = text(`device.${kind}`)
  if (kind === 'speaker' && !('setSinkId' in HTMLMediaElement.prototype)) return null
  return (
    <label className="field">
      <span>{kindName}</span>
      <select
        data-device={kind}
        value={devices.some((device) => device.deviceId === chosen) ? chosen : ''}
        onChange={(event) => onChoose(event.target.value)}
      >
        <option value="">{devices.length ? text('device.default') : text('device.none')}</option>
        {devices
          .filter((device) => device.deviceId !== 'default')
          .map((device, place) => (
            <option key={device.deviceId} value={device.deviceId}>
              {device.label || text('device.unnamed', { kind: kindName, number: place + 1 })}
            </option>
          ))}
      </select>
    </label>
  )
}
