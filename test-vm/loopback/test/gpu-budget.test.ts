import {
  VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID as INVALID_CONTEXT,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER as INVALID_PARAMETER,
  MEMORY_CAPSET_ID,
  VIRTIO_GPU_RESP_OK_NODATA as OK,
  VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY as OUT_OF_MEMORY,
} from '@oriel/gpu-blob';
import * as encode from '@oriel/gpu-blob/testing';
import { expect } from 'chai';
import type { GpuBlob, GpuContext } from '../src/index.ts';
import { type Booted, GpuStage } from './support/gpu-stage.ts';
import { refusalOf, statusOf } from './support/gpu-status.ts';
import { STEERED_CAPSET_ID } from './support/steered-contexts.ts';

const MIB = 1 << 20;
const PAGE = 4096;

describe('budgets', () => {
  let stage: GpuStage;
  let booted: Booted;
  let context: GpuContext;

  before(async () => {
    stage = await GpuStage.start({ maxHostmem: 8 * MIB, maxResources: 20, maxContexts: 4 });
  });

  after(() => stage?.[Symbol.asyncDispose]());

  beforeEach(() => {
    booted = stage.boot();
    context = booted.guest.createContext();
  });

  afterEach(() => booted[Symbol.dispose]());

  /** Makes things until one is refused. @returns how many there are, and the refusal */
  function fill(make: () => void): { made: number; status: number } {
    for (let made = 0; ; made++) {
      const status = refusalOf(make);
      if (status !== OK) return { made, status };
    }
  }

  it('of host memory hold for blobs and pictures together', async () => {
    const { guest } = booted;
    const blobs: GpuBlob[] = [];
    const blob = (): void => void blobs.push(guest.createHostBlob({ context, size: MIB }));
    guest.createSurface({ width: 512, height: 512 });
    expect(fill(blob)).to.deep.equal({ made: 7, status: OUT_OF_MEMORY });
    expect((await stage.stats()).device).to.include({ hostmem: 8 * MIB, resources: 8 });
    expect(refusalOf(() => guest.createSurface({ width: 16, height: 16 }))).to.equal(OUT_OF_MEMORY);
    expect(
      refusalOf(() => guest.createGuestBlob(PAGE)),
      'guest pages cost nothing',
    ).to.equal(OK);
    blobs[3]!.unref();
    expect(fill(blob)).to.deep.equal({ made: 1, status: OUT_OF_MEMORY });
    expect((await stage.stats()).objects).to.equal(7);
  });

  it('refuse what is larger than all of it', () => {
    const { guest } = booted;
    for (const size of [9 * MIB, 2 ** 40, { lo: 0xffff_f000, hi: 0x1f_ffff }]) {
      const request = encode.encodeResourceCreateBlob({ resourceId: 50, blobMem: 2, size }, { ctxId: context.id });
      expect(statusOf(guest, request), JSON.stringify(size)).to.equal(OUT_OF_MEMORY);
    }
    const size = { lo: 0xffff_f000, hi: 0xffff_ffff };
    const request = encode.encodeResourceCreateBlob({ resourceId: 50, blobMem: 2, size }, { ctxId: context.id });
    expect(statusOf(guest, request)).to.equal(INVALID_PARAMETER);
    const picture = { resourceId: 50, format: 2, width: 0xffff_ffff, height: 0xffff_ffff };
    expect([OUT_OF_MEMORY, INVALID_PARAMETER]).to.include(statusOf(guest, encode.encodeResourceCreate2d(picture)));
  });

  it('of resources and contexts hold, and are free again after a reset', async () => {
    const { vm, guest } = booted;
    const blob = (): void => void guest.createGuestBlob(PAGE);
    expect(fill(blob)).to.deep.equal({ made: 20, status: OUT_OF_MEMORY });
    expect(fill(() => void guest.createContext())).to.deep.equal({ made: 3, status: OUT_OF_MEMORY });
    expect((await stage.stats()).device).to.include({ resources: 20, contexts: 4 });
    vm.reset();
    guest.forgetAll();
    expect((await stage.stats()).device).to.include({ resources: 0, contexts: 0, hostmem: 0 });
    expect(fill(blob)).to.include({ made: 20 });
  });

  it('of contexts are free again when one goes', () => {
    fill(() => void booted.guest.createContext());
    context.destroy();
    expect(refusalOf(() => context.destroy())).to.equal(INVALID_CONTEXT);
    expect(fill(() => void booted.guest.createContext())).to.deep.equal({ made: 1, status: OUT_OF_MEMORY });
  });
});

describe('contexts', () => {
  let stage: GpuStage;
  let booted: Booted;

  before(async () => {
    stage = await GpuStage.start();
  });

  after(() => stage?.[Symbol.asyncDispose]());

  beforeEach(() => {
    booted = stage.boot();
  });

  afterEach(() => booted[Symbol.dispose]());

  it('are of the kinds that the capsets tell', () => {
    const { guest } = booted;
    const capsets = guest.capsets();
    expect(capsets.map(({ id, maxVersion }) => [id, maxVersion])).to.deep.equal([
      [MEMORY_CAPSET_ID, 1],
      [STEERED_CAPSET_ID, 3],
    ]);
    expect(capsets[1]!.data).to.deep.equal(Uint8Array.of(1, 2, 3, 4, 5));
    expect(statusOf(guest, encode.encodeGetCapset(13, 0), 24)).to.equal(INVALID_PARAMETER);
    const beyond = guest.control.must(encode.encodeGetCapsetInfo(2));
    expect(beyond).to.include({ capsetId: 0, maxVersion: 0, maxSize: 0 });
  });

  it('refuse each mistake with its error', () => {
    const { guest } = booted;
    const { id } = guest.createContext();
    const unknown = { ctxId: 77 };
    const { resourceId } = guest.createGuestBlob(PAGE);
    const cases: readonly [string, Uint8Array, number][] = [
      ['number in use', encode.encodeCtxCreate({}, { ctxId: id }), INVALID_CONTEXT],
      ['number 0', encode.encodeCtxCreate({}, { ctxId: 0 }), INVALID_CONTEXT],
      ['capset', encode.encodeCtxCreate({ contextInit: 13 }, unknown), INVALID_PARAMETER],
      ['name length', encode.encodeCtxCreate({ nlen: 65 }, unknown), INVALID_PARAMETER],
      ['destroy', encode.encodeCtxDestroy(unknown), INVALID_CONTEXT],
      ['attach', encode.encodeCtxAttachResource(resourceId, unknown), INVALID_CONTEXT],
      ['detach', encode.encodeCtxDetachResource(resourceId, unknown), INVALID_CONTEXT],
      ['submit', encode.encodeSubmit3d(new Uint8Array(0), unknown), INVALID_CONTEXT],
      ['submit size', encode.encodeSubmit3d(new Uint8Array(8), { ctxId: id }, 9), INVALID_PARAMETER],
      ['submit size 0', encode.encodeSubmit3d(new Uint8Array(8), { ctxId: id }, 0), INVALID_PARAMETER],
      ['blob', encode.encodeResourceCreateBlob({ resourceId: 800, blobMem: 2, size: PAGE }, unknown), INVALID_CONTEXT],
      ['attach twice', encode.encodeCtxAttachResource(resourceId, { ctxId: id }), OK],
      ['attach twice', encode.encodeCtxAttachResource(resourceId, { ctxId: id }), OK],
      ['detach', encode.encodeCtxDetachResource(resourceId, { ctxId: id }), OK],
      ['detach what is not attached', encode.encodeCtxDetachResource(resourceId, { ctxId: id }), OK],
    ];
    const got = cases.map(([what, request]) => `${what}: ${statusOf(guest, request).toString(16)}`);
    expect(got).to.deep.equal(cases.map(([what, , status]) => `${what}: ${status.toString(16)}`));
  });
});
