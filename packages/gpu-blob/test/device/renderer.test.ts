import { type LeakCheck, leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import {
  type DmaBufFrame,
  HeadlessSink,
  VIRTIO_GPU_F_VIRGL,
  VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
  VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
  VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
  VIRTIO_GPU_RESP_ERR_UNSPEC,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '../../src/index.ts';
import {
  encodeAttachBacking,
  encodeCtxCreate,
  encodeDetachBacking,
  encodeResourceCreate3d,
  encodeResourceFlush,
  encodeResourceUnref,
  encodeSetScanout,
  encodeTransferFromHost3d,
  encodeTransferToHost2d,
  encodeTransferToHost3d,
} from '../../src/testing/index.ts';
import { DisplayPeer } from '../support/display-peer.ts';
import { makeFile } from '../support/socket-type.ts';
import { DmaBufSink, frame, SIZE, TextureRenderer } from '../support/texture-renderer.ts';
import { GpuRig, PAGE, sys } from './rig.ts';

const OK = VIRTIO_GPU_RESP_OK_NODATA;
const UNSPEC = VIRTIO_GPU_RESP_ERR_UNSPEC;
const BYTES = SIZE * SIZE * 4;
const whole = { x: 0, y: 0, width: SIZE, height: SIZE };

describe('3D resources of a renderer', () => {
  let renderer: TextureRenderer;
  let rig: GpuRig;
  let pixels: Uint8Array;
  let gpa: number;
  const open = (options: ConstructorParameters<typeof GpuRig>[0] = {}): void => {
    renderer = new TextureRenderer();
    rig = new GpuRig({ renderer, outputs: [{ width: SIZE, height: SIZE }], ...options });
    const at = rig.host.ram.u8.length / 2 - 4 * PAGE;
    gpa = rig.host.ram.gpa + at;
    pixels = rig.host.ram.u8.subarray(at, at + BYTES);
    for (let i = 0; i < BYTES; i++) pixels[i] = (i * 13) & 0xff;
  };
  let leaks: LeakCheck;
  beforeEach(() => {
    leaks = leakCheck();
    open();
  });
  afterEach(() => {
    rig[Symbol.dispose]();
    leaks.check();
  });

  const fields = {
    target: 2,
    format: 2,
    bind: 3,
    depth: 1,
    arraySize: 4,
    lastLevel: 5,
    nrSamples: 6,
    resourceFlags: 1,
  };
  const create = (resourceId: number, width = SIZE) =>
    rig.status(encodeResourceCreate3d({ resourceId, width, height: SIZE, ...fields }));
  const attach = (resourceId: number) =>
    rig.status(encodeAttachBacking({ resourceId, entries: [{ addr: gpa, length: BYTES }] }));
  const transfer = {
    x: 1,
    y: 2,
    z: 3,
    w: 4,
    h: 5,
    d: 6,
    offset: 0,
    resourceId: 1,
    level: 7,
    stride: 8,
    layerStride: 9,
  };

  it('offers VIRGL without a context type, and hands every field on', async () => {
    rig[Symbol.dispose]();
    open({ contextTypes: [] });
    expect(rig.device.features.has(VIRTIO_GPU_F_VIRGL)).to.equal(true);
    expect(await create(1)).to.equal(OK);
    const { resourceFlags: flags, ...rest } = fields;
    expect(renderer.requests).to.deep.equal([{ resourceId: 1, width: SIZE, height: SIZE, flags, ...rest }]);
    expect(rig.device.stats).to.include({ resources: 1, hostmem: BYTES });
    expect(await rig.status(encodeResourceUnref(1))).to.equal(OK);
    expect([renderer.made[0]!.disposals, rig.device.stats.hostmem]).to.deep.equal([1, 0]);
  });

  it('answers what the renderer says, and asks it for no id that is taken', async () => {
    expect(await create(1, 5)).to.equal(VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
    expect(await create(0)).to.equal(VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
    await create(1);
    expect(await create(1)).to.equal(VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
    expect(renderer.requests).to.have.length(2);
    expect(rig.device.stats).to.include({ resources: 1, hostmem: BYTES });
    rig[Symbol.dispose]();
    open({ maxHostmem: BYTES });
    expect([await create(1), await create(2)]).to.deep.equal([OK, VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY]);
    expect(renderer.made.map(({ disposals }) => disposals)).to.deep.equal([0, 1]);
  });

  it('transfers both ways, with pages and for contexts that are there', async () => {
    await create(1);
    expect(await rig.status(encodeTransferToHost3d(transfer)), 'no pages').to.equal(UNSPEC);
    await attach(1);
    expect(await rig.status(encodeTransferToHost3d(transfer))).to.equal(OK);
    const { resourceId: _, ...request } = transfer;
    const [texture] = renderer.made;
    expect(texture!.transfers).to.deep.equal([{ ctxId: 0, ...request }]);
    expect(Buffer.from(texture!.bytes)).to.deep.equal(Buffer.from(pixels));
    texture!.bytes.fill(9);
    expect(await rig.status(encodeTransferFromHost3d(transfer))).to.equal(OK);
    expect([pixels[0], pixels[BYTES - 1]]).to.deep.equal([9, 9]);
    expect(await rig.status(encodeTransferToHost3d(transfer, { ctxId: 4 }))).to.equal(
      VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID,
    );
    await rig.status(encodeCtxCreate({ contextInit: 0 }, { ctxId: 4 }));
    expect(await rig.status(encodeTransferToHost3d(transfer, { ctxId: 4 }))).to.equal(OK);
    expect(texture!.transfers.at(-1)!.ctxId).to.equal(4);
    expect(await rig.status(encodeTransferToHost3d({ ...transfer, resourceId: 3 }))).to.equal(
      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
    );
    expect(await rig.status(encodeTransferToHost3d({ ...transfer, offset: 2 ** 60 }))).to.equal(
      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
    );
    await rig.status(encodeDetachBacking(1));
    await attach(1);
    await rig.status(encodeResourceUnref(1));
    expect(texture!.pages).to.deep.equal([BYTES, null, BYTES, null]);
  });

  it('shows its pixels where the display takes no dma-buf', async () => {
    const sink = new HeadlessSink();
    rig[Symbol.dispose]();
    open({ sink });
    await create(1);
    await attach(1);
    renderer.made[0]!.canShare = true;
    await rig.status(encodeSetScanout({ ...whole, scanoutId: 0, resourceId: 1 }));
    await rig.status(encodeTransferToHost2d({ ...whole, resourceId: 1, offset: 0 }));
    expect(await rig.status(encodeResourceFlush({ ...whole, resourceId: 1 }))).to.equal(OK);
    expect(Buffer.from(sink.frame(0)!.pixels)).to.deep.equal(Buffer.from(pixels));
  });

  it('is shown as a dma-buf, and flushed when the display has let go of it', async () => {
    const sink = new DmaBufSink();
    rig[Symbol.dispose]();
    open({ sink });
    await create(1);
    renderer.made[0]!.canShare = true;
    const part = { x: 4, y: 0, width: 16, height: SIZE };
    await rig.status(encodeSetScanout({ ...part, scanoutId: 0, resourceId: 1 }));
    expect(sink.calls).to.deep.equal([['dma-buf', 0, part, frame]]);
    const head = rig.send(encodeResourceFlush({ ...whole, resourceId: 1 }));
    await rig.settle();
    expect(sink.calls.slice(1)).to.deep.equal([['changed', 0, { x: 0, y: 0, width: 16, height: SIZE }]]);
    expect(rig.host.driver(0).take()).to.equal(null);
    sink.owed[0]!();
    expect((await rig.reply()).head).to.equal(head);
    renderer.made[0]!.canShare = false;
    await rig.status(encodeSetScanout({ ...part, scanoutId: 0, resourceId: 1 }));
    await rig.status(encodeResourceFlush({ ...whole, resourceId: 1 }));
    expect(sink.calls.slice(2)).to.deep.equal([
      ['scanout', 0, 16, SIZE],
      ['update', 0, 0, 0, 16, SIZE],
    ]);
  });

  it('goes to a front-end as a dma-buf, also to one whose channel comes later', async () => {
    await create(1);
    using file = makeFile(sys, new Uint8Array(0), BYTES);
    const tiled: DmaBufFrame = { ...frame, fd: file.fd, modifierLo: 7 };
    renderer.made[0]!.dmaBuf = () => tiled;
    await rig.status(encodeSetScanout({ ...whole, scanoutId: 0, resourceId: 1 }));
    const peer = new DisplayPeer(sys, rig.host.openDisplay(), () => {
      while (rig.loop.runOnce(0) > 0);
    });
    expect(peer.receive().request).to.equal(1);
    peer.answer(1, [3, 0, 0, 0, 0, 0, 0, 0]);
    const seen: number[] = [];
    for (let message = peer.next(); message !== null && message !== 'eof'; message = peer.next()) {
      seen.push(message.request);
      for (const fd of message.fds) sys.fd.close(fd);
    }
    // Features, what was shown before they were known, the dma-buf, its update.
    expect(seen).to.deep.equal([2, 7, 8, 12, 10]);
    const head = rig.send(encodeResourceFlush({ ...whole, resourceId: 1 }));
    await rig.settle();
    expect(rig.host.driver(0).take()).to.equal(null);
    // The announcement's answer, then the flush's.
    for (let answers = 0; answers < 2; answers++) {
      peer.answer(10);
      await rig.settle();
    }
    expect((await rig.reply()).head).to.equal(head);
    peer.close();
  });
});
