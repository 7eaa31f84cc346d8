import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, linkSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { FOPEN_KEEP_CACHE, type MapInfo } from '@oriel/fuse';
import { EACCES, EAGAIN, EBADF, ETXTBSY, O_RDWR, openSys } from '@oriel/sys';
import { mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import { checkLeaks } from './support/leaks.ts';
import { ROOT, TestShare } from './support/share.ts';

function infoOf(share: TestShare, nodeid: number): MapInfo & { result: number } {
  const out = { size: -1, mappable: false, devLo: 0, devHi: 0, inoLo: 0, inoHi: 0, path: 'unset' };
  const result = share.fs.mapInfo(nodeid, out);
  return { ...out, result };
}

describe('files for a DAX window', () => {
  checkLeaks();

  it('are described by size, identity and path', () => {
    using share = new TestShare();
    mkdirSync(share.at('dir'));
    writeFileSync(share.at('dir', 'é file'), 'abcdef');
    const nodeid = share.node('dir', 'é file');
    const { attr } = share.getattr(nodeid).op.entry;

    const info = infoOf(share, nodeid);

    expect(info).to.include({ result: 0, size: 6, mappable: true, inoLo: attr.inoLo, path: 'dir/é file' });
    renameSync(share.at('dir'), share.at('moved'));
    expect(infoOf(share, nodeid).path).to.equal('moved/é file');
    rmSync(share.at('moved', 'é file'));
    expect(infoOf(share, nodeid)).to.include({ result: 0, path: '' });
    expect(infoOf(share, share.node('moved'))).to.include({ mappable: false, path: 'moved' });
    expect(infoOf(share, ROOT)).to.include({ mappable: false, path: '' });
    expect(infoOf(share, 99).result).to.equal(-EBADF);
  });

  it('have escaped paths where they are no text', () => {
    using share = new TestShare();
    writeFileSync(Buffer.concat([Buffer.from(`${share.path}/`), Buffer.from([0x61, 0xff])]), '');

    const { nodeid } = share.lookup(new Uint8Array([0x61, 0xff]));

    expect(infoOf(share, nodeid).path).to.equal('a\\xff');
  });

  it('have no path when the one they were found by is gone, and are not taken for a file that looks so', () => {
    using share = new TestShare();
    const nodeid = share.put('file', 'mine');
    linkSync(share.at('file'), share.at('other name'));
    rmSync(share.at('file'));

    expect(infoOf(share, nodeid)).to.include({ result: 0, size: 4, path: '' });
    writeFileSync(share.at('file (deleted)'), 'a trap');
    expect(infoOf(share, nodeid).path).to.equal('');
    expect(infoOf(share, share.node('file (deleted)')).path).to.equal('file (deleted)');
  });

  it('have paths below a share that is the root directory', () => {
    using share = new TestShare({ sharedDir: '/' });

    expect(infoOf(share, share.node('proc')).path).to.equal('proc');
  });

  it('cannot be mapped on a read-only share', () => {
    using share = new TestShare({ readonly: true });
    writeFileSync(share.at('file'), 'abc');

    expect(infoOf(share, share.node('file'))).to.include({ result: 0, mappable: false });
  });

  it('get a description of their own, for reading and writing', () => {
    using share = new TestShare();
    const nodeid = share.put('file', 'abcdef');

    const fd = share.fs.openForMapping(nodeid);

    const { fd: sysFd, file } = openSys();
    const buffer = new Uint8Array(3);
    expect(sysFd.pwrite(fd, Buffer.from('XY'), 2, 1)).to.equal(2);
    expect(sysFd.pread(fd, buffer, 3, 0)).to.equal(3);
    expect(Buffer.from(buffer).toString()).to.equal('aXY');
    expect(file.ftruncate(fd, 0)).to.equal(0);
    sysFd.close(fd);
    expect(share.fs.openForMapping(ROOT)).to.equal(-EACCES);
    expect(share.fs.openForMapping(99)).to.equal(-EBADF);
  });

  it('are busy while they run as a program, or under a lease', async () => {
    const sys = mockSys();
    using share = new TestShare({ sys });
    copyFileSync('/bin/sleep', share.at('program'));
    const child = spawn(share.at('program'), ['60'], { stdio: 'ignore' });
    await once(child, 'spawn');

    expect(share.fs.openForMapping(share.node('program'))).to.equal(-ETXTBSY);

    child.kill('SIGKILL');
    await once(child, 'exit');
    sys.failNext('file.openat', EAGAIN);
    expect(share.fs.openForMapping(share.node('program'))).to.equal(-ETXTBSY);
  });

  it('keep their page tables in the guest when they are opened again', () => {
    using share = new TestShare({ daxKeepCache: true });
    const nodeid = share.put('file', 'abc');
    const flags = (): number => share.open(nodeid, O_RDWR).op.openFlags;
    const before = flags();

    openSys().fd.close(share.fs.openForMapping(nodeid));

    expect([before, flags()]).to.deep.equal([0, FOPEN_KEEP_CACHE]);
    share.forget(nodeid);
    expect(share.fs.inDaxUse(nodeid)).to.equal(false);
  });
});
