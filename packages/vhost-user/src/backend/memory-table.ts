/** The memory table (messages 5, 36, 37, 38) over guest-memory, and word of its changes to the fences. */
import { GuestMemory, GuestMemoryError, type RegionDescription, type RegionFile } from '@oriel/guest-memory';
import type { Fd, Sys } from '@oriel/sys';
import { VhostUserError } from '../errors.ts';
import { VhostUserMemory, VhostUserMemoryRegion, VhostUserMemRegMsg } from '../layout.ts';
import type { IncomingMessage } from '../message-reader.ts';
import { encodeU64 } from '../protocol/encode.ts';
import type { RequestHandlers } from './requests.ts';

/** What the table needs of the connection. */
export interface MemoryTableOptions {
  readonly sys: Pick<Sys, 'mem' | 'fd' | 'file'>;
  readonly maxSlots: number;
  /** Told of a change before the front-end gets its ack. */
  readonly changed: () => void;
  /** Unmaps what left the table: see `BackendHandler.releaseMemory`. */
  readonly release: (unmap: () => void) => void;
  /** Whether the memory of a region is needed: see `BackendHandler.needsMemory`. */
  readonly needs: (file: RegionFile) => boolean;
}

/** A region of a connection that was written down; one whose memory was not needed has any descriptor. */
export interface FrozenRegion extends RegionDescription {
  readonly foreign: boolean;
}

/** Owns the guest's memory and keeps it as the front-end says. */
export class MemoryTable {
  readonly memory: GuestMemory;
  readonly handlers: RequestHandlers = {
    SET_MEM_TABLE: (message) => this.#replace(message),
    GET_MAX_MEM_SLOTS: () => encodeU64(this.#maxSlots),
    ADD_MEM_REG: (message) => this.#add(message),
    REM_MEM_REG: (message) => this.#remove(message),
  };
  readonly #maxSlots: number;
  readonly #changed: () => void;
  #settledGeneration: number;
  /** Whether the next region that is restored is needed. */
  #restoring: (() => boolean) | null = null;

  constructor({ sys, maxSlots, changed, release, needs }: MemoryTableOptions) {
    this.memory = new GuestMemory(sys, {
      maxRegions: maxSlots,
      release,
      needs: (file) => (this.#restoring === null ? needs(file) : this.#restoring()),
    });
    this.#maxSlots = maxSlots;
    this.#changed = changed;
    this.#settledGeneration = this.memory.generation;
  }

  /** True once after each change: asked when the ack is out, which is what the front-end waits for. */
  settle(): boolean {
    const changed = this.memory.generation !== this.#settledGeneration;
    this.#settledGeneration = this.memory.generation;
    return changed;
  }

  /** What an earlier process of this device had. @throws VhostUserError ERR_VU_MEMORY; the descriptors are closed then */
  restore(regions: readonly FrozenRegion[]): void {
    const foreign = regions.map((region) => region.foreign);
    this.#restoring = () => !foreign.shift()!;
    try {
      refusing(() => this.memory.replace(regions));
    } finally {
      this.#restoring = null;
    }
  }

  #replace(message: IncomingMessage): null {
    const count = VhostUserMemory.nregions.get(message.view, 0);
    const regions: RegionDescription[] = [];
    for (let index = 0; index < count; index++) {
      const base = VhostUserMemory.byteLength + index * VhostUserMemoryRegion.byteLength;
      regions.push(describeRegion(message.view, base, message.fds.take(index)));
    }
    refusing(() => this.memory.replace(regions));
    this.#changed();
    return null;
  }

  #add(message: IncomingMessage): null {
    const region = describeRegion(message.view, VhostUserMemRegMsg.region.offset, message.fds.take(0));
    refusing(() => this.memory.add(region));
    this.#changed();
    return null;
  }

  /** A descriptor may come along, as some front-ends send it: the channel closes it. */
  #remove(message: IncomingMessage): null {
    const { view } = message;
    const base = VhostUserMemRegMsg.region.offset;
    const gpa = VhostUserMemoryRegion.guestPhysAddr.get(view, base);
    const userAddr = VhostUserMemoryRegion.userspaceAddr.get(view, base);
    const size = VhostUserMemoryRegion.memorySize.get(view, base);
    refusing(() => this.memory.remove(gpa, userAddr, size));
    this.#changed();
    return null;
  }
}

function describeRegion(view: DataView, base: number, fd: Fd): RegionDescription {
  return {
    gpa: VhostUserMemoryRegion.guestPhysAddr.get(view, base),
    size: VhostUserMemoryRegion.memorySize.get(view, base),
    userAddr: VhostUserMemoryRegion.userspaceAddr.get(view, base),
    mmapOffset: VhostUserMemoryRegion.mmapOffset.get(view, base),
    fd,
  };
}

/** guest-memory checks each region; its refusal becomes one of this protocol. */
function refusing(change: () => void): void {
  try {
    change();
  } catch (error) {
    if (error instanceof GuestMemoryError) {
      throw new VhostUserError('ERR_VU_MEMORY', 'frontend', error.message, {}, { cause: error });
    }
    throw error;
  }
}
