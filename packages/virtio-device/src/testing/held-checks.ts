/** What a device that keeps chains over a pause must bear. */
import { type Bench, type BenchCheck, expect, type HeldRequest, PATIENT_TURNS } from './bench.ts';

/** The checks for a device that holds `held` until it is released. */
export function heldChecks(held: HeldRequest): readonly BenchCheck[] {
  /** The queues stop while the device holds a chain, and later ones are answered. */
  async function pauseHolding(bench: Bench): Promise<void> {
    const { host } = bench;
    bench.begin();
    await bench.hold(held);
    host.pause();
    await bench.turns(2);
  }
  return [
    {
      name: 'answers what it kept when the driver goes on',
      async check(bench) {
        await pauseHolding(bench);
        bench.host.start();
        await bench.answersReleased(held);
        await bench.exercise();
        expect(bench.host.brokenQueues.length === 0, 'a queue broke');
      },
    },
    {
      name: 'keeps a chain over one pause after the other',
      async check(bench) {
        await pauseHolding(bench);
        bench.host.start();
        bench.host.pause();
        bench.host.start();
        await bench.turns(1);
        held.release();
        await bench.answered(held);
      },
    },
    {
      name: 'forgets what it kept when a new driver comes',
      async check(bench) {
        await pauseHolding(bench);
        bench.host.reset();
        bench.host.start();
        held.release();
        await bench.turns(PATIENT_TURNS);
        expect(bench.host.driver(held.queue).take() === null, 'the new driver got it');
        await bench.exercise();
        expect(bench.host.brokenQueues.length === 0, 'a queue broke');
      },
    },
  ];
}
