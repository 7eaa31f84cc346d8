import { EFAULT } from '@oriel/sys';
import { leakCheck, mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import type { PixelSource } from '../../src/display/sink.ts';
import {
  ChannelSetup,
  countingSource,
  FRAME,
  LARGE,
  LARGE_BYTES,
  largeScanout,
  PART,
  sourceOf,
} from '../support/channel-setup.ts';

describe('DisplayChannel, updates that cannot go', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

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
});
