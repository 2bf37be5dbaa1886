import { readFileSync } from 'node:fs'

/** Resident memory of a process in MiB. */
export function rssMiB(pid: number): number {
  const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1])
  return (pages * 4_096) / 1024 / 1024
}

/** Looks at the resident memory of a process all the time until stop(), which gives the most that was seen, in MiB. */
export function watchRss(pid: number): { stop: () => number } {
  let peakMiB = rssMiB(pid)
  const watch = setInterval(() => (peakMiB = Math.max(peakMiB, rssMiB(pid))), 10).unref()
  return {
    stop: () => {
      clearInterval(watch)
      return peakMiB
    },
  }
}
