import { statSync } from 'node:fs';
import { EOPNOTSUPP } from '@oriel/sys';
import { expect } from 'chai';
import { DAX_RANGE } from '../src/index.ts';
import { digest, errnoOf, pattern } from './support/bytes.ts';
import { MIB, type Mounted, PAGE, Share } from './support/share.ts';

const ODD = 3 * MIB + 1234;
const EVEN = 3 * MIB + PAGE;

function readAll({ dax }: Mounted, nodeid: number, size: number): string {
  const got = new Uint8Array(size);
  dax.read(nodeid, 0, got);
  return digest(got);
}

describe('a file that ends in a part of a page', () => {
  describe('with --dax-tail refuse', () => {
    let share: Share;

    before(async () => {
      share = await Share.start({ tail: 'refuse' });
      share.put('odd', pattern(ODD));
      share.put('even', pattern(EVEN, 2));
    });

    after(() => share?.[Symbol.asyncDispose]());

    it('has no DAX in the per-inode mode, while one of whole pages has', () => {
      using mounted = share.mount('inode');
      expect(mounted.client.lookup('odd').dax).to.equal(false);
      const even = mounted.client.lookup('even');
      expect(even.dax).to.equal(true);
      expect(readAll(mounted, even.nodeid, EVEN)).to.equal(digest(share.get('even')));
    });

    it('cannot be mapped at its end where every file is mapped, but before it', () => {
      using mounted = share.mount('always');
      const { client, vm } = mounted;
      const odd = client.lookup('odd');
      expect(errnoOf(() => client.setupMapping(odd.nodeid, DAX_RANGE, 0, DAX_RANGE, false))).to.equal(EOPNOTSUPP);
      expect(vm.window.entries()).to.have.length(0);
      const start = new Uint8Array(DAX_RANGE);
      mounted.dax.read(odd.nodeid, 0, start);
      expect(digest(start)).to.equal(digest(share.get('odd').subarray(0, DAX_RANGE)));
    });

    it('cannot be mapped behind its end at all', () => {
      using mounted = share.mount('always');
      const { nodeid } = mounted.client.lookup('even');
      expect(errnoOf(() => mounted.client.setupMapping(nodeid, 2 * DAX_RANGE, 0, DAX_RANGE, false))).not.to.equal(0);
      expect(mounted.vm.window.entries()).to.have.length(0);
    });

    it('is never made longer, not even an empty one', () => {
      share.put('empty', new Uint8Array(0));
      using mounted = share.mount('always');
      const { nodeid } = mounted.client.lookup('empty');
      expect(errnoOf(() => mounted.client.setupMapping(nodeid, 0, 0, DAX_RANGE, true))).not.to.equal(0);
      expect(statSync(share.path('empty')).size).to.equal(0);
      expect(statSync(share.path('odd')).size).to.equal(ODD);
    });
  });

  describe('with --dax-tail grow', () => {
    let share: Share;

    before(async () => {
      share = await Share.start({ tail: 'grow' });
    });

    after(() => share?.[Symbol.asyncDispose]());

    it('is mapped to its last byte, and keeps its size and its times', () => {
      share.put('odd', pattern(ODD, 3));
      const before = statSync(share.path('odd'), { bigint: true });
      using mounted = share.mount('inode');
      const file = mounted.client.lookup('odd');
      expect(file.dax).to.equal(true);
      expect(readAll(mounted, file.nodeid, ODD)).to.equal(digest(share.get('odd')));
      const after = statSync(share.path('odd'), { bigint: true });
      expect(after.size).to.equal(before.size);
      expect(after.mtimeNs).to.equal(before.mtimeNs);
    });

    it('takes stores up to its last byte, which the host sees at once', () => {
      const bytes = share.put('stored', pattern(ODD, 4));
      using mounted = share.mount('always');
      const file = mounted.client.lookup('stored');
      const tail = pattern(1234, 5);
      mounted.dax.write(file.nodeid, 3 * MIB, tail);
      bytes.set(tail, 3 * MIB);
      expect(digest(share.get('stored'))).to.equal(digest(bytes));
    });
  });

  describe('with --dax-tail copy', () => {
    let share: Share;

    before(async () => {
      share = await Share.start({ tail: 'copy' });
    });

    after(() => share?.[Symbol.asyncDispose]());

    it('is mapped to its last byte', () => {
      share.put('odd', pattern(ODD, 6));
      using mounted = share.mount('inode');
      const file = mounted.client.lookup('odd');
      expect(file.dax).to.equal(true);
      expect(readAll(mounted, file.nodeid, ODD)).to.equal(digest(share.get('odd')));
    });

    it('takes stores that the host sees after fsync', () => {
      const bytes = share.put('stored', pattern(ODD, 7));
      using mounted = share.mount('always');
      const file = mounted.client.open('stored');
      const tail = pattern(1234, 8);
      mounted.dax.write(file.nodeid, 3 * MIB, tail);
      mounted.client.fsync(file);
      bytes.set(tail, 3 * MIB);
      expect(digest(share.get('stored'))).to.equal(digest(bytes));
    });

    it('writes stores back when the range is removed', () => {
      const bytes = share.put('removed', pattern(ODD, 9));
      using mounted = share.mount('always');
      const file = mounted.client.lookup('removed');
      const tail = pattern(500, 10);
      mounted.dax.write(file.nodeid, 3 * MIB + 700, tail);
      mounted.dax.evict(file.nodeid);
      bytes.set(tail, 3 * MIB + 700);
      expect(digest(share.get('removed'))).to.equal(digest(bytes));
    });
  });
});
