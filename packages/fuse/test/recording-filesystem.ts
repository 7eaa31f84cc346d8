/** A Filesystem that notes each call and answers what the test says. */
import type { Address } from '@oriel/sys';
import type {
  DirSink,
  Filesystem,
  IoVector,
  MapInfo,
  Name,
  Operation,
  SetAttr,
  StatfsOut,
  StatxOut,
} from '../src/index.ts';

/** What a call looked like: numbers and names as given. */
export type Call = readonly [method: string, ...args: unknown[]];

/** Answers a call; may fill `op`. */
export type Answer = (op: Operation, ...args: never[]) => number;

const ok = (): number => 0;

/** All methods; each answers 0 unless `answers` has its name. */
export class RecordingFilesystem implements Filesystem {
  readonly calls: Call[] = [];
  answers: Record<string, Answer> = {};
  /** What `initialised` was told. */
  agreed: readonly [number, number] = [0, 0];
  /** The operation of the latest call. */
  op: Operation | undefined;

  init(op: Operation): number {
    return this.#answer('init', op);
  }
  destroy(): void {
    this.calls.push(['destroy']);
  }
  forget(nodeid: number, count: number): void {
    this.calls.push(['forget', nodeid, count]);
  }
  lookup(op: Operation, parent: number, name: Name): number {
    return this.#answer('lookup', op, parent, name);
  }
  getattr(op: Operation, nodeid: number, fh: number): number {
    return this.#answer('getattr', op, nodeid, fh);
  }
  statx(op: Operation, nodeid: number, fh: number, out: StatxOut): number {
    return this.#answer('statx', op, nodeid, fh, out);
  }
  ioctl(op: Operation, ...args: [number, number, number, Address, number, Address, number]): number {
    return this.#answer('ioctl', op, ...args);
  }
  initialised(flagsLo: number, flagsHi: number): void {
    this.agreed = [flagsLo, flagsHi];
  }
  setattr(op: Operation, nodeid: number, change: SetAttr): number {
    return this.#answer('setattr', op, nodeid, { ...change });
  }
  readlink(op: Operation, nodeid: number, to: Address, len: number): number {
    return this.#answer('readlink', op, nodeid, to, len);
  }
  symlink(op: Operation, parent: number, name: Name, target: Name): number {
    return this.#answer('symlink', op, parent, name, target);
  }
  mknod(op: Operation, parent: number, name: Name, mode: number, rdev: number): number {
    return this.#answer('mknod', op, parent, name, mode, rdev);
  }
  mkdir(op: Operation, parent: number, name: Name, mode: number): number {
    return this.#answer('mkdir', op, parent, name, mode);
  }
  link(op: Operation, nodeid: number, newParent: number, newName: Name): number {
    return this.#answer('link', op, nodeid, newParent, newName);
  }
  unlink(op: Operation, parent: number, name: Name): number {
    return this.#answer('unlink', op, parent, name);
  }
  rmdir(op: Operation, parent: number, name: Name): number {
    return this.#answer('rmdir', op, parent, name);
  }
  rename(op: Operation, parent: number, name: Name, newParent: number, newName: Name, flags: number): number {
    return this.#answer('rename', op, parent, name, newParent, newName, flags);
  }
  open(op: Operation, nodeid: number, flags: number, killSuidgid: boolean): number {
    return this.#answer('open', op, nodeid, flags, killSuidgid);
  }
  create(op: Operation, parent: number, name: Name, flags: number, mode: number, killSuidgid: boolean): number {
    return this.#answer('create', op, parent, name, flags, mode, killSuidgid);
  }
  tmpfile(op: Operation, parent: number, flags: number, mode: number): number {
    return this.#answer('tmpfile', op, parent, flags, mode);
  }
  read(op: Operation, nodeid: number, fh: number, offset: number, io: IoVector): number {
    return this.#answer('read', op, nodeid, fh, offset, io);
  }
  write(op: Operation, nodeid: number, fh: number, offset: number, io: IoVector, flags: number, how: number): number {
    return this.#answer('write', op, nodeid, fh, offset, io, flags, how);
  }
  flush(op: Operation, nodeid: number, fh: number): number {
    return this.#answer('flush', op, nodeid, fh);
  }
  release(op: Operation, nodeid: number, fh: number): number {
    return this.#answer('release', op, nodeid, fh);
  }
  fsync(op: Operation, nodeid: number, fh: number, dataOnly: boolean): number {
    return this.#answer('fsync', op, nodeid, fh, dataOnly);
  }
  opendir(op: Operation, nodeid: number, flags: number): number {
    return this.#answer('opendir', op, nodeid, flags);
  }
  readdir(op: Operation, nodeid: number, fh: number, lo: number, hi: number, sink: DirSink, plus: boolean): number {
    return this.#answer('readdir', op, nodeid, fh, lo, hi, sink, plus);
  }
  releasedir(op: Operation, nodeid: number, fh: number): number {
    return this.#answer('releasedir', op, nodeid, fh);
  }
  fsyncdir(op: Operation, nodeid: number, fh: number, dataOnly: boolean): number {
    return this.#answer('fsyncdir', op, nodeid, fh, dataOnly);
  }
  statfs(op: Operation, nodeid: number, out: StatfsOut): number {
    return this.#answer('statfs', op, nodeid, out);
  }
  fallocate(op: Operation, nodeid: number, fh: number, offset: number, len: number, mode: number): number {
    return this.#answer('fallocate', op, nodeid, fh, offset, len, mode);
  }
  lseek(op: Operation, nodeid: number, fh: number, offset: number, whence: number): number {
    return this.#answer('lseek', op, nodeid, fh, offset, whence);
  }
  copyFileRange(op: Operation, ...args: number[]): number {
    return this.#answer('copyFileRange', op, ...args);
  }
  syncfs(op: Operation, nodeid: number): number {
    return this.#answer('syncfs', op, nodeid);
  }
  getxattr(op: Operation, nodeid: number, name: Name, to: Address, size: number): number {
    return this.#answer('getxattr', op, nodeid, name, to, size);
  }
  setxattr(
    op: Operation,
    nodeid: number,
    name: Name,
    value: Address,
    size: number,
    flags: number,
    kill: boolean,
  ): number {
    return this.#answer('setxattr', op, nodeid, name, value, size, flags, kill);
  }
  listxattr(op: Operation, nodeid: number, to: Address, size: number): number {
    return this.#answer('listxattr', op, nodeid, to, size);
  }
  removexattr(op: Operation, nodeid: number, name: Name): number {
    return this.#answer('removexattr', op, nodeid, name);
  }
  mapInfo(_nodeid: number, _out: MapInfo): number {
    return 0;
  }

  /** The calls since the last look, and forgets them. */
  take(): Call[] {
    return this.calls.splice(0);
  }

  #answer(method: string, op: Operation, ...args: unknown[]): number {
    this.op = op;
    // Names and sinks are reused: note what they say now.
    this.calls.push([method, ...args.map((arg) => (isName(arg) ? arg.key() : arg))]);
    const answer = this.answers[method] ?? ok;
    return answer(op, ...(args as never[]));
  }
}

function isName(arg: unknown): arg is Name {
  return typeof arg === 'object' && arg !== null && 'key' in arg;
}

/** Fills the entry of `op` with values that are different in every byte position, and gives it a handle. @returns 0 */
export function fillEntry(op: Operation, nodeid = 0x1122_3344_5566, fh = 0): number {
  const { entry } = op;
  op.fh = fh;
  entry.nodeid = nodeid;
  entry.generation = 7;
  entry.entryValidSec = 3600;
  entry.entryValidNs = 500_000_000;
  return fillAttributes(op);
}

/** The same for attributes. @returns 0 */
export function fillAttributes(op: Operation): number {
  const { attr } = op.entry;
  attr.inoLo = 0x89ab_cdef;
  attr.inoHi = 0xfedc_ba98;
  attr.size = 0x1f_ffff_ffff_ffff;
  attr.blocks = 0x10_0000_0001;
  attr.atime = -1;
  attr.atimeNs = 1;
  attr.mtime = 1_700_000_000;
  attr.mtimeNs = 2;
  attr.ctime = 0x1_0000_0000;
  attr.ctimeNs = 999_999_999;
  attr.mode = 0o100644;
  attr.nlink = 3;
  attr.uid = 1000;
  attr.gid = 0xffff_fffe;
  attr.rdevMajor = 0xabc;
  attr.rdevMinor = 0x12345;
  attr.blksize = 4096;
  attr.flags = 0;
  attr.validSec = 60;
  attr.validNs = 250_000_000;
  return 0;
}
