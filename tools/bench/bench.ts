/** What every benchmark is given. */
export interface Bench {
  /** Times that ours and the baseline take turns. */
  rounds: number
  /** Length of a measured span. */
  seconds: number
  /** Of the backlog that the sink drains. */
  rows: number
  /** Tells the user how far it is. */
  say: (line: string) => void
}
