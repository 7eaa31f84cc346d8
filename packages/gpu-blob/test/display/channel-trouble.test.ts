import { BlockingLoop, EFAULT, EMFILE, EPIPE, Fd, SysError, silentLogger } from '@oriel/sys';
import { leakCheck, mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import { DisplayChannel } from '../../src/display/channel.ts';
import type { PixelSource } from '../../src/display/sink.ts';
import { ChannelSetup, countingSource, GET_FEATURES, sourceOf } from '../support/channel-setup.ts';

/** More than a socket holds. */
const LARGE = { width: 1024, height: 800 } as const;
const LARGE_BYTES = LARGE.width * LARGE.height * 4;
const PART = { x: 0, y: 0, width: 64, height: 64 };
const FRAME = { width: 64, height: 64, stride: 256, fourcc: 0x34325258, modifierLo: 0, modifierHi: 0, bottomUp: false };

/** A channel whose large scanout waits for pixels. */
function largeScanout(setup: ChannelSetup): ChannelSetup {
  setup.agree();
  setup.channel.setScanout(0, LARGE.width, LARGE.height);
  setup.peer.receiveHex();
  return setup;
}

describe('DisplayChannel in trouble', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  const HOSTILE: readonly (readonly [string, string])[] = [
    ['an answer that nobody asked for', '03000000 04000000 98010000'.concat('00'.repeat(408))],
    ['the features a second time', '01000000 04000000 08000000 0300000000000000'],
    ['an EDID that nobody asked for', '0b000000 04000000 20040000'.concat('00'.repeat(1056))],
    ['the answer to an update that was not sent', '0a000000 04000000 00000000'],
    ['a request', '01000000 00000000 08000000 0300000000000000'],
    ['an unknown flag', '0a000000 05000000 00000000'],
    ['an unknown number', '63000000 04000000 00000000'],
    ['a request that has no answer', '07000000 04000000 0c000000 00000000 00000000 00000000'],
    ['a size that is too small', '01000000 04000000 07000000 03000000000000'],
    ['a size that is too large', '03000000 04000000 ffffffff'],
  ];
  for (const [what, bytes] of HOSTILE) {
    it(`ends at ${what}`, () => {
      using setup = new ChannelSetup().agree();
      setup.peer.sendHex(bytes);
      setup.settle();
      expect(setup.ends.map((reason) => reason.code)).to.deep.equal(['ERR_GPU_DISPLAY']);
      expect(setup.channel.closed).to.equal(true);
      expect(setup.peer.next()).to.equal('eof');
    });
  }

  it('ends at an EDID that comes twice', () => {
    using setup = new ChannelSetup().agree();
    const answers: (Uint8Array | null)[] = [];
    setup.channel.queryEdid(0, (edid) => answers.push(edid));
    const payload = new Uint8Array(1056);
    setup.peer.answer(11, payload);
    setup.peer.answer(11, payload);
    setup.settle();
    expect(setup.ends).to.have.length(1);
    expect(answers).to.deep.equal([null]);
  });

  for (const size of [0, 127, 1025, 0xffff_ffff]) {
    it(`takes an EDID of ${size} bytes for none`, () => {
      using setup = new ChannelSetup().agree();
      const answers: (Uint8Array | null)[] = [];
      setup.channel.queryEdid(0, (edid) => answers.push(edid));
      const payload = new Uint8Array(1056);
      payload.set([0x04, 0x11]);
      new DataView(payload.buffer).setUint32(24, size, true);
      setup.peer.answer(11, payload);
      setup.settle();
      expect(answers).to.deep.equal([null]);
      expect(setup.ends).to.deep.equal([]);
    });
  }

  it('takes an error in place of the outputs for none', () => {
    using setup = new ChannelSetup().agree();
    const answers: unknown[] = [];
    setup.channel.queryOutputs((outputs) => answers.push(outputs));
    const payload = new Uint8Array(408);
    payload.set([0x00, 0x12]);
    setup.peer.answer(3, payload);
    setup.settle();
    expect(answers).to.deep.equal([null]);
  });

  it('closes descriptors that come with an answer, and ends', () => {
    using setup = new ChannelSetup();
    setup.peer.sendHex('01000000 04000000 08000000 0300000000000000', [0, 0]);
    setup.settle();
    expect(setup.ends).to.have.length(1);
    expect(setup.readyCount).to.equal(0);
  });

  it('understands an answer that comes byte by byte', () => {
    using setup = new ChannelSetup();
    for (const byte of '01000000040000000800000003000000000000'.match(/../g)!) {
      setup.peer.sendHex(byte);
      setup.settle();
    }
    expect(setup.readyCount).to.equal(0);
    setup.peer.sendHex('00');
    setup.settle();
    expect(setup.readyCount).to.equal(1);
  });

  it('ends in the middle of an answer, and says so', () => {
    using setup = new ChannelSetup();
    setup.peer.sendHex('01000000 040000');
    setup.peer.close();
    setup.settle();
    expect(setup.ends[0]!.message).to.match(/7 bytes/);
  });

  it('holds an update back until a slow reader has taken it', () => {
    using setup = largeScanout(new ChannelSetup());
    let done = 0;
    setup.channel.update(0, 0, 0, countingSource(LARGE.width, LARGE.height, 'direct'), () => done++);
    let read = 0;
    while (read < LARGE_BYTES + 32) {
      setup.settle();
      const got = setup.peer.receiveBytes(10_000).length;
      // A socket takes less than half of it: whoever has not read that much must not see it done.
      expect(done === 0 || read > LARGE_BYTES / 2).to.equal(true);
      expect(got).to.be.greaterThan(0);
      read += got;
    }
    expect(done).to.equal(1);
    expect(setup.loop.runOnce(0)).to.equal(0);
  });

  it('stays quiet while the socket is full', () => {
    using setup = largeScanout(new ChannelSetup());
    setup.channel.update(0, 0, 0, countingSource(LARGE.width, LARGE.height, 'direct'), () => {});
    setup.settle();
    expect(setup.loop.runOnce(0)).to.equal(0);
  });

  it('keeps only the latest of what a full socket makes wait', () => {
    using setup = largeScanout(new ChannelSetup());
    setup.channel.update(0, 0, 0, countingSource(LARGE.width, LARGE.height, 'direct'), () => {});
    const image = new Uint8Array(16384);
    for (let count = 1; count <= 1000; count++) {
      setup.channel.setScanout(1, count, count);
      setup.channel.setScanoutDmaBuf(2, PART, { ...FRAME, fd: 0, stride: count });
      setup.channel.updateCursor(3, count, 0, 0, 0, image.fill(count));
      setup.channel.moveCursor(4, count, count);
      setup.channel.hideCursor(3, 0, count);
    }
    expect(setup.peer.receive().request).to.equal(8);
    const after: string[] = [];
    for (let message = setup.peer.receiveHex(); message !== 'null'; message = setup.peer.receiveHex()) {
      after.push(message);
    }
    expect(after.map((message) => Number.parseInt(message.slice(0, 2), 16))).to.deep.equal([6, 5, 4, 7, 12]);
    expect(after[0]!.slice(64, 66)).to.equal('e8');
    expect(after[1]!.slice(24)).to.equal('0300000000000000e8030000');
    expect(after[2]!.slice(24)).to.equal('04000000e8030000e8030000');
    expect(after[3]!.slice(24)).to.equal('01000000e8030000e8030000');
    expect(after[4]!.slice(24 + 56, 24 + 64)).to.equal('e8030000');
  });

  it('does not put a scanout before an update that came first', () => {
    using setup = largeScanout(new ChannelSetup());
    setup.channel.update(0, 0, 0, countingSource(LARGE.width, LARGE.height, 'direct'), () => {});
    setup.channel.setScanout(0, 64, 64);
    setup.channel.update(0, 0, 0, countingSource(1, 1, 'direct'), () => {});
    setup.channel.setScanout(0, 0, 0);
    setup.channel.setScanout(0, 32, 32);
    const order = [1, 2, 3, 4].map(() => setup.peer.receive());
    expect(order.map(({ request }) => request)).to.deep.equal([8, 7, 8, 7]);
    expect(order[1]!.payload[4]).to.equal(64);
    expect(order[3]!.payload[4]).to.equal(32);
  });

  it('sends no update to a scanout that is off, or beyond its edges', () => {
    using setup = new ChannelSetup().agree();
    let done = 0;
    const source = countingSource(16, 16, 'direct');
    setup.channel.update(0, 0, 0, source, () => done++);
    setup.channel.setScanout(0, 20, 20);
    setup.peer.receiveHex();
    setup.channel.update(0, 5, 0, source, () => done++);
    setup.channel.update(0, 0, 0xffff_ffff, source, () => done++);
    setup.channel.setScanoutDmaBuf(0, PART, { ...FRAME, fd: 0 });
    setup.peer.receiveHex();
    setup.channel.update(0, 0, 0, source, () => done++);
    setup.channel.updateDmaBuf(1, PART, () => done++);
    expect(done).to.equal(5);
    expect(setup.peer.receiveHex()).to.equal('null');
    expect(setup.warnings).to.deep.equal(['update outside of its scanout']);
  });

  it('keeps the stream whole when rows cannot be gathered', () => {
    using setup = new ChannelSetup().agree();
    setup.channel.setScanout(0, 1024, 600);
    setup.peer.receiveHex();
    const good = countingSource(1024, 600, 'gathered');
    const source: PixelSource = {
      ...good,
      copyRows: (first, ...rest) => (first === 0 ? good.copyRows(first, ...rest) : -EFAULT),
    };
    let done = 0;
    setup.channel.update(0, 0, 0, source, () => done++);
    setup.channel.update(0, 0, 0, source, () => done++);
    setup.channel.setScanout(0, 0, 0);
    const requests = [1, 2, 3].map(() => setup.peer.receive());
    expect(requests.map(({ request }) => request)).to.deep.equal([8, 8, 7]);
    expect(requests[0]!.payload.length).to.equal(20 + (1 << 20));
    expect(done).to.equal(2);
    expect(setup.warnings).to.deep.equal(['the memory of a framebuffer is gone']);
  });

  it('keeps the stream whole when a direct view vanishes', () => {
    using setup = largeScanout(new ChannelSetup());
    let done = 0;
    const pixels = new Uint8Array(LARGE_BYTES).fill(0xaa);
    setup.channel.update(0, 0, 0, sourceOf(LARGE.width, LARGE.height, pixels, 'direct'), () => done++);
    pixels.buffer.transfer();
    const { payload } = setup.peer.receive();
    expect(payload.length).to.equal(20 + LARGE_BYTES);
    expect(payload[20]).to.equal(0xaa);
    expect(payload.at(-1)).to.equal(0);
    expect(done).to.equal(1);
    expect(setup.warnings).to.have.length(1);
  });

  it('keeps the stream whole when the kernel cannot read a direct view', () => {
    const sys = mockSys();
    using setup = new ChannelSetup(sys).agree();
    setup.channel.setScanout(0, 64, 64);
    setup.peer.receiveHex();
    sys.failNext('socket.sendmsg', EFAULT, 1, 1);
    let done = 0;
    const pixels = new Uint8Array(64 * 64 * 4).fill(0xaa);
    setup.channel.update(0, 0, 0, sourceOf(64, 64, pixels, 'direct'), () => done++);
    const { payload } = setup.peer.receive();
    expect(payload.length).to.equal(20 + pixels.length);
    expect(payload.subarray(20).some((byte) => byte !== 0)).to.equal(false);
    expect(done).to.equal(1);
  });

  it('owes nothing when the front-end closes in the middle of an update', () => {
    using setup = largeScanout(new ChannelSetup());
    const done: string[] = [];
    setup.channel.setScanoutDmaBuf(1, PART, { ...FRAME, fd: 0 });
    setup.channel.updateDmaBuf(1, PART, () => done.push('frame'));
    setup.channel.queryOutputs((outputs) => done.push(`sent ${outputs}`));
    setup.channel.queryEdid(0, (edid) => done.push(`sent ${edid}`));
    setup.channel.update(0, 0, 0, countingSource(LARGE.width, LARGE.height, 'direct'), () => done.push('pixels'));
    setup.channel.updateDmaBuf(1, PART, () => done.push('second frame'));
    setup.channel.setScanoutDmaBuf(1, PART, { ...FRAME, fd: 0 });
    setup.channel.queryOutputs((outputs) => done.push(`unsent ${outputs}`));
    setup.channel.queryEdid(0, (edid) => done.push(`unsent ${edid}`));
    setup.peer.receiveBytes(1000);
    expect(done).to.deep.equal([]);
    setup.peer.close();
    setup.settle();
    expect(done).to.have.members([
      'frame',
      'second frame',
      'pixels',
      'sent null',
      'sent null',
      'unsent null',
      'unsent null',
    ]);
    expect(setup.ends).to.have.length(1);
  });

  it('tells of a broken socket from the loop only', () => {
    const sys = mockSys();
    using setup = new ChannelSetup(sys).agree();
    sys.failNext('socket.sendmsg', EPIPE);
    setup.channel.setScanout(0, 64, 64);
    expect(setup.ends).to.deep.equal([]);
    expect(setup.channel.closed).to.equal(false);
    let done = 0;
    setup.channel.update(0, 0, 0, countingSource(1, 1, 'direct'), () => done++);
    expect(done).to.equal(0);
    setup.settle();
    expect(done).to.equal(1);
    expect(setup.ends[0]!.message).to.match(/EPIPE/);
  });

  it('does not show a dma-buf for which no descriptor is left', () => {
    const sys = mockSys();
    using setup = new ChannelSetup(sys).agree();
    sys.failNext('fd.dup', EMFILE);
    expect(setup.channel.setScanoutDmaBuf(0, PART, { ...FRAME, fd: 0 })).to.equal(false);
    expect(setup.peer.receiveHex()).to.equal('null');
  });

  it('calls back at once after its end', () => {
    using setup = new ChannelSetup();
    setup.channel[Symbol.dispose]();
    setup.channel[Symbol.dispose]();
    const done: unknown[] = [];
    setup.channel.queryOutputs((outputs) => done.push(outputs));
    setup.channel.queryEdid(0, (edid) => done.push(edid));
    setup.channel.update(0, 0, 0, countingSource(1, 1, 'direct'), () => done.push('pixels'));
    setup.channel.updateDmaBuf(0, PART, () => done.push('frame'));
    setup.channel.setScanout(0, 1, 1);
    setup.channel.moveCursor(0, 1, 1);
    setup.channel.settle();
    expect(setup.channel.setScanoutDmaBuf(0, PART, { ...FRAME, fd: 0 })).to.equal(false);
    expect(done).to.deep.equal([null, null, 'pixels', 'frame']);
    expect(setup.ends).to.deep.equal([]);
    expect(setup.peer.receiveHex()).to.equal(GET_FEATURES);
    expect(setup.peer.receiveHex()).to.equal('eof');
  });

  it('may be called and disposed by its own callbacks', () => {
    using setup = new ChannelSetup().agree();
    setup.channel.setScanout(0, 64, 64);
    setup.peer.receiveHex();
    let count = 0;
    const again = (): void => {
      if (++count === 50_000) {
        setup.channel[Symbol.dispose]();
      } else {
        setup.channel.update(0, 0, 0, countingSource(1, 1, 'direct'), again);
      }
    };
    again();
    while (setup.peer.next() !== 'eof');
    expect(count).to.equal(50_000);
  });

  it('lets go of all sources at a reset, and goes on', () => {
    using setup = largeScanout(new ChannelSetup());
    const done: string[] = [];
    const pixels = new Uint8Array(LARGE_BYTES).fill(0xaa);
    setup.channel.update(0, 0, 0, sourceOf(LARGE.width, LARGE.height, pixels, 'direct'), () => done.push('begun'));
    setup.channel.setScanout(1, 16, 16);
    setup.channel.update(0, 0, 0, countingSource(1, 1, 'gathered'), () => done.push('waiting'));
    setup.channel.queryOutputs((outputs) => done.push(`${outputs}`));
    setup.channel.settle();
    expect(done).to.deep.equal(['begun', 'waiting', 'null']);
    pixels.buffer.transfer();
    const { payload } = setup.peer.receive();
    expect(payload.subarray(20).every((byte) => byte === 0xaa)).to.equal(true);
    expect(payload.length).to.equal(20 + LARGE_BYTES);
    expect(setup.peer.receive().request).to.equal(7);
    setup.channel.update(0, 0, 0, countingSource(1, 1, 'direct'), () => done.push('later'));
    expect(setup.peer.receive().request).to.equal(8);
    expect(done.at(-1)).to.equal('later');
  });

  it('closes the socket when the loop does not take it', () => {
    const sys = mockSys();
    using loop = new BlockingLoop(sys);
    const pair = new Int32Array(2);
    sys.socket.socketpair(pair);
    using theirs = new Fd(sys.fd, pair[1]!);
    const socket = new Fd(sys.fd, pair[0]!);
    sys.failNext('loop.epollCtl', EMFILE);
    expect(() => new DisplayChannel({ sys, loop, socket, log: silentLogger, onClosed: () => {} })).to.throw(SysError);
    expect(socket.closed).to.equal(true);
    expect(theirs.closed).to.equal(false);
  });
});
