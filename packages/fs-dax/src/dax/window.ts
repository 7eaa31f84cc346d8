/**
 * The DAX window of a session: SETUPMAPPING and REMOVEMAPPING, the choice of DAX per inode, and the rule that a guest never
 * learns of file bytes which its mappings do not reach.
 */
import {
  type Attributes,
  type Filesystem,
  FOPEN_KEEP_CACHE,
  FUSE_ATTR_DAX,
  FUSE_CREATE,
  FUSE_DESTROY,
  FUSE_INIT,
  FUSE_OPEN,
  FUSE_REMOVEMAPPING,
  type MapInfo,
  type Operation,
  PENDING,
} from '@oriel/fuse';
import type { ShmRegion } from '@oriel/shm-region';
import { EAGAIN, EINVAL, EOPNOTSUPP, Fd, type Logger, S_IFMT, S_IFREG, type Sys } from '@oriel/sys';
import { DAX_RANGE } from '../layout.ts';
import { CopyKeeper } from './copies.ts';
import { mayBeOpened, sizeAllows } from './eligibility.ts';
import { FileFacts } from './file-facts.ts';
import type { GrowRecord } from './grow-record.ts';
import { Growth, type GrowthStep } from './growth.ts';
import { DaxInode } from './inode.ts';
import { RangeMapper } from './mapper.ts';
import { answersEntry, changesContent, touchesSecondInode } from './opcodes.ts';
import type { DaxTail } from './options.ts';
import { RangeTable } from './ranges.ts';

/** How the guest mounted: its INIT tells. */
export type DaxMode = 'none' | 'inode' | 'always';

/** What the window asks of its session. */
export interface DaxSession {
  resume(op: Operation): void;
  reply(op: Operation): void;
  replyError(op: Operation, error: number): void;
}

interface Waiting {
  /** `reply`: the request is done, and its reply is kept until the guest can reach what it tells of. */
  readonly kind: 'mapping' | 'reply';
  answered: boolean;
}

export interface DaxWindowOptions {
  readonly sys: Sys;
  readonly fs: Filesystem;
  readonly log: Logger;
  readonly windowSize: number;
  readonly tail: DaxTail;
  readonly minSize: number;
  readonly record: GrowRecord | null;
  readonly onStep?: (step: GrowthStep) => void;
}

export class DaxWindow implements Disposable {
  readonly #options: DaxWindowOptions;
  readonly #facts: FileFacts;
  readonly #growth: Growth | null;
  readonly #ranges: RangeTable;
  readonly #copies: CopyKeeper;
  readonly #inodes = new Map<number, DaxInode>();
  /** Operations that wait for a map request. A stop may answer one early; what comes for it later is then void. */
  readonly #waiting = new Map<Operation, Waiting>();
  readonly #info: MapInfo = { size: 0, mappable: false, devLo: 0, devHi: 0, inoLo: 0, inoHi: 0, path: '' };
  #mode: DaxMode = 'none';
  #region: ShmRegion | null = null;
  #session: DaxSession | null = null;

  constructor(options: DaxWindowOptions) {
    this.#options = options;
    const { sys, log, record, tail, onStep } = options;
    this.#facts = new FileFacts(sys);
    this.#growth =
      record === null ? null : new Growth({ sys, facts: this.#facts, record, log, ...(onStep ? { onStep } : {}) });
    const mapper = new RangeMapper({ sys, facts: this.#facts, growth: this.#growth, tail, log });
    this.#ranges = new RangeTable(options.windowSize, mapper, this.#facts, log);
    this.#copies = new CopyKeeper(this.#ranges, log);
  }

  get mode(): DaxMode {
    return this.#mode;
  }

  /** Inodes that the window keeps something of. */
  get inodeCount(): number {
    return this.#inodes.size;
  }

  bind(session: DaxSession): void {
    this.#session = session;
  }

  attach(region: ShmRegion): void {
    this.#region = region;
  }

  setMode(mode: DaxMode): void {
    this.#mode = mode;
  }

  /** SETUPMAPPING. */
  setup(op: Operation, nodeid: number, foffset: number, len: number, moffset: number): number {
    const region = this.#region;
    if (region === null || this.#mode === 'none') return -EOPNOTSUPP;
    const { pageSize } = region.limits;
    const aligned = foffset % DAX_RANGE === 0 && moffset % DAX_RANGE === 0 && len % pageSize === 0;
    if (!aligned || len <= 0 || moffset > region.size - len) return -EINVAL;
    const inode = this.#inode(nodeid);
    const opened = this.#open(inode);
    if (opened < 0) return opened;
    const finish = this.#keep(op);
    const next = (at: number): void => {
      if (at >= len) {
        finish(0);
        return;
      }
      const part = Math.min(DAX_RANGE, len - at);
      this.#ranges.place(region, inode, foffset + at, moffset + at, part, (error) => {
        if (error < 0) finish(error);
        else next(at + DAX_RANGE);
      });
    };
    next(0);
    return PENDING;
  }

  /** REMOVEMAPPING: each pair names a range as it was set up, or several whole ones. */
  remove(op: Operation, count: number, moffsets: Float64Array, lens: Float64Array): number {
    const region = this.#region;
    if (region === null) return -EOPNOTSUPP;
    for (let i = 0; i < count; i++) {
      const fits = moffsets[i]! % DAX_RANGE === 0 && lens[i]! > 0 && moffsets[i]! <= region.size - lens[i]!;
      if (!fits) return -EINVAL;
    }
    let pending = 1;
    let failure = 0;
    const finish = this.#keep(op);
    const one = (error: number): void => {
      if (error < 0) failure = error;
      if (--pending === 0) finish(failure);
    };
    for (let i = 0; i < count; i++) {
      for (let at = moffsets[i]!; at < moffsets[i]! + lens[i]!; at += DAX_RANGE) {
        const range = this.#ranges.at(at);
        if (range === null) continue;
        pending++;
        this.#ranges.remove(region, range, one);
      }
    }
    one(0);
    return PENDING;
  }

  /** INIT and DESTROY: every mapping goes. */
  dropAll(done: () => void): void {
    const region = this.#region;
    if (region === null) {
      done();
      return;
    }
    let pending = 1;
    const one = (): void => {
      if (--pending > 0) return;
      this.#forgetInodes();
      done();
    };
    for (const range of this.#ranges.all()) {
      pending++;
      this.#ranges.remove(region, range, one);
    }
    one();
  }

  /** The front-end dropped every mapping by itself, or left; the session was reset before. */
  forgetAll(): void {
    this.#ranges.forgetAll();
    for (const inode of this.#inodes.values()) this.#resume(inode);
    this.#forgetInodes();
    this.#mode = 'none';
  }

  /** Session hook `attributes`. */
  attributes(nodeid: number, attr: Attributes, inDirectory: boolean): boolean {
    if (this.#mode === 'none' || (attr.mode & S_IFMT) !== S_IFREG || this.#region === null) return true;
    let inode = this.#inodes.get(nodeid);
    if (inode?.growing) attr.size = inode.trueSize;
    if (inode !== undefined && this.#copies.any) this.#copies.extend(inode);
    const { pageSize, insideFile } = this.#region.limits;
    if (inDirectory && inode !== undefined && this.#lacking(inode, attr.size)) return false;
    if (this.#mode !== 'inode') return true;
    if (inode === undefined || inode.ranges.size === 0) {
      if (!sizeAllows(this.#options, attr.size, pageSize, insideFile)) return true;
      inode ??= this.#inode(nodeid);
      if (!mayBeOpened(this.#options, inode)) return true;
    }
    inode.flagged = true;
    attr.flags |= FUSE_ATTR_DAX;
    return true;
  }

  /** Session hook `hold`: a file that is grown for a moment is not to be read, written or resized by others. */
  hold(op: Operation): boolean {
    if (this.#copies.any) this.#copies.before(op);
    const growing = this.#growth?.inode;
    if (growing === undefined || growing === null) return false;
    // Which file COPY_FILE_RANGE writes to is not decoded yet.
    if (op.nodeid !== growing.nodeid && !touchesSecondInode(op.opcode)) return false;
    if (op.opcode === FUSE_REMOVEMAPPING) return false;
    growing.held.push(op);
    return true;
  }

  /** Session hook `beforeReply`. */
  beforeReply(op: Operation): boolean {
    if (this.#mode === 'none') return false;
    const { opcode } = op;
    const nodeid = answersEntry(opcode) ? op.entry.nodeid : op.targetNodeid;
    if (opcode === FUSE_OPEN || opcode === FUSE_CREATE) {
      // Without it Linux drops the page-table entries of a DAX file in use when it is opened again.
      if (this.#mode === 'always' || this.#inodes.get(nodeid)?.flagged) op.openFlags |= FOPEN_KEEP_CACHE;
    }
    const changes = changesContent(opcode);
    if (changes) this.#noteChange(nodeid);
    else if (opcode === FUSE_OPEN && this.#copies.any) this.#reload(nodeid);
    if (this.#ranges.partial.size === 0) return false;
    const region = this.#region;
    const inode = this.#inodes.get(nodeid);
    if (inode === undefined || region === null || inode.fd === null) return false;
    const size = inode.growing ? inode.trueSize : this.#facts.size(inode.fd.fd);
    if (!this.#lacking(inode, size)) return false;
    const waiting = this.#wait(op, 'reply');
    this.#extend(region, inode, (error) => {
      if (waiting.answered) return;
      this.#waiting.delete(op);
      if (error < 0) this.#session!.replyError(op, error);
      else this.#session!.reply(op);
    });
    return true;
  }

  /** Session hook `forgotten`. */
  forgotten(nodeid: number): void {
    const inode = this.#inodes.get(nodeid);
    if (inode === undefined || (this.#options.fs.mapInfo?.(nodeid, this.#info) ?? -1) >= 0) return;
    if (!inode.growing && inode.held.length === 0) this.#inodes.delete(nodeid);
    const region = this.#region;
    // Linux removes its mappings before it forgets; another driver may not.
    if (region !== null) for (const range of [...inode.ranges]) this.#ranges.remove(region, range, () => {});
  }

  /** True while nothing of a waiting operation was done that doing it again would repeat: a mapping, or a held request. */
  repeatable(op: Operation): boolean {
    return (
      this.#waiting.get(op)?.kind === 'mapping' ||
      op.opcode === FUSE_INIT ||
      op.opcode === FUSE_DESTROY ||
      this.#holds(op)
    );
  }

  /** The rings stop and the operation cannot be given back: a request that is done gets its answer, another EAGAIN. */
  answerAtStop(op: Operation): void {
    const waiting = this.#waiting.get(op);
    if (waiting !== undefined) {
      waiting.answered = true;
      this.#waiting.delete(op);
      if (waiting.kind === 'reply') this.#session!.reply(op);
      else op.complete(-EAGAIN);
      return;
    }
    for (const { held } of this.#inodes.values()) {
      const at = held.indexOf(op);
      if (at < 0) continue;
      held.splice(at, 1);
      this.#session!.replyError(op, -EAGAIN);
      return;
    }
  }

  [Symbol.dispose](): void {
    this.forgetAll();
    this.#facts[Symbol.dispose]();
    this.#options.record?.[Symbol.dispose]();
  }

  #inode(nodeid: number): DaxInode {
    let inode = this.#inodes.get(nodeid);
    if (inode === undefined) {
      inode = new DaxInode(nodeid);
      this.#inodes.set(nodeid, inode);
    }
    return inode;
  }

  #open(inode: DaxInode): number {
    if (inode.fd !== null) return 0;
    const { fs, sys } = this.#options;
    const known = fs.mapInfo?.(inode.nodeid, this.#info) ?? -EOPNOTSUPP;
    if (known < 0) return known;
    if (!this.#info.mappable) return -EOPNOTSUPP;
    const fd = fs.openForMapping?.(inode.nodeid) ?? -EOPNOTSUPP;
    if (fd < 0) return fd;
    inode.fd = new Fd(sys.fd, fd);
    inode.path = this.#info.path;
    return 0;
  }

  /** Keeps an operation until the returned function is called. */
  #keep(op: Operation): (result: number) => void {
    const waiting = this.#wait(op, 'mapping');
    return (result) => {
      this.#resumeHeld();
      if (waiting.answered) return;
      this.#waiting.delete(op);
      op.complete(result);
    };
  }

  #wait(op: Operation, kind: Waiting['kind']): Waiting {
    const waiting: Waiting = { kind, answered: false };
    this.#waiting.set(op, waiting);
    return waiting;
  }

  #holds(op: Operation): boolean {
    for (const inode of this.#inodes.values()) if (inode.held.includes(op)) return true;
    return false;
  }

  #lacking(inode: DaxInode, size: number): boolean {
    const { pageSize } = this.#region!.limits;
    for (const range of inode.ranges) {
      if (range.lacks(size, pageSize) && range.covered < range.len && range.foffset < size) return true;
    }
    return false;
  }

  /** Maps what the file now holds behind the mapped part of its ranges. */
  #extend(region: ShmRegion, inode: DaxInode, done: (error: number) => void): void {
    const ranges = [...inode.ranges].filter((range) => this.#ranges.partial.has(range));
    let failure = 0;
    const next = (): void => {
      const range = ranges.pop();
      if (range === undefined) {
        this.#resumeHeld();
        done(failure);
        return;
      }
      this.#ranges.cover(region, range, (error) => {
        // A range wholly behind the end of the file needs nothing.
        if (error < 0 && this.#lacking(inode, this.#sizeOf(inode))) failure = error;
        next();
      });
    };
    next();
  }

  #sizeOf(inode: DaxInode): number {
    return inode.fd === null ? 0 : this.#facts.size(inode.fd.fd);
  }

  #resumeHeld(): void {
    if (this.#growth?.inode) return;
    for (const inode of this.#inodes.values()) {
      if (inode.held.length > 0) this.#resume(inode);
    }
  }

  #resume(inode: DaxInode): void {
    for (const op of inode.held.splice(0)) this.#session!.resume(op);
  }

  /** The guest changed a file: its tail may be grown, and copies of its ranges are read again. */
  #noteChange(nodeid: number): void {
    const inode = this.#mode === 'always' ? this.#inode(nodeid) : this.#inodes.get(nodeid);
    if (inode === undefined) return;
    inode.guestSized = true;
    if (this.#copies.any) this.#copies.reload(inode);
  }

  #reload(nodeid: number): void {
    const inode = this.#inodes.get(nodeid);
    if (inode !== undefined) this.#copies.reload(inode);
  }

  #forgetInodes(): void {
    for (const inode of this.#inodes.values()) {
      // A growth under way still has to shorten its file, and to let go what waits for it.
      if (inode.growing) continue;
      inode.release();
      this.#inodes.delete(inode.nodeid);
    }
  }
}
