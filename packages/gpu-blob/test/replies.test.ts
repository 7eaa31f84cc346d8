import { expect } from 'chai';
import * as L from '../src/protocol/layout.ts';
import * as V from '../src/protocol/values.ts';
import { decodeReply, encodeRequest, replySize } from '../src/testing/index.ts';

const fence = { ctxId: 4, fence: { idLo: 0xffff_ffff, idHi: 0x8000_0001, ringIdx: 2 } };
const header = { flags: 3, fenceIdLo: 0xffff_ffff, fenceIdHi: 0x8000_0001, ctxId: 4, ringIdx: 2 };

describe('replies', () => {
  it('are told apart by their type', () => {
    const type = V.VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    expect(decodeReply(encodeRequest(type, L.CtrlHdr, {}, fence))).to.deep.equal({ type, ...header });
    const map = encodeRequest(V.VIRTIO_GPU_RESP_OK_MAP_INFO, L.RespMapInfo, { mapInfo: 1 }, fence);
    expect(decodeReply(map)).to.deep.equal({ type: V.VIRTIO_GPU_RESP_OK_MAP_INFO, ...header, mapInfo: 1 });
    const info = { capsetId: 5, capsetMaxVersion: 1, capsetMaxSize: 16 };
    const capset = decodeReply(encodeRequest(V.VIRTIO_GPU_RESP_OK_CAPSET_INFO, L.RespCapsetInfo, info));
    expect(capset).to.include({ capsetId: 5, maxVersion: 1, maxSize: 16 });
    const uuid = Uint8Array.from({ length: 16 }, (_, index) => index);
    const assigned = encodeRequest(V.VIRTIO_GPU_RESP_OK_RESOURCE_UUID, L.RespResourceUuid, { uuid });
    expect(decodeReply(assigned)).to.deep.include({ uuid });
    const data = Uint8Array.of(1, 2, 3);
    const capsetData = encodeRequest(V.VIRTIO_GPU_RESP_OK_CAPSET, L.CtrlHdr, {}, {}, data);
    expect(decodeReply(capsetData)).to.deep.include({ data });
  });

  it('give the valid bytes of an EDID only', () => {
    const edid = new Uint8Array(1024).fill(9);
    const reply = decodeReply(encodeRequest(V.VIRTIO_GPU_RESP_OK_EDID, L.RespEdid, { size: 128, edid }));
    expect(reply).to.have.property('edid').with.length(128);
    const long = encodeRequest(V.VIRTIO_GPU_RESP_OK_EDID, L.RespEdid, { size: 1025, edid });
    expect(() => decodeReply(long)).to.throw(RangeError);
  });

  it('give all sixteen outputs', () => {
    const pmodes = new Uint8Array(16 * 24);
    new Uint32Array(pmodes.buffer).set([10, 20, 640, 480, 1, 0], 15 * 6);
    const reply = decodeReply(encodeRequest(V.VIRTIO_GPU_RESP_OK_DISPLAY_INFO, L.RespDisplayInfo, { pmodes }));
    if (reply.type !== V.VIRTIO_GPU_RESP_OK_DISPLAY_INFO) throw new Error(`type ${reply.type}`);
    expect(reply.outputs).to.have.length(16);
    expect(reply.outputs[0]).to.deep.equal({ x: 0, y: 0, width: 0, height: 0, enabled: false });
    expect(reply.outputs[15]).to.deep.equal({ x: 10, y: 20, width: 640, height: 480, enabled: true });
  });

  it('are refused when they are too short, too long or unknown', () => {
    const map = encodeRequest(V.VIRTIO_GPU_RESP_OK_MAP_INFO, L.RespMapInfo, {});
    for (const bytes of [
      new Uint8Array(0),
      map.subarray(0, 24),
      encodeRequest(V.VIRTIO_GPU_RESP_OK_NODATA, L.RespMapInfo, {}),
      encodeRequest(V.VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER + 1, L.CtrlHdr, {}),
      encodeRequest(V.VIRTIO_GPU_CMD_CTX_DESTROY, L.CtrlHdr, {}),
    ]) {
      expect(() => decodeReply(bytes), `${bytes.length} bytes`).to.throw(RangeError);
    }
  });

  it('have the sizes of virtio-gpu.md 1.3', () => {
    expect(replySize(V.VIRTIO_GPU_CMD_GET_DISPLAY_INFO)).to.equal(408);
    expect(replySize(V.VIRTIO_GPU_CMD_GET_CAPSET_INFO)).to.equal(40);
    expect(replySize(V.VIRTIO_GPU_CMD_GET_CAPSET, 160)).to.equal(184);
    expect(replySize(V.VIRTIO_GPU_CMD_GET_EDID)).to.equal(1056);
    expect(replySize(V.VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID)).to.equal(40);
    expect(replySize(V.VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB)).to.equal(32);
    expect(replySize(V.VIRTIO_GPU_CMD_RESOURCE_FLUSH)).to.equal(24);
  });
});
