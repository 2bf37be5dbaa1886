import assert from 'node:assert/strict'
import { test } from 'node:test'
import { COMPOSE_KINDS } from '../../../../tools/drill/compose-stage.ts'
import { deck, KINDS, plan } from '../../../../tools/drill/plan.ts'

test('a seed gives the same faults, whichever part of the plan is requested; another seed gives others', () => {
  const whole = plan(7, 300)
  assert.deepEqual(plan(7, 300), whole)
  assert.deepEqual(plan(7, 20), whole.slice(0, 20))
  assert.notDeepEqual(plan(8, 300), whole)
  assert.deepEqual(
    whole.map(({ index }) => index),
    whole.map((_, index) => index),
  )
})

test("a seed's plan does not change between versions, so that faults can be repeated", () => {
  const cards = plan(1, 4).map(({ kind, moment, sink, arrives }) => [kind, moment, sink, arrives])
  assert.deepEqual(cards, [
    ['sink_ended', 'before_commit', 0, false],
    ['kafka_frozen_long', 'before_hint', 0, false],
    ['postgres_frozen_long', 'before_commit', 1, true],
    ['response_lost', 'before_commit_answer', 0, true],
  ])
})

test('each deck of a plan contains each kind at each of its moments once', () => {
  const cards = (faults: { kind: string; moment: string }[]) =>
    faults.map(({ kind, moment }) => `${kind} ${moment}`).toSorted()
  for (const kinds of [KINDS, COMPOSE_KINDS]) {
    const size = deck(kinds).length
    const faults = plan(3, 3 * size, kinds)
    for (const start of [0, size, 2 * size])
      assert.deepEqual(cards(faults.slice(start, start + size)), cards(deck(kinds)))
  }
})

test('the faults of a compose stack need no proxy inside it', () => {
  const moments = new Set(deck(COMPOSE_KINDS).map(({ moment }) => moment))
  assert.deepEqual([...moments].toSorted(), ['before_http_answer', 'under_load'])
  const kinds = deck(COMPOSE_KINDS).map(({ kind }) => kind)
  assert.deepEqual(
    kinds.filter((kind) => /kafka_(cut|half|delay)|postgres_(cut|half|delay)|disk|two|key/.test(kind)),
    [],
  )
})
