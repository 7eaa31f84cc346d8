import { EFAULT, EINTR, EINVAL, EIO, openSys } from '@oriel/sys';
import { type LeakCheck, leakCheck, mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import fc from 'fast-check';
import {
  VIRTIO_GPU_BLOB_MEM_GUEST as GUEST,
  VIRTIO_GPU_BLOB_MEM_HOST3D as HOST3D,
  VIRTIO_GPU_BLOB_MEM_HOST3D_GUEST as HOST3D_GUEST,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER as INVALID,
  VIRTIO_GPU_RESP_OK_NODATA as OK,
  VIRTIO_GPU_RESP_ERR_UNSPEC as UNSPEC,
} from '../../src/protocol/values.ts';
import { checkFramebuffer, type Framebuffer, pixelsOf } from '../../src/resources/pixels.ts';
import type { Resource } from '../../src/resources/resource.ts';
import { ResourceTable } from '../../src/resources/table.ts';
import { FileBlob, NotedResource } from './support/doubles.ts';
import { Guest } from './support/guest.ts';

const sys = mockSys({}, openSys());
const BASE = 0x10_0000;
const box = (x: number, y: number, width: number, height: number) => ({ x, y, width, height });
const fb = (rest: Partial<Framebuffer> = {}): Framebuffer => ({
  format: 2,
  width: 3,
  height: 2,
  stride: 16,
  offset: 8,
  ...rest,
});
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
/** A blob of 64 bytes: 8 of something else, then two rows of three pixels and a pad, then more. */
const BLOB = Buffer.from(`........abcdefghijkl####mnopqrstuvwx${'-'.repeat(28)}`, 'latin1');

describe('pixels of a resource', () => {
  let leaks: LeakCheck;
  let guest: Guest;
  let table: ResourceTable;
  beforeEach(() => {
    sys.reset();
    leaks = leakCheck();
    guest = new Guest(sys, { gpa: BASE, size: 0x1_0000 });
    table = new ResourceTable({ sys, maxHostmem: 0x10_0000, maxResources: 10 });
  });
  afterEach(() => {
    table[Symbol.dispose]();
    guest[Symbol.dispose]();
    leaks.check();
  });

  const add = (blobMem: number, size: number, parts: { host?: FileBlob; pages?: [number, number][] }): Resource => {
    const backing = parts.pages === undefined ? null : guest.pages(...parts.pages);
    const host = parts.host ?? null;
    expect(table.addBlob({ id: 1, blobMem, blobFlags: 0, size, backing, host, hostBytes: 0 })).to.equal(OK);
    return table.get(1)!;
  };
  const hostBlob = (fdOffset = 0): Resource => add(HOST3D, 64, { host: new FileBlob(sys, BLOB, fdOffset) });
  /** The same bytes in two pieces of guest memory, the second first. */
  const guestBlob = (): Resource => {
    guest.ram.u8.set(BLOB.subarray(30), 0);
    guest.ram.u8.set(BLOB.subarray(0, 30), 4096);
    return add(GUEST, 64, {
      pages: [
        [BASE + 4096, 30],
        [BASE, 34],
      ],
    });
  };
  const picture = (format: number): Resource => {
    table.create2d(1, format, 3, 2);
    const resource = table.get(1)!;
    resource.pixels!.u8.set(Buffer.from('abcdefghijklmnopqrstuvwx', 'latin1'));
    return resource;
  };

  describe('2D', () => {
    it('are a view of full rows in the right byte order', () => {
      const resource = picture(1);
      const whole = pixelsOf(resource, box(0, 0, 3, 2), null)!;
      expect([whole.width, whole.height, text(whole.direct!)]).to.deep.equal([3, 2, 'abcdefghijklmnopqrstuvwx']);
      expect(text(pixelsOf(resource, box(0, 1, 3, 1), null)!.direct!)).to.equal('mnopqrstuvwx');
      expect(text(pixelsOf(resource, box(1, 0, 1, 1), null)!.direct!), 'one row is always tight').to.equal('efgh');
      expect(pixelsOf(resource, box(1, 0, 2, 2), null)!.direct).to.equal(null);
      expect(pixelsOf(picture2(67), box(0, 0, 3, 2), null)!.direct).to.equal(null);
    });
    const picture2 = (format: number): Resource => {
      table.create2d(2, format, 3, 2);
      return table.get(2)!;
    };

    it('are gathered and converted row by row', () => {
      const source = pixelsOf(picture(4), box(1, 0, 2, 2), null)!;
      const to = new Uint8Array(18).fill(0x2e);
      expect(source.copyRows(0, 2, to, 1)).to.equal(0);
      expect(text(to)).to.equal('.hgfelkjitsrqxwvu.');
      expect(source.copyRows(1, 1, to, 0)).to.equal(0);
      expect(text(to)).to.equal('tsrqxwvuitsrqxwvu.');
    });

    it('are none for parts that are empty or reach out, also where sums wrap', () => {
      const resource = picture(2);
      const M = 0xffff_ffff;
      const parts = [
        [0, 0, 0, 2],
        [0, 0, 3, 0],
        [0, 0, 4, 1],
        [1, 0, 3, 1],
        [0, 1, 1, 2],
        [M, 0, 1, 1],
        [0, M, 1, M],
        [M, M, M, M],
      ];
      for (const [x, y, width, height] of parts) {
        expect(pixelsOf(resource, box(x!, y!, width!, height!), null), `${[x, y, width, height]}`).to.equal(null);
      }
      expect(pixelsOf(resource, box(0, 0, 1, 1), fb()), 'has no framebuffer inside').to.equal(null);
    });

    it('are gone with the resource', () => {
      const resource = picture(2);
      const source = pixelsOf(resource, box(0, 0, 3, 2), null)!;
      table.remove(1)?.[Symbol.dispose]();
      expect(source.direct?.length).to.equal(0);
      expect(source.copyRows(0, 2, new Uint8Array(24), 0)).to.equal(-EFAULT);
      expect(pixelsOf(resource, box(0, 0, 3, 2), null)).to.equal(null);
    });

    it('refuse rows that there are not, and buffers without room', () => {
      const source = pixelsOf(picture(2), box(0, 0, 3, 2), null)!;
      const to = new Uint8Array(24);
      for (const [first, count] of [
        [0, 3],
        [2, 1],
        [-1, 1],
        [0, -1],
        [2 ** 53, 1],
        [Number.NaN, 1],
      ]) {
        expect(source.copyRows(first!, count!, to, 0), `${first} ${count}`).to.equal(-EINVAL);
      }
      expect(source.copyRows(2, 0, to, 24)).to.equal(0);
      expect(() => source.copyRows(0, 2, to, 1)).to.throw(RangeError);
    });
  });

  for (const where of ['guest pages', 'a host file'] as const) {
    describe(`of a blob in ${where}`, () => {
      const blobOf = (): Resource => (where === 'guest pages' ? guestBlob() : hostBlob(4096));

      it('skip the offset and the pad of each row', () => {
        const source = pixelsOf(blobOf(), box(0, 0, 3, 2), fb())!;
        const to = new Uint8Array(24);
        expect([source.direct, source.copyRows(0, 2, to, 0), text(to)]).to.deep.equal([
          null,
          0,
          'abcdefghijklmnopqrstuvwx',
        ]);
      });

      it('convert', () => {
        const source = pixelsOf(blobOf(), box(1, 0, 2, 2), fb({ format: 134 }))!;
        const to = new Uint8Array(16);
        expect([source.copyRows(0, 2, to, 0), text(to)]).to.deep.equal([0, 'gfehkjilsrqtwvux']);
        expect([source.copyRows(1, 1, to, 8), text(to)]).to.deep.equal([0, 'gfehkjilsrqtwvux']);
      });

      it('are read at once where rows are tight', () => {
        const source = pixelsOf(blobOf(), box(0, 0, 4, 2), fb({ width: 4 }))!;
        const to = new Uint8Array(32);
        sys.reset();
        expect([source.copyRows(0, 2, to, 0), text(to)]).to.deep.equal([0, 'abcdefghijkl####mnopqrstuvwx----']);
        expect(sys.count('fd.pread')).to.equal(where === 'guest pages' ? 0 : 1);
      });

      it('are none for a framebuffer that does not fit, or without one', () => {
        const resource = blobOf();
        expect(pixelsOf(resource, box(0, 0, 3, 2), null)).to.equal(null);
        expect(pixelsOf(resource, box(0, 0, 3, 2), fb({ offset: 37 }))).to.equal(null);
        expect(pixelsOf(resource, box(0, 0, 4, 2), fb())).to.equal(null);
      });
    });
  }

  it('answer -EFAULT for guest pages that left, and come back with them', () => {
    const resource = guestBlob();
    const source = pixelsOf(resource, box(0, 0, 3, 2), fb())!;
    const to = new Uint8Array(24);
    resource.detach();
    expect(source.copyRows(0, 2, to, 0)).to.equal(-EFAULT);
    resource.attach(guest.pages([BASE, 64]));
    expect(source.copyRows(0, 2, to, 0)).to.equal(0);
    guest.memory.clear();
    expect(source.copyRows(0, 2, to, 0)).to.equal(-EFAULT);
  });

  it('answer an errno for a host file that shrank or fails', () => {
    const host = new FileBlob(sys, BLOB);
    const source = pixelsOf(add(HOST3D, 64, { host }), box(0, 0, 3, 2), fb())!;
    const to = new Uint8Array(24);
    sys.failNext('fd.pread', EINTR);
    expect([source.copyRows(0, 2, to, 0), text(to)]).to.deep.equal([0, 'abcdefghijklmnopqrstuvwx']);
    sys.failNext('fd.pread', EIO);
    expect(source.copyRows(0, 2, to, 0)).to.equal(-EIO);
    host.truncate(30);
    expect(source.copyRows(0, 2, to, 0)).to.equal(-EFAULT);
  });

  it('come from the host where a blob has guest pages too', () => {
    const host = new FileBlob(sys, BLOB);
    const source = pixelsOf(add(HOST3D_GUEST, 64, { host, pages: [[BASE, 64]] }), box(0, 0, 1, 1), fb())!;
    const to = new Uint8Array(4);
    expect([source.copyRows(0, 1, to, 0), text(to)]).to.deep.equal([0, 'abcd']);
  });

  it('come from the renderer for a 3D resource', () => {
    table.add3d(1, new NotedResource());
    const source = pixelsOf(table.get(1)!, box(30, 14, 2, 2), null);
    expect([source?.width, source?.height]).to.deep.equal([2, 2]);
    expect(pixelsOf(table.get(1)!, box(30, 14, 3, 2), null)).to.equal(null);
  });

  it('agree with a pixel by pixel copy (property)', () => {
    const content = Uint8Array.from({ length: 2048 }, (_, i) => (i * 7) % 256);
    guest.ram.u8.set(content);
    const resource = add(GUEST, 2048, { pages: [[BASE, 2048]] });
    const dim = fc.integer({ min: 1, max: 12 });
    fc.assert(
      fc.property(
        dim,
        dim,
        fc.nat(20),
        fc.nat(40),
        fc.tuple(fc.nat(11), fc.nat(11), dim, dim),
        (width, height, pad, offset, at) => {
          const stride = width * 4 + pad;
          const [x, y, w, h] = at;
          const source = pixelsOf(resource, box(x, y, w, h), fb({ width, height, stride, offset }));
          expect(source !== null).to.equal(x + w <= width && y + h <= height);
          if (source === null) return;
          const to = new Uint8Array(w * h * 4);
          expect(source.copyRows(0, h, to, 0)).to.equal(0);
          for (let i = 0; i < to.length; i++) {
            const row = y + Math.floor(i / (w * 4));
            if (to[i] !== content[offset + row * stride + x * 4 + (i % (w * 4))]) expect.fail(`byte ${i}`);
          }
        },
      ),
    );
  });

  describe('checkFramebuffer', () => {
    it('takes one that ends with the blob', () => {
      // 8 + 16 + 12 = 36 bytes are needed.
      const blob = hostBlob();
      expect(checkFramebuffer(blob, fb())).to.equal(OK);
      expect(checkFramebuffer(blob, fb({ offset: 36 }))).to.equal(OK);
      expect(checkFramebuffer(blob, fb({ width: 16, height: 1, stride: 0xffff_ffff, offset: 0 }))).to.equal(OK);
    });

    it('refuses what does not fit, also where products wrap', () => {
      const M = 0xffff_ffff;
      const wrong: Partial<Framebuffer>[] = [
        { format: 0 },
        { format: 5 },
        { format: M },
        { width: 0 },
        { height: 0 },
        { stride: 11 },
        { stride: 0 },
        { offset: 37 },
        { offset: M },
        { height: 4 },
        { height: M },
        { stride: M },
        { stride: M, height: M, offset: M },
        { width: M, stride: M },
        { width: 0x4000_0000, stride: 0, offset: 0 },
        { width: 0x4000_0001, stride: 4, offset: 0 },
        { width: 1, height: 0x1000_0001, stride: 16, offset: 0 },
      ];
      const blob = hostBlob();
      for (const rest of wrong) expect(checkFramebuffer(blob, fb(rest)), JSON.stringify(rest)).to.equal(INVALID);
    });

    it('wants the pages of a guest blob', () => {
      const blob = guestBlob();
      expect(checkFramebuffer(blob, fb({ offset: 36 }))).to.equal(OK);
      expect(checkFramebuffer(blob, fb({ offset: 37 }))).to.equal(INVALID);
      blob.detach();
      expect(checkFramebuffer(blob, fb())).to.equal(UNSPEC);
    });

    it('refuses what is no blob', () => {
      table.create2d(1, 2, 64, 64);
      table.add3d(2, new NotedResource());
      expect(checkFramebuffer(table.get(1)!, fb())).to.equal(INVALID);
      expect(checkFramebuffer(table.get(2)!, fb())).to.equal(INVALID);
    });
  });
});
