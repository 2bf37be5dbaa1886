import { rssMiB } from '../../embedded/process-info.ts'

export { rssMiB } from '../../embedded/process-info.ts'

/** Samples the resident memory of a process until stop(), which returns the maximum in MiB. */
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
