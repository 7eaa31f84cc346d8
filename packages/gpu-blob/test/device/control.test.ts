import { expect } from 'chai';
import { COMMANDS } from '../../src/control/commands.ts';
import {
  CONTROL_QUEUE,
  CtrlHdr,
  GpuDevice,
  GpuError,
  MEMORY_CAPSET_ID,
  MemoryCapset,
  MemoryContextType,
  VIRTIO_GPU_CMD_GET_DISPLAY_INFO,
  VIRTIO_GPU_F_CONTEXT_INIT,
  VIRTIO_GPU_F_VIRGL,
  VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
  VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
  VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
  VIRTIO_GPU_RESP_ERR_UNSPEC,
  VIRTIO_GPU_RESP_OK_CAPSET,
  VIRTIO_GPU_RESP_OK_CAPSET_INFO,
  VIRTIO_GPU_RESP_OK_NODATA,
  VIRTIO_GPU_RESP_OK_RESOURCE_UUID,
} from '../../src/index.ts';
import {
  encodeCtxAttachResource,
  encodeCtxCreate,
  encodeCtxDestroy,
  encodeCtxDetachResource,
  encodeGetCapset,
  encodeGetCapsetInfo,
  encodeGetDisplayInfo,
  encodeResourceAssignUuid,
  encodeResourceCreate3d,
  encodeResourceFlush,
} from '../../src/testing/index.ts';
import { GpuRig, PAGE, sys } from './rig.ts';

const OK = VIRTIO_GPU_RESP_OK_NODATA;
const UNSPEC = VIRTIO_GPU_RESP_ERR_UNSPEC;
const WRONG = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
const NO_CONTEXT = VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;

describe('the control queue', () => {
  let rig: GpuRig;
  beforeEach(() => {
    rig = new GpuRig();
  });
  afterEach(() => rig[Symbol.dispose]());

  it('answers every truncation of every command, and unknown commands, with UNSPEC', async () => {
    for (const [type, { length }] of COMMANDS) {
      for (const cut of [0, 4, 23, length - 1]) {
        const bytes = new Uint8Array(cut);
        if (cut >= 4) new DataView(bytes.buffer).setUint32(0, type, true);
        if (cut < length) expect(await rig.status(bytes), `0x${type.toString(16)}, ${cut} bytes`).to.equal(UNSPEC);
      }
    }
    for (const type of [0, 0xff, 0x10e, 0x20a, 0x300, 0x301, 0x1100, 0xffffffff]) {
      const bytes = new Uint8Array(64);
      new DataView(bytes.buffer).setUint32(0, type, true);
      expect(await rig.status(bytes)).to.equal(UNSPEC);
    }
    expect(rig.device.stats.waiting).to.equal(0);
  });

  it('says in the header that a reply does not fit, and writes nothing where there is no room', async () => {
    const short = await rig.host.request(CONTROL_QUEUE, [encodeGetDisplayInfo()], [CtrlHdr.byteLength]);
    expect(short.written).to.equal(CtrlHdr.byteLength);
    expect(CtrlHdr.type.get(new DataView(short.bytes.buffer), 0)).to.equal(UNSPEC);
    const none = await rig.host.request(CONTROL_QUEUE, [encodeGetDisplayInfo()], [CtrlHdr.byteLength - 1]);
    expect(none.written).to.equal(0);
    expect((await rig.host.request(CONTROL_QUEUE, [encodeGetDisplayInfo()], [])).written).to.equal(0);
  });

  it('takes requests and replies in pieces', async () => {
    const bytes = encodeGetDisplayInfo();
    const pieces = [bytes.subarray(0, 3), bytes.subarray(3, 20), bytes.subarray(20)];
    const { written, bytes: reply } = await rig.host.request(CONTROL_QUEUE, pieces, [5, 100, 303]);
    expect(written).to.equal(408);
    expect(new DataView(reply.buffer).getUint32(0, true)).to.equal(0x1101);
  });

  it('repeats the fence of commands that fail, in their order', async () => {
    const flush = { x: 0, y: 0, width: 1, height: 1, resourceId: 5 };
    const reply = await rig.ask(encodeResourceFlush(flush, { ctxId: 0, fence: { idLo: 77, idHi: 1 } }));
    expect(reply).to.include({ type: VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID, flags: 1, fenceIdLo: 77, fenceIdHi: 1 });
  });

  it('describes its capsets', async () => {
    const info = await rig.ask(encodeGetCapsetInfo(0));
    const expected = { type: VIRTIO_GPU_RESP_OK_CAPSET_INFO, capsetId: MEMORY_CAPSET_ID, maxVersion: 1 };
    expect(info).to.include({ ...expected, maxSize: MemoryCapset.byteLength });
    expect(await rig.ask(encodeGetCapsetInfo(1))).to.include({
      type: VIRTIO_GPU_RESP_OK_CAPSET_INFO,
      capsetId: 0,
      maxSize: 0,
    });
    const capset = await rig.ask(encodeGetCapset(MEMORY_CAPSET_ID, 1));
    if (capset.type !== VIRTIO_GPU_RESP_OK_CAPSET) throw new Error(`reply ${capset.type}`);
    const view = new DataView(capset.data.slice().buffer);
    expect(MemoryCapset.pageSize.get(view, 0)).to.equal(PAGE);
    expect(await rig.status(encodeGetCapset(MEMORY_CAPSET_ID, 2))).to.equal(WRONG);
    expect(await rig.status(encodeGetCapset(1, 0))).to.equal(WRONG);
    expect(await rig.status(encodeGetCapset(0, 0))).to.equal(WRONG);
  });

  it('makes, shares and ends contexts', async () => {
    const create = (ctxId: number, fields: Parameters<typeof encodeCtxCreate>[0] = {}) =>
      rig.status(encodeCtxCreate({ contextInit: MEMORY_CAPSET_ID, ...fields }, { ctxId }));
    expect(await create(0)).to.equal(NO_CONTEXT);
    expect(await create(1)).to.equal(OK);
    expect(await create(1)).to.equal(NO_CONTEXT);
    expect(await create(2, { contextInit: 0 }), 'the device chooses').to.equal(OK);
    expect(await create(3, { contextInit: 5 })).to.equal(WRONG);
    expect(await create(3, { contextInit: 0x100 | MEMORY_CAPSET_ID })).to.equal(WRONG);
    expect(await create(3, { nlen: 65 })).to.equal(WRONG);
    expect(await rig.blob(5)).to.equal(OK);
    expect(await rig.status(encodeCtxAttachResource(5, { ctxId: 2 }))).to.equal(OK);
    expect(await rig.status(encodeCtxAttachResource(5, { ctxId: 2 })), 'again').to.equal(OK);
    expect(await rig.status(encodeCtxAttachResource(5, { ctxId: 9 }))).to.equal(NO_CONTEXT);
    expect(await rig.status(encodeCtxAttachResource(6, { ctxId: 2 }))).to.equal(
      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
    );
    expect(await rig.status(encodeCtxDetachResource(5, { ctxId: 2 }))).to.equal(OK);
    expect(await rig.status(encodeCtxDetachResource(6, { ctxId: 2 }))).to.equal(
      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
    );
    expect(await rig.status(encodeCtxDestroy({ ctxId: 1 }))).to.equal(OK);
    expect(await rig.status(encodeCtxDestroy({ ctxId: 1 }))).to.equal(NO_CONTEXT);
    expect(rig.device.stats, 'resources outlive their context').to.include({ contexts: 1, resources: 1 });
  });

  it('bounds contexts', async () => {
    rig[Symbol.dispose]();
    rig = new GpuRig({ maxContexts: 2 });
    for (const ctxId of [1, 2]) await rig.context(ctxId);
    expect(await rig.status(encodeCtxCreate({}, { ctxId: 3 }))).to.equal(VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
  });

  it('gives each resource a UUID of version 4, and keeps it', async () => {
    await rig.context(1);
    await rig.blob(2);
    await rig.blob(3);
    const uuid = async (id: number): Promise<string> => {
      const reply = await rig.ask(encodeResourceAssignUuid(id));
      if (reply.type !== VIRTIO_GPU_RESP_OK_RESOURCE_UUID) throw new Error(`reply ${reply.type}`);
      return Buffer.from(reply.uuid).toString('hex');
    };
    const first = await uuid(2);
    expect(first).to.match(/^.{12}4.{3}[89ab].{15}$/);
    expect(await uuid(2)).to.equal(first);
    expect(await uuid(3)).not.to.equal(first);
    expect(await rig.status(encodeResourceAssignUuid(4))).to.equal(VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
  });

  it('refuses 3D resources without a renderer', async () => {
    const fields = { resourceId: 1, target: 2, format: 1, bind: 2, width: 4, height: 4, depth: 1, arraySize: 1 };
    expect(await rig.status(encodeResourceCreate3d(fields))).to.equal(UNSPEC);
  });

  it('offers contexts only with context types, and takes no context then', async () => {
    rig[Symbol.dispose]();
    rig = new GpuRig({ contextTypes: [] });
    expect(rig.device.features.has(VIRTIO_GPU_F_VIRGL)).to.equal(false);
    expect(rig.device.features.has(VIRTIO_GPU_F_CONTEXT_INIT)).to.equal(false);
    expect(await rig.status(encodeCtxCreate({}, { ctxId: 1 }))).to.equal(UNSPEC);
    expect(await rig.blob(2)).to.equal(WRONG);
  });

  it('refuses options that make no sense', () => {
    const bad = (options: object) => () => new GpuDevice({ sys, ...options });
    expect(bad({ hostVisible: 100 })).to.throw(GpuError, /ERR_GPU_OPTION: hostVisible 100/);
    expect(bad({ queueSize: 100 })).to.throw(GpuError, /queueSize 100/);
    expect(bad({ maxContexts: 0 })).to.throw(GpuError, /maxContexts 0/);
    expect(bad({ outputs: [{ width: 8, height: 8 }] })).to.throw(GpuError);
    const type = new MemoryContextType({ sys });
    expect(bad({ contextTypes: [type, type] })).to.throw(GpuError, /ERR_GPU_CAPSET/);
  });

  it('has a command of the table for each number of the specification', () => {
    const numbers = [...COMMANDS.keys()];
    expect(Math.min(...numbers)).to.equal(VIRTIO_GPU_CMD_GET_DISPLAY_INFO);
    expect(numbers).to.have.length(24);
  });
});
