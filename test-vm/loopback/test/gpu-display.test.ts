import {
  BYTES_PER_PIXEL,
  CURSOR_SIZE,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER as INVALID_PARAMETER,
  VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID as INVALID_RESOURCE,
  VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID as INVALID_SCANOUT,
  VIRTIO_GPU_RESP_OK_NODATA as OK,
  VIRTIO_GPU_RESP_ERR_UNSPEC as UNSPEC,
  VIRTIO_GPU_EVENT_DISPLAY,
  VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM,
  VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM,
  VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM,
} from '@oriel/gpu-blob';
import * as encode from '@oriel/gpu-blob/testing';
import { expect } from 'chai';
import type { GpuSurface } from '../src/index.ts';
import { digest, pattern } from './support/bytes.ts';
import { type Booted, GpuStage } from './support/gpu-stage.ts';
import { statusOf } from './support/gpu-status.ts';

const WIDTH = 64;
const HEIGHT = 48;
const SCREEN = { x: 0, y: 0, width: WIDTH, height: HEIGHT };
const PAGE = 4096;

/** Random pixels whose fourth byte, which means nothing, is 0. */
function picture(width: number, height: number, seed: number): Uint8Array {
  return opaque(pattern(width * height * BYTES_PER_PIXEL, seed));
}

function opaque(pixels: Uint8Array): Uint8Array {
  return pixels.map((byte, index) => (index % BYTES_PER_PIXEL === 3 ? 0 : byte));
}

describe('displays', () => {
  let stage: GpuStage;
  let booted: Booted;

  before(async () => {
    stage = await GpuStage.start({
      outputs: [
        { width: WIDTH, height: HEIGHT },
        { width: 32, height: 16 },
      ],
    });
  });

  after(() => stage?.[Symbol.asyncDispose]());

  beforeEach(async () => {
    await stage.setOutputs({ width: WIDTH, height: HEIGHT }, { width: 32, height: 16 });
    booted = stage.boot();
  });

  afterEach(() => booted[Symbol.dispose]());

  async function shown(scanout = 0): Promise<string> {
    return digest(opaque((await stage.picture(scanout)).pixels));
  }

  /** A screen full of pixels, shown. */
  function screen(seed: number, pieceSize?: number): GpuSurface {
    const surface = booted.guest.createSurface({ width: WIDTH, height: HEIGHT, ...(pieceSize ? { pieceSize } : {}) });
    surface.draw(SCREEN, picture(WIDTH, HEIGHT, seed));
    surface.transfer();
    surface.show(0);
    surface.flush();
    return surface;
  }

  it('are told with their sizes and an EDID each', () => {
    const { guest } = booted;
    expect(guest.config()).to.deep.equal({ eventsRead: 0, numScanouts: 2, numCapsets: 2 });
    const [first, second] = guest.outputs();
    expect(first).to.include({ width: WIDTH, height: HEIGHT, enabled: true });
    expect(second).to.include({ width: 32, height: 16, enabled: true });
    for (const scanout of [0, 1]) {
      const edid = guest.edid(scanout);
      expect(edid.length % 128).to.equal(0);
      expect(edid.subarray(0, 128).reduce((sum, byte) => sum + byte, 0) % 256).to.equal(0);
    }
    expect(statusOf(guest, encode.encodeGetEdid(2))).to.equal(INVALID_PARAMETER);
  });

  it('tell the guest when they change, and it says that it saw it', async () => {
    const { vm, guest } = booted;
    const { configChanges } = vm;
    await stage.setOutputs({ width: 640, height: 400 }, { width: 32, height: 16 });
    vm.until(() => vm.configChanges > configChanges, 1000, 'a configuration change');
    expect(guest.config().eventsRead).to.equal(VIRTIO_GPU_EVENT_DISPLAY);
    expect(guest.outputs()[0]).to.include({ width: 640, height: 400 });
    guest.clearEvents(VIRTIO_GPU_EVENT_DISPLAY);
    expect(guest.config().eventsRead).to.equal(0);
    // The test device of QEMU writes the whole space back.
    await stage.setOutputs({ width: 800, height: 600 }, { width: 32, height: 16 });
    const whole = vm.config(0, 20);
    whole.set([VIRTIO_GPU_EVENT_DISPLAY, 0, 0, 0], 4);
    vm.writeConfig(0, whole);
    expect(guest.config()).to.deep.equal({ eventsRead: 0, numScanouts: 2, numCapsets: 2 });
  });

  for (const [how, pieceSize] of [
    ['in one piece', undefined],
    ['in scattered pages', PAGE],
  ] as const) {
    it(`show what the guest drew ${how}, bit by bit`, async () => {
      const surface = screen(1, pieceSize);
      const wanted = picture(WIDTH, HEIGHT, 1);
      expect(await shown()).to.equal(digest(wanted));
      const part = { x: 13, y: 7, width: 31, height: 20 };
      const fresh = picture(part.width, part.height, 2);
      surface.draw(part, fresh);
      surface.flush(part);
      expect(await shown(), 'not before the transfer').to.equal(digest(wanted));
      surface.transfer(part);
      surface.flush(part);
      for (let y = 0; y < part.height; y++) {
        const row = part.width * BYTES_PER_PIXEL;
        wanted.set(fresh.subarray(y * row, (y + 1) * row), ((part.y + y) * WIDTH + part.x) * BYTES_PER_PIXEL);
      }
      expect(await shown()).to.equal(digest(wanted));
    });
  }

  it('show a part of a larger resource, two of them at once', async () => {
    const surface = booted.guest.createSurface({ width: 100, height: 100 });
    const pixels = picture(100, 100, 3);
    surface.draw(surface.box, pixels);
    surface.transfer();
    surface.show(0, { x: 20, y: 30, width: WIDTH, height: HEIGHT });
    surface.show(1, { x: 40, y: 60, width: 32, height: 16 });
    surface.flush();
    for (const [scanout, x, y, width, height] of [
      [0, 20, 30, WIDTH, HEIGHT],
      [1, 40, 60, 32, 16],
    ] as const) {
      const wanted = new Uint8Array(width * height * BYTES_PER_PIXEL);
      for (let row = 0; row < height; row++) {
        const from = ((y + row) * 100 + x) * BYTES_PER_PIXEL;
        wanted.set(pixels.subarray(from, from + width * BYTES_PER_PIXEL), row * width * BYTES_PER_PIXEL);
      }
      expect(await shown(scanout), `scanout ${scanout}`).to.equal(digest(wanted));
    }
  });

  it('show a format with another order of bytes', async () => {
    const surface = booted.guest.createSurface({ ...SCREEN, format: VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM });
    const pixels = picture(WIDTH, HEIGHT, 4);
    surface.draw(SCREEN, pixels);
    surface.transfer();
    surface.show(0);
    surface.flush();
    const wanted = pixels.slice();
    for (let at = 0; at < wanted.length; at += 4) [wanted[at], wanted[at + 2]] = [wanted[at + 2]!, wanted[at]!];
    expect(await shown()).to.equal(digest(wanted));
  });

  it('show guest pages and host memory as framebuffers in blobs', async () => {
    const { guest } = booted;
    const stride = WIDTH * BYTES_PER_PIXEL + 64;
    const size = Math.ceil((PAGE + stride * HEIGHT) / PAGE) * PAGE;
    const host = guest.createHostBlob({ context: guest.createContext(), size });
    host.map();
    const pages = guest.createGuestBlob(size, PAGE);
    for (const [seed, blob] of [
      [5, host],
      [6, pages],
    ] as const) {
      const pixels = picture(WIDTH, HEIGHT, seed);
      for (let y = 0; y < HEIGHT; y++) {
        const row = pixels.subarray(y * WIDTH * BYTES_PER_PIXEL, (y + 1) * WIDTH * BYTES_PER_PIXEL);
        if (blob.pages === null) blob.write(PAGE + y * stride, row);
        else blob.pages.write(PAGE + y * stride, row);
      }
      const { resourceId } = blob;
      const fields = { ...SCREEN, scanoutId: 0, resourceId, fbWidth: WIDTH, fbHeight: HEIGHT };
      const form = { format: VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, strides: [stride], offsets: [PAGE] };
      expect(statusOf(guest, encode.encodeSetScanoutBlob({ ...fields, ...form }))).to.equal(OK);
      expect(statusOf(guest, encode.encodeTransferToHost2d({ ...SCREEN, resourceId, offset: 0 }))).to.equal(OK);
      expect(statusOf(guest, encode.encodeResourceFlush({ ...SCREEN, resourceId }))).to.equal(OK);
      expect(await shown(), `seed ${seed}`).to.equal(digest(pixels));
    }
  });

  it('go off when their resource goes, and at a reset', async () => {
    screen(7).unref();
    expect(await stage.picture()).to.include({ width: 0, height: 0 });
    screen(8);
    expect(await stage.picture()).to.include({ width: WIDTH, height: HEIGHT });
    booted.vm.reset();
    booted.guest.forgetAll();
    expect(await stage.picture()).to.include({ width: 0, height: 0 });
    const surface = screen(9);
    const off = encode.encodeSetScanout({ ...SCREEN, scanoutId: 0, resourceId: 0 });
    expect(statusOf(booted.guest, off)).to.equal(OK);
    expect(await stage.picture()).to.include({ width: 0, height: 0 });
    surface.flush();
  });

  it('have a cursor that is copied, moved and hidden', async () => {
    const { guest } = booted;
    screen(10);
    const box = { x: 0, y: 0, width: CURSOR_SIZE, height: CURSOR_SIZE };
    const arrow = guest.createSurface({ ...box, format: VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM });
    const image = pattern(CURSOR_SIZE * CURSOR_SIZE * BYTES_PER_PIXEL, 11);
    arrow.draw(box, image);
    arrow.transfer();
    guest.updateCursor({ scanoutId: 0, x: 20, y: 30, resourceId: arrow.resourceId, hotX: 3, hotY: 4 });
    const { cursor } = await stage.picture();
    expect(cursor).to.include({ x: 20, y: 30, hotX: 3, hotY: 4 });
    expect(digest(Buffer.from(cursor!.image, 'base64'))).to.equal(digest(image));
    arrow.draw(box, new Uint8Array(image.length));
    arrow.transfer();
    guest.moveCursor({ scanoutId: 0, x: 40, y: 5, resourceId: arrow.resourceId });
    const moved = (await stage.picture()).cursor;
    expect(moved).to.include({ x: 40, y: 5 });
    expect(digest(Buffer.from(moved!.image, 'base64'))).to.equal(digest(image));
    guest.updateCursor({ scanoutId: 0, x: 0, y: 0 });
    expect((await stage.picture()).cursor).to.equal(null);
  });

  it('refuse each mistake with its error', () => {
    const { guest } = booted;
    const { resourceId } = screen(12);
    const far = { x: 0, y: 0, width: 4096, height: 4096 };
    const wrapping = { x: 0xffff_fff0, y: 0, width: 0x20, height: 16 };
    const narrow = { x: 0, y: 0, width: 15, height: 16 };
    const { encodeSetScanout: show, encodeResourceFlush: flush, encodeTransferToHost2d: transfer } = encode;
    const blob = guest.createGuestBlob(PAGE).resourceId;
    const fb = { scanoutId: 0, resourceId: blob, fbWidth: 32, fbHeight: 32, format: 2, strides: [128] };
    const small = { x: 0, y: 0, width: 16, height: 16 };
    const bare = guest.newResourceId();
    const made = encode.encodeResourceCreate2d({ resourceId: bare, format: 2, width: 16, height: 16 });
    const cases: readonly [string, Uint8Array, number][] = [
      ['a scanout that is not there', show({ ...SCREEN, scanoutId: 2, resourceId }), INVALID_SCANOUT],
      ['an unknown resource', show({ ...SCREEN, scanoutId: 0, resourceId: 999 }), INVALID_RESOURCE],
      ['a part outside', show({ ...far, scanoutId: 0, resourceId }), INVALID_PARAMETER],
      ['a part that wraps', show({ ...wrapping, scanoutId: 0, resourceId }), INVALID_PARAMETER],
      ['a narrow part', show({ ...narrow, scanoutId: 0, resourceId }), INVALID_PARAMETER],
      ['flush outside', flush({ ...far, resourceId }), INVALID_PARAMETER],
      ['flush that wraps', flush({ ...wrapping, resourceId }), INVALID_PARAMETER],
      ['flush of an unknown one', flush({ ...SCREEN, resourceId: 999 }), INVALID_RESOURCE],
      ['transfer outside', transfer({ ...far, resourceId, offset: 0 }), INVALID_PARAMETER],
      ['transfer beyond the pages', transfer({ ...SCREEN, resourceId, offset: 4 }), INVALID_PARAMETER],
      ['transfer of an unknown one', transfer({ ...SCREEN, resourceId: 999, offset: 0 }), INVALID_RESOURCE],
      [
        'number in use',
        encode.encodeResourceCreate2d({ resourceId, format: 2, width: 1, height: 1 }),
        INVALID_RESOURCE,
      ],
      ['number 0', encode.encodeResourceCreate2d({ resourceId: 0, format: 2, width: 1, height: 1 }), INVALID_RESOURCE],
      [
        'format',
        encode.encodeResourceCreate2d({ resourceId: 900, format: 99, width: 1, height: 1 }),
        INVALID_PARAMETER,
      ],
      [
        'no pixels',
        encode.encodeResourceCreate2d({ resourceId: 900, format: 2, width: 0, height: 9 }),
        INVALID_PARAMETER,
      ],
      ['made', made, OK],
      ['transfer without pages', transfer({ ...small, resourceId: bare, offset: 0 }), UNSPEC],
      ['flush without pages', flush({ ...small, resourceId: bare }), UNSPEC],
      ['detach of nothing', encode.encodeDetachBacking(bare), UNSPEC],
      ['attach twice', encode.encodeAttachBacking({ resourceId, entries: [] }), UNSPEC],
      [
        'pages that are not there',
        encode.encodeAttachBacking({ resourceId: bare, entries: [{ addr: 0x100, length: PAGE }] }),
        UNSPEC,
      ],
      ['short list', encode.encodeAttachBacking({ resourceId: bare, entries: [], nrEntries: 1 }), UNSPEC],
      ['long list', encode.encodeAttachBacking({ resourceId: bare, entries: [], nrEntries: 16385 }), UNSPEC],
      ['framebuffer', encode.encodeSetScanoutBlob({ ...small, ...fb }), OK],
      ['framebuffer beyond', encode.encodeSetScanoutBlob({ ...small, ...fb, offsets: [4] }), INVALID_PARAMETER],
      ['framebuffer in 2D', encode.encodeSetScanoutBlob({ ...small, ...fb, resourceId }), INVALID_PARAMETER],
      ['framebuffer format', encode.encodeSetScanoutBlob({ ...small, ...fb, format: 3333 }), INVALID_PARAMETER],
      ['framebuffer stride', encode.encodeSetScanoutBlob({ ...small, ...fb, strides: [127] }), INVALID_PARAMETER],
      ['framebuffer scanout', encode.encodeSetScanoutBlob({ ...small, ...fb, scanoutId: 16 }), INVALID_SCANOUT],
      [
        'blob memory 0',
        encode.encodeResourceCreateBlob({ resourceId: 901, blobMem: 0, size: PAGE }),
        INVALID_PARAMETER,
      ],
      [
        'blob flags',
        encode.encodeResourceCreateBlob({ resourceId: 901, blobMem: 1, blobFlags: 8, size: PAGE }),
        INVALID_PARAMETER,
      ],
      ['blob size 0', encode.encodeResourceCreateBlob({ resourceId: 901, blobMem: 2, size: 0 }), INVALID_PARAMETER],
      [
        'blob with too few pages',
        encode.encodeResourceCreateBlob({ resourceId: 901, blobMem: 1, size: PAGE, entries: [] }),
        INVALID_PARAMETER,
      ],
      [
        '3D without a renderer',
        encode.encodeResourceCreate3d({ resourceId: 902, format: 1, width: 1, height: 1 }),
        UNSPEC,
      ],
      ['unknown command', encode.encodeRequest(0x2ff, { byteLength: 24, structName: 'unknown' }, {}), UNSPEC],
      ['short command', encode.encodeResourceUnref(resourceId).subarray(0, 28), UNSPEC],
      ['short header', encode.encodeResourceUnref(resourceId).subarray(0, 20), UNSPEC],
    ];
    const got = cases.map(([what, request]) => `${what}: ${statusOf(guest, request, 24).toString(16)}`);
    expect(got).to.deep.equal(cases.map(([what, , status]) => `${what}: ${status.toString(16)}`));
  });

  it('give each resource one UUID', () => {
    const { guest } = booted;
    const { resourceId } = guest.createGuestBlob(PAGE);
    const assign = (): string => {
      const reply = guest.control.must(encode.encodeResourceAssignUuid(resourceId));
      return 'uuid' in reply ? Buffer.from(reply.uuid).toString('hex') : '';
    };
    const uuid = assign();
    expect(uuid).to.match(/^.{12}4.{3}[89ab].{15}$/);
    expect(assign()).to.equal(uuid);
    expect(statusOf(guest, encode.encodeResourceAssignUuid(999))).to.equal(INVALID_RESOURCE);
  });
});
