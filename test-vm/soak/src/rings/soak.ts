/**
 * Soak `rings`: a driver that writes anything into ring memory at any moment, from this thread and from another one, and a
 * front-end that takes memory away, against `SplitQueue`. The queue answers each with a verdict: a chain, a refused chain, or a broken ring; it throws nothing,
 * never hangs, writes nowhere but into the used ring, and hands out addresses of guest memory only.
 */
import { GuestMemoryError } from '@oriel/guest-memory';
import { openSys } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import type { Xorshift } from '../random.ts';
import type { SoakRun, Tally } from '../soak.ts';
import { Ghost } from './ghost.ts';
import { HostileMemory } from './hostile-memory.ts';
import { RingDevice } from './ring-device.ts';

const STEPS = 400;

const sys = openSys();

export const enough = 300;
export const wanted = [
  ...['take', 'complete', 'unfetch', 'stop', 'rebind', 'remove', 'add', 'replace', 'truncate'],
  ...['ERR_VIRTQ_BUFFER', 'ERR_VIRTQ_HEAD', 'ERR_VIRTQ_INDEX', 'ERR_VIRTQ_NEXT', 'ERR_VIRTQ_INDIRECT'],
  ...['ERR_VIRTQ_CHAIN_LOOP', 'ERR_VIRTQ_CHAIN_ORDER', 'ERR_VIRTQ_CHAIN_BYTES', 'ERR_VIRTQ_CHAIN_LONG'],
  ...['ERR_VIRTQ_ADDRESS', 'gone', 'unfetched', 'haunted'],
];

/** What happens at a step. */
const STEP = {
  offer: 30,
  scribble: 25,
  take: 30,
  complete: 22,
  touch: 10,
  flush: 4,
  unfetch: 3,
  table: 3,
  rebind: 1,
  pin: 1,
  stop: 1,
} as const;

export async function open(): Promise<SoakRun> {
  const ghost = new Ghost();
  await ghost.ready;
  const leaks = leakCheck();
  return {
    round(random, tally) {
      using memory = new HostileMemory(sys, random);
      const haunted = random.once(5);
      if (!haunted) {
        rounds(random, tally, memory, haunted);
        return;
      }
      tally.saw('haunted');
      ghost.begin(memory.ram.file.fd, memory.place, random.u32());
      try {
        rounds(random, tally, memory, haunted);
      } finally {
        ghost.end();
      }
    },
    async [Symbol.asyncDispose]() {
      leaks.check();
      await ghost[Symbol.asyncDispose]();
    },
  };
}

/** @param haunted - another thread writes into the ring meanwhile */
function rounds(random: Xorshift, tally: Tally, memory: HostileMemory, haunted: boolean): void {
  const device = new RingDevice(random, tally, memory, haunted);
  let pins = 0;
  for (let step = 0; step < STEPS; step++) {
    switch (random.weighted(STEP)) {
      case 'offer':
        if (device.room <= 0 && !random.once(20)) break;
        tally.did('offer');
        memory.offer();
        break;
      case 'scribble':
        tally.did('scribble');
        memory.scribble();
        break;
      case 'take':
        device.take();
        break;
      case 'complete':
        device.complete();
        break;
      case 'touch':
        device.touch();
        break;
      case 'flush':
        device.flush();
        break;
      case 'unfetch':
        device.unfetch();
        break;
      case 'table':
        changeTable(tally, memory);
        break;
      case 'rebind':
        device.rebind();
        break;
      case 'pin':
        if (pins === 0) memory.memory.pin();
        else memory.memory.unpin();
        pins = 1 - pins;
        break;
      case 'stop':
        device.stop();
        break;
    }
    if (device.broken) device.stop();
  }
  device.stop();
  if (pins > 0) memory.memory.unpin();
}

function changeTable(tally: Tally, memory: HostileMemory): void {
  try {
    tally.did(memory.changeTable());
  } catch (error) {
    if (!(error instanceof GuestMemoryError)) throw error;
    tally.saw(error.code);
  }
}
