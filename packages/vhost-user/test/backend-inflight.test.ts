import {
  AT_EMPTY_PATH,
  check,
  F_SEAL_SHRINK,
  Fd,
  Mapping,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  PROT_READ,
  PROT_WRITE,
  STATX_SIZE,
  Statx,
} from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { inflightBytes } from '@oriel/virtqueue';
import { expect } from 'chai';
import { FeatureSet } from '../src/index.ts';
import { configureRaw, memfd, SentFds, shareRaw, startRaw, u32s, u64s } from './support/prelude.ts';
import { RecordingHandler } from './support/recording-handler.ts';
import { RawSetup } from './support/setup.ts';

const GET_INFLIGHT = 31;
const SET_INFLIGHT = 32;
const ACK = 9;
/** REPLY_ACK and INFLIGHT_SHMFD. */
const PROTOCOL = (1 << 3) | (1 << 12);
const SPLIT = 0x1_4000_0000;
const PACKED = 0x5_4000_0000;
const AREA = inflightBytes(false, 16);

class InflightHandler extends RecordingHandler {
  override features = FeatureSet.of(32, 34);
  readonly inflight = true;
}

const payload = (mmapSize: number | bigint, mmapOffset: number | bigint, numQueues: number, queueSize: number) =>
  new Uint8Array([...u64s(mmapSize, mmapOffset), ...u32s(numQueues | (queueSize << 16), 0)]);

/** Negotiated with INFLIGHT_SHMFD. */
function negotiated(features = SPLIT): RawSetup {
  const setup = new RawSetup({ handler: new InflightHandler() });
  setup.peer.send(16, 1, u64s(PROTOCOL));
  setup.peer.send(2, 1, u64s(features));
  setup.settle();
  setup.handler.take();
  return setup;
}

/** GET_INFLIGHT_FD. @returns the reply's numbers in hex, and its descriptor */
function get(setup: RawSetup, body: Uint8Array): { hex: string; fds: number[] } {
  setup.peer.send(GET_INFLIGHT, 1, body);
  const reply = setup.peer.receive();
  expect([reply.id, reply.flags]).to.deep.equal([GET_INFLIGHT, 5]);
  return { hex: Buffer.from(reply.payload).toString('hex'), fds: reply.fds };
}

describe('BackendConnection, in-flight memory', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  it('offers INFLIGHT_SHMFD and GET_VRING_BASE_INFLIGHT to those who keep it, and to nobody else', () => {
    for (const [handler, bits] of [
      [new InflightHandler(), (1 << 12) | (1 << 20)],
      [new RecordingHandler(), 0],
    ] as const) {
      using setup = new RawSetup({ handler });
      setup.peer.send(15, 1);
      const offered = new DataView(setup.peer.receive().payload.buffer).getUint32(0, true);
      expect(offered & ((1 << 12) | (1 << 20) | (1 << 23))).to.equal(bits);
    }
  });

  for (const [what, size] of [
    ['24 bytes', 24],
    ['the 20 bytes of the specification', 20],
  ] as const) {
    it(`gives a zeroed memfd that cannot be resized, asked with ${what}`, () => {
      using setup = negotiated();
      const { hex, fds } = get(setup, payload(0, 0, 2, 16).subarray(0, size));
      const bytes = 2 * inflightBytes(true, 16);
      expect(hex).to.equal(`${Buffer.from(payload(bytes, 0, 2, 16)).toString('hex')}`);
      expect(fds.length).to.equal(1);
      using fd = new Fd(setup.sys.fd, fds[0]!);
      // F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW.
      expect(setup.sys.mem.getSeals(fd.fd)).to.equal(7);
      const stat = new DataView(new ArrayBuffer(Statx.byteLength));
      setup.sys.file.statx(fd.fd, new Uint8Array(1), AT_EMPTY_PATH, STATX_SIZE, stat);
      expect(Statx.stxSize.get(stat, 0)).to.equal(bytes);
      using mapping = Mapping.shared(setup.sys.mem, fd.fd, bytes, 0, PROT_READ);
      expect(mapping.u8.every((byte) => byte === 0)).to.equal(true);
    });
  }

  it('keeps nothing of what it gave, however often it is asked (CVE-2020-10726)', () => {
    using setup = negotiated();
    using inner = leakCheck();
    for (let count = 0; count < 100; count++) {
      for (const fd of get(setup, payload(0, 0, 2, 256)).fds) setup.sys.fd.close(fd);
    }
    inner.check();
  });

  for (const [what, queues, size] of [
    ['no queues', 0, 16],
    ['more queues than there are (CVE-2021-3839)', 3, 16],
    ['65535 queues', 0xffff, 16],
    ['queues of no entries', 2, 0],
    ['queues larger than the device has', 2, 257],
  ] as const) {
    it(`refuses to make memory for ${what}: mmap_size 0, no descriptor`, () => {
      using setup = negotiated();
      expect(get(setup, payload(0, 0, queues, size))).to.deep.equal({ hex: '00'.repeat(24), fds: [] });
      expect(setup.lines.at(-1)).to.include('ERR_VU_INFLIGHT');
      expect(setup.peer.ask(3)).to.equal(0);
    });

    it(`refuses to take memory for ${what}`, () => {
      using setup = negotiated();
      using fd = memfd(setup.sys, 0x10000);
      expect(setup.peer.ask(SET_INFLIGHT, payload(0x10000, 0, queues, size), [fd.fd])).to.equal(1);
      expect(setup.lines.at(-1)).to.include('ERR_VU_INFLIGHT');
    });
  }

  for (const [what, mmapSize, offset] of [
    ['less than the areas need', 2 * AREA - 1, 0],
    ['that wraps with its offset', 0x1000, 2n ** 64n - 0x1000n],
    ['of 2^64 - 1 bytes', 2n ** 64n - 1n, 0],
    ['that starts behind the end of the file', 0x1000, 0x10000],
    ['that ends behind the end of the file', 0x1000, 0x20000 - 0x1000],
    ['that does not start at a page', 0x1000, 64],
  ] as const) {
    it(`refuses memory ${what}`, () => {
      using setup = negotiated();
      using fd = memfd(setup.sys, 0x10000);
      expect(setup.peer.ask(SET_INFLIGHT, payload(mmapSize, offset, 2, 16), [fd.fd])).to.equal(1);
      expect(setup.lines.at(-1)).to.include('ERR_VU_INFLIGHT');
      expect(setup.backend.closed).to.equal(false);
    });
  }

  it('refuses a file that can shrink, and one that is no memory', () => {
    using setup = negotiated();
    const { sys } = setup;
    using open = new Fd(sys.fd, check(sys.mem.memfdCreate('open', MFD_CLOEXEC | MFD_ALLOW_SEALING), 'memfd_create'));
    sys.file.ftruncate(open.fd, 0x10000);
    using event = new SentFds(sys, ['event']);
    for (const fd of [open.fd, event.numbers[0]!]) {
      expect(setup.peer.ask(SET_INFLIGHT, payload(0x1000, 0, 2, 16), [fd])).to.equal(1);
      expect(setup.lines.at(-1)).to.include('F_SEAL_SHRINK');
    }
    sys.mem.addSeals(open.fd, F_SEAL_SHRINK | 0x8);
    expect(setup.peer.ask(SET_INFLIGHT, payload(0x1000, 0, 2, 16), [open.fd])).to.equal(1);
    expect(setup.lines.at(-1)).to.include('cannot be mapped');
  });

  it('closes what comes with too many descriptors (CVE-2022-0669)', () => {
    for (const id of [GET_INFLIGHT, SET_INFLIGHT]) {
      using setup = negotiated();
      using fds = new SentFds(setup.sys, ['memory', 'memory']);
      setup.peer.send(id, ACK, payload(0x10000, 0, 2, 16), fds.numbers);
      setup.settle();
      expect(setup.backend.closed).to.equal(true);
      expect(setup.handler.calls.at(-1)).to.include('ERR_VU_FDS');
    }
  });

  const start = (setup: RawSetup, index = 0): void => {
    shareRaw(setup);
    setup.peer.send(8, 1, u32s(index, 16));
    configureRaw(setup, index);
    startRaw(setup, index);
    setup.settle();
  };

  it('gives each ring its own area, which is what the front-end set', () => {
    using setup = negotiated();
    using fd = memfd(setup.sys, 0x10000);
    using mine = Mapping.shared(setup.sys.mem, fd.fd, 0x2000, 0, PROT_READ | PROT_WRITE);
    expect(setup.peer.ask(SET_INFLIGHT, payload(0x1000, 0x1000, 2, 16), [fd.fd])).to.equal(0);
    start(setup, 0);
    configureRaw(setup, 1);
    startRaw(setup, 1);
    setup.settle();
    const areas = [0, 1].map((index) => setup.handler.rings.get(index)!.inflight!);
    expect(areas.map((area) => area.length)).to.deep.equal([AREA, AREA]);
    areas[0]![0] = 7;
    areas[1]![0] = 9;
    expect([mine.u8[0x1000], mine.u8[0x1000 + AREA]]).to.deep.equal([7, 9]);
  });

  it('lays out areas of packed rings as they need it', () => {
    using setup = negotiated(PACKED);
    using fd = memfd(setup.sys, 0x10000);
    const area = inflightBytes(true, 16);
    expect(setup.peer.ask(SET_INFLIGHT, payload(2 * area - 1, 0, 2, 16), [fd.fd])).to.equal(1);
    expect(setup.peer.ask(SET_INFLIGHT, payload(2 * area, 0, 2, 16), [fd.fd])).to.equal(0);
    shareRaw(setup);
    setup.peer.send(8, 1, u32s(0, 16));
    setup.peer.send(
      9,
      1,
      new Uint8Array([...u32s(0, 0), ...u64s(0x7000_0000_0000, 0x7000_0000_0200, 0x7000_0000_0100, 0)]),
    );
    startRaw(setup);
    setup.settle();
    expect(setup.handler.rings.get(0)?.inflight?.length).to.equal(area);
  });

  it('gives none where none was set, or to a ring that it has no place for', () => {
    using setup = negotiated();
    using fd = memfd(setup.sys, 0x10000);
    setup.peer.ask(SET_INFLIGHT, payload(0x1000, 0, 1, 16), [fd.fd]);
    start(setup, 1);
    expect(setup.handler.rings.get(1)?.inflight).to.equal(null);
  });

  it('refuses to start a ring that is larger than its area', () => {
    using setup = negotiated();
    using fd = memfd(setup.sys, 0x10000);
    setup.peer.ask(SET_INFLIGHT, payload(0x1000, 0, 2, 8), [fd.fd]);
    shareRaw(setup);
    configureRaw(setup);
    using kick = new SentFds(setup.sys, ['event']);
    setup.peer.ask(12, u64s(0), kick.numbers);
    expect(setup.peer.ask(18, u32s(0, 1))).to.equal(1);
    expect(setup.lines.at(-1)).to.include('ERR_VU_INFLIGHT');
    expect(setup.backend.running).to.equal(false);
  });

  it('keeps what it has when other memory is refused, and exchanges nothing under a running ring', () => {
    using setup = negotiated();
    using fd = memfd(setup.sys, 0x10000);
    setup.peer.ask(SET_INFLIGHT, payload(0x1000, 0, 2, 16), [fd.fd]);
    expect(setup.peer.ask(SET_INFLIGHT, payload(1, 0, 2, 16), [fd.fd])).to.equal(1);
    start(setup);
    expect(setup.handler.rings.get(0)?.inflight?.length).to.equal(AREA);
    expect(setup.peer.ask(SET_INFLIGHT, payload(0x1000, 0, 2, 16), [fd.fd])).to.equal(1);
    expect(setup.lines.at(-1)).to.include('ERR_VU_STATE');
  });

  it('forgets what was in flight at a reset', () => {
    using setup = negotiated();
    using fd = memfd(setup.sys, 0x10000);
    using mine = Mapping.shared(setup.sys.mem, fd.fd, 0x1000, 0, PROT_READ | PROT_WRITE);
    setup.peer.send(16, 1, u64s(PROTOCOL | (1 << 13)));
    setup.peer.ask(SET_INFLIGHT, payload(0x1000, 0, 2, 16), [fd.fd]);
    mine.u8[8] = 1;
    expect(setup.peer.ask(34)).to.equal(0);
    expect(mine.u8[8]).to.equal(0);
  });
});
