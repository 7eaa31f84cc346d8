import { expect } from 'chai';
import * as V from '../src/protocol/values.ts';
import * as testing from '../src/testing/index.ts';

const { VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB, VIRTIO_GPU_BLOB_MEM_GUEST } = V;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const words = (...numbers: number[]): string => hex(new Uint8Array(new Uint32Array(numbers).buffer));
const box = { x: 1, y: 2, width: 3, height: 4 };

/** Every encoder with the length and the type that virtio-gpu.md 1.3 gives it. */
const ALL: readonly [string, Uint8Array, number, number][] = [
  ['GET_DISPLAY_INFO', testing.encodeGetDisplayInfo(), 0x100, 24],
  ['RESOURCE_CREATE_2D', testing.encodeResourceCreate2d({ resourceId: 1, format: 2, width: 3, height: 4 }), 0x101, 40],
  ['RESOURCE_UNREF', testing.encodeResourceUnref(1), 0x102, 32],
  ['SET_SCANOUT', testing.encodeSetScanout({ ...box, scanoutId: 0, resourceId: 1 }), 0x103, 48],
  ['RESOURCE_FLUSH', testing.encodeResourceFlush({ ...box, resourceId: 1 }), 0x104, 48],
  ['TRANSFER_TO_HOST_2D', testing.encodeTransferToHost2d({ ...box, resourceId: 1, offset: 8 }), 0x105, 56],
  ['ATTACH_BACKING', testing.encodeAttachBacking({ resourceId: 1, entries: [{ addr: 1, length: 2 }] }), 0x106, 48],
  ['DETACH_BACKING', testing.encodeDetachBacking(1), 0x107, 32],
  ['GET_CAPSET_INFO', testing.encodeGetCapsetInfo(0), 0x108, 32],
  ['GET_CAPSET', testing.encodeGetCapset(5, 0), 0x109, 32],
  ['GET_EDID', testing.encodeGetEdid(0), 0x10a, 32],
  ['ASSIGN_UUID', testing.encodeResourceAssignUuid(1), 0x10b, 32],
  ['CREATE_BLOB', testing.encodeResourceCreateBlob({ resourceId: 1, blobMem: 2, size: 4096 }), 0x10c, 56],
  [
    'SET_SCANOUT_BLOB',
    testing.encodeSetScanoutBlob({
      ...box,
      scanoutId: 0,
      resourceId: 1,
      fbWidth: 9,
      fbHeight: 9,
      format: 2,
      strides: [36],
    }),
    0x10d,
    96,
  ],
  ['CTX_CREATE', testing.encodeCtxCreate({ contextInit: 1, debugName: 'x' }, { ctxId: 1 }), 0x200, 96],
  ['CTX_DESTROY', testing.encodeCtxDestroy({ ctxId: 1 }), 0x201, 24],
  ['CTX_ATTACH_RESOURCE', testing.encodeCtxAttachResource(1, { ctxId: 1 }), 0x202, 32],
  ['CTX_DETACH_RESOURCE', testing.encodeCtxDetachResource(1, { ctxId: 1 }), 0x203, 32],
  ['CREATE_3D', testing.encodeResourceCreate3d({ resourceId: 1, format: 1, width: 2, height: 2 }), 0x204, 72],
  ['TO_HOST_3D', testing.encodeTransferToHost3d({ resourceId: 1, w: 1, h: 1, d: 1 }), 0x205, 72],
  ['FROM_HOST_3D', testing.encodeTransferFromHost3d({ resourceId: 1, w: 1, h: 1, d: 1 }), 0x206, 72],
  ['SUBMIT_3D', testing.encodeSubmit3d(new Uint8Array(5), { ctxId: 1 }), 0x207, 37],
  ['MAP_BLOB', testing.encodeResourceMapBlob({ resourceId: 1, offset: 0 }), 0x208, 40],
  ['UNMAP_BLOB', testing.encodeResourceUnmapBlob(1), 0x209, 32],
  ['UPDATE_CURSOR', testing.encodeUpdateCursor({ scanoutId: 0, x: 1, y: 2 }), 0x300, 56],
  ['MOVE_CURSOR', testing.encodeMoveCursor({ scanoutId: 0, x: 1, y: 2 }), 0x301, 56],
];

describe('encoders of requests', () => {
  it('are there for every command', () => {
    const commands = Object.entries(V).filter(([name]) => name.startsWith('VIRTIO_GPU_CMD_'));
    expect(ALL.map(([, , type]) => type)).to.have.members(commands.map(([, type]) => type));
  });

  for (const [name, bytes, type, len] of ALL) {
    it(`give ${name} its type and its ${len} bytes`, () => {
      expect(testing.typeOf(bytes)).to.equal(type);
      expect(bytes).to.have.length(len);
    });
  }

  it('put a blob with guest pages together byte by byte', () => {
    const bytes = testing.encodeResourceCreateBlob(
      {
        resourceId: 7,
        blobMem: VIRTIO_GPU_BLOB_MEM_GUEST,
        blobFlags: 3,
        blobId: { lo: 0xffff_fffe, hi: 0xffff_ffff },
        size: 0x1_0000_2000,
        entries: [{ addr: 0x2_4000_1000, length: 0x2000 }],
      },
      { ctxId: 9, fence: { idLo: 0x1234_5678, idHi: 0x8000_0000, ringIdx: 63 } },
    );
    expect(hex(bytes)).to.equal(
      words(VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB, 3, 0x1234_5678, 0x8000_0000, 9, 63) +
        words(7, 1, 3, 1, 0xffff_fffe, 0xffff_ffff, 0x2000, 1) +
        words(0x4000_1000, 2, 0x2000, 0),
    );
  });

  it('put names, planes and lying lengths where they belong', () => {
    const ctx = testing.encodeCtxCreate({ contextInit: 5, debugName: 'weston', nlen: 77 }, { ctxId: 3 });
    expect(hex(ctx.subarray(24, 40))).to.equal(words(77, 5) + hex(Buffer.from('weston\0\0')));
    const scanout = testing.encodeSetScanoutBlob({
      ...box,
      scanoutId: 5,
      resourceId: 6,
      fbWidth: 7,
      fbHeight: 8,
      format: 9,
      strides: [10, 11],
      offsets: [12, 13, 14, 15],
    });
    expect(hex(scanout.subarray(24))).to.equal(words(1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 10, 11, 0, 0, 12, 13, 14, 15));
    const submit = testing.encodeSubmit3d(Uint8Array.of(1, 2, 3), { ctxId: 1 }, 1000);
    expect(hex(submit.subarray(24))).to.equal(`${words(1000, 0)}010203`);
  });

  it('refuse a field that the layout has not', () => {
    expect(() => testing.encodeRequest(1, { byteLength: 24, structName: 'x' }, { nothing: 1 })).to.throw(RangeError);
  });
});
