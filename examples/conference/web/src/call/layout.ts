/** How many columns show a number of 16:9 tiles largest. */

export const GAP = 8
export const MOST_TILES = 49
const RATIO = 16 / 9

export interface Cells {
  columns: number
  /** Of one tile, in CSS pixels. */
  width: number
}

export function fit(count: number, width: number, height: number): Cells {
  let best: Cells = { columns: 1, width: 0 }
  for (let columns = 1; columns <= Math.max(count, 1); columns++) {
    const rows = Math.ceil(count / columns)
    const byWidth = (width - GAP * (columns - 1)) / columns
    const byHeight = ((height - GAP * (rows - 1)) / rows) * RATIO
    const tile = Math.max(0, Math.floor(Math.min(byWidth, byHeight)))
    if (tile > best.width) best = { columns, width: tile }
  }
  return best
}
