import { type LeakCheck, leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import {
  GpuError,
  HeadlessSink,
  RespDisplayInfo,
  RespEdid,
  VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM,
  VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM,
  VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID,
  VIRTIO_GPU_RESP_OK_DISPLAY_INFO,
  VIRTIO_GPU_RESP_OK_EDID,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '../../src/index.ts';
import {
  encodeAttachBacking,
  encodeGetDisplayInfo,
  encodeGetEdid,
  encodeResourceCreate2d,
  encodeResourceFlush,
  encodeSetScanout,
  encodeTransferToHost2d,
  encodeUpdateCursor,
} from '../../src/testing/index.ts';
import { DisplayPeer } from '../support/display-peer.ts';
import { GpuRig, PAGE, sys } from './rig.ts';

const OK = VIRTIO_GPU_RESP_OK_NODATA;
/** Messages of the channel. */
const GET_FEATURES = 1;
const SET_FEATURES = 2;
const GET_DISPLAY_INFO = 3;
const CURSOR_UPDATE = 6;
const SCANOUT = 7;
const UPDATE = 8;
const GET_EDID = 11;
const WIDTH = 64;
const HEIGHT = 64;
const BYTES = WIDTH * HEIGHT * 4;
const whole = { x: 0, y: 0, width: WIDTH, height: HEIGHT };

describe('the display channel of a front-end', () => {
  let leaks: LeakCheck;
  let sink: HeadlessSink;
  let rig: GpuRig;
  let pixels: Uint8Array;
  beforeEach(async () => {
    leaks = leakCheck();
    sink = new HeadlessSink();
    rig = new GpuRig({ sink, outputs: [{ width: WIDTH, height: HEIGHT }] });
  });
  afterEach(() => {
    rig[Symbol.dispose]();
    leaks.check();
  });

  const settle = (): void => {
    while (rig.loop.runOnce(0) > 0);
  };
  /** A new channel; the features are agreed on. */
  const openChannel = (features = 1): DisplayPeer => {
    const peer = new DisplayPeer(sys, rig.host.openDisplay(), settle);
    expect(peer.receive().request).to.equal(GET_FEATURES);
    peer.answer(GET_FEATURES, [features, 0, 0, 0, 0, 0, 0, 0]);
    expect(peer.receive().request).to.equal(SET_FEATURES);
    return peer;
  };
  /** A resource on a scanout, drawn but not flushed. */
  const draw = async (scanoutId = 0, size = { width: WIDTH, height: HEIGHT }, resourceId = 1) => {
    const bytes = size.width * size.height * 4;
    const at = rig.host.ram.u8.length / 2 - Math.ceil(bytes / PAGE) * PAGE;
    pixels = rig.host.ram.u8.subarray(at, at + bytes);
    for (let i = 0; i < bytes; i++) pixels[i] = (i * 7 + (i >> 8)) & 0xff;
    await rig.status(encodeResourceCreate2d({ resourceId, format: VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, ...size }));
    const entries = [{ addr: rig.host.ram.gpa + at, length: bytes }];
    await rig.status(encodeAttachBacking({ resourceId, entries }));
    await rig.status(encodeTransferToHost2d({ x: 0, y: 0, ...size, resourceId, offset: 0 }));
    return await rig.status(encodeSetScanout({ x: 0, y: 0, ...size, scanoutId, resourceId }));
  };
  const words = (payload: Uint8Array, count: number) => [...new Uint32Array(payload.slice(0, count * 4).buffer)];

  it('decides about outputs and EDID, and is asked for them', async () => {
    const peer = openChannel();
    rig.send(encodeGetDisplayInfo());
    await rig.settle();
    expect(rig.host.driver(0).take(), 'the front-end has not answered').to.equal(null);
    expect(peer.receive().request).to.equal(GET_DISPLAY_INFO);
    const info = new Uint8Array(RespDisplayInfo.byteLength);
    const view = new DataView(info.buffer);
    RespDisplayInfo.type.set(view, 0, VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
    new Uint32Array(info.buffer, RespDisplayInfo.pmodes.offset, 5).set([0, 0, 1024, 768, 1]);
    peer.answer(GET_DISPLAY_INFO, info);
    const { reply } = await rig.reply();
    expect(reply).to.have.nested.property('outputs[0]').that.includes({ width: 1024, height: 768, enabled: true });

    rig.send(encodeGetEdid(9));
    await rig.settle();
    const asked = peer.receive();
    expect([asked.request, ...words(asked.payload, 1)]).to.deep.equal([GET_EDID, 9]);
    const block = new Uint8Array(RespEdid.byteLength);
    RespEdid.type.set(new DataView(block.buffer), 0, VIRTIO_GPU_RESP_OK_EDID);
    RespEdid.size.set(new DataView(block.buffer), 0, 128);
    block.fill(0xab, RespEdid.edid.offset, RespEdid.edid.offset + 128);
    peer.answer(GET_EDID, block);
    expect((await rig.reply()).reply).to.deep.include({ edid: new Uint8Array(128).fill(0xab) });
    expect(() => rig.device.setOutputs([{ width: 640, height: 480 }])).to.throw(GpuError);
    peer.close();
  });

  it('shows what is flushed, on scanouts that only it has', async () => {
    const peer = openChannel();
    expect(await draw(3)).to.equal(OK);
    const scanout = peer.receive();
    expect([scanout.request, ...words(scanout.payload, 3)]).to.deep.equal([SCANOUT, 3, WIDTH, HEIGHT]);
    const part = { x: 8, y: 4, width: 16, height: 2 };
    expect(await rig.status(encodeResourceFlush({ ...part, resourceId: 1 }))).to.equal(OK);
    const update = peer.receive();
    expect([update.request, ...words(update.payload, 5)]).to.deep.equal([UPDATE, 3, 8, 4, 16, 2]);
    const row = (y: number) => [...pixels.subarray((y * WIDTH + 8) * 4, (y * WIDTH + 24) * 4)];
    expect([...update.payload.subarray(20)]).to.deep.equal([...row(4), ...row(5)]);
    peer.close();
    await rig.settle();
    const gone = encodeSetScanout({ ...whole, scanoutId: 3, resourceId: 1 });
    expect(await rig.status(gone), 'the device has one output').to.equal(VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID);
  });

  it('is told all that is shown when it comes, and the own sink when it goes', async () => {
    await draw();
    const entries = [{ addr: rig.host.ram.gpa + rig.host.ram.u8.length / 2 - BYTES, length: BYTES }];
    const format = VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM;
    await rig.status(encodeResourceCreate2d({ resourceId: 2, format, width: 64, height: 64 }));
    await rig.status(encodeAttachBacking({ resourceId: 2, entries }));
    await rig.status(encodeTransferToHost2d({ ...whole, resourceId: 2, offset: 0 }));
    await rig.cursor(encodeUpdateCursor({ scanoutId: 0, x: 5, y: 6, resourceId: 2, hotX: 1, hotY: 2 }));
    for (const round of ['first', 'replaced at the next start']) {
      const peer = openChannel();
      const seen = [peer.receive(), peer.receive(), peer.receive()];
      expect(seen.map(({ request }) => request).sort(), round).to.deep.equal([CURSOR_UPDATE, SCANOUT, UPDATE]);
      const cursor = seen.find(({ request }) => request === CURSOR_UPDATE)!;
      expect(words(cursor.payload, 5)).to.deep.equal([0, 5, 6, 1, 2]);
      const update = seen.find(({ request }) => request === UPDATE)!;
      expect(Buffer.from(update.payload.subarray(20))).to.deep.equal(Buffer.from(pixels));
      rig.host.pause();
      rig.host.start();
      if (round === 'first') {
        // As a front-end does it: the old end stays until the new one is there.
        openChannel().close();
        await rig.settle();
        expect(peer.next()).to.equal('eof');
      }
      peer.close();
      await rig.settle();
    }
    expect(rig.device.sink).to.equal(sink);
    sink.frame(0)!.pixels.fill(0);
    const last = openChannel();
    last.close();
    await rig.settle();
    expect(Buffer.from(sink.frame(0)!.pixels)).to.deep.equal(Buffer.from(pixels));
  });

  const large = { width: 1024, height: 96 };
  /** A flush that the front-end does not read to its end. */
  const stalledFlush = async (): Promise<{ peer: DisplayPeer; head: number }> => {
    const peer = openChannel();
    await draw(0, large);
    const head = rig.send(encodeResourceFlush({ x: 0, y: 0, ...large, resourceId: 1 }));
    await rig.settle();
    expect(rig.host.driver(0).take()).to.equal(null);
    return { peer, head };
  };

  it('ends in the middle of a flush: the flush is answered', async () => {
    const { peer, head } = await stalledFlush();
    peer.close();
    expect((await rig.reply()).head).to.equal(head);
    expect(await rig.status(encodeResourceFlush({ x: 0, y: 0, ...large, resourceId: 1 }))).to.equal(OK);
  });

  it('stalls in a flush over a pause, and ends: the flush is answered when the VM goes on', async () => {
    const { peer, head } = await stalledFlush();
    const behind = rig.send(encodeGetDisplayInfo());
    rig.host.pause();
    peer.close();
    await rig.settle();
    rig.host.start();
    expect([(await rig.reply()).head, (await rig.reply()).head]).to.deep.equal([head, behind]);
  });

  it('stalls in a flush until a reset: the next driver finds a queue that runs', async () => {
    const { peer } = await stalledFlush();
    rig.host.pause();
    rig.host.reset();
    rig.host.start();
    expect(rig.device.stats).to.include({ waiting: 0, resources: 0, hostmem: 0 });
    expect(await rig.status(encodeResourceCreate2d({ resourceId: 1, format: 2, width: 16, height: 16 }))).to.equal(OK);
    // What had begun comes to its end.
    let last = peer.next();
    for (let next = last; next !== null && next !== 'eof'; next = peer.next()) last = next;
    expect(last).to.include({ request: SCANOUT });
    peer.close();
  });

  it('goes in the middle of a question: the own outputs answer', async () => {
    const peer = openChannel();
    rig.send(encodeGetDisplayInfo());
    rig.send(encodeGetEdid(0));
    await rig.settle();
    peer.close();
    const replies = [(await rig.reply()).reply, (await rig.reply()).reply];
    expect(replies.map(({ type }) => type)).to.deep.equal([VIRTIO_GPU_RESP_OK_DISPLAY_INFO, VIRTIO_GPU_RESP_OK_EDID]);
  });
});
