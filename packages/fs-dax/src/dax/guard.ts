/**
 * Keeps the front-end alive when somebody else shortens a file that is mapped: a page without a file behind it is SIGBUS there.
 * The one who truncates waits until the guest cannot reach what goes, or is refused. Own truncations are not asked about: the
 * guest has let go of those pages itself.
 */
import {
  ECANCELED,
  ETXTBSY,
  type EventLoop,
  type FileTruncation,
  type Logger,
  type LoopTimer,
  type Sys,
  SysError,
  type TruncationWatch,
} from '@oriel/sys';
import type { FrontEnd } from '@oriel/virtio-device';
import { FsDaxError } from '../errors.ts';
import { DAX_RANGE } from '../layout.ts';
import { FrontEndMaps } from './front-end-maps.ts';
import type { GuardHost } from './guard-host.ts';
import { inTurn } from './in-turn.ts';
import type { DaxInode } from './inode.ts';
import type { DaxGuard } from './options.ts';
import type { DaxRange } from './range.ts';
import { extendRanges, isBehind } from './reach.ts';
import { SparseLog } from './sparse-log.ts';
import type { DaxState } from './state.ts';

/** How long a file that is written anew stays as it is before it is mapped again, ms; or until its writer closes it. */
const QUIET_MS = 50;

/** Figures of a guard. */
export interface GuardStats {
  /** Truncations that were let through, at once or after an unmap. */
  readonly allowed: number;
  /** Truncations that were let through after mappings were removed. */
  readonly yielded: number;
  readonly refused: number;
  /** Files that became shorter without a question: by a way that the kernel does not ask about. */
  readonly unasked: number;
}

export interface TruncationGuardOptions {
  readonly sys: Sys;
  readonly log: Logger;
  readonly policy: DaxGuard;
  readonly host: GuardHost;
}

export class TruncationGuard implements Disposable {
  readonly #options: TruncationGuardOptions;
  readonly #state: DaxState;
  readonly #stats = { allowed: 0, yielded: 0, refused: 0, unasked: 0 };
  readonly #refusals: SparseLog;
  readonly #unguarded: SparseLog;
  readonly #unproven: SparseLog;
  #watch: TruncationWatch | null = null;
  #loop: EventLoop | null = null;
  #maps: FrontEndMaps | null = null;
  /** Files that somebody is writing anew. */
  readonly #growing = new Map<DaxInode, LoopTimer>();
  /** Whether the rings stand still, so that nothing can be unmapped. */
  stopped: () => boolean = () => false;

  constructor(state: DaxState, options: TruncationGuardOptions) {
    this.#state = state;
    this.#options = options;
    this.#refusals = new SparseLog(
      options.log,
      'warn',
      'another process may not truncate a file that the guest has mapped',
    );
    this.#unproven = new SparseLog(
      options.log,
      'warn',
      'mappings are not seen in the process that connected, so nobody may truncate their file',
    );
    this.#unguarded = new SparseLog(options.log, 'warn', 'a file cannot be guarded against truncation: no DAX for it');
  }

  get stats(): GuardStats {
    return this.#stats;
  }

  /** @throws FsDaxError ERR_FSDAX_GUARD where the host cannot do it */
  open(loop: EventLoop, frontend: FrontEnd): void {
    const { host, policy } = this.#options;
    if (policy === 'off' || this.#watch !== null) return;
    try {
      this.#watch = host.openWatch(loop, frontend);
      this.#loop = loop;
      this.#maps = new FrontEndMaps(host, loop, frontend.pid);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      const why = `${error.code}; it takes CAP_SYS_ADMIN and Linux 6.14`;
      throw new FsDaxError('ERR_FSDAX_GUARD', `files cannot be guarded against truncation (${why})`, { cause: error });
    }
  }

  /** Guards the file of an inode that has a descriptor. @returns 0, or the negative errno that its mapping is to fail with */
  watch(inode: DaxInode): number {
    if (this.#watch === null) return 0;
    const watched = this.#watch.watch(inode.fd!.fd, {
      truncating: (truncation) => this.#truncating(inode, truncation),
      truncated: (truncation) => this.#truncated(inode, truncation),
      changed: (settled) => this.#changed(inode, settled),
    });
    if (typeof watched === 'number') {
      this.#unguarded.add({ path: inode.path, errno: -watched });
      return watched;
    }
    inode.watched = watched;
    inode.lastSize = this.#state.facts.size(inode.fd!.fd);
    inode.told = Math.max(inode.told, inode.lastSize);
    return 0;
  }

  /** The connection ends. */
  close(): void {
    for (const timer of this.#growing.values()) timer[Symbol.dispose]();
    this.#growing.clear();
    this.#watch?.[Symbol.dispose]();
    this.#watch = null;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #truncating(inode: DaxInode, truncation: FileTruncation): void {
    const { region, ranges } = this.#state;
    // From now on nothing is mapped that is about to go.
    inode.cuts.add(truncation);
    const { pageSize } = this.#options.sys.mem;
    const keep = Math.ceil(truncation.size / pageSize) * pageSize;
    const hit = rangesBehind(inode, keep);
    if (hit.length === 0) {
      this.#stats.allowed++;
      truncation.allow();
      return;
    }
    if (!this.#mayYield(hit, keep, truncation.sure)) {
      this.#refuse(inode, truncation);
      return;
    }
    const gone = this.#maps!.expect(inode.fd!.fd, keep, bytesBehind(hit, keep));
    if (gone === null) {
      // Whoever connected is not who maps: there is no proof that a mapping is gone.
      this.#unproven.add({ path: inode.path });
      this.#refuse(inode, truncation);
      return;
    }
    inode.cutByOthers = true;
    inTurn(
      hit.length,
      (index, next) => {
        // Nothing is unmapped before the rings start again, and the other process is not to wait for that.
        if (this.stopped()) next(-ECANCELED);
        else ranges.shrink(region!, hit[index]!, Math.max(0, keep - hit[index]!.foffset), next);
      },
      (error) => {
        if (error < 0) {
          this.#refuse(inode, truncation);
          return;
        }
        gone(
          () => this.#watch !== null && inode.cuts.has(truncation),
          () => {
            this.#stats.allowed++;
            this.#stats.yielded++;
            truncation.allow();
          },
        );
      },
    );
  }

  #refuse(inode: DaxInode, truncation: FileTruncation): void {
    this.#stats.refused++;
    this.#refusals.add({ path: inode.path, size: truncation.size });
    truncation.refuse(ETXTBSY);
  }

  /** Whether the mappings in the way can go, without bytes of the file that stay going with them. */
  #mayYield(hit: readonly DaxRange[], keep: number, sure: boolean): boolean {
    const { policy } = this.#options;
    // What may not truncate at all would leave the whole file out of the guest's reach.
    if (this.stopped() || !sure || policy === 'refuse') return false;
    if (policy === 'yield') return true;
    const region = this.#state.region!;
    return hit.every((range) => {
      const cut = range.moffset + keep - range.foffset;
      return region
        .entries(range.moffset, DAX_RANGE)
        .every(({ shmOffset, len }) => shmOffset >= cut || shmOffset + len <= cut);
    });
  }

  #truncated(inode: DaxInode, truncation: FileTruncation): void {
    inode.cuts.delete(truncation);
    if (inode.fd === null) return;
    inode.lastSize = this.#state.facts.size(inode.fd.fd);
    // Where somebody writes it anew already it is not mapped piece by piece.
    if (inode.lastSize > truncation.size) this.#changed(inode, false);
    else this.#restore(inode);
  }

  #changed(inode: DaxInode, settled: boolean): void {
    this.#growing.get(inode)?.[Symbol.dispose]();
    this.#growing.delete(inode);
    if (inode.fd === null || this.stopped()) return;
    if (settled) {
      this.#settled(inode);
    } else if (needsRestoring(inode)) {
      // Each mapping behind the last one is one more of few: only once the writer is done.
      this.#growing.set(
        inode,
        this.#loop!.timer(QUIET_MS, () => this.#changed(inode, true)),
      );
    }
  }

  #settled(inode: DaxInode): void {
    const { region, ranges, facts } = this.#state;
    const size = facts.size(inode.fd!.fd);
    const { pageSize } = this.#options.sys.mem;
    const keep = Math.ceil(size / pageSize) * pageSize;
    const hit = size >= 0 && size < inode.lastSize && inode.cuts.size === 0 ? rangesBehind(inode, keep) : [];
    inode.lastSize = size;
    if (hit.length > 0) {
      inode.cutByOthers = true;
      this.#stats.unasked++;
    }
    inTurn(
      hit.length,
      (index, next) => ranges.shrink(region!, hit[index]!, Math.max(0, keep - hit[index]!.foffset), next),
      () => this.#restore(inode),
    );
  }

  /** Maps again what the file has of ranges that were shortened. */
  #restore(inode: DaxInode): void {
    if (inode.gone || this.stopped() || !needsRestoring(inode)) return;
    if (isBehind(this.#state, inode)) extendRanges(this.#state, inode, () => {});
  }
}

/** Mapped bytes of ranges that lie behind an offset of the file. */
function bytesBehind(ranges: readonly DaxRange[], offset: number): number {
  let sum = 0;
  for (const { foffset, covered } of ranges) sum += Math.max(0, foffset + covered - Math.max(foffset, offset));
  return sum;
}

function needsRestoring(inode: DaxInode): boolean {
  for (const range of inode.ranges) if (range.shrunk) return true;
  return false;
}

/** Ranges of a file of which the guest may reach something behind an offset of it. */
function rangesBehind(inode: DaxInode, offset: number): DaxRange[] {
  // A file that is grown for a mapping, here or by another back-end, ends where it ended before: nobody reaches that part.
  if (inode.told <= offset) return [];
  const end = (range: DaxRange): number => range.foffset + (range.busy ? range.len : range.covered);
  return [...inode.ranges].filter((range) => range.copy === null && end(range) > offset);
}
