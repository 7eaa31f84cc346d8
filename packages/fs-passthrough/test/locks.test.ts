/** Locks that two drivers and the host see of each other. */
import { writeFileSync } from 'node:fs';
import { FUSE_GETLK, FUSE_LK_FLOCK, FUSE_SETLK, FUSE_SETLKW } from '@oriel/fuse';
import { TestClient } from '@oriel/fuse/testing';
import {
  check,
  EAGAIN,
  EBADF,
  EINVAL,
  EOPNOTSUPP,
  F_OFD_SETLK,
  F_RDLCK,
  F_UNLCK,
  F_WRLCK,
  Fd,
  FileLock,
  LOCK_EX,
  LOCK_NB,
  O_RDWR,
  openSys,
  S_IFCHR,
  S_IFIFO,
} from '@oriel/sys';
import { expect } from 'chai';
import { PassthroughFilesystem, type PassthroughOptions } from '../src/index.ts';
import { checkLeaks } from './support/leaks.ts';
import { ROOT, TestShare } from './support/share.ts';

const END = 0x7fff_ffff_ffff_ffffn;
const ALICE = 0x1_0000_0001;
const BOB = 7;

/** Timers that a test fires. */
class TestTimers {
  readonly due: { readonly delayMs: number; readonly call: () => void }[] = [];

  readonly timer = (delayMs: number, call: () => void): Disposable => {
    const entry = { delayMs, call };
    this.due.push(entry);
    return {
      [Symbol.dispose]: () => {
        const at = this.due.indexOf(entry);
        if (at >= 0) this.due.splice(at, 1);
      },
    };
  };

  fire(): void {
    for (const { call } of this.due.splice(0)) call();
  }
}

/** A guest with its own server over the same directory, and a file open. */
class Guest implements Disposable {
  readonly fs: PassthroughFilesystem;
  readonly driver: TestClient;
  readonly nodeid: number;
  readonly fh: number;

  constructor(sharedDir: string, options: Partial<PassthroughOptions> = {}) {
    this.fs = new PassthroughFilesystem({ sys: openSys(), sharedDir, posixLocks: true, flockLocks: true, ...options });
    this.driver = new TestClient({ sys: openSys(), fs: this.fs });
    this.driver.init();
    this.nodeid = this.driver.call(this.driver.request.lookup(ROOT, 'file')).readEntry().nodeid;
    this.fh = this.open();
  }

  open(): number {
    return this.driver.call(this.driver.request.open(this.nodeid, O_RDWR)).fh;
  }

  lock(
    type: number,
    owner = BOB,
    range: readonly [bigint | number, (bigint | number)?] = [0],
    opcode = FUSE_SETLK,
  ): number {
    const { request } = this.driver;
    return this.driver.call(request.lock(opcode, this.nodeid, this.fh, owner, type, range)).error;
  }

  flock(type: number, fh = this.fh): number {
    const { request } = this.driver;
    return this.driver.call(request.lock(FUSE_SETLK, this.nodeid, fh, BOB, type, [0], FUSE_LK_FLOCK)).error;
  }

  test(type: number, owner = BOB): ReturnType<ReturnType<TestClient['call']>['readLock']> {
    const { request } = this.driver;
    return this.driver.call(request.lock(FUSE_GETLK, this.nodeid, this.fh, owner, type)).readLock();
  }

  [Symbol.dispose](): void {
    this.driver[Symbol.dispose]();
    this.fs[Symbol.dispose]();
  }
}

describe('file locks', () => {
  checkLeaks();

  const shared = (): TestShare => {
    const share = new TestShare();
    writeFileSync(share.at('file'), 'content');
    return share;
  };

  it('are agreed at INIT only where they are wanted', () => {
    using share = shared();
    for (const [posixLocks, flockLocks] of [
      [false, false],
      [true, false],
      [false, true],
    ] as const) {
      using fs = new PassthroughFilesystem({ sys: openSys(), sharedDir: share.path, posixLocks, flockLocks });
      using driver = new TestClient({ sys: openSys(), fs });
      const { flagsLo } = driver.init().readInit();
      expect([(flagsLo & 0x2) !== 0, (flagsLo & 0x400) !== 0]).to.deep.equal([posixLocks, flockLocks]);
    }
  });

  it('open nothing but regular files: a guest can make devices, and opening one may do anything', () => {
    using share = shared();
    const opened: number[] = [];
    const sys = openSys();
    const file = {
      ...sys.file,
      openat: (...args: Parameters<typeof sys.file.openat>) => {
        const fd = sys.file.openat(...args);
        opened.push(fd);
        return fd;
      },
    };
    using fs = new PassthroughFilesystem({ sys: { ...sys, file }, sharedDir: share.path, posixLocks: true });
    using driver = new TestClient({ sys, fs });
    const { request } = driver;
    driver.init();
    const nodeid = driver.call(request.lookup(ROOT, 'file')).readEntry().nodeid;
    const { fh } = driver.call(request.open(nodeid, O_RDWR));
    for (const mode of [S_IFIFO, S_IFCHR]) {
      const other = driver.call(request.mknod(ROOT, `special${mode}`, mode | 0o600, 0x103)).readEntry().nodeid;
      opened.length = 0;
      expect(driver.call(request.lock(FUSE_GETLK, other, fh, BOB, F_WRLCK, [0])).error).to.equal(EBADF);
      expect(driver.call(request.lock(FUSE_SETLK, other, fh, BOB, F_WRLCK, [0])).error).to.equal(EBADF);
      expect(opened).to.deep.equal([]);
    }
  });

  it('of fcntl keep another guest and another owner out', () => {
    using share = shared();
    using one = new Guest(share.path);
    using two = new Guest(share.path);
    expect(one.lock(F_WRLCK, ALICE, [10, 19])).to.equal(0);
    expect(one.lock(F_WRLCK, BOB, [19])).to.equal(EAGAIN);
    expect(two.lock(F_RDLCK, ALICE, [0, 10])).to.equal(EAGAIN);
    expect(two.test(F_WRLCK)).to.deep.equal({ type: F_WRLCK, start: 10n, end: 19n, pid: 0 });
    expect(two.lock(F_RDLCK, ALICE, [0, 9])).to.equal(0);
    expect(one.lock(F_UNLCK, ALICE)).to.equal(0);
    expect(two.lock(F_WRLCK, ALICE)).to.equal(0);
    expect(one.test(F_RDLCK)).to.deep.equal({ type: F_WRLCK, start: 0n, end: END, pid: 0 });
    expect(two.test(F_WRLCK, ALICE).type, "its own is in nobody's way").to.equal(F_UNLCK);
  });

  it('of fcntl reach beyond 2^53, and to the last byte that there can be', () => {
    using share = shared();
    using one = new Guest(share.path);
    using two = new Guest(share.path);
    const far = (1n << 60n) + 5n;
    expect(one.lock(F_WRLCK, ALICE, [far, far + 0xffff_fffen])).to.equal(0);
    expect(two.test(F_WRLCK)).to.deep.equal({ type: F_WRLCK, start: far, end: far + 0xffff_fffen, pid: 0 });
    expect(two.lock(F_WRLCK, BOB, [far + 0xffff_ffffn, END])).to.equal(0);
    expect(two.lock(F_WRLCK, BOB, [0, far])).to.equal(EAGAIN);
    expect(two.lock(F_WRLCK, BOB, [0, far - 1n])).to.equal(0);
  });

  it('of fcntl and flock are seen by the host, and its locks by the guest', () => {
    using share = shared();
    using guest = new Guest(share.path);
    const { file, fd } = openSys();
    using host = new Fd(fd, check(file.openat(-100, Buffer.from(`${share.at('file')}\0`), O_RDWR, 0), 'openat'));
    const range = Buffer.alloc(FileLock.byteLength);
    const view = new DataView(range.buffer, range.byteOffset);
    FileLock.type.set(view, 0, F_WRLCK);
    expect(guest.lock(F_RDLCK)).to.equal(0);
    expect(file.fcntlLock(host.fd, F_OFD_SETLK, range)).to.equal(-EAGAIN);
    expect(guest.lock(F_UNLCK)).to.equal(0);
    expect(file.fcntlLock(host.fd, F_OFD_SETLK, range)).to.equal(0);
    expect(guest.lock(F_RDLCK)).to.equal(EAGAIN);
    expect(guest.flock(F_RDLCK)).to.equal(0);
    expect(file.flock(host.fd, LOCK_EX | LOCK_NB)).to.equal(-EAGAIN);
    expect(guest.flock(F_UNLCK)).to.equal(0);
    expect(file.flock(host.fd, LOCK_EX | LOCK_NB)).to.equal(0);
    expect(guest.flock(F_RDLCK)).to.equal(EAGAIN);
  });

  it('of fcntl end when the owner closes any descriptor of the file', () => {
    using share = shared();
    using one = new Guest(share.path);
    using two = new Guest(share.path);
    expect(one.lock(F_WRLCK, ALICE)).to.equal(0);
    one.driver.call(one.driver.request.flush(one.nodeid, one.fh, BOB));
    expect(two.lock(F_WRLCK)).to.equal(EAGAIN);
    one.driver.call(one.driver.request.flush(one.nodeid, one.fh, ALICE));
    expect(two.lock(F_WRLCK)).to.equal(0);
  });

  it('of flock belong to an open file and end with it', () => {
    using share = shared();
    using guest = new Guest(share.path);
    const other = guest.open();
    expect(guest.flock(F_WRLCK)).to.equal(0);
    expect(guest.flock(F_RDLCK, other)).to.equal(EAGAIN);
    guest.driver.call(guest.driver.request.release(guest.nodeid, guest.fh));
    expect(guest.flock(F_WRLCK, other)).to.equal(0);
  });

  it('can be waited for, with pauses that grow, and at once when this share gives one up', () => {
    using share = shared();
    const timers = new TestTimers();
    using one = new Guest(share.path, { timer: timers.timer });
    using two = new Guest(share.path);
    expect(two.lock(F_WRLCK)).to.equal(0);
    const { driver } = one;
    const wanted = driver.request.lock(FUSE_SETLKW, one.nodeid, one.fh, ALICE, F_WRLCK);
    expect(driver.send(wanted)).to.equal(false);
    const pauses: number[] = [];
    for (let round = 0; round < 9; round++) {
      pauses.push(timers.due[0]!.delayMs);
      timers.fire();
    }
    expect(pauses).to.deep.equal([1, 2, 4, 8, 16, 32, 64, 64, 64]);
    expect(two.lock(F_UNLCK)).to.equal(0);
    timers.fire();
    expect(driver.take(wanted).error).to.equal(0);
    expect(timers.due).to.deep.equal([]);
    expect(two.lock(F_WRLCK)).to.equal(EAGAIN);
  });

  it('that are waited for end with the session', () => {
    using share = shared();
    const timers = new TestTimers();
    using two = new Guest(share.path);
    expect(two.lock(F_WRLCK)).to.equal(0);
    {
      using one = new Guest(share.path, { timer: timers.timer });
      const { driver } = one;
      expect(driver.send(driver.request.lock(FUSE_SETLKW, one.nodeid, one.fh, ALICE, F_WRLCK))).to.equal(false);
      one.driver.session.reset();
      expect(timers.due).to.deep.equal([]);
    }
    using three = new Guest(share.path);
    expect(three.lock(F_WRLCK, BOB, [0], FUSE_SETLKW), 'nobody could wait').to.equal(EOPNOTSUPP);
  });

  it('are refused when the request makes no sense', () => {
    using share = shared();
    using guest = new Guest(share.path);
    const { request } = guest.driver;
    const ask = (type: number, range: readonly [bigint, bigint], fh = guest.fh, flags = 0): number =>
      guest.driver.call(request.lock(FUSE_SETLK, guest.nodeid, fh, BOB, type, range, flags)).error;
    expect(ask(3, [0n, 1n])).to.equal(EINVAL);
    expect(ask(F_WRLCK, [2n, 1n])).to.equal(EINVAL);
    expect(ask(F_WRLCK, [0n, 1n << 63n])).to.equal(EINVAL);
    expect(ask(F_WRLCK, [0n, 1n], guest.fh, 2)).to.equal(EINVAL);
    expect(ask(F_WRLCK, [0n, 1n], 999)).to.equal(EBADF);
  });
});
