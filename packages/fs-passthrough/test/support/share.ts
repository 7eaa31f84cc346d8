/** A share over a fresh directory, with requests as plain calls. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SetAttr } from '@oriel/fuse';
import { O_RDONLY, openSys } from '@oriel/sys';
import { PassthroughFilesystem, type PassthroughOptions } from '../../src/index.ts';
import { Arena } from './native.ts';
import { type DirRecord, TestOperation, TestSink } from './request.ts';

/** The root's nodeid. */
export const ROOT = 1;

/** Where test directories are: the disk, and memory where there is some. */
export const PLACES: readonly string[] = [tmpdir(), '/dev/shm'];

/** What a lookup-like request gave. */
export interface Found {
  /** 0 or a negative errno. */
  readonly result: number;
  readonly nodeid: number;
  readonly op: TestOperation;
}

/** A SETATTR that changes nothing. */
export const NO_CHANGE: SetAttr = {
  valid: 0,
  fh: -1,
  size: 0,
  mode: 0,
  uid: 0,
  gid: 0,
  atimeLo: 0,
  atimeHi: 0,
  atimeNs: 0,
  mtimeLo: 0,
  mtimeHi: 0,
  mtimeNs: 0,
};

/** A file system under test, its directory, and memory for requests. */
export class TestShare implements Disposable {
  readonly path: string;
  readonly fs: PassthroughFilesystem;
  readonly arena = new Arena();
  readonly #base: string;

  /** @param place - directory in which to make the test's own */
  constructor(options: Partial<PassthroughOptions> = {}, place: string = tmpdir()) {
    this.#base = mkdtempSync(join(place, 'oriel-passthrough-'));
    this.path = options.sharedDir ?? this.#base;
    this.fs = new PassthroughFilesystem({ sys: openSys(), ...options, sharedDir: this.path });
  }

  /** A host path in the share. */
  at(...names: string[]): string {
    return join(this.path, ...names);
  }

  op(uid = 0, gid = 0): TestOperation {
    const op = new TestOperation();
    op.uid = uid;
    op.gid = gid;
    return op;
  }

  lookup(name: string | Uint8Array, parent = ROOT): Found {
    const op = this.op();
    return found(op, this.fs.lookup(op, parent, this.arena.name(name)));
  }

  /** The nodeid of a path, looked up step by step. @throws Error when a step fails */
  node(...names: string[]): number {
    let nodeid = ROOT;
    for (const name of names) {
      const step = this.lookup(name, nodeid);
      if (step.result !== 0) {
        throw new Error(`lookup of ${name}: ${step.result}`);
      }
      nodeid = step.nodeid;
    }
    return nodeid;
  }

  /** Makes a file on the host, and looks it up. @returns its nodeid @throws Error when that fails */
  put(name: string, contents: string | Uint8Array): number {
    writeFileSync(this.at(name), contents);
    return this.node(name);
  }

  create(name: string, flags: number, mode = 0o644, parent = ROOT, op = this.op()): Found {
    return found(op, this.fs.create(op, parent, this.arena.name(name), flags, mode, false));
  }

  mkdir(name: string, mode = 0o755, parent = ROOT, op = this.op()): Found {
    return found(op, this.fs.mkdir(op, parent, this.arena.name(name), mode));
  }

  mknod(name: string, mode: number, rdev = 0, parent = ROOT, op = this.op()): Found {
    return found(op, this.fs.mknod(op, parent, this.arena.name(name), mode, rdev));
  }

  symlink(name: string, target: string, parent = ROOT, op = this.op()): Found {
    return found(op, this.fs.symlink(op, parent, this.arena.name(name), this.arena.name(target)));
  }

  link(nodeid: number, name: string, parent = ROOT): Found {
    const op = this.op();
    return found(op, this.fs.link(op, nodeid, parent, this.arena.name(name)));
  }

  unlink(name: string, parent = ROOT): number {
    return this.fs.unlink(this.op(), parent, this.arena.name(name));
  }

  rmdir(name: string, parent = ROOT): number {
    return this.fs.rmdir(this.op(), parent, this.arena.name(name));
  }

  rename(name: string, newName: string, flags = 0, parent = ROOT, newParent = ROOT): number {
    return this.fs.rename(this.op(), parent, this.arena.name(name), newParent, this.arena.name(newName), flags);
  }

  /** Opens a file. @returns the request, or a negative errno */
  open(nodeid: number, flags = O_RDONLY, killSuidgid = false): { result: number; op: TestOperation } {
    const op = this.op();
    return { result: this.fs.open(op, nodeid, flags, killSuidgid), op };
  }

  /** Opens a file. @returns its fh @throws Error when it cannot be opened */
  fh(nodeid: number, flags = O_RDONLY): number {
    const { result, op } = this.open(nodeid, flags);
    if (result !== 0) {
      throw new Error(`open: ${result}`);
    }
    return op.fh;
  }

  /** READ of up to `len` bytes. @returns the text, or a negative errno */
  read(fh: number, offset: number, len: number): string | number {
    const op = this.op();
    const io = this.arena.io(len);
    const result = this.fs.read(op, ROOT, fh, offset, io);
    return result < 0 ? result : Buffer.from(io.data.subarray(0, op.settle(result))).toString('latin1');
  }

  write(fh: number, offset: number, text: string, openFlags = 0, writeFlags = 0): number {
    const op = this.op();
    const io = this.arena.io(text.length);
    io.data.set(Buffer.from(text, 'latin1'));
    return op.settle(this.fs.write(op, ROOT, fh, offset, io, openFlags, writeFlags));
  }

  getattr(nodeid: number, fh = -1): Found {
    const op = this.op();
    return found(op, this.fs.getattr(op, nodeid, fh));
  }

  setattr(nodeid: number, change: Partial<SetAttr>): Found {
    const op = this.op();
    return found(op, this.fs.setattr(op, nodeid, { ...NO_CHANGE, ...change }));
  }

  /** Opens a directory. @returns its fh @throws Error when it cannot be opened */
  dirFh(nodeid: number): number {
    const op = this.op();
    const result = this.fs.opendir(op, nodeid);
    if (result !== 0) {
      throw new Error(`opendir: ${result}`);
    }
    return op.fh;
  }

  /** One READDIR or READDIRPLUS. @returns the records, or a negative errno */
  readdir(
    fh: number,
    cookie: { cookieLo: number; cookieHi: number },
    room: number,
    plus: boolean,
    nodeid = ROOT,
  ): DirRecord[] | number {
    const sink = new TestSink(room, plus);
    const result = this.fs.readdir(this.op(), nodeid, fh, cookie.cookieLo, cookie.cookieHi, sink, plus);
    return result < 0 ? result : sink.records;
  }

  /** A whole listing, request after request. @throws Error when one fails */
  list(fh: number, room = 4096, plus = false, nodeid = ROOT): DirRecord[] {
    const all: DirRecord[] = [];
    let cookie = { cookieLo: 0, cookieHi: 0 };
    for (;;) {
      const records = this.readdir(fh, cookie, room, plus, nodeid);
      if (typeof records === 'number') {
        throw new Error(`readdir: ${records}`);
      }
      const last = records.at(-1);
      if (last === undefined) {
        return all;
      }
      all.push(...records);
      cookie = last;
    }
  }

  forget(nodeid: number, count = 1): void {
    this.fs.forget(nodeid, count, null);
  }

  [Symbol.dispose](): void {
    this.fs[Symbol.dispose]();
    this.arena[Symbol.dispose]();
    rmSync(this.#base, { recursive: true, force: true });
  }
}

function found(op: TestOperation, result: number): Found {
  return { result, nodeid: op.entry.nodeid, op };
}
