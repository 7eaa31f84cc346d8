import { expect } from 'chai';
import {
  CURSOR_QUEUE,
  GpuError,
  HeadlessSink,
  VIRTIO_GPU_BLOB_MEM_GUEST,
  VIRTIO_GPU_EVENT_DISPLAY,
  VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM,
  VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
  VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
  VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID,
  VIRTIO_GPU_RESP_ERR_UNSPEC,
  VIRTIO_GPU_RESP_OK_DISPLAY_INFO,
  VIRTIO_GPU_RESP_OK_EDID,
  VIRTIO_GPU_RESP_OK_NODATA,
  VirtioGpuConfig,
} from '../../src/index.ts';
import {
  encodeAttachBacking,
  encodeDetachBacking,
  encodeGetDisplayInfo,
  encodeGetEdid,
  encodeMoveCursor,
  encodeResourceCreate2d,
  encodeResourceCreateBlob,
  encodeResourceFlush,
  encodeResourceUnref,
  encodeSetScanout,
  encodeSetScanoutBlob,
  encodeTransferToHost2d,
  encodeUpdateCursor,
} from '../../src/testing/index.ts';
import { SlowSink } from '../support/slow-sink.ts';
import { GpuRig, PAGE } from './rig.ts';

const OK = VIRTIO_GPU_RESP_OK_NODATA;
const WRONG = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
const UNSPEC = VIRTIO_GPU_RESP_ERR_UNSPEC;
const NO_RESOURCE = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
const NO_SCANOUT = VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID;
const WIDTH = 32;
const HEIGHT = 16;
const BYTES = WIDTH * HEIGHT * 4;
const whole = { x: 0, y: 0, width: WIDTH, height: HEIGHT };

describe('displays', () => {
  let sink: HeadlessSink;
  let rig: GpuRig;
  /** Where the test's pixels lie in guest memory: behind the rings. */
  let pixels: Uint8Array;
  let gpa: number;
  const open = (options: ConstructorParameters<typeof GpuRig>[0] = {}): void => {
    sink = new HeadlessSink();
    rig = new GpuRig({
      outputs: [
        { width: 64, height: 48 },
        { width: 80, height: 40 },
      ],
      sink,
      ...options,
    });
    const half = rig.host.ram.u8.length / 2;
    gpa = rig.host.ram.gpa + half - 16 * PAGE;
    pixels = rig.host.ram.u8.subarray(half - 16 * PAGE, half);
    for (let i = 0; i < BYTES; i++) pixels[i] = (i * 7) & 0xff;
  };
  beforeEach(() => open());
  afterEach(() => rig[Symbol.dispose]());

  const create = (resourceId: number, width = WIDTH, height = HEIGHT, format = VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM) =>
    rig.status(encodeResourceCreate2d({ resourceId, format, width, height }));
  const attach = (resourceId: number, length = BYTES) =>
    rig.status(encodeAttachBacking({ resourceId, entries: [{ addr: gpa, length }] }));
  const scanout = (scanoutId: number, resourceId: number, part = whole) =>
    rig.status(encodeSetScanout({ ...part, scanoutId, resourceId }));
  const transfer = (resourceId: number, part = whole, offset = 0) =>
    rig.status(encodeTransferToHost2d({ ...part, resourceId, offset }));
  const flush = (resourceId: number, part = whole) => rig.status(encodeResourceFlush({ ...part, resourceId }));

  it('shows what the guest draws', async () => {
    expect(await create(1)).to.equal(OK);
    expect(await attach(1)).to.equal(OK);
    expect(await scanout(0, 1)).to.equal(OK);
    expect(await transfer(1)).to.equal(OK);
    expect(await flush(1)).to.equal(OK);
    expect(Buffer.from(sink.frame(0)!.pixels)).to.deep.equal(Buffer.from(pixels.subarray(0, BYTES)));
  });

  it('shows a part at its place, on every scanout that has it', async () => {
    await create(1, 64, 48);
    await attach(1, 64 * 48 * 4);
    for (let i = 0; i < 64 * 48 * 4; i++) pixels[i] = (i * 31) & 0xff;
    await scanout(0, 1, { x: 0, y: 0, width: 64, height: 48 });
    await scanout(1, 1, { x: 32, y: 16, width: 32, height: 32 });
    const part = { x: 30, y: 14, width: 10, height: 10 };
    await transfer(1, part, (14 * 64 + 30) * 4);
    await flush(1, part);
    const at = (frame: Uint8Array, stride: number, x: number, y: number) => [
      ...frame.subarray((y * stride + x) * 4, (y * stride + x + 1) * 4),
    ];
    const source = (x: number, y: number) => at(pixels, 64, x, y);
    expect(at(sink.frame(0)!.pixels, 64, 30, 14)).to.deep.equal(source(30, 14));
    expect(at(sink.frame(0)!.pixels, 64, 29, 14)).to.deep.equal([0, 0, 0, 0]);
    expect(at(sink.frame(1)!.pixels, 32, 0, 0)).to.deep.equal(source(32, 16));
    expect(at(sink.frame(1)!.pixels, 32, 7, 7)).to.deep.equal(source(39, 23));
    expect(at(sink.frame(1)!.pixels, 32, 8, 7)).to.deep.equal([0, 0, 0, 0]);
  });

  it('answers each mistake with its own error', async () => {
    expect(await create(0)).to.equal(NO_RESOURCE);
    expect(await create(1, 0, 5)).to.equal(WRONG);
    expect(await create(1, 5, 5, 5)).to.equal(WRONG);
    expect(await create(1)).to.equal(OK);
    expect(await create(1)).to.equal(NO_RESOURCE);
    expect(await transfer(1)).to.equal(UNSPEC);
    expect(await flush(1)).to.equal(UNSPEC);
    expect(await flush(9)).to.equal(NO_RESOURCE);
    expect(await transfer(9)).to.equal(NO_RESOURCE);
    expect(await attach(9)).to.equal(NO_RESOURCE);
    expect(await attach(1)).to.equal(OK);
    expect(await attach(1)).to.equal(UNSPEC);
    expect(await transfer(1, { ...whole, x: 1 })).to.equal(WRONG);
    expect(await transfer(1, { ...whole, x: 0xffffffff, width: 2 })).to.equal(WRONG);
    expect(await flush(1, { ...whole, height: HEIGHT + 1 })).to.equal(WRONG);
    expect(await scanout(2, 1)).to.equal(NO_SCANOUT);
    expect(await scanout(0, 9)).to.equal(NO_RESOURCE);
    expect(await scanout(0, 1, { x: 0, y: 0, width: 15, height: 16 })).to.equal(WRONG);
    expect(await scanout(0, 1, { x: 8, y: 0, width: WIDTH, height: 16 })).to.equal(WRONG);
    expect(await rig.status(encodeDetachBacking(1))).to.equal(OK);
    expect(await rig.status(encodeDetachBacking(1))).to.equal(UNSPEC);
    expect(await rig.status(encodeResourceUnref(9))).to.equal(NO_RESOURCE);
    expect(await rig.status(encodeGetEdid(2))).to.equal(WRONG);
  });

  it('switches a scanout off: by resource 0, and when its resource goes', async () => {
    await create(1);
    await scanout(0, 1);
    await scanout(1, 1);
    expect(sink.frame(0)).to.include({ width: WIDTH, height: HEIGHT });
    expect(await scanout(0, 0)).to.equal(OK);
    expect(sink.frame(0)).to.equal(null);
    expect(await rig.status(encodeResourceUnref(1))).to.equal(OK);
    expect(sink.frame(1)).to.equal(null);
  });

  it('shows a framebuffer in a guest blob, read at the flush', async () => {
    const entries = [{ addr: gpa, length: 4 * PAGE }];
    const blob = { resourceId: 1, blobMem: VIRTIO_GPU_BLOB_MEM_GUEST, size: 4 * PAGE, entries };
    expect(await rig.status(encodeResourceCreateBlob(blob))).to.equal(OK);
    const framebuffer = {
      ...whole,
      scanoutId: 0,
      resourceId: 1,
      fbWidth: WIDTH,
      fbHeight: HEIGHT,
      format: VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM,
      strides: [WIDTH * 4, 0, 0, 0],
      offsets: [PAGE, 0, 0, 0],
    };
    const show = (fields: object) => rig.status(encodeSetScanoutBlob({ ...framebuffer, ...fields }));
    expect(await show({})).to.equal(OK);
    for (let i = 0; i < BYTES; i++) pixels[PAGE + i] = (i * 13) & 0xff;
    expect(await flush(1)).to.equal(OK);
    expect(Buffer.from(sink.frame(0)!.pixels)).to.deep.equal(Buffer.from(pixels.subarray(PAGE, PAGE + BYTES)));
    expect(await transfer(1), 'nothing to do').to.equal(OK);
    expect(await show({ offsets: [4 * PAGE - BYTES + 4, 0, 0, 0] })).to.equal(WRONG);
    expect(await show({ strides: [WIDTH * 4 - 1, 0, 0, 0] })).to.equal(WRONG);
    expect(await show({ format: 7 })).to.equal(WRONG);
    expect(await show({ fbWidth: 0xffffffff, fbHeight: 0xffffffff, strides: [0xffffffff, 0, 0, 0] })).to.equal(WRONG);
    expect(await show({ scanoutId: 5 })).to.equal(NO_SCANOUT);
    await rig.status(encodeDetachBacking(1));
    expect(await flush(1)).to.equal(UNSPEC);
  });

  it('takes no command while a display reads pixels', async () => {
    const slow = new SlowSink();
    rig[Symbol.dispose]();
    open({ sink: slow });
    await create(1);
    await attach(1);
    await scanout(0, 1);
    const flushed = rig.send(encodeResourceFlush({ ...whole, resourceId: 1 }));
    const gone = rig.send(encodeResourceUnref(1));
    await rig.settle();
    expect(rig.host.driver(0).take()).to.equal(null);
    expect(rig.device.resources.get(1)).not.to.equal(undefined);
    slow.updates[0]!.done();
    expect((await rig.reply()).head).to.equal(flushed);
    expect((await rig.reply()).head).to.equal(gone);
  });

  it('goes on after a reset in the middle of a flush', async () => {
    const slow = new SlowSink();
    rig[Symbol.dispose]();
    open({ sink: slow });
    await create(1);
    await attach(1);
    await scanout(0, 1);
    rig.send(encodeResourceFlush({ ...whole, resourceId: 1 }));
    await rig.settle();
    rig.host.reset();
    slow.updates[0]!.done();
    rig.host.start();
    expect(await create(1)).to.equal(OK);
    expect(slow.scanouts.at(-1)).to.equal('0: 0x0');
  });

  it('keeps a flush over a pause', async () => {
    const slow = new SlowSink();
    rig[Symbol.dispose]();
    open({ sink: slow });
    await create(1);
    await attach(1);
    await scanout(0, 1);
    const head = rig.send(encodeResourceFlush({ ...whole, resourceId: 1 }));
    await rig.settle();
    rig.host.pause();
    slow.updates[0]!.done();
    rig.host.start();
    expect((await rig.reply()).head).to.equal(head);
    expect(await transfer(1)).to.equal(OK);
  });

  it('tells its outputs and their EDID, and changes of them', async () => {
    const info = await rig.ask(encodeGetDisplayInfo());
    if (info.type !== VIRTIO_GPU_RESP_OK_DISPLAY_INFO) throw new Error(`reply ${info.type}`);
    expect(info.outputs.slice(0, 3).map(({ x, width, enabled }) => [x, width, enabled])).to.deep.equal([
      [0, 64, true],
      [64, 80, true],
      [0, 0, false],
    ]);
    const edid = await rig.ask(encodeGetEdid(1));
    if (edid.type !== VIRTIO_GPU_RESP_OK_EDID) throw new Error(`reply ${edid.type}`);
    expect(edid.edid.subarray(0, 128).reduce((sum, byte) => (sum + byte) & 0xff, 0)).to.equal(0);

    rig.device.setOutputs([{ width: 100, height: 60 }]);
    expect(rig.host.configChanges).to.equal(1);
    const view = new DataView(rig.device.config.buffer);
    expect(VirtioGpuConfig.eventsRead.get(view, 0)).to.equal(VIRTIO_GPU_EVENT_DISPLAY);
    const changed = await rig.ask(encodeGetDisplayInfo());
    if (changed.type !== VIRTIO_GPU_RESP_OK_DISPLAY_INFO) throw new Error(`reply ${changed.type}`);
    expect(changed.outputs.slice(0, 2).map(({ width, enabled }) => [width, enabled])).to.deep.equal([
      [100, true],
      [0, false],
    ]);
    rig.device.setOutputs([{ width: 100, height: 60 }]);
    expect(rig.host.configChanges, 'no change').to.equal(1);
    // A front-end writes the whole space back.
    const space = rig.device.config.slice();
    VirtioGpuConfig.eventsClear.set(new DataView(space.buffer), 0, VIRTIO_GPU_EVENT_DISPLAY);
    VirtioGpuConfig.numScanouts.set(new DataView(space.buffer), 0, 9);
    rig.device.writeConfig(0, space);
    expect(VirtioGpuConfig.eventsRead.get(view, 0)).to.equal(0);
    expect(VirtioGpuConfig.numScanouts.get(view, 0)).to.equal(2);
    expect(() => rig.device.setOutputs([1, 2, 3].map(() => ({ width: 64, height: 64 })))).to.throw(GpuError);
  });

  it('has a cursor, whose image it keeps', async () => {
    await create(1);
    await attach(1);
    await scanout(0, 1);
    await create(2, 64, 64, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM);
    await rig.status(encodeAttachBacking({ resourceId: 2, entries: [{ addr: gpa, length: 64 * 64 * 4 }] }));
    for (let i = 0; i < 64 * 64 * 4; i++) pixels[i] = i & 0xff;
    await rig.status(encodeTransferToHost2d({ x: 0, y: 0, width: 64, height: 64, resourceId: 2, offset: 0 }));
    const cursor = { scanoutId: 0, x: 5, y: 6, resourceId: 2, hotX: 1, hotY: 2 };
    expect(await rig.cursor(encodeUpdateCursor(cursor))).to.equal(0);
    await rig.status(encodeResourceUnref(2));
    expect(sink.cursor(0)).to.include({ x: 5, y: 6, hotX: 1, hotY: 2, visible: true });
    expect(sink.cursor(0)!.image[77]).to.equal(77);
    await rig.cursor(encodeMoveCursor({ ...cursor, x: 9, y: 10 }));
    expect(sink.cursor(0)).to.include({ x: 9, y: 10, visible: true });
    await rig.cursor(encodeUpdateCursor({ ...cursor, resourceId: 0 }));
    expect(sink.cursor(0)).to.include({ visible: false });
    expect(await rig.status(encodeUpdateCursor(cursor), CURSOR_QUEUE), 'no such resource').to.equal(NO_RESOURCE);
    expect(await rig.status(encodeUpdateCursor({ ...cursor, scanoutId: 2 }), CURSOR_QUEUE)).to.equal(NO_SCANOUT);
    expect(await rig.status(encodeUpdateCursor({ ...cursor, resourceId: 1 }), CURSOR_QUEUE), 'too small').to.equal(
      WRONG,
    );
    expect(await rig.status(encodeGetDisplayInfo(), CURSOR_QUEUE), 'a control command').to.equal(UNSPEC);
  });
});
