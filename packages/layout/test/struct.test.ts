import { expect } from 'chai';
import {
  array,
  bytes,
  fromParts,
  isSafeUnsigned,
  pad,
  rangeFits,
  struct,
  toBigInt,
  U8,
  U16,
  U32,
  U64,
} from '../src/index.ts';

const VirtqDesc = struct('virtq_desc', { addr: U64, len: U32, flags: U16, next: U16 });

describe('struct', () => {
  it('gives offsets, sizes and the total of virtq_desc', () => {
    expect(VirtqDesc.byteLength).to.equal(16);
    expect(VirtqDesc.fieldNames.map((n) => [n, VirtqDesc[n].offset, VirtqDesc[n].size])).to.deep.equal([
      ['addr', 0, 8],
      ['len', 8, 4],
      ['flags', 12, 2],
      ['next', 14, 2],
    ]);
  });

  it('writes and reads little-endian bytes at a base', () => {
    const view = new DataView(new ArrayBuffer(20));
    VirtqDesc.addr.set(view, 4, 0x1_2345_6789_abcd);
    VirtqDesc.len.set(view, 4, 0xffff_fffe);
    VirtqDesc.flags.set(view, 4, 0x0102);
    VirtqDesc.next.set(view, 4, 7);
    expect(Buffer.from(view.buffer).toString('hex')).to.equal('00000000cdab896745230100feffffff02010700');
    expect(VirtqDesc.addr.get(view, 4)).to.equal(0x1_2345_6789_abcd);
    expect(VirtqDesc.len.get(view, 4)).to.equal(0xffff_fffe);
  });

  it('keeps all 64 bits as two words, and a value above 2^53 reads as unsafe', () => {
    const view = new DataView(new ArrayBuffer(16));
    VirtqDesc.addr.setParts(view, 0, 0xffff_ffff, 0xffff_ffff);
    expect([VirtqDesc.addr.lo(view, 0), VirtqDesc.addr.hi(view, 0)]).to.deep.equal([0xffff_ffff, 0xffff_ffff]);
    expect(isSafeUnsigned(VirtqDesc.addr.get(view, 0))).to.equal(false);
    VirtqDesc.addr.setParts(view, 0, 1, 0x20_0000);
    expect(isSafeUnsigned(VirtqDesc.addr.get(view, 0))).to.equal(false);
    VirtqDesc.addr.setParts(view, 0, 0xffff_ffff, 0x1f_ffff);
    expect(VirtqDesc.addr.get(view, 0)).to.equal(Number.MAX_SAFE_INTEGER);
  });

  it('refuses a misaligned field unless packed, and reserved names', () => {
    expect(() => struct('bad', { a: U8, b: U32 })).to.throw(TypeError, 'b at offset 1');
    expect(struct('packed', { a: U8, b: U32 }, { packed: true }).b.offset).to.equal(1);
    expect(() => struct('bad', { byteLength: U8 })).to.throw(TypeError, 'reserved');
  });

  it('places arrays, names and padding', () => {
    const config = struct('shmem_config', { nregions: U32, padding: pad(4), sizes: array(U64, 256) });
    expect(config.byteLength).to.equal(2056);
    const view = new DataView(new ArrayBuffer(2056));
    config.sizes.set(view, 0, 255, 65536);
    expect(view.getUint32(2048, true)).to.equal(65536);
    expect(config.sizes.get(view, 0, 255)).to.equal(65536);
    expect(struct('tag', { tag: bytes(36), queues: U32 }).queues.offset).to.equal(36);
  });
});

describe('64-bit values', () => {
  it('joins words and knows ranges', () => {
    expect(fromParts(-1, 1)).to.equal(0x1_ffff_ffff);
    expect(toBigInt(-1, -1)).to.equal(0xffff_ffff_ffff_ffffn);
    expect(rangeFits(0, 10, 10)).to.equal(true);
    expect(rangeFits(1, 10, 10)).to.equal(false);
    expect(rangeFits(2 ** 53, 1, 2 ** 53)).to.equal(false);
    expect(rangeFits(-1, 1, 10)).to.equal(false);
  });
});
