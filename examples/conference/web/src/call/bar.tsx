/** The controls of a meeting. */

import { Icon, type IconName } from '../icons'
import { useText } from '../text'
import { isSharing, type Meeting } from './meeting'
import { HAND, raisedHand } from './people'

export type PanelName = 'chat' | 'people' | 'devices'

interface Props {
  meeting: Meeting
  open: PanelName | null
  unread: number
  onPanel: (panel: PanelName) => void
  onLeave: () => void
}

interface ControlProps {
  name: string
  icon: IconName
  label: string
  isOn?: boolean
  kind?: string
  badge?: number
  onPress: () => void
}

function Control({ name, icon, label, isOn, kind = '', badge = 0, onPress }: ControlProps) {
  return (
    <button
      type="button"
      className={`round ${kind}`}
      data-control={name}
      aria-label={label}
      title={label}
      {...(isOn === undefined ? {} : { 'aria-pressed': isOn })}
      onClick={onPress}
    >
      <Icon name={icon} />
      {badge > 0 && (
        <span className="badge" aria-hidden="true">
          {badge}
        </span>
      )}
    </button>
  )
}

export function Bar({ meeting, open, unread, onPanel, onLeave }: Props) {
  const text = useText()
  const { room } = meeting
  const own = room.localParticipant
  const microphone = own.isMicrophoneEnabled
  const camera = own.isCameraEnabled
  const shares = isSharing(room)
  const hand = raisedHand(own) !== ''
  const canShare = typeof navigator.mediaDevices?.getDisplayMedia === 'function'

  const raise = () => {
    own.setAttributes({ [HAND]: hand ? '' : new Date().toISOString() }).catch(() => {})
  }

  return (
    <div className="bar" role="toolbar" aria-label={text('control.bar')}>
      <Control
        name="microphone"
        icon={microphone ? 'microphone' : 'microphoneOff'}
        label={text(microphone ? 'control.muteMicrophone' : 'control.unmuteMicrophone')}
        isOn={microphone}
        kind={microphone ? '' : 'off'}
        onPress={() => meeting.turnMicrophone(!microphone)}
      />
      <Control
        name="camera"
        icon={camera ? 'camera' : 'cameraOff'}
        label={text(camera ? 'control.cameraOff' : 'control.cameraOn')}
        isOn={camera}
        kind={camera ? '' : 'off'}
        onPress={() => meeting.turnCamera(!camera)}
      />
      {canShare && (
        <Control
          name="share"
          icon="screen"
          label={text(shares ? 'control.stopSharing' : 'control.share')}
          isOn={shares}
          kind={shares ? 'active' : ''}
          onPress={() => meeting.turnShare(!shares)}
        />
      )}
      <Control
        name="hand"
        icon="hand"
        label={text(hand ? 'control.lowerHand' : 'control.raiseHand')}
        isOn={hand}
        kind={hand ? 'active' : ''}
        onPress={raise}
      />
      <span className="gap" />
      <Control
        name="chat"
        icon="chat"
        label={unread ? text('control.chatUnread', { count: unread }) : text('control.chat')}
        isOn={open === 'chat'}
        badge={unread}
        onPress={() => onPanel('chat')}
      />
      <Control
        name="people"
        icon="people"
        label={text('control.people', { count: room.remoteParticipants.size + 1 })}
        isOn={open === 'people'}
        onPress={() => onPanel('people')}
      />
      <Control
        name="devices"
        icon="devices"
        label={text('control.devices')}
        isOn={open === 'devices'}
        onPress={() => onPanel('devices')}
      />
      <Control name="leave" icon="leave" label={text('control.leave')} kind="danger" onPress={onLeave} />
    </div>
  )
}
