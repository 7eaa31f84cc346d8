import { linkSync, lstatSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { AT_FDCWD, EBADF, ENFILE, ENOENT, ENOTDIR, openSys } from '@oriel/sys';
import { mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import { checkLeaks } from './support/leaks.ts';
import { PLACES, ROOT, TestShare } from './support/share.ts';

for (const place of PLACES) {
  describe(`LOOKUP and GETATTR in ${place}`, () => {
    checkLeaks();

    it('tells of a file what stat tells', () => {
      using share = new TestShare({}, place);
      writeFileSync(share.at('file'), 'twelve bytes', { mode: 0o640 });
      const times = new BigInt64Array([1_000_000_000n, 250_000_000n, -1001n, 500_000_000n]);
      openSys().file.utimensat(AT_FDCWD, Buffer.from(`${share.at('file')}\0`), times, 0);

      const { result, nodeid, op } = share.lookup('file');

      const host = lstatSync(share.at('file'), { bigint: true });
      const { attr } = op.entry;
      expect(result).to.equal(0);
      expect(nodeid).to.equal(2);
      expect(op.entry.generation).to.equal(0);
      expect((BigInt(attr.inoHi) << 32n) | BigInt(attr.inoLo)).to.equal(host.ino);
      expect(attr.size).to.equal(12);
      expect(BigInt(attr.blocks)).to.equal(host.blocks);
      expect(BigInt(attr.mode)).to.equal(host.mode);
      expect(BigInt(attr.nlink)).to.equal(host.nlink);
      expect([attr.uid, attr.gid]).to.deep.equal([Number(host.uid), Number(host.gid)]);
      expect(BigInt(attr.blksize)).to.equal(host.blksize);
      expect(BigInt(attr.atime) * 1_000_000_000n + BigInt(attr.atimeNs)).to.equal(host.atimeNs);
      expect(BigInt(attr.mtime) * 1_000_000_000n + BigInt(attr.mtimeNs)).to.equal(host.mtimeNs);
      expect(attr.mtime).to.equal(-1001);
      expect(BigInt(attr.ctime) * 1_000_000_000n + BigInt(attr.ctimeNs)).to.equal(host.ctimeNs);
      expect([op.entry.entryValidSec, attr.validSec]).to.deep.equal([1, 1]);
      expect(attr.flags).to.equal(0);
    });

    it('gives one nodeid to one file under all its names', () => {
      using share = new TestShare({}, place);
      writeFileSync(share.at('a'), '');
      linkSync(share.at('a'), share.at('b'));

      const first = share.lookup('a');
      const second = share.lookup('b');
      renameSync(share.at('a'), share.at('c'));
      const third = share.lookup('c');

      expect([second.nodeid, third.nodeid]).to.deep.equal([first.nodeid, first.nodeid]);
      expect(share.fs.stats.inodes).to.equal(2);
    });

    it('keeps an inode whose name is gone, and tells a new file of that name apart', () => {
      using share = new TestShare({}, place);
      const old = share.put('a', 'old');
      rmSync(share.at('a'));
      writeFileSync(share.at('a'), 'newer');

      const now = share.lookup('a');

      expect(now.nodeid).to.not.equal(old);
      expect(share.getattr(old).op.entry.attr.nlink).to.equal(0);
      expect(share.getattr(now.nodeid).op.entry.attr.size).to.equal(5);
    });
  });
}

describe('LOOKUP', () => {
  checkLeaks();

  it('finds names of any bytes', () => {
    using share = new TestShare();
    const name = new Uint8Array([0xff, 0x0a, 0x20, 0x80]);
    writeFileSync(Buffer.concat([Buffer.from(`${share.path}/`), name]), 'x');

    expect(share.lookup(name).result).to.equal(0);
  });

  it('answers with the errno that the host gives', () => {
    using share = new TestShare();
    const file = share.put('file', '');

    expect(share.lookup('missing').result).to.equal(-ENOENT);
    expect(share.lookup('below', file).result).to.equal(-ENOTDIR);
  });

  it('refuses nodeids that it never gave or that were forgotten', () => {
    using share = new TestShare();
    mkdirSync(share.at('dir'));
    const dir = share.node('dir');
    share.forget(dir);

    expect(share.lookup('a', dir).result).to.equal(-EBADF);
    expect(share.lookup('a', 99).result).to.equal(-EBADF);
    expect(share.getattr(dir).result).to.equal(-EBADF);
    expect(share.getattr(0).result).to.equal(-EBADF);
  });

  it('costs one statx for an inode that is known, and opens only a new one', () => {
    const sys = mockSys();
    using share = new TestShare({ sys });
    writeFileSync(share.at('file'), '');

    sys.reset();
    const nodeid = share.node('file');
    const first = sys.calls.map((call) => call.name);
    sys.reset();
    share.node('file');
    const second = sys.calls.map((call) => call.name);
    sys.reset();
    share.getattr(nodeid);
    const attributes = sys.calls.map((call) => call.name);

    expect(first).to.deep.equal(['file.statx', 'file.openat2', 'file.statx']);
    expect(second).to.deep.equal(['file.statx']);
    expect(attributes).to.deep.equal(['file.statx']);
  });

  it('believes the descriptor when a name changed between statx and open', () => {
    const real = openSys().file;
    let swap: (() => void) | undefined;
    const sys = mockSys({
      file: {
        openat2(...args) {
          swap?.();
          return real.openat2(...args);
        },
      },
    });
    using share = new TestShare({ sys });
    writeFileSync(share.at('victim'), 'a');
    symlinkSync('/etc/passwd', share.at('link'));
    swap = () => renameSync(share.at('link'), share.at('victim'));

    const { result, nodeid, op } = share.lookup('victim');

    expect(result).to.equal(0);
    expect(op.entry.attr.mode & 0o170000).to.equal(0o120000);
    swap = undefined;
    expect(share.lookup('victim').nodeid).to.equal(nodeid);
    expect(share.fs.stats.inodes).to.equal(2);
  });

  it('serves known inodes when the inode budget is spent, and says so once', () => {
    const lines: string[] = [];
    const warn = (message: string, fields?: Record<string, unknown>): void => {
      lines.push(`${message} ${JSON.stringify(fields)}`);
    };
    const none = (): void => {};
    const log = { error: none, warn, info: none, debug: none, trace: none };
    using share = new TestShare({ limits: { maxInodes: 3 }, log });
    for (const name of ['a', 'b', 'c\n', 'd']) {
      writeFileSync(share.at(name), '');
    }
    share.node('a');
    share.node('b');

    expect(share.lookup('c\n').result).to.equal(-ENFILE);
    expect(share.lookup('d').result).to.equal(-ENFILE);
    expect(share.lookup('a').result).to.equal(0);
    expect(share.mkdir('new').result).to.equal(-ENFILE);
    expect(() => lstatSync(share.at('new'))).to.throw('ENOENT');
    expect(lines).to.have.length(1);
    expect(lines[0]).to.include('c\\\\x0a').and.not.include('\n');
    share.forget(share.node('a'), 3);
    expect(share.lookup('d').result).to.equal(0);
  });

  it('keeps inode numbers of 64 bits apart', () => {
    const real = openSys().file;
    let hi = 0;
    const sys = mockSys({
      file: {
        statx(dirfd, path, flags, mask, buf) {
          const result = real.statx(dirfd, path, flags, mask, buf);
          const words = new Uint32Array(openSys().mem.view(buf as number, 256));
          words[9] = hi;
          return result;
        },
      },
    });
    using share = new TestShare({ sys });
    writeFileSync(share.at('file'), '');
    const nodes = [0, 0x1f_ffff, 0x20_0000, 0xffff_ffff].map((value) => {
      hi = value;
      return share.node('file');
    });

    hi = 0x20_0000;
    const again = share.lookup('file');

    expect(new Set(nodes).size).to.equal(4);
    expect(again.nodeid).to.equal(nodes[2]);
    expect(again.op.entry.attr.inoHi).to.equal(0x20_0000);
    share.forget(nodes[2]!, 2);
    expect(share.lookup('file').nodeid).to.not.equal(nodes[2]);
  });

  it('never answers with the root', () => {
    using share = new TestShare();
    mkdirSync(share.at('dir'));

    expect(share.getattr(ROOT).result).to.equal(0);
    expect(share.node('dir')).to.be.greaterThan(ROOT);
  });
});
