import {
  VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID as INVALID_CONTEXT,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER as INVALID_PARAMETER,
  VIRTIO_GPU_RESP_OK_NODATA as OK,
  VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY as OUT_OF_MEMORY,
} from '@oriel/gpu-blob';
import { encodeGetDisplayInfo, encodeSubmit3d } from '@oriel/gpu-blob/testing';
import { expect } from 'chai';
import type { GpuContext, PendingCommand } from '../src/index.ts';
import { type Booted, GpuStage } from './support/gpu-stage.ts';
import { refusalOf, statusOf } from './support/gpu-status.ts';
import { GLOBAL, STEER, STEERED_CAPSET_ID } from './support/steered-contexts.ts';

const NOTHING = new Uint8Array(0);

describe('fences', () => {
  let stage: GpuStage;
  let booted: Booted;
  let context: GpuContext;

  before(async () => {
    stage = await GpuStage.start();
  });

  after(() => stage?.[Symbol.asyncDispose]());

  beforeEach(() => {
    booted = stage.boot();
    context = booted.guest.createContext(STEERED_CAPSET_ID);
  });

  afterEach(() => booted[Symbol.dispose]());

  function release(ring: number, of = context): void {
    of.submit(Uint8Array.of(STEER.release, ring));
  }

  /** Which of them are answered, once the device did all that it was told. */
  function done(pending: readonly PendingCommand[]): boolean[] {
    context.submit(NOTHING);
    return pending.map(({ chain }) => chain.done);
  }

  it('of different rings are reached in any order', () => {
    const pending = [0, 1, 2, 63].map((ring) => context.submitFenced(NOTHING, ring));
    expect(done(pending)).to.deep.equal([false, false, false, false]);
    release(2);
    expect(done(pending)).to.deep.equal([false, false, true, false]);
    release(63);
    release(0);
    expect(done(pending)).to.deep.equal([true, false, true, true]);
    release(1);
    for (const command of pending) expect(booted.guest.control.finish(command).type).to.equal(OK);
  });

  it('of one ring number in two contexts are two timelines', () => {
    const other = booted.guest.createContext(STEERED_CAPSET_ID);
    const pending = [context.submitFenced(NOTHING, 5), other.submitFenced(NOTHING, 5)];
    release(5, other);
    expect(done(pending)).to.deep.equal([false, true]);
    release(5);
    expect(done(pending)).to.deep.equal([true, true]);
  });

  it('of one ring are reached in order', () => {
    const parked = context.submitFenced(Uint8Array.of(STEER.park), 7);
    const behind = context.submitFenced(NOTHING, 7);
    release(7);
    expect(done([parked, behind])).to.deep.equal([false, false]);
    context.submit(Uint8Array.of(STEER.unpark));
    release(7);
    expect(done([parked, behind])).to.deep.equal([true, true]);
  });

  it('of the global timeline do not wait for rings, nor rings for them', () => {
    const { control, fences } = booted.guest;
    context.submit(Uint8Array.of(STEER.holdGlobal));
    const ring = context.submitFenced(NOTHING, 3);
    const global = context.submitFenced(NOTHING);
    const display = control.send(encodeGetDisplayInfo({ fence: fences.next() }));
    expect(done([ring, global, display])).to.deep.equal([false, false, false]);
    release(3);
    expect(done([ring, global, display])).to.deep.equal([true, false, false]);
    release(GLOBAL);
    expect(done([ring, global, display])).to.deep.equal([true, true, true]);
    // Header and body come as for a command without a fence.
    expect(control.finish(display)).to.have.property('outputs');
  });

  it('let unfenced commands pass', () => {
    const waiting = context.submitFenced(NOTHING, 1);
    for (let i = 0; i < 5; i++) context.submit(NOTHING);
    expect(booted.guest.outputs()).to.have.length(1);
    expect(waiting.chain.done).to.equal(false);
  });

  it('of commands that fail are reached with the error', () => {
    const failing = context.submitFenced(Uint8Array.of(STEER.fail, 1), 2);
    release(2);
    expect(booted.guest.control.finish(failing).type).to.equal(OUT_OF_MEMORY);
    const unknown = encodeSubmit3d(NOTHING, { ctxId: 999, fence: booted.guest.fences.next(4) });
    expect(statusOf(booted.guest, unknown)).to.equal(INVALID_CONTEXT);
  });

  it('are on rings 0 to 63 only', () => {
    const { fences } = booted.guest;
    const request = encodeSubmit3d(NOTHING, { ctxId: context.id, fence: fences.next(64) });
    expect(statusOf(booted.guest, request)).to.equal(INVALID_PARAMETER);
  });

  it('keep all 64 bits of their number', () => {
    const fence = { idLo: 0xffff_ffff, idHi: 0xffff_ffff, ringIdx: 9 };
    const pending = booted.guest.control.send(encodeSubmit3d(NOTHING, { ctxId: context.id, fence }));
    release(9);
    expect(booted.guest.control.finish(pending)).to.include({
      fenceIdLo: 0xffff_ffff,
      fenceIdHi: 0xffff_ffff,
      ctxId: context.id,
      ringIdx: 9,
    });
  });

  it('end with their context: nobody waits for ever', () => {
    const pending = [
      context.submitFenced(NOTHING, 0),
      context.submitFenced(NOTHING, 8),
      context.submitFenced(Uint8Array.of(STEER.park), 9),
    ];
    context.destroy();
    for (const command of pending) expect(booted.guest.control.finish(command).fenceIdLo).to.be.above(0);
    expect(refusalOf(() => context.submit(NOTHING))).to.equal(INVALID_CONTEXT);
  });

  it('fill the control queue and come back all', () => {
    const pending = Array.from({ length: 100 }, (_, index) => context.submitFenced(NOTHING, index % 60));
    for (let ring = 59; ring >= 0; ring--) release(ring);
    for (const command of pending) expect(booted.guest.control.finish(command).type).to.equal(OK);
    expect(booted.guest.control.queue.outstanding).to.equal(0);
  });

  it('come with guest memory that the host wrote before', () => {
    const ring = booted.guest.createGuestBlob(3 * 4096, 4096);
    context.attach(ring);
    context.submit(Uint8Array.of(STEER.fill, ring.resourceId, 0xa5));
    expect(ring.pages!.read(0, ring.size).every((byte) => byte === 0xa5)).to.equal(true);
    context.detach(ring);
    expect(refusalOf(() => context.submit(Uint8Array.of(STEER.fill, ring.resourceId, 1)))).to.equal(INVALID_PARAMETER);
  });
});
