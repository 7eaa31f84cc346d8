import { lstatSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { EBADF, ESTALE, O_RDWR } from '@oriel/sys';
import { expect } from 'chai';
import fc from 'fast-check';
import { checkLeaks } from './support/leaks.ts';
import { PLACES, ROOT, TestShare } from './support/share.ts';

const NAMES = ['a', 'b', 'c', 'd', 'e'];

/** What the guest knows: nodeid to lookups not forgotten. */
class Model {
  readonly counts = new Map<number, number>();

  add(nodeid: number): void {
    this.counts.set(nodeid, (this.counts.get(nodeid) ?? 0) + 1);
  }

  forget(nodeid: number, count: number): void {
    const left = (this.counts.get(nodeid) ?? 0) - count;
    if (left > 0) {
      this.counts.set(nodeid, left);
    } else {
      this.counts.delete(nodeid);
    }
  }
}

type Step = { kind: string; from: number; to: number; count: number };

const steps = fc.array(
  fc.record<Step>({
    kind: fc.constantFrom('lookup', 'lookup', 'forget', 'create', 'mkdir', 'link', 'unlink', 'rename', 'plus', 'host'),
    from: fc.nat(NAMES.length - 1),
    to: fc.nat(NAMES.length - 1),
    count: fc.integer({ min: 1, max: 3 }),
  }),
  { maxLength: 60 },
);

function play(share: TestShare, model: Model, { kind, from, to, count }: Step): void {
  const name = NAMES[from]!;
  const other = NAMES[to]!;
  const known = [...model.counts.keys()];
  const some = known[from % Math.max(known.length, 1)];
  switch (kind) {
    case 'lookup': {
      const { result, nodeid } = share.lookup(name);
      if (result === 0) {
        model.add(nodeid);
        const { ino } = lstatSync(share.at(name), { bigint: true });
        const { attr } = share.getattr(nodeid).op.entry;
        expect((BigInt(attr.inoHi) << 32n) | BigInt(attr.inoLo)).to.equal(ino);
      }
      return;
    }
    case 'forget':
      if (some !== undefined) {
        share.forget(some, count);
        model.forget(some, count);
      }
      return;
    case 'create': {
      const { result, nodeid, op } = share.create(name, O_RDWR);
      if (result === 0) {
        model.add(nodeid);
        share.fs.release(op, nodeid, op.fh);
      }
      return;
    }
    case 'mkdir': {
      const { result, nodeid } = share.mkdir(name);
      if (result === 0) {
        model.add(nodeid);
      }
      return;
    }
    case 'link': {
      const { result, nodeid } = share.link(some ?? ROOT, other);
      if (result === 0) {
        model.add(nodeid);
      }
      return;
    }
    case 'unlink':
      if (share.unlink(name) !== 0) {
        share.rmdir(name);
      }
      return;
    case 'rename':
      share.rename(name, other);
      return;
    case 'plus': {
      const fh = share.dirFh(ROOT);
      for (const record of share.list(fh, 152 + 8 * (1 + count), true)) {
        if (record.nodeid !== 0) {
          model.add(record.nodeid);
        }
      }
      share.fs.releasedir(share.op(), ROOT, fh);
      return;
    }
    default:
      // The host changes the directory behind the guest's back.
      rmSync(share.at(name), { recursive: true, force: true });
      if (count === 1) {
        writeFileSync(share.at(name), 'host');
      } else if (count === 2) {
        mkdirSync(share.at(name));
        renameSync(share.at(name), share.at(`${name}2`));
        rmSync(share.at(`${name}2`), { recursive: true });
      }
  }
}

const BUDGETS = [
  { text: '', limits: {} },
  // The root, its mount, and two more.
  { text: ', with four descriptors', limits: { maxInodeDescriptors: 4 } },
];

for (const place of PLACES) {
  for (const { text, limits } of BUDGETS) {
    describe(`lookup counts in ${place}${text}`, () => {
      checkLeaks();

      it('hold exactly the inodes that a guest has not forgotten (property)', () => {
        fc.assert(
          fc.property(steps, (list) => {
            using share = new TestShare({ limits }, place);
            const model = new Model();
            for (const step of list) {
              play(share, model, step);
              expect(share.fs.stats.inodes - 1).to.equal(model.counts.size);
            }
            for (const [nodeid, count] of model.counts) {
              if (count > 1) {
                share.forget(nodeid, count - 1);
              }
              // A file that ended while it had no descriptor is still known.
              const known = text === '' ? [0] : [0, -ESTALE];
              expect(share.getattr(nodeid).result).to.be.oneOf(known);
              share.forget(nodeid, 1);
              expect(share.getattr(nodeid).result).to.equal(-EBADF);
            }
            expect(share.fs.stats).to.include({ inodes: 1, handles: 0, devices: 1, pending: 0 });
          }),
          { numRuns: 40 },
        );
      });
    });
  }
}

describe('FORGET', () => {
  checkLeaks();

  it('takes more than there is as all, and leaves the root', () => {
    using share = new TestShare();
    const nodeid = share.put('a', '');

    share.forget(nodeid, 2 ** 53 - 1);
    share.forget(nodeid, 1);
    share.forget(ROOT, 1000);
    share.forget(77, 1);

    expect(share.fs.stats.inodes).to.equal(1);
    expect(share.getattr(ROOT).result).to.equal(0);
  });

  it('leaves open files usable', () => {
    using share = new TestShare();
    const nodeid = share.put('a', 'text');
    const fh = share.fh(nodeid);

    share.forget(nodeid);

    expect(share.read(fh, 0, 10)).to.equal('text');
  });
});
