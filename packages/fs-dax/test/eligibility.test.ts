import { writeFileSync } from 'node:fs';
import { FOPEN_KEEP_CACHE, FUSE_ATTR_DAX } from '@oriel/fuse';
import { O_CREAT, O_RDWR } from '@oriel/sys';
import { expect } from 'chai';
import type { DaxTail } from '../src/index.ts';
import { ALWAYS, INODE, MIB, PAGE, Rig } from './support/rig.ts';

async function hasDax(rig: Rig, name: string): Promise<boolean> {
  return ((await rig.call((r) => r.lookup(1, name))).readEntry().attr.flags & FUSE_ATTR_DAX) !== 0;
}

describe('the choice of DAX per inode', () => {
  it('is for files of the smallest size or more', async () => {
    using rig = await Rig.mounted(INODE, { dax: { minSize: MIB } });
    for (const [name, size] of [
      ['small', MIB - PAGE],
      ['just', MIB],
      ['large', 3 * MIB],
    ] as const) {
      writeFileSync(rig.path(name), Buffer.alloc(size));
    }
    expect([await hasDax(rig, 'small'), await hasDax(rig, 'just'), await hasDax(rig, 'large')]).to.deep.equal([
      false,
      true,
      true,
    ]);
  });

  for (const [tail, dax] of [
    ['refuse', false],
    ['grow', true],
    ['copy', true],
  ] as const satisfies [DaxTail, boolean][]) {
    it(`is ${dax ? '' : 'not '}for a file that ends in a part of a page, with '${tail}'`, async () => {
      using rig = await Rig.mounted(INODE, { dax: { tail } });
      writeFileSync(rig.path('odd'), Buffer.alloc(PAGE + 1));
      expect(await hasDax(rig, 'odd')).to.equal(dax);
    });
  }

  it('is not for directories, for a share that cannot be written, nor for a file that cannot be opened', async () => {
    {
      using rig = await Rig.mounted(INODE, { share: { readonly: true } });
      writeFileSync(rig.path('file'), Buffer.alloc(PAGE));
      expect(await hasDax(rig, 'file')).to.equal(false);
    }
    let tried = 0;
    using rig = await Rig.mounted(INODE, {
      wrap: (fs) => {
        fs.openForMapping = () => {
          tried++;
          return -26;
        };
        return fs;
      },
    });
    writeFileSync(rig.path('busy'), Buffer.alloc(PAGE));
    expect([await hasDax(rig, 'busy'), await hasDax(rig, 'busy')]).to.deep.equal([false, false]);
    expect(tried, 'tried once an inode').to.equal(1);
    expect((await rig.call((r) => r.getattr(1))).readAttributes().flags).to.equal(0);
  });

  it('is told by every reply with attributes, also in directories, and stays while a file is mapped', async () => {
    using rig = await Rig.mounted(INODE, { dax: { minSize: MIB } });
    writeFileSync(rig.path('file'), Buffer.alloc(2 * MIB));
    const nodeid = await rig.lookup('file');
    expect((await rig.call((r) => r.getattr(nodeid))).readAttributes().flags).to.equal(FUSE_ATTR_DAX);
    await rig.map(nodeid, 0, 0);
    const set = await rig.call((r) => r.setattr(nodeid, { size: PAGE }));
    expect(set.readAttributes().flags).to.equal(FUSE_ATTR_DAX);
    const { fh } = await rig.call((r) => r.opendir(1));
    const records = (await rig.call((r) => r.readdirplus(1, fh, 0, 0, 4096))).readRecords();
    expect(records.find(({ entry }) => entry?.nodeid === nodeid)?.entry?.attr.flags).to.equal(FUSE_ATTR_DAX);
    await rig.call((r) => r.releasedir(1, fh));
  });

  it('is not made where every file is mapped anyway', async () => {
    using rig = await Rig.mounted(ALWAYS);
    writeFileSync(rig.path('file'), Buffer.alloc(2 * MIB));
    expect(await hasDax(rig, 'file')).to.equal(false);
    expect(rig.device.stats.daxInodes).to.equal(0);
  });

  it('forgets an inode with its last lookup', async () => {
    using rig = await Rig.mounted(INODE);
    writeFileSync(rig.path('file'), Buffer.alloc(PAGE));
    const nodeid = await rig.lookup('file');
    expect(rig.device.stats.daxInodes).to.equal(1);
    rig.send((r) => r.forget(nodeid, 1), undefined, 0);
    await rig.call((r) => r.getattr(1));
    expect(rig.device.stats.daxInodes).to.equal(0);
  });
});

describe('FOPEN_KEEP_CACHE', () => {
  const openFlags = async (rig: Rig, nodeid: number): Promise<number> => {
    const reply = await rig.call((r) => r.open(nodeid, O_RDWR));
    const { fh, openFlags: flags } = reply;
    await rig.call((r) => r.release(nodeid, fh));
    return flags & FOPEN_KEEP_CACHE;
  };

  it('is said of files with DAX only, and of every file where all have it', async () => {
    {
      using rig = await Rig.mounted(INODE, { dax: { minSize: MIB } });
      writeFileSync(rig.path('large'), Buffer.alloc(MIB));
      writeFileSync(rig.path('small'), Buffer.alloc(PAGE));
      expect(await openFlags(rig, await rig.lookup('large'))).to.equal(FOPEN_KEEP_CACHE);
      expect(await openFlags(rig, await rig.lookup('small'))).to.equal(0);
    }
    using rig = await Rig.mounted(ALWAYS);
    writeFileSync(rig.path('small'), Buffer.alloc(PAGE));
    expect(await openFlags(rig, await rig.lookup('small'))).to.equal(FOPEN_KEEP_CACHE);
    const made = await rig.call((r) => r.create(1, 'new', O_RDWR | O_CREAT, 0o644));
    expect(made.openFlags & FOPEN_KEEP_CACHE).to.equal(FOPEN_KEEP_CACHE);
  });
});
