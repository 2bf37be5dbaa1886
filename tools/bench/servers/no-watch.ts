// In the place of sink-worker/positions/position-watch.ts: looks at nothing.
export class PositionWatch {
  watch(): void {}
  stop(): void {}
}
