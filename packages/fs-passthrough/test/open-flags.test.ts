/** What of the guest's O_* reaches the host, by the flags of the descriptors that are open then. */
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { FUSE_DIRECT_IO_ALLOW_MMAP, FUSE_DO_READDIRPLUS, FUSE_HANDLE_KILLPRIV_V2, flags2 } from '@oriel/fuse';
import { EINVAL, O_ACCMODE, O_APPEND, O_DIRECT, O_NOATIME, O_RDWR, O_WRONLY } from '@oriel/sys';
import { expect } from 'chai';
import type { PassthroughOptions } from '../src/index.ts';
import { DrivenShare } from './support/driven-share.ts';
import { checkLeaks } from './support/leaks.ts';
import { ROOT } from './support/share.ts';

const O_PATH = 0o10000000;

/** O_* of the descriptors of this process that are open on a file, O_PATH ones apart. */
function hostFlags(path: string): number[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`) !== path) return [];
      const flags = Number.parseInt(/^flags:\s+(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))![1]!, 8);
      return (flags & O_PATH) === 0 ? [flags] : [];
    } catch {
      return [];
    }
  });
}

describe('the flags of an open', () => {
  checkLeaks();
  const KEPT = O_ACCMODE | O_APPEND | O_DIRECT | O_NOATIME;

  const cases: readonly [title: string, PassthroughOptions | object, guest: number, host: number][] = [
    ['are those of access alone', {}, O_WRONLY | O_APPEND | O_DIRECT | O_NOATIME, O_WRONLY],
    ['have O_DIRECT where that is allowed', { allowDirectIo: true }, O_RDWR | O_DIRECT | O_NOATIME, O_RDWR | O_DIRECT],
    ['have O_NOATIME where that is kept', { preserveNoatime: true }, O_RDWR | O_DIRECT | O_NOATIME, O_RDWR | O_NOATIME],
    ['are for reading, too, where the driver writes back', { writeback: true }, O_WRONLY | O_APPEND, O_RDWR],
  ];
  for (const [title, options, guest, host] of cases) {
    it(title, () => {
      using driven = new DrivenShare(options);
      const { driver, share } = driven;
      writeFileSync(share.at('file'), 'text');
      const opened = driver.call(driver.request.open(driven.node('file'), guest)).error;
      if (opened === EINVAL && (host & O_DIRECT) !== 0) return;
      expect(opened).to.equal(0);
      expect(hostFlags(share.at('file')).map((flags) => flags & KEPT)).to.deep.equal([host]);
      expect(driver.call(driver.request.create(ROOT, 'new', guest, 0o600)).error).to.equal(0);
      expect(hostFlags(share.at('new')).map((flags) => flags & KEPT)).to.deep.equal([host]);
    });
  }

  it('are as they were where the driver does not write back after all', () => {
    using driven = new DrivenShare({ writeback: true });
    const { driver, share } = driven;
    driver.call(driver.request.init({ flagsLo: 0x7ffe_fffb }));
    writeFileSync(share.at('file'), 'text');
    driven.open(driven.node('file'), O_WRONLY);
    expect(hostFlags(share.at('file')).map((flags) => flags & O_ACCMODE)).to.deep.equal([O_WRONLY]);
  });

  it('of a driver that writes back: pages are read through them, and times set', () => {
    using driven = new DrivenShare({ writeback: true });
    const { driver, share } = driven;
    const { request } = driver;
    writeFileSync(share.at('file'), 'text');
    const nodeid = driven.node('file');
    const fh = driven.open(nodeid, O_WRONLY | O_APPEND);
    expect(Buffer.from(driver.call(request.read(nodeid, fh, 0, 4096)).data).toString()).to.equal('text');
    // FUSE_WRITE_CACHE: a page has its place, whatever the file's flags.
    driver.call(request.write(nodeid, fh, 2, 2, O_WRONLY | O_APPEND, 1), Buffer.from('st'));
    expect(readFileSync(share.at('file'), 'utf8')).to.equal('test');
    const told = driver.call(request.setattr(nodeid, { mtime: 1000, mtimeNs: 7 })).readAttributes();
    expect(told).to.include({ mtime: 1000, mtimeNs: 7 });
  });
});

describe('what a share agrees with its driver', () => {
  checkLeaks();

  it('follows its options', () => {
    const agreed = (options: Partial<PassthroughOptions>): { lo: number; hi: number } => {
      using driven = new DrivenShare(options);
      const { flagsLo: lo, flagsHi: hi } = driven.driver.init().readInit();
      return { lo, hi };
    };
    expect(agreed({}).lo & FUSE_HANDLE_KILLPRIV_V2).not.to.equal(0);
    expect(agreed({ killprivV2: false }).lo & FUSE_HANDLE_KILLPRIV_V2).to.equal(0);
    expect(agreed({}).lo & FUSE_DO_READDIRPLUS).not.to.equal(0);
    expect(agreed({ readdirplus: false }).lo & FUSE_DO_READDIRPLUS).to.equal(0);
    expect(agreed({ cache: 'never' }).lo & FUSE_DO_READDIRPLUS).to.equal(0);
    expect(agreed({}).hi & flags2(FUSE_DIRECT_IO_ALLOW_MMAP)).to.equal(0);
    expect(agreed({ allowMmap: true, cache: 'never' }).hi & flags2(FUSE_DIRECT_IO_ALLOW_MMAP)).not.to.equal(0);
  });
});
