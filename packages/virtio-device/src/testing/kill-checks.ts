/** What a device that survives must bear: it is killed at any moment, and a new one goes on in its place. */
import { type Bench, type BenchCheck, type HeldRequest, PATIENT_TURNS } from './bench.ts';

/** Turns of the loop between a request and the kill: not yet seen, perhaps under way, perhaps answered. */
const MOMENTS = [0, 1, 2, 5];

/** The checks for every device that survives. */
export const killChecks: readonly BenchCheck[] = [
  ...MOMENTS.map((turns) => ({
    name: `answers once what a kill came between, ${turns} turns behind the request`,
    survives: true,
    async check(bench: Bench): Promise<void> {
      const { host } = bench;
      bench.begin();
      for (const request of bench.requests) {
        host.driver(request.queue).send(request.readable, request.writable);
        await bench.turns(turns);
        bench.killAndRecover();
        await bench.answered(request);
      }
      await bench.turns(PATIENT_TURNS);
      bench.nothingMore();
    },
  })),
  {
    name: 'goes on after one kill behind the other',
    survives: true,
    async check(bench) {
      bench.begin();
      await bench.exercise();
      bench.killAndRecover();
      bench.killAndRecover();
      await bench.turns(2);
      bench.nothingMore();
      await bench.exercise();
      bench.nothingMore();
    },
  },
  {
    name: 'goes on after a kill while its queues were stopped',
    survives: true,
    async check(bench) {
      bench.begin();
      for (const request of bench.requests) {
        await bench.send(request);
        bench.host.pause();
        bench.killAndRecover();
        await bench.answered(request);
      }
      await bench.turns(PATIENT_TURNS);
      bench.nothingMore();
    },
  },
  {
    name: 'starts afresh when a new driver comes after a kill',
    survives: true,
    async check(bench) {
      bench.begin();
      await bench.exercise();
      bench.killAndRecover();
      await bench.beginsAnew();
      bench.nothingMore();
    },
  },
];

/** Those for a device that also holds `held` until it is released. */
export function heldKillChecks(held: HeldRequest): readonly BenchCheck[] {
  return [
    {
      name: 'answers once what it held when it was killed',
      survives: true,
      async check(bench) {
        bench.begin();
        await bench.hold(held);
        bench.killAndRecover();
        await bench.answersReleased(held);
        await bench.turns(2);
        bench.nothingMore();
      },
    },
    {
      name: 'answers once what it kept over a pause when it was killed behind it',
      survives: true,
      async check(bench) {
        const { host } = bench;
        bench.begin();
        await bench.hold(held);
        host.pause();
        bench.killAndRecover();
        await bench.turns(2);
        held.release();
        await bench.answered(held);
        await bench.turns(2);
        bench.nothingMore();
      },
    },
  ];
}
