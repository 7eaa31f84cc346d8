import { check, Fd, openSys } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import type { DmaBufFrame, Output } from '../../src/display/sink.ts';
import { ChannelSetup, countingSource, GET_FEATURES, sourceOf } from '../support/channel-setup.ts';

const hex = (text: string): string => text.replaceAll(/\s/g, '');
const PART = { x: 1, y: 2, width: 640, height: 480 };
const FRAME: Omit<DmaBufFrame, 'fd'> = {
  width: 1024,
  height: 768,
  stride: 4096,
  fourcc: 0x34325258,
  modifierLo: 0,
  modifierHi: 0,
  bottomUp: false,
};

describe('DisplayChannel messages', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  it('ask for the features first, and take those we know', () => {
    using setup = new ChannelSetup();
    expect(setup.peer.receiveHex()).to.equal(GET_FEATURES);
    expect(setup.peer.receiveHex()).to.equal('null');
    setup.peer.sendHex('01000000 04000000 08000000 ffffffffffffffff');
    expect(setup.peer.receiveHex()).to.equal(hex('02000000 00000000 08000000 0300000000000000'));
    expect(setup.readyCount).to.equal(1);
    expect(setup.peer.receiveHex()).to.equal('null');
  });

  it('wait for the features, in their order', () => {
    using setup = new ChannelSetup();
    setup.channel.setScanout(0, 640, 480);
    setup.channel.queryOutputs(() => {});
    expect(setup.peer.receiveHex()).to.equal(GET_FEATURES);
    expect(setup.peer.receiveHex()).to.equal('null');
    setup.peer.answer(1, [0, 0, 0, 0, 0, 0, 0, 0]);
    expect(setup.peer.receiveHex()).to.equal(hex('02000000 00000000 08000000 0000000000000000'));
    expect(setup.peer.receiveHex()).to.equal(hex('07000000 00000000 0c000000 00000000 80020000 e0010000'));
    expect(setup.peer.receiveHex()).to.equal(hex('03000000 00000000 00000000'));
  });

  it('tell a scanout on and off, and nothing twice', () => {
    using setup = new ChannelSetup().agree();
    setup.channel.setScanout(2, 1280, 800);
    expect(setup.peer.receiveHex()).to.equal(hex('07000000 00000000 0c000000 02000000 00050000 20030000'));
    setup.channel.setScanout(2, 1280, 800);
    expect(setup.peer.receiveHex()).to.equal('null');
    setup.channel.setScanout(2, 0, 0);
    expect(setup.peer.receiveHex()).to.equal(hex('07000000 00000000 0c000000 02000000 00000000 00000000'));
  });

  for (const kind of ['direct', 'gathered'] as const) {
    it(`carry ${kind} pixels`, () => {
      using setup = new ChannelSetup().agree();
      setup.channel.setScanout(1, 16, 16);
      setup.peer.receiveHex();
      let done = 0;
      const pixels = Uint8Array.from({ length: 16 }, (_, index) => index + 1);
      setup.channel.update(1, 3, 4, sourceOf(2, 2, pixels, kind), () => done++);
      expect(done).to.equal(1);
      const head = '08000000 00000000 24000000 01000000 03000000 04000000 02000000 02000000';
      expect(setup.peer.receiveHex()).to.equal(hex(`${head} 01020304 05060708 090a0b0c 0d0e0f10`));
    });
  }

  it('split gathered pixels into bands of 1 MiB', () => {
    using setup = new ChannelSetup().agree();
    setup.channel.setScanout(0, 1024, 600);
    setup.peer.receiveHex();
    const source = countingSource(1024, 300, 'gathered');
    const direct = countingSource(1024, 300, 'direct').direct!;
    let done = 0;
    setup.channel.update(0, 0, 7, source, () => done++);
    const first = setup.peer.receive();
    expect(done).to.equal(0);
    const second = setup.peer.receive();
    expect(done).to.equal(1);
    expect(Buffer.from(first.payload.subarray(0, 20)).toString('hex')).to.equal(
      hex('00000000 00000000 07000000 00040000 00010000'),
    );
    expect(Buffer.from(second.payload.subarray(0, 20)).toString('hex')).to.equal(
      hex('00000000 00000000 07010000 00040000 2c000000'),
    );
    const got = Buffer.concat([first.payload.subarray(20), second.payload.subarray(20)]);
    expect(got.equals(direct)).to.equal(true);
  });

  it('split direct pixels into bands of 16 MiB', () => {
    using setup = new ChannelSetup().agree();
    setup.channel.setScanout(0, 4096, 1100);
    setup.peer.receiveHex();
    const pixels = new Uint8Array(4096 * 1100 * 4);
    pixels[4096 * 4 * 1024] = 7;
    let done = 0;
    setup.channel.update(0, 0, 0, sourceOf(4096, 1100, pixels, 'direct'), () => done++);
    expect(setup.peer.receive().payload.length).to.equal(20 + (16 << 20));
    const rest = setup.peer.receive().payload;
    expect(Buffer.from(rest.subarray(0, 24)).toString('hex')).to.equal(
      hex('00000000 00000000 00040000 00100000 4c000000 07000000'),
    );
    expect(done).to.equal(1);
  });

  it('carry the cursor: image, position, hiding', () => {
    using setup = new ChannelSetup().agree();
    const image = new Uint8Array(16384);
    image.set([1, 2, 3, 4]);
    image[16383] = 9;
    setup.channel.updateCursor(1, 10, 0xffff_ffff, 5, 6, image);
    image.fill(0);
    const sent = setup.peer.receiveHex();
    expect(sent.slice(0, 72)).to.equal(
      hex('06000000 00000000 14400000 01000000 0a000000 ffffffff 05000000 06000000 01020304'),
    );
    expect(sent).to.have.length(2 * (12 + 20 + 16384));
    expect(sent.slice(-2)).to.equal('09');
    setup.channel.moveCursor(1, 11, 12);
    expect(setup.peer.receiveHex()).to.equal(hex('04000000 00000000 0c000000 01000000 0b000000 0c000000'));
    setup.channel.hideCursor(1, 13, 14);
    expect(setup.peer.receiveHex()).to.equal(hex('05000000 00000000 0c000000 01000000 0d000000 0e000000'));
  });

  it('carry a dma-buf with its modifier and descriptor', () => {
    const sys = openSys();
    using setup = new ChannelSetup(sys).agree();
    using file = new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd'));
    const frame = { ...FRAME, fd: file.fd, bottomUp: true, modifierLo: 0x11223344, modifierHi: 0xaabbccdd };
    expect(setup.channel.setScanoutDmaBuf(3, PART, frame)).to.equal(true);
    const { request, payload, fds } = setup.peer.receive();
    expect(request).to.equal(12);
    expect(Buffer.from(payload).toString('hex')).to.equal(
      hex(`03000000 01000000 02000000 80020000 e0010000
        00040000 00030000 00100000 01000000 58523234 44332211ddccbbaa`),
    );
    expect(fds).to.have.length(1);
    using got = new Fd(sys.fd, fds[0]!);
    sys.loop.eventfdSignal(got.fd);
    expect(sys.loop.eventfdDrain(file.fd)).to.equal(1);
  });

  it('carry a dma-buf without modifier where the front-end does not know one', () => {
    using setup = new ChannelSetup().agree(1);
    const frame = { ...FRAME, fd: 0 };
    expect(setup.channel.setScanoutDmaBuf(0, PART, { ...frame, modifierLo: 1 })).to.equal(false);
    expect(setup.peer.receiveHex()).to.equal('null');
    expect(setup.channel.setScanoutDmaBuf(0, PART, frame)).to.equal(true);
    expect(setup.peer.receiveHex()).to.equal(
      hex(`09000000 00000000 28000000 00000000 01000000 02000000 80020000 e0010000
        00040000 00030000 00100000 00000000 58523234`),
    );
    const implied = { ...frame, modifierLo: 0xffff_ffff, modifierHi: 0x00ff_ffff };
    expect(setup.channel.setScanoutDmaBuf(0, PART, implied)).to.equal(true);
    expect(setup.peer.receive().fds.map((fd) => openSys().fd.close(fd))).to.deep.equal([0]);
  });

  it('let go of a dma-buf before pixels are shown', () => {
    using setup = new ChannelSetup().agree();
    setup.channel.setScanoutDmaBuf(0, PART, { ...FRAME, fd: 0 });
    setup.peer.receiveHex();
    setup.channel.setScanout(0, 64, 64);
    expect(setup.peer.receiveHex()).to.equal(hex(`09000000 00000000 28000000 ${'00'.repeat(40)}`));
    expect(setup.peer.receiveHex()).to.equal(hex('07000000 00000000 0c000000 00000000 40000000 40000000'));
  });

  it('announce a new frame of a dma-buf, one at a time', () => {
    using setup = new ChannelSetup().agree();
    const done: string[] = [];
    setup.channel.setScanoutDmaBuf(0, PART, { ...FRAME, fd: 0 });
    setup.peer.receiveHex();
    setup.channel.updateDmaBuf(0, PART, () => done.push('first'));
    setup.channel.updateDmaBuf(0, PART, () => done.push('second'));
    const message = hex('0a000000 00000000 14000000 00000000 01000000 02000000 80020000 e0010000');
    expect(setup.peer.receiveHex()).to.equal(message);
    expect(setup.peer.receiveHex()).to.equal('null');
    setup.peer.answer(10);
    expect(setup.peer.receiveHex()).to.equal(message);
    expect(done).to.deep.equal(['first']);
    setup.peer.answer(10);
    setup.settle();
    expect(done).to.deep.equal(['first', 'second']);
  });

  it('ask for the outputs', () => {
    using setup = new ChannelSetup().agree();
    const answers: (readonly Output[] | null)[] = [];
    setup.channel.queryOutputs((outputs) => answers.push(outputs));
    expect(setup.peer.receiveHex()).to.equal(hex('03000000 00000000 00000000'));
    const payload = new Uint8Array(408);
    payload.set([0x01, 0x11]);
    payload.set([5, 0, 0, 0, 6, 0, 0, 0, 0, 4, 0, 0, 0, 3, 0, 0, 1, 0, 0, 0], 24);
    setup.peer.answer(3, payload);
    setup.settle();
    expect(answers).to.have.length(1);
    expect(answers[0]).to.have.length(16);
    expect(answers[0]![0]).to.deep.equal({ x: 5, y: 6, width: 1024, height: 768, enabled: true });
    expect(answers[0]![15]).to.deep.equal({ x: 0, y: 0, width: 0, height: 0, enabled: false });
  });

  it('ask for an EDID, with a mark behind it', () => {
    using setup = new ChannelSetup().agree();
    const answers: (Uint8Array | null)[] = [];
    setup.channel.queryEdid(2, (edid) => answers.push(edid));
    expect(setup.peer.receiveHex()).to.equal(hex('0b000000 00000000 04000000 02000000'));
    expect(setup.peer.receiveHex()).to.equal(GET_FEATURES);
    const payload = new Uint8Array(1056);
    payload.set([0x04, 0x11]);
    payload.set([0x00, 0x01], 24);
    payload.fill(0xab, 32);
    setup.peer.answer(11, payload);
    setup.peer.answer(1, new Uint8Array(8));
    setup.settle();
    expect(answers).to.deep.equal([new Uint8Array(256).fill(0xab)]);
    expect(setup.readyCount).to.equal(1);
  });

  it('take it that there is no EDID when the mark is answered first', () => {
    using setup = new ChannelSetup().agree();
    const answers: (Uint8Array | null)[] = [];
    setup.channel.queryEdid(15, (edid) => answers.push(edid));
    setup.channel.queryEdid(0, (edid) => answers.push(edid));
    setup.peer.answer(1, new Uint8Array(8));
    setup.settle();
    expect(answers).to.deep.equal([null]);
    const payload = new Uint8Array(1056);
    payload.set([0x04, 0x11]);
    payload.set([0x80], 24);
    setup.peer.answer(11, payload);
    setup.peer.answer(1, new Uint8Array(8));
    setup.settle();
    expect(answers).to.deep.equal([null, new Uint8Array(128)]);
    expect(setup.ends).to.deep.equal([]);
  });

  it('ask for no EDID that is not offered', () => {
    using setup = new ChannelSetup().agree(2);
    const answers: (Uint8Array | null)[] = [];
    setup.channel.queryEdid(0, (edid) => answers.push(edid));
    expect(answers).to.deep.equal([null]);
    expect(setup.peer.receiveHex()).to.equal('null');
  });
});
