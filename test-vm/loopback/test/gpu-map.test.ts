import {
  VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID as INVALID_RESOURCE,
  VIRTIO_GPU_RESP_OK_NODATA as OK,
  VIRTIO_GPU_RESP_OK_MAP_INFO as OK_MAP_INFO,
  VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY as OUT_OF_MEMORY,
  VIRTIO_GPU_RESP_ERR_UNSPEC as UNSPEC,
  VIRTIO_GPU_BLOB_FLAG_USE_SHAREABLE,
  VIRTIO_GPU_MAP_CACHE_CACHED,
} from '@oriel/gpu-blob';
import {
  encodeResourceMapBlob,
  encodeResourceUnmapBlob,
  encodeResourceUnref,
  type Parts64,
} from '@oriel/gpu-blob/testing';
import { EPERM } from '@oriel/sys';
import { expect } from 'chai';
import type { GpuBlob, GpuContext } from '../src/index.ts';
import { codeOf, digest, pattern } from './support/bytes.ts';
import { type Booted, GpuStage } from './support/gpu-stage.ts';
import { refusalOf, statusOf } from './support/gpu-status.ts';

const PAGE = 4096;
const MIB = 1 << 20;
const WINDOW = 16 * MIB;

describe('blobs in the window', () => {
  let stage: GpuStage;
  let booted: Booted;
  let context: GpuContext;

  before(async () => {
    stage = await GpuStage.start({ hostVisible: WINDOW });
  });

  after(() => stage?.[Symbol.asyncDispose]());

  beforeEach(() => {
    booted = stage.boot();
    context = booted.guest.createContext();
  });

  afterEach(() => {
    const { vm } = booted;
    expect(vm.requestsWhileStopped).to.equal(0);
    expect(vm.window.updateErrors).to.deep.equal([]);
    booted[Symbol.dispose]();
  });

  function blob(size = PAGE, blobId = 0): GpuBlob {
    return booted.guest.createHostBlob({ context, size, blobId });
  }

  function mapped(size = PAGE): GpuBlob {
    const made = blob(size);
    made.map();
    return made;
  }

  function mapStatus({ resourceId }: Pick<GpuBlob, 'resourceId'>, offset: number | Parts64): number {
    return statusOf(booted.guest, encodeResourceMapBlob({ resourceId, offset }));
  }

  function entries(): number {
    return booted.vm.window.entries().length;
  }

  it('are seen by both sides, and end without a trace', async () => {
    const size = 3 * MIB;
    const shared = blob(size, 77);
    shared.map();
    expect(shared.mapInfo).to.equal(VIRTIO_GPU_MAP_CACHE_CACHED);
    const fromGuest = pattern(size, 3);
    shared.write(0, fromGuest);
    expect(digest(await stage.readObject(77, 0, size))).to.equal(digest(fromGuest));
    const fromHost = pattern(5000, 4);
    await stage.writeObject(77, MIB - 100, fromHost);
    expect(digest(shared.read(MIB - 100, 5000))).to.equal(digest(fromHost));
    shared.unmap();
    shared.unref();
    expect(entries()).to.equal(0);
    expect((await stage.stats()).objects).to.equal(0);
  });

  it('of one name show the same memory at two places', () => {
    const [one, other] = [blob(2 * PAGE, 5), blob(2 * PAGE, 5)];
    one.map();
    other.map();
    one.write(PAGE, Buffer.from('the same'));
    expect(Buffer.from(other.read(PAGE, 8)).toString()).to.equal('the same');
    one.unref();
    expect(Buffer.from(other.read(PAGE, 8)).toString()).to.equal('the same');
  });

  it('are mapped once only: UNSPEC, and the first mapping stays', () => {
    const twice = mapped();
    twice.write(0, Buffer.from('first'));
    expect(mapStatus(twice, PAGE)).to.equal(UNSPEC);
    expect(mapStatus(twice, twice.offset)).to.equal(UNSPEC);
    expect(Buffer.from(twice.read(0, 5)).toString()).to.equal('first');
    expect(entries()).to.equal(1);
    twice.unmap();
    expect(entries()).to.equal(0);
  });

  it('do not overlap: UNSPEC, at whichever end', () => {
    const there = blob(4 * PAGE);
    expect(mapStatus(there, 8 * PAGE)).to.equal(OK_MAP_INFO);
    for (const [size, offset] of [
      [1, 8],
      [1, 11],
      [2, 7],
      [2, 11],
      [8, 6],
      [2, 9],
    ] as const) {
      expect(mapStatus(blob(size * PAGE), offset * PAGE), `${size} at ${offset}`).to.equal(UNSPEC);
    }
    expect(mapStatus(blob(PAGE), 7 * PAGE)).to.equal(OK_MAP_INFO);
    expect(mapStatus(blob(PAGE), 12 * PAGE)).to.equal(OK_MAP_INFO);
    expect(booted.vm.window.stats.refused).to.equal(0);
  });

  it('lie at whole pages inside the window: UNSPEC, and the front-end is not asked', () => {
    const astray = blob(2 * PAGE);
    const offsets: (number | Parts64)[] = [1, PAGE - 1, 100, PAGE + 512];
    offsets.push(WINDOW, WINDOW - PAGE, WINDOW + 2 * PAGE, 2 ** 32, 2 ** 40, Number.MAX_SAFE_INTEGER);
    offsets.push({ lo: 0, hi: 0x20_0000 }, { lo: 0xffff_f000, hi: 0xffff_ffff }, { lo: 0, hi: 0x8000_0000 });
    offsets.push({ lo: 0xffff_e000, hi: 0xffff_ffff });
    for (const offset of offsets) {
      expect(mapStatus(astray, offset), JSON.stringify(offset)).to.equal(UNSPEC);
    }
    expect(booted.vm.window.stats).to.include({ maps: 0, refused: 0 });
    expect(mapStatus(astray, WINDOW - 2 * PAGE)).to.equal(OK_MAP_INFO);
  });

  it('must exist, be mappable and lie on the host', () => {
    const { guest } = booted;
    expect(mapStatus({ resourceId: 4711 }, 0)).to.equal(INVALID_RESOURCE);
    expect(mapStatus({ resourceId: 0 }, 0)).to.equal(INVALID_RESOURCE);
    const hidden = guest.createHostBlob({ context, size: PAGE, flags: VIRTIO_GPU_BLOB_FLAG_USE_SHAREABLE });
    expect(mapStatus(hidden, 0)).to.equal(UNSPEC);
    expect(mapStatus(guest.createGuestBlob(PAGE), 0)).to.equal(UNSPEC);
    expect(mapStatus(guest.createSurface({ width: 16, height: 16 }), 0)).to.equal(UNSPEC);
    expect(entries()).to.equal(0);
  });

  it('are unmapped once: UNSPEC for what is not mapped, OK behind a map that failed', () => {
    const { guest } = booted;
    const one = mapped();
    one.unmap();
    const unmap = encodeResourceUnmapBlob(one.resourceId);
    expect(statusOf(guest, unmap)).to.equal(UNSPEC);
    expect(statusOf(guest, encodeResourceUnmapBlob(4711))).to.equal(INVALID_RESOURCE);
    expect(mapStatus(one, 1)).to.equal(UNSPEC);
    expect(statusOf(guest, unmap)).to.equal(OK);
  });

  it('may be unreferenced while they are mapped', async () => {
    const mappedOnes = Array.from({ length: 20 }, () => mapped(3 * PAGE));
    for (const one of mappedOnes) one.unref();
    expect(entries()).to.equal(0);
    expect(booted.guest.windowFree).to.equal(WINDOW);
    expect((await stage.stats()).objects).to.equal(0);
  });

  it('may be unreferenced while they are being mapped: both are answered, nothing is left', async () => {
    const { guest, vm } = booted;
    const hasty = blob();
    const serve = vm.holdBackChannel();
    const map = guest.control.send(encodeResourceMapBlob({ resourceId: hasty.resourceId, offset: 0 }));
    const unref = guest.control.send(encodeResourceUnref(hasty.resourceId));
    await stage.stats();
    expect(map.chain.done || unref.chain.done).to.equal(false);
    serve();
    expect(guest.control.finish(unref).type).to.equal(OK);
    expect(guest.control.finish(map).type).to.equal(OK_MAP_INFO);
    expect(entries()).to.equal(0);
    expect((await stage.stats()).objects).to.equal(0);
    expect(mapStatus(blob(), 0)).to.equal(OK_MAP_INFO);
  });

  it('may be unmapped in a row without waiting, as an exiting process does', () => {
    const { guest } = booted;
    const many = Array.from({ length: 30 }, () => mapped());
    const pending = many.flatMap(({ resourceId }) => [
      guest.control.send(encodeResourceUnmapBlob(resourceId)),
      guest.control.send(encodeResourceUnref(resourceId)),
    ]);
    for (const command of pending) expect(guest.control.finish(command).type).to.equal(OK);
    expect(entries()).to.equal(0);
  });

  it('are answered in order of their maps when many are under way', () => {
    const { guest } = booted;
    const many = Array.from({ length: 40 }, () => blob());
    const pending = many.map(({ resourceId }, index) =>
      guest.control.send(encodeResourceMapBlob({ resourceId, offset: index * PAGE })),
    );
    for (const command of pending) expect(guest.control.finish(command).type).to.equal(OK_MAP_INFO);
    expect(entries()).to.equal(40);
  });

  it('stand 300 at a time, each with its own bytes', () => {
    const many = Array.from({ length: 300 }, () => mapped());
    for (const [index, one] of many.entries()) one.write(0, pattern(PAGE, index + 1));
    const wrong = many.filter((one, index) => digest(one.read(0, PAGE)) !== digest(pattern(PAGE, index + 1)));
    expect(wrong).to.deep.equal([]);
    expect(entries()).to.equal(300);
    booted.vm.pause();
    booted.vm.resume();
    expect(digest(many[299]!.read(0, PAGE))).to.equal(digest(pattern(PAGE, 300)));
    for (const one of many) one.unref();
    expect(entries()).to.equal(0);
  });

  it('fill the window to its last page, and find room again', () => {
    const half = Array.from({ length: 2 }, () => mapped(WINDOW / 2));
    const extra = blob();
    expect(codeOf(() => extra.map())).to.equal('ERR_LOOPBACK_RANGE');
    expect(mapStatus(extra, WINDOW - PAGE)).to.equal(UNSPEC);
    half[1]!.write(WINDOW / 2 - 4, Buffer.from('last'));
    half[0]!.unmap();
    extra.map();
    expect(extra.offset).to.equal(0);
    expect(Buffer.from(half[1]!.read(WINDOW / 2 - 4, 4)).toString()).to.equal('last');
  });

  it('stay unmapped where the front-end refuses: UNSPEC, and the next try may succeed', () => {
    const { window } = booted.vm;
    const one = blob();
    window.behaviour.refuse = () => -EPERM;
    expect(refusalOf(() => one.map())).to.equal(UNSPEC);
    expect(statusOf(booted.guest, encodeResourceUnmapBlob(one.resourceId))).to.equal(OK);
    window.behaviour.refuse = () => 0;
    one.map();
    one.write(0, Buffer.from('now'));
    expect(Buffer.from(one.read(0, 3)).toString()).to.equal('now');
  });

  it('are answered only when the guest sees them', () => {
    booted.vm.window.behaviour.changeDelayMs = 30;
    const slow = blob();
    slow.map();
    slow.write(0, Buffer.from('seen'));
    expect(Buffer.from(slow.read(0, 4)).toString()).to.equal('seen');
  });

  it('outlive their context', () => {
    const one = mapped();
    context.attach(one);
    one.write(0, Buffer.from('still here'));
    context.destroy();
    expect(Buffer.from(one.read(0, 10)).toString()).to.equal('still here');
    one.unref();
    expect(entries()).to.equal(0);
  });

  it('of odd sizes have whole pages', async () => {
    const odd = blob(5000, 9);
    expect(mapStatus(odd, 4 * PAGE)).to.equal(OK_MAP_INFO);
    expect(booted.vm.window.entries()[0]).to.include({ shmOffset: 4 * PAGE, len: 2 * PAGE });
    expect(mapStatus(blob(), 5 * PAGE)).to.equal(UNSPEC);
    expect(booted.vm.window.write(4 * PAGE + 8000, Buffer.from('tail'))).to.equal(4);
    expect(Buffer.from(await stage.readObject(9, 8000, 4)).toString()).to.equal('tail');
  });
});

describe('blobs of a device without a window', () => {
  it('cannot be mapped: UNSPEC', async () => {
    await using stage = await GpuStage.start({ hostVisible: 0 });
    using booted = stage.boot();
    const { guest, vm } = booted;
    expect(vm.hasWindow).to.equal(false);
    const { resourceId } = guest.createHostBlob({ context: guest.createContext(), size: PAGE });
    expect(statusOf(guest, encodeResourceMapBlob({ resourceId, offset: 0 }))).to.equal(UNSPEC);
  });
});

describe('blobs of a device with a limit', () => {
  it('are refused beyond it: OUT_OF_MEMORY, with a line that says what to do, then again one for each that goes', async () => {
    await using stage = await GpuStage.start({ maxMappings: 100 });
    using booted = stage.boot();
    const { guest, vm } = booted;
    const context = guest.createContext();
    const many = Array.from({ length: 101 }, () => guest.createHostBlob({ context, size: PAGE }));
    const extra = many.pop()!;
    for (const one of many) one.map();
    for (let tries = 0; tries < 3; tries++) expect(refusalOf(() => extra.map())).to.equal(OUT_OF_MEMORY);
    expect(statusOf(guest, encodeResourceUnmapBlob(extra.resourceId))).to.equal(OK);
    many[7]!.unmap();
    expect(refusalOf(() => extra.map())).to.equal(OK);
    expect(vm.window.entries()).to.have.length(100);
    await stage.stats();
    expect(stage.backend.log).to.match(/warn .*100 blobs are mapped, and 100 is the most/);
  });
});
