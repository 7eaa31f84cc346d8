import { readFileSync } from 'node:fs';
import { check, F_SEAL_SHRINK, Fd, MFD_ALLOW_SEALING, MFD_CLOEXEC, MFD_HUGETLB, openSys } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { GuestMemory } from '../src/index.ts';

/** Huge pages that nobody uses, and their size in bytes. */
function hugePages(): { free: number; size: number } {
  const meminfo = readFileSync('/proc/meminfo', 'utf8');
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(meminfo)?.[1] ?? 0);
  return { free: field('HugePages_Free') - field('HugePages_Rsvd'), size: field('Hugepagesize') * 1024 };
}

describe('GuestMemory over huge pages', () => {
  it('maps a region that starts and ends inside a huge page', function () {
    const { free, size } = hugePages();
    if (free < 2) {
      console.warn('      SKIPPED: needs 2 free huge pages (sysctl vm.nr_hugepages=2)');
      this.skip();
    }
    const sys = openSys();
    using _leaks = leakCheck();
    const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB;
    using file = new Fd(sys.fd, check(sys.mem.memfdCreate('huge', flags), 'memfd_create'));
    check(sys.file.ftruncate(file.fd, 2 * size), 'ftruncate');
    check(sys.mem.addSeals(file.fd, F_SEAL_SHRINK), 'fcntl');
    using memory = new GuestMemory(sys);
    const whole = { gpa: 0, userAddr: 0, mmapOffset: 0, size: 2 * size };
    const part = { gpa: 4 * size, userAddr: 4 * size, mmapOffset: size + 4096, size: 8192 };
    memory.replace([
      { ...whole, fd: file.dup() },
      { ...part, fd: file.dup() },
    ]);
    const [all, inside] = memory.regions;
    expect([all!.direct, inside!.direct]).to.deep.equal([true, true]);
    all!.u8[size + 4096 + 8191] = 99;
    expect(inside!.u8[8191]).to.equal(99);
  });
});
