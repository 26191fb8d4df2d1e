/** A problem, told: what happened, and what to do. */

import { type Problem, whatHappened, whatToDo } from './problems'
import { useText } from './text'

export function Notice({ problem }: { problem: Problem }) {
  const text = useText()
  return (
    <div className="notice" role="alert" data-problem={problem}>
      <strong>{text(whatHappened(problem))}</strong>
      <span>{text(whatToDo(problem))}</span>
    </div>
  )
}
