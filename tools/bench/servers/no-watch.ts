// Replaces sink-worker/positions/position-watch.ts: does nothing.
export class PositionWatch {
  watch(): void {}
  stop(): void {}
}
