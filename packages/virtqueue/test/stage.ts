/** A fresh ring in fresh guest RAM, for tests that break rules. */
import { GuestMemory } from '@oriel/guest-memory';
import { TestMemory } from '@oriel/guest-memory/testing';
import { openSys } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { SplitQueue, type SplitQueueConfig } from '../src/index.ts';
import { TestRing } from '../src/testing/index.ts';

export const sys = openSys();
export const SIZE = 16;
export const MiB = 0x10_0000;

/** What a test has at hand. */
export interface Stage {
  readonly ram: TestMemory;
  readonly memory: GuestMemory;
  readonly ring: TestRing;
  /** GPA of room for buffers and tables. */
  readonly data: number;
  readonly open: (overrides?: Partial<SplitQueueConfig>) => SplitQueue;
}

/** Runs `act` over a fresh ring of 16 entries in 1 MiB of RAM at 1 MiB. */
export function onStage(act: (stage: Stage) => void): void {
  using _leaks = leakCheck();
  using ram = new TestMemory(sys, { size: MiB, gpa: MiB });
  using memory = new GuestMemory(sys);
  ram.addTo(memory);
  const ring = new TestRing(ram, SIZE);
  act({ ram, memory, ring, data: MiB + 0x1_0000, open: (o) => new SplitQueue(memory, ring.config(o)) });
}
