/** Guest memory and scatter lists for the tests of resources. */
import { GuestMemory } from '@oriel/guest-memory';
import { TestMemory, type TestMemoryOptions } from '@oriel/guest-memory/testing';
import type { Sys } from '@oriel/sys';
import { Backing } from '../../../src/resources/backing.ts';

/** Guest RAM announced to a `GuestMemory`. */
export class Guest implements Disposable {
  readonly memory: GuestMemory;
  readonly ram: TestMemory;

  constructor(sys: Sys, options: TestMemoryOptions = {}) {
    this.ram = new TestMemory(sys, options);
    this.memory = new GuestMemory(sys);
    this.ram.addTo(this.memory);
  }

  /** Pages for [gpa, length] entries. @throws Error when they are refused */
  pages(...entries: readonly (readonly [number, number])[]): Backing {
    const backing = Backing.of(this.memory, words(entries), entries.length);
    if (backing === null) throw new Error('the entries were refused');
    return backing;
  }

  [Symbol.dispose](): void {
    this.memory[Symbol.dispose]();
    this.ram[Symbol.dispose]();
  }
}

/** struct virtio_gpu_mem_entry of [gpa, length] pairs, with a padding that must not matter. */
export function words(entries: readonly (readonly [number, number])[]): Uint32Array {
  return Uint32Array.from(entries.flatMap(([gpa, len]) => [gpa % 2 ** 32, Math.floor(gpa / 2 ** 32), len, 0xdeadbeef]));
}
