/** One mounted share: what the actions of the soak work with. */

import type { DaxTail } from '@oriel/fs-dax';
import { EOPNOTSUPP, type Sys } from '@oriel/sys';
import { DAX_RANGE, FuseClient, LoopbackVm, type MountMode } from '@oriel/test-vm-loopback';
import { must, same } from '../errors.ts';
import type { Xorshift } from '../random.ts';
import type { Tally } from '../soak.ts';
import { GuestFiles } from './guest-files.ts';
import type { ModelFile, ModelNode, ModelTree } from './model-tree.ts';
import { Slots } from './slots.ts';

const RAM_BYTES = 8 << 20;
const TIMEOUT_MS = 10_000;
const PAGE = 4096;

/** What does not change from one VM to the next. */
export interface Surroundings {
  readonly sys: Sys;
  readonly socketPath: string;
  readonly tail: DaxTail;
  readonly random: Xorshift;
  readonly tally: Tally;
  readonly tree: ModelTree;
}

/** A VM with the share mounted. */
export class Session implements Disposable {
  readonly around: Surroundings;
  readonly vm: LoopbackVm;
  readonly files: GuestFiles;
  readonly slots: Slots;
  readonly client: FuseClient;
  mode: MountMode = 'always';
  /** The front-end was told to refuse, or never to tell: refusals are then no fault of the back-end. */
  misbehaved = false;
  /** Mapping requests that may have been on their way when the rings stopped: no back-end can call one back. */
  caughtInFlight = 0;

  constructor(around: Surroundings) {
    const { sys, socketPath, random, tally, tree } = around;
    this.around = around;
    this.vm = LoopbackVm.connect({
      sys,
      socket: socketPath,
      ramSize: RAM_BYTES,
      timeoutMs: TIMEOUT_MS,
      ringFeatures: { eventIdx: !random.once(3), indirect: !random.once(3) },
      queueSize: random.pick([16, 128]),
    });
    try {
      this.vm.start();
      this.client = new FuseClient(this.vm);
      this.files = new GuestFiles(this.client, tree);
      this.slots = new Slots(this.client, random, tally);
      this.mount();
    } catch (error) {
      this.vm[Symbol.dispose]();
      throw error;
    }
  }

  /** INIT in some mode; whatever was known before is void. */
  mount(): void {
    const { random, tally } = this.around;
    this.mode = random.weighted({ always: 5, inode: 5, never: 1 });
    tally.saw(`mounted ${this.mode}`);
    this.files.sessionEnded();
    this.slots.forgetAll();
    this.client.mount(this.mode);
  }

  /** True when the guest reaches this file through its window. */
  usesWindow(file: ModelFile): boolean {
    if (this.mode === 'never') return false;
    return this.mode === 'always' || this.files.inode(file).dax;
  }

  /** The guest changed content or size of a file by a request. */
  noteChange(file: ModelFile): void {
    this.files.inode(file).changed = true;
  }

  /** What was stored through the window must be in the file now. */
  sync(file: ModelFile): void {
    if (!file.unsynced) return;
    this.files.fsync(file);
    file.unsynced = false;
  }

  /** A node lost its last name, or is given up: what the guest holds of it goes. */
  evict(node: ModelNode): void {
    const inode = this.files.known(node);
    if (inode === undefined || inode.handles.length > 0) return;
    this.slots.evict(inode.nodeid);
    if (node.kind === 'file') node.unsynced = false;
    this.files.forget(node);
  }

  /** Whether SETUPMAPPING may fail with this errno: only `refuse` refuses, and only a partial page that it did not make. */
  mayRefuse(file: ModelFile, offset: number, error: number): boolean {
    const { size } = file.bytes;
    const end = (Math.floor(offset / DAX_RANGE) + 1) * DAX_RANGE;
    const partial = size % PAGE !== 0 && end > Math.floor(size / PAGE) * PAGE;
    const changed = this.mode === 'always' && this.files.inode(file).changed;
    return this.around.tail === 'refuse' && error === EOPNOTSUPP && partial && !changed;
  }

  /** What a front-end such as QEMU would have died of. */
  checkFrontEnd(): void {
    const { requestsWhileStopped } = this.vm;
    must(requestsWhileStopped <= this.caughtInFlight, `${requestsWhileStopped} requests while the rings stood still`);
    must(this.vm.window.updateErrors.length === 0, `memory update refused: ${String(this.vm.window.updateErrors[0])}`);
    if (!this.misbehaved) same('requests that the front-end refused', this.vm.window.stats.refused, 0);
  }

  [Symbol.dispose](): void {
    this.vm[Symbol.dispose]();
  }
}
