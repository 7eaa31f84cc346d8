import { Window } from '@oriel/shm-region';
import {
  check,
  EEXIST,
  EINVAL,
  ENOSPC,
  F_SEAL_WRITE,
  Fd,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  openSys,
} from '@oriel/sys';
import { type LeakCheck, leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import fc from 'fast-check';
import { RawBackend, type RawMapping, SHMEM_MAP, SHMEM_UNMAP } from '../src/hostile/raw-backend.ts';

const sys = openSys();
const PAGE = sys.mem.pageSize;
const REGION_PAGES = 8192;
const AT_FDCWD = -100;

/** A front-end with its window, at the mercy of a back-end. */
class Victim implements Disposable {
  readonly window = new Window(sys, { shmid: 0, size: REGION_PAGES * PAGE, unmapped: 'zero-ro' });
  readonly backend: RawBackend;
  reason = '';

  constructor() {
    this.backend = new RawBackend({
      sys,
      regionSize: REGION_PAGES * PAGE,
      handlers: {
        shmemMap: (request, fd) => this.window.map(request, fd),
        shmemUnmap: (request) => this.window.unmap(request),
        disconnected: (reason) => {
          this.reason = reason;
          this.window.clear();
        },
      },
    });
  }

  /** Sends one map and gives its answer. */
  map(change: Partial<RawMapping>, fds: readonly number[]): (number | string)[] {
    this.backend.send(SHMEM_MAP, { ...GOOD, ...change }, fds);
    return this.backend.answers();
  }

  /** It still serves. */
  isWell(file: Fd): boolean {
    const mapped = this.map({ shmOffset: (REGION_PAGES - 1) * PAGE }, [file.fd]);
    this.backend.send(SHMEM_UNMAP, { ...GOOD, shmOffset: (REGION_PAGES - 1) * PAGE });
    const unmapped = this.backend.answers();
    return mapped.join() === '0' && unmapped.join() === '0' && !this.backend.frontend.closed;
  }

  [Symbol.dispose](): void {
    this.backend[Symbol.dispose]();
    this.window[Symbol.dispose]();
  }
}

const GOOD: RawMapping = { shmid: 0, fdOffset: 0, shmOffset: 0, len: PAGE, flags: 1 };

function memfd(pages = 1): Fd {
  const fd = new Fd(sys.fd, check(sys.mem.memfdCreate('hostile', MFD_CLOEXEC | MFD_ALLOW_SEALING), 'memfd_create'));
  check(sys.file.ftruncate(fd.fd, pages * PAGE), 'ftruncate');
  return fd;
}

function open(path: string, flags: number): Fd {
  return new Fd(sys.fd, check(sys.file.openat(AT_FDCWD, Buffer.from(`${path}\0`), flags, 0), 'openat'));
}

describe('the front-end library under a hostile back-end', () => {
  let leaks: LeakCheck;
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  it('refuses descriptors that are no files, or none, or too many, and goes on', () => {
    using victim = new Victim();
    using file = memfd();
    const pair = new Int32Array(2);
    check(sys.socket.socketpair(pair), 'socketpair');
    using sealed = memfd();
    check(sys.mem.addSeals(sealed.fd, F_SEAL_WRITE), 'fcntl');
    using empty = memfd(0);
    using stack = new DisposableStack();
    const own = (fd: Fd) => stack.use(fd).fd;
    const bad: [string, number[]][] = [
      ['none', []],
      ['two', [file.fd, file.fd]],
      ['a socket', [own(new Fd(sys.fd, pair[0]!))]],
      ['another socket', [own(new Fd(sys.fd, pair[1]!))]],
      ['an eventfd', [own(new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd')))]],
      ['an epoll descriptor', [own(new Fd(sys.fd, check(sys.loop.epollCreate(), 'epoll_create1')))]],
      ['a directory', [own(open('/tmp', O_RDONLY | O_DIRECTORY))]],
      ['a device', [own(open('/dev/zero', O_RDWR))]],
      ['a path', [own(open('/etc/passwd', O_PATH))]],
      ['a file without write access', [own(open('/etc/passwd', O_RDONLY))]],
      ['a sealed memfd', [sealed.fd]],
      ['an empty memfd', [empty.fd]],
    ];
    for (const [what, fds] of bad) {
      const [answer, ...more] = victim.map({}, fds);
      expect(answer, what).to.be.a('number').and.not.equal(0);
      expect(more, what).to.deep.equal([]);
      expect(victim.window.entries(), what).to.have.length(0);
      expect(victim.isWell(file), what).to.equal(true);
    }
  });

  it('refuses lengths and offsets of any 64 bits', () => {
    using victim = new Victim();
    using file = memfd(4);
    const huge = [2n ** 64n - 1n, 2n ** 63n, 2n ** 63n - BigInt(PAGE), 2n ** 53n, 2n ** 53n - 1n, 2n ** 47n, 1n, 513n];
    for (const field of ['len', 'shmOffset', 'fdOffset'] as const) {
      for (const value of huge) {
        for (const id of [SHMEM_MAP, SHMEM_UNMAP]) {
          victim.backend.send(id, { ...GOOD, [field]: value }, id === SHMEM_MAP ? [file.fd] : []);
          const [answer] = victim.backend.answers();
          expect(answer, `${id} ${field} ${value}`).to.be.a('number').and.below(0);
        }
      }
    }
    for (const change of [{ len: 0 }, { shmid: 1 }, { shmid: 255 }, { flags: 2 }, { flags: 2n ** 63n }]) {
      expect(victim.map(change, [file.fd]), JSON.stringify(Object.keys(change))).to.deep.equal([-EINVAL]);
    }
    expect(victim.map({ len: REGION_PAGES * PAGE }, [file.fd])[0], 'longer than the file').to.be.below(0);
    expect(victim.window.entries()).to.have.length(0);
    expect(victim.isWell(file)).to.equal(true);
  });

  it('bears a flood of maps: as many as it was told to hold, and not one more', () => {
    using victim = new Victim();
    using file = memfd();
    const tally = new Map<number | string, number>();
    for (let page = 0; page < REGION_PAGES - 1; page += 1) {
      victim.backend.send(SHMEM_MAP, { ...GOOD, shmOffset: page * PAGE }, [file.fd]);
      for (const answer of page % 64 === 63 || page === REGION_PAGES - 2 ? victim.backend.answers() : []) {
        tally.set(answer, (tally.get(answer) ?? 0) + 1);
      }
      victim.backend.settle();
    }
    expect([...tally].toSorted()).to.deep.equal([
      [-ENOSPC, REGION_PAGES - 1 - 4096],
      [0, 4096],
    ]);
    expect(victim.map({}, [file.fd])).to.deep.equal([-EEXIST]);
    expect(victim.window.entries()).to.have.length(4096);
    victim.backend.closeMain();
    victim.backend.settle();
    expect(victim.window.entries()).to.have.length(0);
    expect(victim.reason).to.not.equal('');
  });

  it('stops reading from one that does not read its answers, and serves the main channel meanwhile', () => {
    using victim = new Victim();
    using file = memfd();
    let sent = 0;
    const wire = { ...GOOD, len: 0 };
    for (let idle = 0; idle < 3; ) {
      const took = victim.backend.send(SHMEM_MAP, wire, [file.fd]);
      sent += took ? 1 : 0;
      idle = took ? 0 : idle + 1;
      victim.backend.settle();
      expect(sent, 'a queue without end').to.be.below(100_000);
    }
    let asked = false;
    victim.backend.frontend.setStatus(1, () => (asked = true));
    victim.backend.closeMain();
    victim.backend.settle();
    expect(asked).to.equal(true);
  });

  it('closes a channel whose stream is out of step, and releases what came with it', () => {
    using file = memfd();
    const cases: [string, Uint8Array][] = [
      ['a size of 4 GiB', Uint8Array.from([9, 0, 0, 0, 9, 0, 0, 0, 255, 255, 255, 255])],
      ['another version', Uint8Array.from([9, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0])],
    ];
    for (const [what, bytes] of cases) {
      using victim = new Victim();
      expect(victim.map({}, [file.fd])).to.deep.equal([0]);
      victim.backend.sendBytes(bytes, [file.fd, file.fd]);
      expect(victim.backend.answers(), what).to.deep.equal(['closed']);
      expect(victim.backend.frontend.closed, 'the main channel lives').to.equal(false);
    }
  });

  it('bears sockets that close at any byte of a message, with descriptors in it', () => {
    using file = memfd();
    const whole = 52;
    for (let cut = 1; cut <= whole; cut += 3) {
      for (const close of ['back', 'main'] as const) {
        using victim = new Victim();
        expect(victim.map({ shmOffset: PAGE }, [file.fd])).to.deep.equal([0]);
        const message = new Uint8Array(cut);
        message.set(Uint8Array.from([9, 0, 0, 0, 9, 0, 0, 0, 40, 0, 0, 0]).subarray(0, cut));
        victim.backend.sendBytes(message, [file.fd]);
        if (close === 'back') {
          victim.backend.closeBack();
        } else {
          victim.backend.closeMain();
        }
        victim.backend.settle();
        expect(victim.window.entries().length, `${close} after ${cut}`).to.equal(close === 'back' ? 1 : 0);
      }
    }
  });

  it('bears any bytes with any number of descriptors', function () {
    this.timeout(30_000);
    using file = memfd();
    const chunk = fc.record({
      bytes: fc.oneof(
        fc.uint8Array({ minLength: 1, maxLength: 80 }),
        fc
          .record({
            id: fc.constantFrom(9, 10, 1, 2, 11, 0, 200),
            flags: fc.constantFrom(9, 1, 5, 0xd, 0),
            body: fc.uint8Array({ minLength: 40, maxLength: 40 }),
          })
          .map(({ id, flags, body }) => Uint8Array.from([id, 0, 0, 0, flags, 0, 0, 0, 40, 0, 0, 0, ...body])),
      ),
      fds: fc.constantFrom(0, 1, 1, 2, 9, 253),
    });
    fc.assert(
      fc.property(fc.array(chunk, { minLength: 1, maxLength: 12 }), (chunks) => {
        using victim = new Victim();
        for (const { bytes, fds } of chunks) {
          victim.backend.sendBytes(bytes, new Array<number>(fds).fill(file.fd));
          victim.backend.settle();
        }
        expect(victim.window.entries().length).to.be.at.most(chunks.length);
        expect(victim.backend.frontend.closed).to.equal(false);
      }),
      { seed: 4, numRuns: 300 },
    );
  });

  it('ends the connection of one whose answers on the main channel make no sense', () => {
    for (const bytes of [
      [1, 0, 0, 0, 5, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
      [255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0],
    ]) {
      using victim = new Victim();
      using file = memfd();
      expect(victim.map({}, [file.fd])).to.deep.equal([0]);
      victim.backend.sendMain(Uint8Array.from(bytes));
      victim.backend.settle();
      expect(victim.backend.frontend.closed).to.equal(true);
      expect(victim.window.entries()).to.have.length(0);
    }
  });
});
