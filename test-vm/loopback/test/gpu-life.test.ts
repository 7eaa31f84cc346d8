import {
  VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID as INVALID_RESOURCE,
  VIRTIO_GPU_RESP_OK_NODATA as OK,
  VIRTIO_GPU_RESP_OK_MAP_INFO as OK_MAP_INFO,
  VIRTIO_GPU_RESP_ERR_UNSPEC as UNSPEC,
} from '@oriel/gpu-blob';
import { encodeResourceMapBlob, encodeResourceUnmapBlob, encodeResourceUnref } from '@oriel/gpu-blob/testing';
import { expect } from 'chai';
import type { GpuBlob, GpuContext } from '../src/index.ts';
import { codeOf, digest, pattern } from './support/bytes.ts';
import { type Booted, GpuStage } from './support/gpu-stage.ts';
import { statusOf } from './support/gpu-status.ts';
import { STEER, STEERED_CAPSET_ID } from './support/steered-contexts.ts';

const PAGE = 4096;
const BLOBS = 12;
const ROUNDS = 8;

/** Some of everything: mapped and unmapped blobs, guest pages, a picture, a cursor, contexts. */
function work({ guest }: Booted): { blobs: GpuBlob[]; context: GpuContext } {
  const context = guest.createContext();
  const blobs = Array.from({ length: BLOBS }, (_, index) => {
    const one = guest.createHostBlob({ context, size: (index + 1) * PAGE });
    one.map();
    one.write(0, pattern(one.size, index));
    return one;
  });
  guest.createHostBlob({ context, size: PAGE });
  context.attach(guest.createGuestBlob(3 * PAGE, PAGE));
  const surface = guest.createSurface({ width: 64, height: 64, pieceSize: PAGE });
  surface.transfer();
  surface.show(0, { x: 0, y: 0, width: 64, height: 48 });
  surface.flush();
  guest.updateCursor({ scanoutId: 0, x: 1, y: 2, resourceId: surface.resourceId });
  return { blobs, context };
}

function intact(blobs: readonly GpuBlob[]): boolean {
  return blobs.every((one, index) => digest(one.read(0, one.size)) === digest(pattern(one.size, index)));
}

describe('a gpu back-end whose driver ends', () => {
  let stage: GpuStage;
  let atRest: string;

  before(async () => {
    stage = await GpuStage.start();
    for (let round = 0; round < 2; round++) {
      using booted = stage.boot();
      work(booted);
    }
    await stage.stats();
    atRest = await stage.stockSettled('');
  });

  after(() => stage?.[Symbol.asyncDispose]());

  afterEach(async () => {
    expect(await stage.stockSettled(atRest)).to.equal(atRest);
    const { device, objects } = await stage.stats();
    expect(objects).to.equal(0);
    expect(device).to.include({ resources: 0, contexts: 0, mappings: 0, hostmem: 0, waiting: 0 });
  });

  it(`by a crash with live blobs, ${ROUNDS} times: the next one connects at once`, () => {
    for (let round = 0; round < ROUNDS; round++) {
      const booted = stage.boot();
      try {
        expect(intact(work(booted).blobs)).to.equal(true);
      } finally {
        booted.vm.crash();
      }
    }
  });

  it(`by an unload with live blobs, ${ROUNDS} times: numbers and places are free again`, () => {
    using booted = stage.boot();
    const { vm, guest } = booted;
    for (let round = 0; round < ROUNDS; round++) {
      const { blobs } = work(booted);
      vm.unload();
      expect(vm.window.entries()).to.have.length(0);
      vm.start();
      guest.forgetAll();
      expect(statusOf(guest, encodeResourceUnref(blobs[0]!.resourceId))).to.equal(INVALID_RESOURCE);
    }
    expect(vm.requestsWhileStopped).to.equal(0);
    expect(vm.window.updateErrors).to.deep.equal([]);
  });

  it(`by a reset with live blobs, ${ROUNDS} times`, () => {
    using booted = stage.boot();
    const { vm, guest } = booted;
    for (let round = 0; round < ROUNDS; round++) {
      const { blobs } = work(booted);
      vm.reset();
      guest.forgetAll();
      expect(vm.window.entries()).to.have.length(0);
      expect(statusOf(guest, encodeResourceUnref(blobs[0]!.resourceId))).to.equal(INVALID_RESOURCE);
      expect(intact(work(booted).blobs)).to.equal(true);
      vm.reset();
      guest.forgetAll();
    }
    expect(vm.requestsWhileStopped).to.equal(0);
    expect(vm.window.updateErrors).to.deep.equal([]);
  });

  it('by a crash while a map waits for its answer', async () => {
    const { vm, guest } = stage.boot();
    const context = guest.createContext();
    const { resourceId } = guest.createHostBlob({ context, size: PAGE });
    vm.holdBackChannel();
    guest.control.send(encodeResourceMapBlob({ resourceId, offset: 0 }));
    await stage.stats();
    vm.crash();
    using next = stage.boot();
    expect(intact(work(next).blobs)).to.equal(true);
  });

  it('by a reset while maps and unmaps wait for their answers, which come after', async () => {
    using booted = stage.boot();
    const { vm, guest } = booted;
    const { blobs, context } = work(booted);
    const { resourceId } = guest.createHostBlob({ context, size: PAGE });
    const serve = vm.holdBackChannel();
    guest.control.send(encodeResourceUnmapBlob(blobs[0]!.resourceId));
    guest.control.send(encodeResourceMapBlob({ resourceId, offset: 4096 * PAGE }));
    await stage.stats();
    vm.pause();
    vm.unload();
    serve();
    vm.start();
    guest.forgetAll();
    expect(intact(work(booted).blobs)).to.equal(true);
    expect(vm.window.updateErrors).to.deep.equal([]);
  });

  for (const end of ['reset', 'unload', 'crash'] as const) {
    it(`by ${end === 'unload' ? 'an' : 'a'} ${end} while an unreferenced blob is still being unmapped`, async () => {
      using booted = stage.boot();
      const { vm, guest } = booted;
      const { blobs } = work(booted);
      const serve = vm.holdBackChannel();
      for (const { resourceId } of blobs) guest.control.send(encodeResourceUnref(resourceId));
      await stage.stats();
      if (end === 'crash') {
        vm.crash();
        return;
      }
      vm[end]();
      serve();
      if (end === 'unload') vm.start();
      guest.forgetAll();
      expect(guest.outputs()).to.have.length(1);
      const { device, objects } = await stage.stats();
      expect(objects).to.equal(0);
      expect(device).to.include({ resources: 0, hostmem: 0, mappings: 0 });
    });
  }

  it('by a reset with fences that nobody reached', () => {
    using booted = stage.boot();
    const { vm, guest } = booted;
    const context = guest.createContext(STEERED_CAPSET_ID);
    for (let ring = 0; ring < 4; ring++) context.submitFenced(new Uint8Array(0), ring);
    vm.reset();
    guest.forgetAll();
    const again = guest.createContext(STEERED_CAPSET_ID);
    const fenced = again.submitFenced(new Uint8Array(0), 1);
    again.submit(Uint8Array.of(STEER.release, 1));
    expect(guest.control.finish(fenced).type).to.equal(OK);
  });
});

describe('a gpu back-end whose VM pauses', () => {
  let stage: GpuStage;

  before(async () => {
    stage = await GpuStage.start();
  });

  after(() => stage?.[Symbol.asyncDispose]());

  it('goes on with every blob, context and scanout in place', async () => {
    using booted = stage.boot();
    const { vm, guest } = booted;
    const { blobs, context } = work(booted);
    const { maps, unmaps } = vm.window.stats;
    for (let round = 0; round < 3; round++) {
      vm.pause();
      expect(vm.window.entries()).to.have.length(BLOBS);
      vm.resume();
      expect(intact(blobs)).to.equal(true);
      context.submit(new Uint8Array(0));
    }
    expect(vm.window.stats).to.include({ maps, unmaps });
    expect((await stage.picture()).width).to.equal(64);
    for (const one of blobs) one.unref();
    expect(vm.window.entries()).to.have.length(0);
    expect(guest.windowFree).to.equal(vm.window.size);
    expect(vm.requestsWhileStopped).to.equal(0);
  });

  /** Asks for a map that the front-end leaves unanswered. */
  async function mapUnderWay({ vm, guest }: Booted) {
    const context = guest.createContext();
    const { resourceId } = guest.createHostBlob({ context, size: 2 * PAGE, blobId: 31 });
    const serve = vm.holdBackChannel();
    const pending = guest.control.send(encodeResourceMapBlob({ resourceId, offset: 8 * PAGE }));
    await stage.stats();
    return { serve, pending, resourceId, context };
  }

  it('finishes a map that was under way and whose answer comes after', async () => {
    using booted = stage.boot();
    const { vm, guest } = booted;
    const { serve, pending } = await mapUnderWay(booted);
    vm.pause();
    expect(pending.chain.done).to.equal(false);
    vm.resume();
    serve();
    expect(guest.control.finish(pending).type).to.equal(OK_MAP_INFO);
    vm.window.write(8 * PAGE, Buffer.from('after the pause'));
    expect(Buffer.from(await stage.readObject(31, 0, 15)).toString()).to.equal('after the pause');
    expect(vm.window.entries()).to.have.length(1);
  });

  it('finishes a map that was under way when later commands were answered before the pause', async () => {
    using booted = stage.boot();
    const { vm, guest } = booted;
    const { serve, pending, context } = await mapUnderWay(booted);
    context.submit(new Uint8Array(0));
    vm.pause();
    vm.resume();
    context.submit(new Uint8Array(0));
    serve();
    expect(guest.control.finish(pending).type).to.equal(OK_MAP_INFO);
    expect(vm.window.entries()).to.have.length(1);
  });

  it('says UNSPEC to a map that the stopped front-end refused, and the next try succeeds', async () => {
    using booted = stage.boot();
    const { vm, guest } = booted;
    const { serve, pending, resourceId } = await mapUnderWay(booted);
    vm.pause();
    serve();
    vm.resume();
    expect(guest.control.finish(pending).type).to.equal(UNSPEC);
    expect(vm.requestsWhileStopped).to.equal(1);
    expect(statusOf(guest, encodeResourceUnmapBlob(resourceId))).to.equal(OK);
    expect(statusOf(guest, encodeResourceMapBlob({ resourceId, offset: 0 }))).to.equal(OK_MAP_INFO);
    expect(vm.window.entries()).to.have.length(1);
  });

  it('finishes an unmap that was under way', async () => {
    using booted = stage.boot();
    const { vm, guest } = booted;
    const { blobs } = work(booted);
    const serve = vm.holdBackChannel();
    const pending = guest.control.send(encodeResourceUnmapBlob(blobs[3]!.resourceId));
    await stage.stats();
    vm.pause();
    vm.resume();
    serve();
    expect(guest.control.finish(pending).type).to.equal(OK);
    expect(vm.window.entries()).to.have.length(BLOBS - 1);
  });

  it('answers fences that were reached during the pause, and keeps those that were not', async () => {
    using booted = stage.boot();
    const { vm, guest } = booted;
    const context = guest.createContext(STEERED_CAPSET_ID);
    const [one, other] = [context.submitFenced(new Uint8Array(0), 1), context.submitFenced(new Uint8Array(0), 2)];
    // A later command is answered: the kept chains cannot simply go back into the ring.
    context.submit(new Uint8Array(0));
    for (let round = 0; round < 3; round++) {
      vm.pause();
      vm.resume();
      context.submit(new Uint8Array(0));
      expect(one.chain.done || other.chain.done).to.equal(false);
    }
    context.submit(Uint8Array.of(STEER.release, 2));
    expect(guest.control.finish(other).type).to.equal(OK);
    expect(one.chain.done).to.equal(false);
    vm.pause();
    vm.resume();
    context.submit(Uint8Array.of(STEER.release, 1));
    expect(guest.control.finish(one).type).to.equal(OK);
    expect((await stage.stats()).device.waiting).to.equal(0);
  });
});

describe('a gpu back-end whose front-end keeps mappings over a reset', () => {
  it('takes them away before it uses their places again', async () => {
    await using stage = await GpuStage.start({ frontend: 'crosvm' });
    using booted = stage.boot({ keepsMappings: true });
    const { vm, guest } = booted;
    for (let round = 0; round < ROUNDS; round++) {
      work(booted);
      expect(vm.window.entries()).to.have.length(BLOBS);
      vm.reset();
      guest.forgetAll();
      const context = guest.createContext();
      const blob = guest.createHostBlob({ context, size: 8 * PAGE });
      blob.map();
      blob.write(0, pattern(8 * PAGE, round));
      expect(digest(blob.read(0, 8 * PAGE))).to.equal(digest(pattern(8 * PAGE, round)));
      vm.until(() => vm.window.entries().length === 1, 2000, 'an empty window');
      const { device, objects } = await stage.stats();
      expect(device).to.include({ resources: 1, mappings: 1 });
      expect(objects).to.equal(1);
      vm.reset();
      guest.forgetAll();
    }
    expect(vm.requestsWhileStopped).to.equal(0);
    expect(vm.window.updateErrors).to.deep.equal([]);
  });
});

describe('a gpu back-end that dies', () => {
  it('is told to whoever waits, and the next one serves the same socket', async () => {
    await using stage = await GpuStage.start();
    const booted = stage.boot();
    const { vm, guest } = booted;
    try {
      work(booted);
      const context = guest.createContext(STEERED_CAPSET_ID);
      const pending = context.submitFenced(new Uint8Array(0), 1);
      await stage.backend.kill();
      expect(codeOf(() => guest.control.finish(pending))).to.equal('ERR_LOOPBACK_GONE');
      expect(vm.gone).not.to.equal('');
    } finally {
      booted[Symbol.dispose]();
    }
    await stage.startBackend();
    using next = stage.boot();
    expect(intact(work(next).blobs)).to.equal(true);
  });
});
