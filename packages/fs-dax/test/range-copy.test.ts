import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fd, Mapping, O_RDWR, openSys, PROT_READ, PROT_WRITE } from '@oriel/sys';
import { leakCheck, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { RangeCopy } from '../src/dax/range-copy.ts';

const sys = openSys();
const LEN = 2 << 20;

describe('RangeCopy', () => {
  it('writes back only pages that the guest changed, up to the end of the file', () => {
    using _leaks = leakCheck();
    using dir = tempDir();
    const path = join(dir.path, 'file');
    writeFileSync(path, Buffer.alloc(10_000, 'a'));
    using file = new Fd(sys.fd, sys.file.openat(-100, Buffer.from(`${path}\0`), O_RDWR, 0));
    using copy = new RangeCopy(sys, 0, LEN);
    expect(copy.load(file.fd)).to.equal(0);
    using guest = Mapping.shared(sys.mem, copy.memfd.fd, LEN, 0, PROT_READ | PROT_WRITE);
    expect([guest.u8[9_999], guest.u8[10_000]]).to.deep.equal([97, 0]);
    guest.u8[9_998] = 98;
    guest.u8[10_001] = 99; // behind the end: lost, as in any mapping
    writeFileSync(path, Buffer.concat([Buffer.from('HOST'), Buffer.alloc(9_996, 'a')]), { flag: 'r+' });
    expect(copy.writeBack(file.fd, 10_000)).to.equal(0);
    const now = readFileSync(path);
    expect(now.length).to.equal(10_000);
    expect(now.toString('latin1', 0, 4), 'a page that the guest left alone stays').to.equal('HOST');
    expect(now[9_998]).to.equal(98);
  });
});
