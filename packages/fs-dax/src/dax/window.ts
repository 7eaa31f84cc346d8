/** The DAX window of a session: SETUPMAPPING, REMOVEMAPPING, and what becomes of both when a session or the rings end. */
import { type Attributes, FUSE_DESTROY, FUSE_INIT, type Operation, PENDING } from '@oriel/fuse';
import type { ShmRegion } from '@oriel/shm-region';
import { EINVAL, EIO, EOPNOTSUPP, type EventLoop } from '@oriel/sys';
import type { FrontEnd } from '@oriel/virtio-device';
import { FsDaxError } from '../errors.ts';
import { DAX_RANGE } from '../layout.ts';
import type { GuardStats } from './guard.ts';
import { GuestView } from './guest-view.ts';
import { inTurn } from './in-turn.ts';
import type { DaxSession } from './kept-operations.ts';
import { mappingsPerRange } from './options.ts';
import { RangeJournal } from './range-journal.ts';
import { extendRanges, isBehind } from './reach.ts';
import { rangesToRemove } from './removal.ts';
import { type DaxMode, DaxState, type DaxWindowOptions } from './state.ts';

/** A SETUPMAPPING, checked. Bytes. */
interface SetUp {
  readonly nodeid: number;
  readonly foffset: number;
  readonly len: number;
  readonly moffset: number;
}

export class DaxWindow implements Disposable {
  readonly #state: DaxState;
  readonly #view: GuestView;
  /** INIT and DESTROY that wait until every mapping is gone. */
  readonly #drops = new Set<() => void>();

  /** @throws SysError ENOMEM */
  constructor(options: DaxWindowOptions) {
    this.#state = new DaxState(options);
    this.#view = new GuestView(this.#state);
  }

  /** Inodes that the window keeps something of. */
  get inodeCount(): number {
    return this.#state.inodes.size;
  }

  /** @param stopping - whether some queues are stopped, so that work which is cancelled can be done at a start */
  bind(session: DaxSession, stopping: () => boolean): void {
    this.#state.kept.bind(session, stopping);
    this.#state.guard.stopped = stopping;
  }

  /** Truncations by others, counted. */
  get guardStats(): GuardStats {
    return this.#state.guard.stats;
  }

  /**
   * @throws FsDaxError ERR_FSDAX_WINDOW: a mapping that is refused later is SIGBUS in the guest; ERR_FSDAX_GUARD where the host
   *   cannot guard files
   */
  attach(region: ShmRegion, loop: EventLoop, frontend: FrontEnd): void {
    const { maxMappings, insideFile } = region.limits;
    const mappings = (region.size / DAX_RANGE) * (insideFile ? mappingsPerRange(this.#state.options.tail) : 1);
    if (mappings > maxMappings) {
      throw new FsDaxError(
        'ERR_FSDAX_WINDOW',
        `a window of ${region.size} bytes can need ${mappings} mappings, and the front-end bears ${maxMappings}`,
      );
    }
    this.#state.guard.open(loop, frontend);
    this.#state.region = region;
  }

  /** The front-end left, and everything was forgotten. */
  detach(): void {
    this.#state.guard.close();
  }

  setMode(mode: DaxMode): void {
    this.#state.mode = mode;
  }

  /** SETUPMAPPING. Ranges set up before one that is refused stay until the guest uses their place anew. */
  setup(op: Operation, nodeid: number, foffset: number, len: number, moffset: number): number {
    const { region, mode, kept } = this.#state;
    if (region === null || mode === 'none') return -EOPNOTSUPP;
    const { pageSize } = region.limits;
    const aligned = foffset % DAX_RANGE === 0 && moffset % DAX_RANGE === 0 && len % pageSize === 0;
    if (!aligned || len <= 0 || moffset > region.size - len) return -EINVAL;
    const { inodes, options } = this.#state;
    kept.runMapping(op, (done, isLive) => {
      const setUp = (): void => {
        // Given back meanwhile: the guest may want something else at its place by now.
        if (isLive()) this.#setUp(region, { nodeid, foffset, len, moffset }, done);
        else done(-EIO);
      };
      const prepared = inodes.isOpen(nodeid) ? 0 : (options.fs.prepareMapping?.(nodeid, setUp) ?? 0);
      if (prepared !== PENDING) setUp();
    });
    return PENDING;
  }

  /** REMOVEMAPPING. */
  remove(op: Operation, count: number, moffsets: Float64Array, lens: Float64Array): number {
    const { region, ranges, kept } = this.#state;
    if (region === null) return -EOPNOTSUPP;
    const found = rangesToRemove(ranges, region.size, count, moffsets, lens);
    if (typeof found === 'number') return found;
    kept.runMapping(op, (done) =>
      inTurn(found.length, (index, next) => ranges.remove(region, found[index]!, next), done),
    );
    return PENDING;
  }

  /** INIT and DESTROY: every mapping goes. */
  dropAll(done: () => void): void {
    const { region, ranges, inodes } = this.#state;
    inodes.clear();
    const found = region === null ? [] : ranges.all();
    const end = (): void => {
      if (this.#drops.delete(end)) done();
    };
    this.#drops.add(end);
    inTurn(found.length, (index, next) => ranges.remove(region!, found[index]!, next), end);
  }

  /** The front-end dropped every mapping by itself, or left; the session was reset before. */
  forgetAll(): void {
    const { region, ranges, inodes, growth, kept } = this.#state;
    this.#state.mode = 'none';
    inodes.clear();
    ranges.forgetAll();
    // Where a reset leaves mappings in place, those on their way are to go too.
    region?.unmapAll(() => {});
    growth?.retry();
    kept.abandonAll();
    for (const end of this.#drops) end();
  }

  /** Notes from now on, for another process, what stands where; null: no more, and what was noted stays. */
  set journal(bytes: Uint8Array | null) {
    this.#state.ranges.journal = bytes === null ? null : new RangeJournal(bytes);
  }

  /** Takes up what a process before mapped; to be called when the session is back, before the queues start. */
  restore(): void {
    const { region, ranges, inodes, options } = this.#state;
    const { journal } = ranges;
    if (region === null || journal === null) return;
    for (let index = 0; index < region.size / DAX_RANGE; index++) {
      const note = journal.read(index, DAX_RANGE);
      if (note === null) {
        journal.clear(index);
        continue;
      }
      const inode = inodes.opened(note.nodeid);
      if (typeof inode === 'number') {
        options.log.error('a mapped file is lost: the guest keeps its pages', { nodeid: note.nodeid, errno: -inode });
        ranges.lose(index * DAX_RANGE, note);
      } else {
        ranges.takeUp(region, inode, index * DAX_RANGE, note);
        inode.releaseIdle();
      }
    }
  }

  /** Session hook `attributes`. */
  attributes(nodeid: number, attr: Attributes, inDirectory: boolean): boolean {
    return this.#view.attributes(nodeid, attr, inDirectory);
  }

  /** Session hook `hold`. */
  hold(op: Operation): boolean {
    return this.#view.hold(op);
  }

  /** Session hook `beforeReply`. */
  beforeReply(op: Operation): boolean {
    return this.#view.beforeReply(op);
  }

  /** Session hook `forgotten`. */
  forgotten(nodeid: number): void {
    const { region, ranges, inodes, growth } = this.#state;
    const inode = inodes.forgotten(nodeid);
    if (inode === null || region === null) return;
    // Linux removes its mappings before it forgets; another driver may not.
    for (const range of [...inode.ranges]) ranges.remove(region, range, () => {});
    growth?.retry();
  }

  /** True while something waits until a request that runs in a helper thread ends. */
  get waiting(): boolean {
    return this.#state.growth?.waiting === true;
  }

  /** Requests ended. */
  retry(): void {
    this.#state.growth?.retry();
  }

  /** True while nothing of a waiting operation was done that doing it again would repeat: a mapping, or a held request. */
  repeatable(op: Operation): boolean {
    return this.#state.kept.repeatable(op);
  }

  /** The session abandoned an operation, whose chain comes again at the next start. */
  abandoned(op: Operation): void {
    this.#state.kept.abandoned(op);
  }

  /** The rings stop, and the operation is not `repeatable`. @returns false when the window does not have it */
  answerAtStop(op: Operation): boolean {
    if (op.opcode !== FUSE_INIT && op.opcode !== FUSE_DESTROY) return this.#state.kept.answer(op);
    // What is still to be unmapped stays due at the region, before anything that a later request asks for.
    const waited = this.#drops.size > 0;
    for (const end of this.#drops) end();
    return waited;
  }

  /** The rings start again: what was cancelled is done, and what answers at the stop have told of is mapped. */
  restart(): void {
    const { kept, ranges } = this.#state;
    kept.restart();
    for (const { inode } of ranges.partial) {
      if (isBehind(this.#state, inode)) extendRanges(this.#state, inode, () => {});
    }
  }

  [Symbol.dispose](): void {
    this.forgetAll();
    this.#state[Symbol.dispose]();
  }

  #setUp(region: ShmRegion, { nodeid, foffset, len, moffset }: SetUp, done: (error: number) => void): void {
    const { inodes, ranges } = this.#state;
    const inode = inodes.opened(nodeid);
    if (typeof inode === 'number') {
      done(inode);
      return;
    }
    let failed = false;
    inode.users++;
    inTurn(
      Math.ceil(len / DAX_RANGE),
      (index, next) => {
        if (failed) {
          next(0);
          return;
        }
        const at = index * DAX_RANGE;
        ranges.place(region, inode, foffset + at, moffset + at, Math.min(DAX_RANGE, len - at), (error) => {
          failed = error < 0;
          next(error);
        });
      },
      (error) => {
        inode.users--;
        inode.releaseIdle();
        done(error);
      },
    );
  }
}
