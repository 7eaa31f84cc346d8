import { EIO, ENOMEM, openSys } from '@oriel/sys';
import { type LeakCheck, leakCheck, mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import fc from 'fast-check';
import {
  VIRTIO_GPU_BLOB_MEM_GUEST as GUEST,
  VIRTIO_GPU_BLOB_MEM_HOST3D as HOST3D,
  VIRTIO_GPU_BLOB_MEM_HOST3D_GUEST as HOST3D_GUEST,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER as INVALID,
  VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY as NO_MEMORY,
  VIRTIO_GPU_RESP_OK_NODATA as OK,
  VIRTIO_GPU_RESP_ERR_UNSPEC as UNSPEC,
  VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID as WRONG_ID,
} from '../../src/protocol/values.ts';
import type { Resource } from '../../src/resources/resource.ts';
import { type NewBlob, ResourceTable } from '../../src/resources/table.ts';
import { FileBlob, NotedResource } from './support/doubles.ts';
import { Guest } from './support/guest.ts';

const sys = openSys();
const MiB = 0x10_0000;
const BASE = MiB;

function blob(id: number, rest: Partial<NewBlob> = {}): NewBlob {
  return { id, blobMem: HOST3D, blobFlags: 1, size: 4096, backing: null, host: null, hostBytes: 0, ...rest };
}

describe('ResourceTable', () => {
  let leaks: LeakCheck;
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  const tableOf = (rest: Partial<ConstructorParameters<typeof ResourceTable>[0]> = {}): ResourceTable =>
    new ResourceTable({ sys, maxHostmem: 16 * MiB, maxResources: 100, ...rest });

  it('makes a 2D resource with zeroed memory and tight rows', () => {
    using table = tableOf();
    expect(table.create2d(7, 2, 100, 30)).to.equal(OK);
    const resource = table.get(7)!;
    const { id, kind, width, height, format, size, hostBytes, uuid } = resource;
    expect([id, kind, width, height, format, size, uuid]).to.deep.equal([7, '2d', 100, 30, 2, 0, null]);
    expect(resource.pixels?.u8.length).to.equal(12000);
    expect(resource.pixels?.u8.every((byte) => byte === 0)).to.equal(true);
    expect([hostBytes, table.hostmem.used, table.size], 'whole pages').to.deep.equal([12288, 12288, 1]);
  });

  it('names what is wrong with a 2D resource, and takes nothing for it', () => {
    using table = tableOf();
    table.create2d(1, 1, 16, 16);
    const used = table.hostmem.used;
    const wrong: [number, number, number, number, number][] = [
      [0, 1, 16, 16, WRONG_ID],
      [1, 1, 16, 16, WRONG_ID],
      [2, 0, 16, 16, INVALID],
      [2, 5, 16, 16, INVALID],
      [2, 135, 16, 16, INVALID],
      [2, 0xffff_ffff, 16, 16, INVALID],
      [2, 1, 0, 16, INVALID],
      [2, 1, 16, 0, INVALID],
      [2, 1, 0xffff_ffff, 0xffff_ffff, INVALID],
      [2, 1, 0x1_0000, 0x1_0000, INVALID],
      [2, 1, 0x8000, 0x8001, INVALID],
      [2, 1, 0x8000, 0x8000, NO_MEMORY],
      [2, 1, 0x4000, 0x4000, NO_MEMORY],
      [2, 1, 2048, 2049, NO_MEMORY],
    ];
    for (const [id, format, width, height, status] of wrong) {
      expect(table.create2d(id, format, width, height), `${id} ${format} ${width}x${height}`).to.equal(status);
    }
    expect([table.size, table.hostmem.used]).to.deep.equal([1, used]);
    for (const format of [1, 2, 3, 4, 67, 68, 121, 134])
      expect(table.create2d(format + 100, format, 1, 1)).to.equal(OK);
  });

  it('makes a 2D resource of 16384 x 16384 when the budget allows it', () => {
    using table = tableOf({ maxHostmem: 2 ** 30 });
    expect(table.create2d(1, 1, 16384, 16384)).to.equal(OK);
    expect(table.create2d(2, 1, 1, 1)).to.equal(NO_MEMORY);
    expect(table.get(1)?.pixels?.u8.length).to.equal(2 ** 30);
  });

  it('answers OUT_OF_MEMORY when the system has none', () => {
    const mock = mockSys();
    using table = tableOf({ sys: mock });
    mock.failNext('mem.mmap', ENOMEM);
    expect(table.create2d(1, 1, 64, 64)).to.equal(NO_MEMORY);
    mock.failNext('mem.view', EIO);
    expect(table.create2d(1, 1, 64, 64)).to.equal(NO_MEMORY);
    expect([table.size, table.hostmem.used, mock.count('mem.munmap')]).to.deep.equal([0, 0, 1]);
    expect(table.create2d(1, 1, 64, 64)).to.equal(OK);
  });

  it('reserves host memory for what is still to be made', () => {
    using table = tableOf({ maxHostmem: 10000, maxResources: 2 });
    expect(table.reserve(0, 1)).to.equal(WRONG_ID);
    expect(table.reserve(1, 10001)).to.equal(NO_MEMORY);
    expect(table.reserve(1, 2 ** 63)).to.equal(NO_MEMORY);
    expect(table.reserve(1, 8192)).to.equal(OK);
    expect(table.hostmem.used).to.equal(8192);
    const host = new FileBlob(sys, new Uint8Array(8192));
    expect(table.addBlob(blob(1, { size: 8192, host, hostBytes: 8192 }))).to.equal(OK);
    expect(table.reserve(1, 0)).to.equal(WRONG_ID);
    expect(table.reserve(2, 4096)).to.equal(NO_MEMORY);
    expect(table.create2d(2, 1, 1, 1)).to.equal(NO_MEMORY);
    expect(table.addBlob(blob(2))).to.equal(OK);
    expect(table.reserve(3, 0), 'too many resources').to.equal(NO_MEMORY);
    expect(table.addBlob(blob(3))).to.equal(NO_MEMORY);
    expect(table.add3d(3, new NotedResource())).to.equal(NO_MEMORY);
    table.remove(1)?.[Symbol.dispose]();
    expect([host.disposals, table.hostmem.used, table.size]).to.deep.equal([1, 0, 1]);
  });

  it('frees what was given with a blob that it refuses', () => {
    using guest = new Guest(sys);
    using table = tableOf();
    table.create2d(9, 1, 1, 1);
    const before = table.hostmem.used;
    const short = guest.pages([BASE, 4095]);
    const wrong: [NewBlob, number][] = [
      [blob(0), WRONG_ID],
      [blob(9), WRONG_ID],
      [blob(1, { size: 0 }), INVALID],
      [blob(1, { size: 2 ** 53 }), INVALID],
      [blob(1, { size: 2 ** 64 }), INVALID],
      [blob(1, { blobMem: GUEST }), INVALID],
      [blob(1, { blobMem: HOST3D_GUEST }), INVALID],
      [blob(1, { blobMem: GUEST, backing: short }), INVALID],
    ];
    for (const [request, status] of wrong) {
      const host = new FileBlob(sys, new Uint8Array(4096));
      expect(table.hostmem.take(4096)).to.equal(true);
      expect(table.addBlob({ ...request, host, hostBytes: 4096 })).to.equal(status);
      expect([host.disposals, table.hostmem.used, table.size]).to.deep.equal([1, before, 1]);
    }
  });

  it('adds guest blobs with their pages', () => {
    using guest = new Guest(sys);
    using table = tableOf();
    const backing = guest.pages([BASE, 4096]);
    expect(table.addBlob(blob(3, { blobMem: GUEST, blobFlags: 5, backing }))).to.equal(OK);
    const { kind, blobMem, blobFlags, size, host, backing: attached } = table.get(3)!;
    expect([kind, blobMem, blobFlags, size, host]).to.deep.equal(['blob', GUEST, 5, 4096, null]);
    expect(attached).to.equal(backing);
  });

  it('counts 3D resources, and disposes those it refuses', () => {
    using table = tableOf({ maxHostmem: 5000 });
    const first = new NotedResource(3000);
    const second = new NotedResource(3000);
    expect(table.add3d(1, first)).to.equal(OK);
    expect([table.get(1)?.kind, table.get(1)?.width, table.get(1)?.height]).to.deep.equal(['3d', 32, 16]);
    expect(table.add3d(2, second)).to.equal(NO_MEMORY);
    expect(table.add3d(1, second)).to.equal(WRONG_ID);
    expect([first.disposals, second.disposals, table.hostmem.used]).to.deep.equal([0, 2, 3000]);
    table.clear();
    expect([first.disposals, table.hostmem.used]).to.deep.equal([1, 0]);
  });

  it('frees the id at once, and the budgets when the resource is disposed', () => {
    using table = tableOf({ maxHostmem: 8192, maxResources: 2 });
    table.create2d(1, 1, 32, 32);
    const resource = table.remove(1)!;
    expect([table.get(1), table.remove(1), table.size, table.hostmem.used]).to.deep.equal([
      undefined,
      undefined,
      0,
      4096,
    ]);
    expect(resource.pixels?.u8.length).to.equal(4096);
    expect(table.create2d(1, 1, 32, 32)).to.equal(OK);
    expect(table.reserve(2, 0), 'the one that is gone still counts').to.equal(NO_MEMORY);
    const memory = resource.pixels!.u8;
    resource[Symbol.dispose]();
    resource[Symbol.dispose]();
    expect([memory.length, resource.disposed, table.hostmem.used]).to.deep.equal([0, true, 4096]);
    expect(table.reserve(2, 0)).to.equal(OK);
  });

  it('hands all resources to the caller of clear, or disposes them', () => {
    const table = tableOf();
    table.create2d(1, 1, 32, 32);
    table.create2d(2, 1, 32, 32);
    const gone: Resource[] = [];
    table.clear((resource) => gone.push(resource));
    expect([gone.map(({ id }) => id), table.size, table.hostmem.used]).to.deep.equal([[1, 2], 0, 8192]);
    for (const resource of gone) resource[Symbol.dispose]();
    table.create2d(1, 1, 32, 32);
    table[Symbol.dispose]();
    expect([table.size, table.hostmem.used]).to.deep.equal([0, 0]);
  });

  it('gives budgets back when a plug-in throws at the end', () => {
    const table = tableOf();
    const renderer = new NotedResource(100);
    table.add3d(1, renderer);
    renderer[Symbol.dispose] = () => {
      throw new Error('of the plug-in');
    };
    expect(() => table.clear()).to.throw('of the plug-in');
    expect([table.hostmem.used, table.size]).to.deep.equal([0, 0]);
  });

  it('bounds the ranges of all backings together', () => {
    using guest = new Guest(sys);
    using table = tableOf({ maxRanges: 4 });
    const two = guest.pages([BASE, 64], [BASE + 4096, 64]);
    const three = guest.pages([BASE, 64], [BASE + 4096, 64], [BASE, 4096]);
    table.create2d(1, 1, 4, 4);
    table.create2d(2, 1, 4, 4);
    const first = table.get(1)!;
    const second = table.get(2)!;
    expect(first.detach()).to.equal(UNSPEC);
    expect([first.attach(two), first.attach(two), first.backing]).to.deep.equal([OK, UNSPEC, two]);
    expect([second.attach(three), second.backing]).to.deep.equal([NO_MEMORY, null]);
    expect(table.addBlob(blob(3, { blobMem: GUEST, backing: three }))).to.equal(NO_MEMORY);
    expect([second.attach(two), second.detach(), second.detach()]).to.deep.equal([OK, OK, UNSPEC]);
    table.remove(1)?.[Symbol.dispose]();
    expect([first.backing, first.attach(two), second.attach(three)]).to.deep.equal([null, UNSPEC, OK]);
  });

  it('wants all pages of a blob when they come back', () => {
    using guest = new Guest(sys);
    using table = tableOf();
    table.addBlob(blob(1, { blobMem: GUEST, backing: guest.pages([BASE, 4096]) }));
    const resource = table.get(1)!;
    resource.detach();
    expect(resource.attach(guest.pages([BASE, 4095]))).to.equal(INVALID);
    expect(resource.attach(guest.pages([BASE, 8192]))).to.equal(OK);
  });

  it('never holds more than its budgets, whatever comes (property)', () => {
    const step = fc.record({
      what: fc.constantFrom('2d', 'blob', '3d', 'remove', 'dispose'),
      id: fc.nat(6),
      bytes: fc.constantFrom(1, 4096, 9000, 20000, 2 ** 40),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        using table = tableOf({ maxHostmem: 40000, maxResources: 4 });
        const removed: Resource[] = [];
        const live = new Set<Resource>();
        for (const { what, id, bytes } of steps) {
          const had = table.get(id);
          if (what === '2d') table.create2d(id, 1, Math.ceil(bytes / 4), 1);
          else if (what === '3d') table.add3d(id, new NotedResource(bytes));
          else if (what === 'blob' && table.reserve(id, bytes) === OK) table.addBlob(blob(id, { hostBytes: bytes }));
          else if (what === 'remove' && had !== undefined) removed.push(table.remove(id)!);
          else if (what === 'dispose') {
            for (const resource of removed.splice(0)) {
              resource[Symbol.dispose]();
              live.delete(resource);
            }
          }
          const now = table.get(id);
          if (now !== undefined) live.add(now);
          let held = 0;
          for (const resource of live) held += resource.hostBytes;
          expect(table.hostmem.used).to.equal(held);
          expect(held).to.be.at.most(40000);
          expect(live.size).to.be.at.most(4);
        }
        for (const resource of removed) resource[Symbol.dispose]();
      }),
      { numRuns: 50 },
    );
  });
});
