import { BlockingLoop, EMFILE, EPIPE, Fd, SysError, silentLogger } from '@oriel/sys';
import { leakCheck, mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import { DisplayChannel } from '../../src/display/channel.ts';
import {
  ChannelSetup,
  countingSource,
  FRAME,
  GET_FEATURES,
  LARGE,
  LARGE_BYTES,
  largeScanout,
  PART,
  sourceOf,
} from '../support/channel-setup.ts';

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
