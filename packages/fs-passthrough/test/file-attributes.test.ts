/** STATX and IOCTL beside what the host's own programs say. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import {
  EBADF,
  EINVAL,
  ENODATA,
  ENOSYS,
  ENOTTY,
  EOPNOTSUPP,
  EPERM,
  EROFS,
  STATX_BASIC_STATS,
  STATX_BTIME,
} from '@oriel/sys';
import { mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import {
  FS_IOC_ENABLE_VERITY,
  FS_IOC_FSGETXATTR,
  FS_IOC_FSSETXATTR,
  FS_IOC_GETFLAGS,
  FS_IOC_MEASURE_VERITY,
  FS_IOC_SETFLAGS,
} from '../src/file-attributes.ts';
import { DrivenShare } from './support/driven-share.ts';
import { checkLeaks } from './support/leaks.ts';

const NODUMP = 0x40;
const IMMUTABLE = 0x10;
const JOURNAL_DATA = 0x4000;
const XFLAG_NODUMP = 0x80;
const NONE = new Uint8Array(0);

const u32 = (...values: number[]): Uint8Array => Uint8Array.from(new Uint8Array(Uint32Array.from(values).buffer));
const word = (bytes: Uint8Array, index = 0): number => new DataView(bytes.slice().buffer).getUint32(4 * index, true);

describe('STATX', () => {
  checkLeaks();

  it('tells what the host tells, and when a file was made', () => {
    using driven = new DrivenShare();
    const { driver, share } = driven;
    writeFileSync(share.at('file'), 'some text');
    symlinkSync('file', share.at('link'));
    mkdirSync(share.at('dir'));
    for (const name of ['file', 'link', 'dir']) {
      const host = execFileSync('stat', ['-c', '%W %Hd %Ld %i %s %a', share.at(name)], { encoding: 'utf8' });
      const { attr, ...facts } = driver.call(driver.request.statx(driven.node(name))).readStatx();
      const told = [
        facts.btime,
        facts.devMajor,
        facts.devMinor,
        attr.inoLo,
        attr.size,
        (attr.mode & 0o7777).toString(8),
      ];
      expect(told.join(' '), name).to.equal(host.trim());
      expect(facts.mask).to.equal(STATX_BASIC_STATS | STATX_BTIME);
    }
    const before = driver.call(driver.request.getattr(driven.node('file'))).readAttributes();
    const { mtime, mtimeNs, ctime, ctimeNs, nlink, blocks, uid, gid, validSec } = before;
    const same = { mtime, mtimeNs, ctime, ctimeNs, nlink, blocks, uid, gid, validSec };
    expect(driver.call(driver.request.statx(driven.node('file'))).readStatx().attr).to.include(same);
  });

  it('takes a handle, and knows those that are none', () => {
    using driven = new DrivenShare();
    const { driver, share } = driven;
    writeFileSync(share.at('file'), '');
    const nodeid = driven.node('file');
    const fh = driven.open(nodeid);
    expect(driver.call(driver.request.statx(nodeid, fh)).error).to.equal(0);
    expect(driver.call(driver.request.statx(nodeid, 99)).error).to.equal(EBADF);
    expect(driver.call(driver.request.statx(99)).error).to.equal(EBADF);
  });
});

describe('IOCTL', () => {
  checkLeaks();

  it('reads and sets the attributes that lsattr and chattr know', () => {
    using driven = new DrivenShare();
    const { driver, share } = driven;
    const { request } = driver;
    mkdirSync(share.at('dir'));
    const nodeid = driven.node('dir');
    const { fh } = driver.call(request.opendir(nodeid));
    const shown = (): string => execFileSync('lsattr', ['-d', share.at('dir')], { encoding: 'utf8' }).split(' ')[0]!;
    const read = (cmd: number, bytes: number): Uint8Array =>
      driver.call(request.ioctl(nodeid, fh, cmd, NONE, bytes)).readIoctl().data;

    const flags = word(read(FS_IOC_GETFLAGS, 4));
    expect(flags & NODUMP).to.equal(0);
    expect(driver.call(request.ioctl(nodeid, fh, FS_IOC_SETFLAGS, u32(flags | NODUMP), 0)).readIoctl().result).to.equal(
      0,
    );
    expect(shown()).to.include('d');
    expect(word(read(FS_IOC_GETFLAGS, 8))).to.equal(flags | NODUMP);

    const extended = read(FS_IOC_FSGETXATTR, 28).slice();
    expect([extended.length, word(extended) & XFLAG_NODUMP]).to.deep.equal([28, XFLAG_NODUMP]);
    new DataView(extended.buffer).setUint32(0, word(extended) & ~XFLAG_NODUMP, true);
    expect(driver.call(request.ioctl(nodeid, fh, FS_IOC_FSSETXATTR, extended, 0)).error).to.equal(0);
    expect(shown()).not.to.include('d');
  });

  it("does not set what takes rights of the host's root, nor what the host counts quotas by", () => {
    using driven = new DrivenShare();
    const { driver, share } = driven;
    const { request } = driver;
    writeFileSync(share.at('file'), '');
    const nodeid = driven.node('file');
    const fh = driven.open(nodeid);
    const flags = word(driver.call(request.ioctl(nodeid, fh, FS_IOC_GETFLAGS, NONE, 4)).readIoctl().data);
    for (const flag of [IMMUTABLE, 0x20, JOURNAL_DATA]) {
      expect(driver.call(request.ioctl(nodeid, fh, FS_IOC_SETFLAGS, u32(flags | flag), 0)).error).to.equal(EPERM);
    }
    const extended = driver
      .call(request.ioctl(nodeid, fh, FS_IOC_FSGETXATTR, NONE, 28))
      .readIoctl()
      .data.slice();
    for (const [index, value] of [
      [0, 0x8],
      [0, 0x200],
      [3, 7],
    ] as const) {
      const changed = extended.slice();
      new DataView(changed.buffer).setUint32(4 * index, value, true);
      expect(driver.call(request.ioctl(nodeid, fh, FS_IOC_FSSETXATTR, changed, 0)).error).to.equal(EPERM);
    }
    expect(execFileSync('lsattr', [share.at('file')], { encoding: 'utf8' }).split(' ')[0]).not.to.match(/[iaj]/);
  });

  it('is refused as Linux refuses it', () => {
    using driven = new DrivenShare();
    const { driver, share } = driven;
    const { request } = driver;
    writeFileSync(share.at('file'), '');
    const nodeid = driven.node('file');
    const fh = driven.open(nodeid);
    const ask = (cmd: number, input: Uint8Array = NONE, outSize = 0, handle = fh): number =>
      driver.call(request.ioctl(nodeid, handle, cmd, input, outSize)).error;
    expect(ask(FS_IOC_GETFLAGS, NONE, 4, 99)).to.equal(EBADF);
    expect(ask(FS_IOC_GETFLAGS, NONE, 3)).to.equal(EINVAL);
    expect(ask(FS_IOC_SETFLAGS, u32())).to.equal(EINVAL);
    expect(ask(FS_IOC_FSSETXATTR, new Uint8Array(27))).to.equal(EINVAL);
    // TCGETS, FIONREAD, FS_IOC_GETVERSION, FICLONE, a random one.
    for (const cmd of [0x5401, 0x541b, 0x8008_7601, 0x4004_9409, 0xdead_beef]) expect(ask(cmd)).to.equal(ENOTTY);
    expect(ask(FS_IOC_ENABLE_VERITY, new Uint8Array(128))).to.equal(EOPNOTSUPP);
  });

  it('measures files of fs-verity, where there are some', () => {
    const sys = mockSys({
      file: {
        ioctl(_fd, request, argument) {
          expect(request).to.equal(FS_IOC_MEASURE_VERITY);
          const view = new DataView(sys.mem.view(argument as number, 36));
          expect(view.getUint16(2, true), 'room').to.equal(32);
          view.setUint16(0, 1, true);
          for (let at = 4; at < 36; at++) view.setUint8(at, at);
          return 0;
        },
      },
    });
    using driven = new DrivenShare({ sys });
    const { driver, share } = driven;
    const { request } = driver;
    writeFileSync(share.at('file'), '');
    const nodeid = driven.node('file');
    const fh = driven.open(nodeid);
    const { data } = driver
      .call(request.ioctl(nodeid, fh, FS_IOC_MEASURE_VERITY, Uint8Array.of(0, 0, 32, 0), 36))
      .readIoctl();
    expect([...data]).to.deep.equal([1, 0, 32, 0, ...Array.from({ length: 32 }, (_, index) => index + 4)]);
    const lies = request.ioctl(nodeid, fh, FS_IOC_MEASURE_VERITY, Uint8Array.of(0, 0, 33, 0), 36);
    expect(driver.call(lies).error).to.equal(EINVAL);
  });

  it('of a file without fs-verity says so', () => {
    using driven = new DrivenShare();
    const { driver, share } = driven;
    writeFileSync(share.at('file'), '');
    const nodeid = driven.node('file');
    const fh = driven.open(nodeid);
    const one = driver.request.ioctl(nodeid, fh, FS_IOC_MEASURE_VERITY, Uint8Array.of(0, 0, 32, 0), 36);
    // What it is depends on the host's file system: none of them is ENOSYS.
    expect([ENODATA, ENOTTY, EOPNOTSUPP]).to.include(driver.call(one).error);
  });

  it('is never ENOSYS, whatever the host says', () => {
    const sys = mockSys();
    using driven = new DrivenShare({ sys });
    const { driver, share } = driven;
    writeFileSync(share.at('file'), '');
    const nodeid = driven.node('file');
    const fh = driven.open(nodeid);
    sys.failNext('file.ioctl', ENOSYS);
    expect(driver.call(driver.request.ioctl(nodeid, fh, FS_IOC_GETFLAGS, NONE, 4)).error).to.equal(EOPNOTSUPP);
  });

  it('changes nothing of a read-only share', () => {
    using driven = new DrivenShare({ readonly: true });
    const { driver, share } = driven;
    writeFileSync(share.at('file'), '');
    const { ctimeMs } = statSync(share.at('file'));
    const nodeid = driven.node('file');
    const fh = driven.open(nodeid);
    expect(driver.call(driver.request.ioctl(nodeid, fh, FS_IOC_SETFLAGS, u32(NODUMP), 0)).error).to.equal(EROFS);
    expect(driver.call(driver.request.ioctl(nodeid, fh, FS_IOC_GETFLAGS, NONE, 4)).error).to.equal(0);
    expect(statSync(share.at('file')).ctimeMs).to.equal(ctimeMs);
  });
});
