/** The door of a room: who comes in, and with which devices. */

import { type FormEvent, useState } from 'react'

import { DeviceSelect } from '../device-select'
import { useCameraPreview, useLevel, useMicrophonePreview } from '../devices'
import { Icon } from '../icons'
import { choices, remember } from '../memory'
import { Notice } from '../notice'
import type { Problem } from '../problems'
import { type Language, useText } from '../text'
import { Video } from '../video'
import { Masthead } from './masthead'

interface Props {
  room: string
  problem: Problem | null
  language: Language
  onLanguage: (language: Language) => void
  onJoin: () => void
}

export function Door({ room, problem, language, onLanguage, onJoin }: Props) {
  const text = useText()
  const [chosen, setChosen] = useState(choices)
  const camera = useCameraPreview(chosen.wantsCamera, chosen.camera)
  const microphone = useMicrophonePreview(chosen.wantsMicrophone, chosen.microphone)
  const level = useLevel(microphone.track)

  const choose = (changes: Partial<typeof chosen>) => {
    remember(changes)
    setChosen({ ...chosen, ...changes })
  }
  const join = (event: FormEvent) => {
    event.preventDefault()
    const name = chosen.name.trim()
    if (!name) return
    remember({ name })
    onJoin()
  }

  return (
    <div className="entry">
      <Masthead language={language} onLanguage={onLanguage} />
      <main className="door">
        <section className="preview" aria-label={text('join.preview')}>
          <div className="screen">
            {camera.track ? (
              <Video track={camera.track} label={text('join.preview')} isMirrored />
            ) : (
              <p>{text('join.cameraOff')}</p>
            )}
            <div className="row over">
              <button
                type="button"
                className="round"
                aria-pressed={chosen.wantsMicrophone}
                aria-label={text(chosen.wantsMicrophone ? 'control.muteMicrophone' : 'control.unmuteMicrophone')}
                onClick={() => choose({ wantsMicrophone: !chosen.wantsMicrophone })}
              >
                <Icon name={chosen.wantsMicrophone ? 'microphone' : 'microphoneOff'} />
              </button>
              <button
                type="button"
                className="round"
                aria-pressed={chosen.wantsCamera}
                aria-label={text(chosen.wantsCamera ? 'control.cameraOff' : 'control.cameraOn')}
                onClick={() => choose({ wantsCamera: !chosen.wantsCamera })}
              >
                <Icon name={chosen.wantsCamera ? 'camera' : 'cameraOff'} />
              </button>
            </div>
          </div>
          <div
            className="level"
            role="meter"
            aria-label={text('join.level')}
            aria-valuemin={0}
            aria-valuemax={100}
            aria-valuenow={Math.round(level * 100)}
          >
            <span style={{ inlineSize: `${level * 100}%` }} />
          </div>
        </section>
        <form className="card" onSubmit={join}>
          <h1>{text('join.title')}</h1>
          <p className="lead">{text('join.room', { room })}</p>
          {problem && <Notice problem={problem} />}
          {camera.problem && <Notice problem={camera.problem} />}
          {microphone.problem && microphone.problem !== camera.problem && <Notice problem={microphone.problem} />}
          <label className="field">
            <span>{text('join.name')}</span>
            <input
              name="name"
              value={chosen.name}
              maxLength={64}
              autoComplete="name"
              required
              aria-describedby="name-hint"
              onChange={(event) => setChosen({ ...chosen, name: event.target.value })}
            />
            <small id="name-hint">{text('join.nameHint')}</small>
          </label>
          <DeviceSelect
            kind="camera"
            chosen={chosen.camera}
            isAllowed={camera.track !== null}
            onChoose={(device) => choose({ camera: device })}
          />
          <DeviceSelect
            kind="microphone"
            chosen={chosen.microphone}
            isAllowed={microphone.track !== null}
            onChoose={(device) => choose({ microphone: device })}
          />
          <DeviceSelect
            kind="speaker"
            chosen={chosen.speaker}
            isAllowed={microphone.track !== null}
            onChoose={(device) => choose({ speaker: device })}
          />
          <button type="submit" className="button primary large" disabled={!chosen.name.trim()}>
            {text('join.join')}
          </button>
        </form>
      </main>
    </div>
  )
}
