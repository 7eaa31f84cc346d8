/** One directory that a driver works on, and another one of the same content for the host's own system calls. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RequestEncoder } from '@oriel/fuse/client';
import * as S from '@oriel/sys';
import { DrivenShare } from './driven-share.ts';

export const { file, fd: files } = S.openSys();
export const LONG = 'x'.repeat(256);
export const TOO_FAR = Number.MAX_SAFE_INTEGER - 4096;
export const TEXT = Buffer.from('text');
export const NO_FD = 999_999;

/** A path, or a name, for a system call. */
export const text = (value: string): Uint8Array => Buffer.from(`${value}\0`);

/** The same in both directories. */
function plant(dir: string): void {
  writeFileSync(join(dir, 'file'), 'some text');
  writeFileSync(join(dir, 'other'), 'other text');
  for (const name of ['dir', 'full', 'empty']) mkdirSync(join(dir, name));
  writeFileSync(join(dir, 'full', 'inside'), '');
  symlinkSync('file', join(dir, 'link'));
  S.check(file.mknodat(S.AT_FDCWD, text(join(dir, 'fifo')), S.S_IFIFO | 0o600, 0), 'mknod');
  file.setxattr(text(join(dir, 'file')), text('user.old'), TEXT, TEXT.length, 0);
}

/** The host's side. */
export class Host implements Disposable {
  readonly path: string;
  readonly #opened: number[] = [];

  /** @param place - directory in which to make the test's own */
  constructor(place: string) {
    this.path = mkdtempSync(join(place, 'oriel-errors-'));
    plant(this.path);
  }

  at(...names: string[]): Uint8Array {
    return text(join(this.path, ...names));
  }

  /** A descriptor of an entry. @throws SysError */
  open(name: string, flags = S.O_RDONLY): number {
    const fd = S.check(file.openat(S.AT_FDCWD, this.at(name), flags, 0), 'open');
    this.#opened.push(fd);
    return fd;
  }

  /** What opening gives, a negative errno or 0. */
  tryOpen(name: string, flags: number): number {
    const fd = file.openat(S.AT_FDCWD, this.at(name), flags, 0o600);
    return fd < 0 ? fd : files.close(fd);
  }

  io(fd: number, offset: number, write: boolean): number {
    using arena = S.Mapping.anonymous(S.openSys().mem, 4096);
    const view = new DataView(arena.u8.buffer, arena.u8.byteOffset);
    view.setBigUint64(0, BigInt(arena.addr + 64), true);
    view.setBigUint64(8, 16n, true);
    return (write ? file.pwritev2 : file.preadv2)(fd, arena.addr, 1, offset, 0);
  }

  [Symbol.dispose](): void {
    for (const fd of this.#opened) files.close(fd);
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** The guest's side: what a driver knows. */
export class Guest extends DrivenShare {
  readonly request: RequestEncoder;

  /** @param place - as the host's */
  constructor(place: string) {
    super({ xattr: true, posixLocks: true, flockLocks: true }, place);
    plant(this.share.path);
    this.request = this.driver.request;
  }

  fh(name: string, flags: number = S.O_RDWR): number {
    return this.open(this.node(name), flags);
  }

  dirFh(name: string): number {
    return this.driver.call(this.request.opendir(this.node(name))).fh;
  }
}

export interface Case {
  readonly name: string;
  /** Linux's; where a file system has no such limit neither side has an error. */
  readonly error: number;
  readonly guest: (r: RequestEncoder, g: Guest) => RequestEncoder | readonly [RequestEncoder, Uint8Array];
  /** 0 or more, or a negative errno. */
  readonly host: (h: Host) => number | bigint;
}

export const row = (name: string, error: number, guest: Case['guest'], host: Case['host']): Case => ({
  name,
  error,
  guest,
  host,
});
export const CWD = S.AT_FDCWD;
