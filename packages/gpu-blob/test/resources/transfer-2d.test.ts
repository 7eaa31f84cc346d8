import { openSys } from '@oriel/sys';
import { type LeakCheck, leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import fc from 'fast-check';
import {
  VIRTIO_GPU_BLOB_MEM_HOST3D as HOST3D,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER as INVALID,
  VIRTIO_GPU_RESP_OK_NODATA as OK,
  VIRTIO_GPU_RESP_ERR_UNSPEC as UNSPEC,
} from '../../src/protocol/values.ts';
import type { Resource } from '../../src/resources/resource.ts';
import { ResourceTable } from '../../src/resources/table.ts';
import { transferToHost2d } from '../../src/resources/transfer-2d.ts';
import { NotedResource } from './support/doubles.ts';
import { Guest } from './support/guest.ts';

const sys = openSys();
const BASE = 0x10_0000;

describe('transferToHost2d', () => {
  let leaks: LeakCheck;
  let guest: Guest;
  let table: ResourceTable;
  beforeEach(() => {
    leaks = leakCheck();
    guest = new Guest(sys, { gpa: BASE, size: 0x1_0000 });
    table = new ResourceTable({ sys, maxHostmem: 0x10_0000, maxResources: 10 });
  });
  afterEach(() => {
    table[Symbol.dispose]();
    guest[Symbol.dispose]();
    leaks.check();
  });

  /** A resource whose pages hold `content`, at the start of guest RAM. */
  const resourceOf = (width: number, height: number, content: readonly number[]): Resource => {
    table.create2d(1, 1, width, height);
    guest.ram.u8.set(content);
    const resource = table.get(1)!;
    resource.attach(guest.pages([BASE, content.length]));
    return resource;
  };
  const pixelsIn = (resource: Resource): string => Buffer.from(resource.pixels!.u8).toString('latin1');
  const bytes = (text: string): number[] => [...Buffer.from(text, 'latin1')];

  it('copies the whole picture in one go', () => {
    const resource = resourceOf(2, 2, bytes('aaaabbbbccccdddd'));
    expect(transferToHost2d(resource, 0, 0, 2, 2, 0)).to.equal(OK);
    expect(pixelsIn(resource)).to.equal('aaaabbbbccccdddd');
  });

  it('copies full rows from where the first pixel lies', () => {
    const resource = resourceOf(2, 3, bytes('....aaaabbbbccccdddd'));
    expect(transferToHost2d(resource, 0, 1, 2, 2, 4)).to.equal(OK);
    expect(pixelsIn(resource)).to.equal('\0\0\0\0\0\0\0\0aaaabbbbccccdddd');
  });

  it('follows every row of width * 4 bytes in the pages, as Linux and QEMU do', () => {
    const resource = resourceOf(3, 3, bytes('aaaabbbbccccddddeeeeffffgggghhhhiiii'));
    // x 1, y 1: Linux gives offset y * 12 + x * 4.
    expect(transferToHost2d(resource, 1, 1, 2, 2, 16)).to.equal(OK);
    const nothing = '\0\0\0\0';
    expect(pixelsIn(resource)).to.equal(`${nothing.repeat(4)}eeeeffff${nothing}hhhhiiii`);
    // The offset is what counts, not x and y.
    expect(transferToHost2d(resource, 0, 0, 1, 2, 8)).to.equal(OK);
    expect(pixelsIn(resource)).to.equal(`cccc${nothing.repeat(2)}ffffeeeeffff${nothing}hhhhiiii`);
  });

  it('needs no more than the last pixel of the pages', () => {
    const resource = resourceOf(3, 2, bytes('aaaabbbbccccdddd'));
    expect(transferToHost2d(resource, 0, 0, 1, 2, 0)).to.equal(OK);
    expect(transferToHost2d(resource, 0, 0, 2, 2, 0)).to.equal(INVALID);
    expect(transferToHost2d(resource, 0, 0, 1, 2, 1)).to.equal(INVALID);
    expect(pixelsIn(resource).replaceAll('\0', ''), 'nothing of a refused one').to.equal('aaaadddd');
  });

  it('refuses rectangles and offsets that do not fit, also where sums wrap', () => {
    const resource = resourceOf(16, 16, new Array(1024).fill(1));
    const M = 0xffff_ffff;
    const wrong: [number, number, number, number, number][] = [
      [1, 0, 16, 16, 0],
      [0, 1, 16, 16, 0],
      [0, 0, 17, 1, 0],
      [17, 0, 0, 0, 0],
      [16, 0, 1, 1, 0],
      [M, 0, 1, 1, 0],
      [M, 0, 2, 1, 0],
      [0, M, 1, 2, 0],
      [M, M, M, M, 0],
      [0, 0, M, M, 0],
      [0, 0, 16, 16, 1],
      [0, 0, 1, 1, 1021],
      [0, 0, 1, 1, 2 ** 32],
      [0, 0, 1, 1, 2 ** 32 - 4],
      [0, 0, 1, 1, 2 ** 53 - 1],
      [0, 0, 1, 1, 2 ** 53],
      [0, 0, 16, 16, 2 ** 64],
      [0, 0, 1, 1, Number.NaN],
    ];
    for (const [x, y, width, height, offset] of wrong) {
      expect(transferToHost2d(resource, x, y, width, height, offset), `${[x, y, width, height, offset]}`).to.equal(
        INVALID,
      );
    }
    expect(transferToHost2d(resource, 0, 0, 1, 1, 1020)).to.equal(OK);
    expect(transferToHost2d(resource, 16, 16, 0, 0, 2 ** 60), 'nothing to copy').to.equal(OK);
  });

  it('answers UNSPEC without pages, and when the memory under them is gone', () => {
    table.create2d(2, 1, 4, 4);
    expect(transferToHost2d(table.get(2)!, 0, 0, 4, 4, 0)).to.equal(UNSPEC);
    const resource = resourceOf(4, 4, new Array(64).fill(1));
    guest.memory.clear();
    expect(transferToHost2d(resource, 0, 0, 4, 4, 0)).to.equal(UNSPEC);
    expect(transferToHost2d(resource, 1, 1, 2, 2, 0)).to.equal(UNSPEC);
    table.remove(1)?.[Symbol.dispose]();
    expect(transferToHost2d(resource, 0, 0, 4, 4, 0)).to.equal(UNSPEC);
  });

  it('has nothing to do for a blob', () => {
    table.addBlob({ id: 1, blobMem: HOST3D, blobFlags: 0, size: 4096, backing: null, host: null, hostBytes: 0 });
    expect(transferToHost2d(table.get(1)!, 0, 0, 0xffff_ffff, 0xffff_ffff, 2 ** 64)).to.equal(OK);
  });

  it('hands a 3D resource to its renderer', () => {
    const renderer = new NotedResource();
    table.add3d(1, renderer);
    const resource = table.get(1)!;
    expect(transferToHost2d(resource, 1, 2, 3, 4, 8)).to.equal(UNSPEC);
    resource.attach(guest.pages([BASE, 4096]));
    expect(transferToHost2d(resource, 1, 2, 3, 4, 8)).to.equal(OK);
    expect(transferToHost2d(resource, 0, 0, 33, 1, 0)).to.equal(INVALID);
    const place = { x: 1, y: 2, z: 0, w: 3, h: 4, d: 1 };
    const request = { ctxId: 0, ...place, offset: 8, level: 0, stride: 0, layerStride: 0 };
    expect(renderer.calls).to.deep.equal([[request, 4096]]);
  });

  it('agrees with a pixel by pixel copy over scattered pages (property)', () => {
    const size = fc.integer({ min: 1, max: 20 });
    const cuts = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 8 });
    const place = fc.tuple(fc.nat(20), fc.nat(20), fc.nat(20), fc.nat(20), fc.nat(200));
    fc.assert(
      fc.property(size, size, cuts, place, (width, height, lengths, [x, y, w, h, offset]) => {
        for (let i = 0; i < 8192; i++) guest.ram.u8[i] = 1 + (i % 251);
        table.create2d(5, 1, width, height);
        using resource = table.remove(5)!;
        resource.attach(guest.pages(...lengths.map((len, i) => [BASE + (8 - i) * 512, len] as const)));
        const flat = lengths.flatMap((len, i) => [...guest.ram.at(BASE + (8 - i) * 512, len)]);
        const expected = new Uint8Array(width * height * 4);
        const inside = x + w <= width && y + h <= height;
        const there = w * h === 0 || offset + (h - 1) * width * 4 + w * 4 <= flat.length;
        for (let i = 0; inside && there && i < w * h * 4; i++) {
          const row = Math.floor(i / (w * 4));
          const column = i % (w * 4);
          expected[((y + row) * width + x) * 4 + column] = flat[offset + row * width * 4 + column]!;
        }
        expect(transferToHost2d(resource, x, y, w, h, offset)).to.equal(inside && there ? OK : INVALID);
        expect(Buffer.compare(resource.pixels!.u8, expected)).to.equal(0);
      }),
      { numRuns: 200 },
    );
  });
});
