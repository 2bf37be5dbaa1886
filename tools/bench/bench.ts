/** The arguments of every benchmark. */
export interface Bench {
  /** Number of times that ours and the baseline run alternately. */
  rounds: number
  /** Length of the measured interval. */
  seconds: number
  /** Size of the backlog that the sink drains. */
  rows: number
  /** Reports progress to the user. */
  say: (line: string) => void
}
