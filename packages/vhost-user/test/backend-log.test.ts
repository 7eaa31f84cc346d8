import { check, F_SEAL_SHRINK, Fd, Mapping, MFD_ALLOW_SEALING, MFD_CLOEXEC, PROT_READ, PROT_WRITE } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import type { DirtyLog } from '@oriel/virtqueue';
import { expect } from 'chai';
import fc from 'fast-check';
import { prelude, SentFds, startRaw, USER, u32s, u64s, vringAddr } from './support/prelude.ts';
import { RecordingHandler } from './support/recording-handler.ts';
import { RawSetup } from './support/setup.ts';

const SET_FEATURES = 2;
const SET_LOG_BASE = 6;
const SET_LOG_FD = 7;
const SET_VRING_ADDR = 9;
const FEATURES = 0x1_6000_0001;
const LOG_ALL = 0x400_0000;
const LOG_SHMFD = 1 << 1;
/** Bytes of the log: pages up to 0x40000000 + 64 KiB, and a bit. */
const LOG_BYTES = 0x9000;
const PAGE = 4096;
const RAM = 0x4000_0000;

class LoggingHandler extends RecordingHandler {
  readonly dirtyLog = true;

  logChanged(): void {
    this.calls.push('logChanged');
  }
}

/** A back-end with ring 0 running, REPLY_ACK and LOG_SHMFD in force, and a log file. */
class LogSetup extends RawSetup {
  readonly file: Fd;
  readonly bits: Mapping;

  constructor() {
    super({ handler: new LoggingHandler() });
    this.peer.send(16, 1, u64s((1 << 3) | LOG_SHMFD));
    prelude(this);
    this.peer.send(16, 1, u64s((1 << 3) | LOG_SHMFD));
    startRaw(this);
    this.settle();
    this.handler.take();
    this.lines.length = 0;
    this.file = new Fd(this.sys.fd, check(this.sys.mem.memfdCreate('log', MFD_CLOEXEC | MFD_ALLOW_SEALING), 'memfd'));
    check(this.sys.file.ftruncate(this.file.fd, LOG_BYTES), 'ftruncate');
    check(this.sys.mem.addSeals(this.file.fd, F_SEAL_SHRINK), 'fcntl');
    this.bits = Mapping.shared(this.sys.mem, this.file.fd, LOG_BYTES, 0, PROT_READ | PROT_WRITE);
  }

  base(size: number | bigint = LOG_BYTES, offset: number | bigint = 0, fd = this.file.fd): string {
    this.peer.send(SET_LOG_BASE, 9, u64s(size, offset), [fd]);
    return this.peer.receiveHex();
  }

  switch(on: boolean): number {
    return this.peer.ask(SET_FEATURES, u64s(on ? FEATURES + LOG_ALL : FEATURES));
  }

  /** The dirty pages, and forgets them. */
  take(): number[] {
    const pages = [];
    for (let page = 0; page < LOG_BYTES * 8; page++) {
      if ((this.bits.u8[page >> 3]! & (1 << (page & 7))) !== 0) {
        pages.push(page);
      }
    }
    this.bits.u8.fill(0);
    return pages;
  }

  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    this.bits[Symbol.dispose]();
    this.file.close();
  }
}

const OK = '06000000050000000800000000000000' + '00000000';
const NO = '06000000050000000800000001000000' + '00000000';

describe('BackendConnection, dirty logging', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  it('offers LOG_ALL and LOG_SHMFD to those who log, and keeps the bit from the device', () => {
    for (const [handler, bits] of [
      [new LoggingHandler(), [LOG_ALL, LOG_SHMFD]],
      [new RecordingHandler(), [0, 0]],
    ] as const) {
      using setup = new RawSetup({ handler });
      const word = (id: number) => {
        setup.peer.send(id, 1);
        return new DataView(setup.peer.receive().payload.buffer).getUint32(0, true);
      };
      expect([word(1) & LOG_ALL, word(15) & LOG_SHMFD]).to.deep.equal(bits);
    }
    using setup = new LogSetup();
    expect(setup.switch(true)).to.equal(0);
    expect(setup.handler.take()).to.deep.equal(['features 0x120000001']);
    expect(setup.backend.acceptedFeatures.bits()).to.deep.equal([0, 29, 32]);
  });

  it('logs between LOG_ALL and its end, while rings run: they go on at their place, with a log and without', () => {
    using setup = new LogSetup();
    setup.handler.bases.set(0, 9);
    expect(setup.base()).to.equal(OK);
    expect([setup.backend.dirtyLog, setup.handler.take()]).to.deep.equal([null, []]);
    expect(setup.switch(true)).to.equal(0);
    const restart = ['features 0x120000001', 'logChanged', 'stop 0', 'start 0 base 9'];
    expect(setup.handler.take()).to.deep.equal(restart);
    setup.handler.rings.get(0)!.dirty!.mark(RAM + PAGE, 1);
    setup.backend.dirtyLog!.mark(RAM + 3 * PAGE, PAGE);
    expect(setup.take()).to.deep.equal([0x40001, 0x40003]);
    expect(setup.switch(true)).to.equal(0);
    expect(setup.handler.take()).to.deep.equal(['features 0x120000001']);
    expect(setup.switch(false)).to.equal(0);
    expect(setup.handler.take()).to.deep.equal(restart);
    expect([setup.backend.dirtyLog, setup.handler.rings.get(0)!.dirty]).to.deep.equal([null, null]);
    expect(setup.backend.running).to.equal(true);
  });

  it('gives the log to queues that take it while they run', () => {
    using setup = new LogSetup();
    const logs: unknown[] = [];
    Object.assign(setup.handler, {
      logRing: (index: number, dirty: DirtyLog | null) => logs.push(index, dirty === null),
    });
    setup.base();
    setup.switch(true);
    setup.switch(false);
    expect(logs).to.deep.equal([0, false, 0, true]);
    const calls = ['features 0x120000001', 'logChanged'];
    expect(setup.handler.take()).to.deep.equal([...calls, ...calls]);
  });

  it('begins with the log where LOG_ALL came first', () => {
    using setup = new LogSetup();
    setup.switch(true);
    expect(setup.handler.take()).to.deep.equal(['features 0x120000001']);
    setup.base();
    expect(setup.handler.take()).to.deep.equal(['logChanged', 'stop 0', 'start 0 base 5']);
  });

  it('lets nothing else change while rings run', () => {
    using setup = new LogSetup();
    setup.base();
    expect(setup.peer.ask(SET_FEATURES, u64s(FEATURES + LOG_ALL - 1))).to.equal(1);
    expect(setup.lines.at(-1)).to.include('ERR_VU_STATE');
    expect(setup.backend.dirtyLog).to.equal(null);
  });

  it('moves to a new log without a word to the device', () => {
    using setup = new LogSetup();
    setup.base();
    setup.switch(true);
    const { dirty } = setup.handler.rings.get(0)!;
    setup.handler.take();
    expect(setup.base(0x8000, 0x1000)).to.equal(OK);
    expect(setup.handler.take()).to.deep.equal([]);
    dirty!.mark(0, 1);
    expect(setup.take()).to.deep.equal([0x1000 * 8]);
  });

  it('sets the bit of each page that is touched, and of no other (property)', () => {
    using setup = new LogSetup();
    setup.base();
    setup.switch(true);
    const log = setup.backend.dirtyLog!;
    const gpa = fc.integer({ min: 0, max: LOG_BYTES * 8 * PAGE - 1 });
    fc.assert(
      fc.property(gpa, fc.integer({ min: 1, max: 5 * PAGE }), (start, len) => {
        log.mark(start, len);
        const wanted = [];
        for (let page = Math.floor(start / PAGE); page * PAGE < start + len && page < LOG_BYTES * 8; page++) {
          wanted.push(page);
        }
        expect(setup.take()).to.deep.equal(wanted);
      }),
      { seed: 20261122, numRuns: 30 },
    );
    log.mark(RAM, 0);
    expect(setup.take()).to.deep.equal([]);
  });

  it('keeps bits that the front-end has not taken', () => {
    using setup = new LogSetup();
    setup.base();
    setup.switch(true);
    setup.bits.u8[0x8000] = 0x80;
    setup.backend.dirtyLog!.mark(RAM, 1);
    expect(setup.bits.u8[0x8000]).to.equal(0x81);
  });

  it('does not write behind the log, and says so ever more seldom', () => {
    using setup = new LogSetup();
    setup.base(0x1000);
    setup.switch(true);
    const log = setup.backend.dirtyLog!;
    for (const gpa of [0x1000 * 8 * PAGE, RAM, 2 ** 52, Number.MAX_SAFE_INTEGER]) {
      log.mark(gpa, 2);
    }
    log.mark(0x1000 * 8 * PAGE - 1, 2);
    expect(setup.take()).to.deep.equal([0x1000 * 8 - 1]);
    expect(setup.lines.filter((line) => line.includes('outside the dirty log')).length).to.equal(3);
  });

  it('logs the used ring where VRING_ADDR says so, and changes that while the ring runs', () => {
    using setup = new LogSetup();
    setup.base();
    setup.switch(true);
    const mark = () => setup.handler.rings.get(0)!.dirty!.markRingAt(RAM + 0x200, 8);
    mark();
    expect(setup.take()).to.deep.equal([]);
    setup.handler.take();
    const addr = (flags: number) => vringAddr(0, USER, USER + 0x200, USER + 0x100, flags);
    expect(setup.peer.ask(SET_VRING_ADDR, addr(1))).to.equal(0);
    mark();
    expect(setup.take()).to.deep.equal([0x40000]);
    expect(setup.peer.ask(SET_VRING_ADDR, addr(0))).to.equal(0);
    mark();
    expect(setup.take()).to.deep.equal([]);
    expect(setup.handler.take()).to.deep.equal([]);
    expect(setup.peer.ask(SET_VRING_ADDR, addr(2))).to.equal(1);
  });

  for (const [what, size, offset] of [
    ['of no bytes', 0, 0],
    ['over 1 GiB', 2 ** 30 + 1, 0],
    ['whose end wraps (CVE-2020-10722)', 0x1000, 2n ** 64n - 0x1000n],
    ['of 2^64 - 1 bytes', 2n ** 64n - 1n, 0],
    ['longer than its file', LOG_BYTES + 1, 0],
    ['behind the end of its file', 0x1000, 0x100000],
    ['that does not start at a page', 0x1000, 8],
  ] as const) {
    it(`refuses a log ${what}, and keeps the one that it has`, () => {
      using setup = new LogSetup();
      setup.base();
      setup.switch(true);
      expect(setup.base(size, offset)).to.equal(NO);
      expect(setup.lines.at(-1)).to.include('ERR_VU_LOG');
      setup.backend.dirtyLog!.mark(0, 1);
      expect(setup.take()).to.deep.equal([0]);
    });
  }

  it('refuses a file that can shrink, and ends where nobody would hear of it', () => {
    using setup = new LogSetup();
    using open = new Fd(setup.sys.fd, check(setup.sys.mem.memfdCreate('open', MFD_CLOEXEC), 'memfd'));
    setup.sys.file.ftruncate(open.fd, LOG_BYTES);
    expect(setup.base(LOG_BYTES, 0, open.fd)).to.equal(NO);
    setup.peer.send(SET_LOG_BASE, 1, u64s(LOG_BYTES, 0), [open.fd]);
    expect(setup.peer.receiveHex()).to.equal('eof');
  });

  it('tells the eventfd of SET_LOG_FD, once for the writes of a moment', () => {
    using setup = new LogSetup();
    using event = new SentFds(setup.sys, ['event', 'event']);
    setup.base();
    setup.switch(true);
    for (const fd of event.numbers) {
      expect(setup.peer.ask(SET_LOG_FD, [], [fd])).to.equal(0);
    }
    setup.backend.dirtyLog!.mark(0, 1);
    setup.backend.dirtyLog!.mark(RAM, 1);
    setup.settle();
    const counts = event.numbers.map((fd) => setup.sys.loop.eventfdDrain(fd));
    expect(counts[1]).to.equal(1);
    expect(counts[0]).to.be.lessThan(0);
    using memory = new SentFds(setup.sys, ['memory']);
    expect(setup.peer.ask(SET_LOG_FD, [], memory.numbers)).to.equal(1);
    expect(setup.lines.at(-1)).to.include('ERR_VU_DESCRIPTOR');
  });

  it('stops a ring at which the device fails when logging begins, and says so', () => {
    using setup = new LogSetup();
    setup.base();
    setup.handler.on.start = () => {
      throw new Error('no log for me');
    };
    expect(setup.switch(true)).to.equal(1);
    expect(setup.lines.at(-1)).to.include('ERR_VU_DEVICE');
    expect(setup.backend.running).to.equal(false);
    expect(setup.peer.ask(8, u32s(1, 16))).to.equal(0);
  });
});
