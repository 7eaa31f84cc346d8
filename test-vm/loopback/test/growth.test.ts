import { appendFileSync, statSync } from 'node:fs';
import { expect } from 'chai';
import { digest, pattern } from './support/bytes.ts';
import { MIB, PAGE, Share, type ShareOptions } from './support/share.ts';

/** Sizes that a file has one after the other: inside a page, over pages, up to a range's end and over it. */
const SIZES = [
  MIB,
  MIB + 1,
  MIB + PAGE - 1,
  MIB + PAGE,
  MIB + PAGE + 1,
  MIB + 40 * PAGE,
  2 * MIB - 1,
  2 * MIB,
  2 * MIB + 10,
  4 * MIB,
];

for (const tail of ['refuse', 'grow', 'copy'] as const satisfies ShareOptions['tail'][]) {
  describe(`a mapped file that grows, with --dax-tail ${tail}`, () => {
    let share: Share;

    before(async () => {
      share = await Share.start({ tail });
    });

    after(() => share?.[Symbol.asyncDispose]());

    it('shows every byte that the guest writes behind its end, step by step', () => {
      const bytes = pattern(4 * MIB, 11);
      share.put('grows', bytes.subarray(0, SIZES[0]));
      using mounted = share.mount('always');
      const file = mounted.client.open('grows');
      const seen = new Uint8Array(4 * MIB);
      mounted.dax.read(file.nodeid, 0, seen.subarray(0, SIZES[0]));
      for (let i = 1; i < SIZES.length; i++) {
        const [from, to] = [SIZES[i - 1]!, SIZES[i]!];
        mounted.client.write(file, from, bytes.subarray(from, to));
        mounted.dax.read(file.nodeid, 0, seen.subarray(0, to));
        expect(digest(seen.subarray(0, to)), `at ${to} bytes`).to.equal(digest(bytes.subarray(0, to)));
        expect(statSync(share.path('grows')).size).to.equal(to);
      }
    });

    it('takes stores into bytes that a truncation added', () => {
      share.put('set', pattern(MIB, 12));
      using mounted = share.mount('always');
      const file = mounted.client.open('set');
      mounted.dax.read(file.nodeid, 0, new Uint8Array(MIB));
      mounted.client.setattr(file.nodeid, { size: MIB + 3 * PAGE, fh: file.fh });
      const store = pattern(2 * PAGE, 13);
      mounted.dax.write(file.nodeid, MIB + 100, store);
      mounted.client.fsync(file);
      expect(digest(share.get('set').subarray(MIB + 100, MIB + 100 + store.length))).to.equal(digest(store));
    });

    it('shows bytes that the host appended, once the guest learns the size', () => {
      const bytes = pattern(MIB + 8 * PAGE, 14);
      share.put('host', bytes.subarray(0, MIB));
      using mounted = share.mount('always');
      const file = mounted.client.lookup('host');
      mounted.dax.read(file.nodeid, 0, new Uint8Array(MIB));
      appendFileSync(share.path('host'), bytes.subarray(MIB));
      expect(mounted.client.getattr(file.nodeid).size).to.equal(bytes.length);
      const seen = new Uint8Array(bytes.length);
      mounted.dax.read(file.nodeid, 0, seen);
      expect(digest(seen)).to.equal(digest(bytes));
    });

    it('shrinks and grows again without showing old bytes', () => {
      share.put('again', pattern(2 * MIB, 15));
      using mounted = share.mount('always');
      const file = mounted.client.open('again');
      mounted.dax.read(file.nodeid, 0, new Uint8Array(2 * MIB));
      mounted.client.setattr(file.nodeid, { size: MIB, fh: file.fh });
      mounted.client.setattr(file.nodeid, { size: 2 * MIB, fh: file.fh });
      const seen = new Uint8Array(2 * MIB);
      mounted.dax.read(file.nodeid, 0, seen);
      expect(digest(seen)).to.equal(digest(share.get('again')));
      expect(seen.subarray(MIB).every((byte) => byte === 0)).to.equal(true);
    });
  });
}
