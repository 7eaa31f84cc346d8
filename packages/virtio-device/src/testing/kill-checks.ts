/** What a device that survives must bear: it is killed at any moment, and a new one goes on in its place. */
import { type Bench, type BenchCheck, expect, type HeldRequest, PATIENT_TURNS } from './bench.ts';

/** Turns of the loop between a request and the kill: not yet seen, perhaps under way, perhaps answered. */
const MOMENTS = [0, 1, 2, 5];

function nothingMore({ host, device }: Bench): void {
  for (let index = 0; index < device.queueCount; index++) {
    expect(host.driver(index).take() === null, `queue ${index}: answered twice`);
  }
  expect(host.brokenQueues.length === 0, 'a queue broke');
}

/** The checks for every device that survives. */
export const killChecks: readonly BenchCheck[] = [
  ...MOMENTS.map((turns) => ({
    name: `answers once what a kill came between, ${turns} turns behind the request`,
    survives: true,
    async check(bench: Bench): Promise<void> {
      const { host } = bench;
      host.attach();
      host.start();
      for (const request of bench.requests) {
        host.driver(request.queue).send(request.readable, request.writable);
        await bench.turns(turns);
        bench.killAndRecover();
        const reply = await bench.answered(request);
        request.verify?.(reply);
      }
      await bench.turns(PATIENT_TURNS);
      nothingMore(bench);
    },
  })),
  {
    name: 'goes on after one kill behind the other',
    survives: true,
    async check(bench) {
      bench.host.attach();
      bench.host.start();
      await bench.exercise();
      bench.killAndRecover();
      bench.killAndRecover();
      await bench.turns(2);
      nothingMore(bench);
      await bench.exercise();
      nothingMore(bench);
    },
  },
  {
    name: 'goes on after a kill while its queues were stopped',
    survives: true,
    async check(bench) {
      bench.host.attach();
      bench.host.start();
      for (const request of bench.requests) {
        await bench.send(request);
        bench.host.pause();
        bench.killAndRecover();
        const reply = await bench.answered(request);
        request.verify?.(reply);
      }
      await bench.turns(PATIENT_TURNS);
      nothingMore(bench);
    },
  },
  {
    name: 'starts afresh when a new driver comes after a kill',
    survives: true,
    async check(bench) {
      const { host } = bench;
      host.attach();
      host.start();
      await bench.exercise();
      bench.killAndRecover();
      host.reset();
      host.start();
      await bench.exercise();
      nothingMore(bench);
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
        const { host } = bench;
        host.attach();
        host.start();
        await bench.exercise();
        await bench.send(held);
        await bench.exercise();
        bench.killAndRecover();
        await bench.turns(2);
        expect(host.driver(held.queue).take() === null, 'it came back by itself');
        held.release();
        const reply = await bench.answered(held);
        held.verify?.(reply);
        await bench.turns(2);
        nothingMore(bench);
      },
    },
    {
      name: 'answers once what it kept over a pause when it was killed behind it',
      survives: true,
      async check(bench) {
        const { host } = bench;
        host.attach();
        host.start();
        await bench.exercise();
        await bench.send(held);
        await bench.exercise();
        host.pause();
        bench.killAndRecover();
        await bench.turns(2);
        held.release();
        const reply = await bench.answered(held);
        held.verify?.(reply);
        await bench.turns(2);
        nothingMore(bench);
      },
    },
  ];
}
