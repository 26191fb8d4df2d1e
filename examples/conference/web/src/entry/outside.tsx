/** Outside of a meeting: it was left, or something ended it. */

import { Notice } from '../notice'
import type { Problem } from '../problems'
import { useText } from '../text'

interface Props {
  problem: Problem | null
  onReturn: () => void
  onHome: () => void
}

export function Outside({ problem, onReturn, onHome }: Props) {
  const text = useText()
  return (
    <div className="entry">
      <main className="outside">
        {problem ? <h1 className="only-read">visiomedia</h1> : <h1>{text('left.title')}</h1>}
        {problem && <Notice problem={problem} />}
        <div className="row">
          {problem !== 'no_webrtc' && problem !== 'login_required' && (
            <button type="button" className="button primary" onClick={onReturn}>
              {text(problem ? 'problem.retry' : 'left.return')}
            </button>
          )}
          <button type="button" className="button" onClick={onHome}>
            {text('left.home')}
          </button>
        </div>
      </main>
    </div>
  )
}
