/** Another camera, microphone or speaker, while the meeting goes on. */

import { useState } from 'react'

import { DeviceSelect } from '../device-select'
import { BROWSERS_KIND, type DeviceKind } from '../devices'
import { choices, remember } from '../memory'
import { useText } from '../text'
import type { Meeting } from './meeting'
import { Panel } from './panel'

const KINDS: DeviceKind[] = ['camera', 'microphone', 'speaker']

export function DevicePanel({ meeting, onClose }: { meeting: Meeting; onClose: () => void }) {
  const text = useText()
  const [chosen, setChosen] = useState(choices)
  const choose = (kind: DeviceKind, device: string) => {
    remember({ [kind]: device })
    setChosen({ ...chosen, [kind]: device })
    meeting.switchDevice(BROWSERS_KIND[kind], device)
  }
  return (
    <Panel title={text('control.devices')} onClose={onClose}>
      <div className="fields">
        {KINDS.map((kind) => (
          <DeviceSelect
            key={kind}
            kind={kind}
            chosen={chosen[kind]}
            isAllowed={true}
            onChoose={(device) => choose(kind, device)}
          />
        ))}
      </div>
    </Panel>
  )
}
