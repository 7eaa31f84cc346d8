import { mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import type { RequestEncoder } from '../src/client/index.ts';
import * as C from '../src/constants.ts';
import { TestClient } from '../src/testing/index.ts';
import { connect, hex, sys, toHex } from './harness.ts';
import type { RecordingFilesystem } from './recording-filesystem.ts';

const ENOENT = 2;
const EIO = 5;
const ENXIO = 6;
const E2BIG = 7;
const EBADF = 9;
const EINVAL = 22;
const EFBIG = 27;
const ERANGE = 34;
const ENAMETOOLONG = 36;
const EOPNOTSUPP = 95;
/** 2^53, and 2^64 - 1. */
const UNSAFE = ['0000000000002000', 'ffffffffffffffff'];
const ZERO = '0000000000000000';

type Make = (r: RequestEncoder) => RequestEncoder;

describe('bad requests', () => {
  let client: TestClient;
  let fs: RecordingFilesystem;
  let request: RequestEncoder;
  const warnings: string[] = [];
  beforeEach(() => {
    warnings.length = 0;
    const drop = (): void => {};
    const warn = (text: string): void => void warnings.push(text);
    const log = { error: drop, warn, info: drop, debug: drop, trace: drop };
    ({ client, fs } = connect({ log }));
    request = client.request;
  });
  afterEach(() => {
    expect(client.session.inFlight).to.equal(0);
    client[Symbol.dispose]();
  });

  /** Sends `make`, wants the errno, and no call of the Filesystem. */
  function refuses(make: Make, errno: number): void {
    const before = client.session.stats.errors;
    expect(client.call(make(request)).error).to.equal(errno);
    expect(client.message.written).to.equal(16);
    expect(fs.take()).to.deep.equal([]);
    expect(client.session.stats.errors).to.equal(before + 1);
  }

  const raw = (opcode: number, body: string | Uint8Array, room = 200): Make => {
    const bytes = typeof body === 'string' ? hex(body) : body;
    return (r) => r.raw(opcode, 1, bytes, room);
  };

  describe('headers', () => {
    for (const len of [0, 1, 16, 39]) {
      it(`${len} readable bytes: nothing written, logged, counted`, () => {
        client.message.load(new Uint8Array(64), len, 200);
        client.session.handle(client.message);
        expect(client.message.written).to.equal(0);
        expect(toHex(client.message.reply.subarray(0, 16))).to.equal('ee'.repeat(16));
        expect(client.session.stats).to.deep.include({ malformed: 1 });
        expect(warnings).to.deep.equal(['fuse: malformed request']);
      });
    }

    for (const room of [0, 1, 15]) {
      it(`${room} writable bytes: nothing written, nothing executed`, () => {
        const one = request.getattr(1);
        client.message.load(one.bytes, one.len, room);
        client.session.handle(client.message);
        expect(client.message.written).to.equal(0);
        expect(fs.take()).to.deep.equal([]);
        expect(client.session.stats.malformed).to.equal(1);
      });
    }

    for (const delta of [-1, 1, 0x1000]) {
      it(`len wrong by ${delta}`, () => {
        refuses((r) => {
          const one = r.getattr(1);
          new DataView(one.bytes.buffer).setUint32(0, one.len + delta, true);
          return one;
        }, EINVAL);
      });
    }

    it('a nodeid that is not safe', () => {
      for (const nodeid of UNSAFE) {
        refuses((r) => {
          const one = r.getattr(1);
          one.bytes.set(hex(nodeid), 16);
          return one;
        }, ENOENT);
      }
    });

    it('a FORGET of such a nodeid is dropped', () => {
      const one = request.forget(1, 1);
      one.bytes.set(hex(UNSAFE[0]!), 16);
      client.call(one);
      expect(fs.take()).to.deep.equal([]);
      expect(client.session.stats.malformed).to.equal(1);
    });

    it('extensions where none may be, or more than there is', () => {
      refuses((r) => {
        const one = r.getattr(1);
        one.bytes[36] = 1;
        return one;
      }, EINVAL);
      refuses((r) => {
        const one = r.mkdir(1, 'a', 0o755);
        one.bytes[36] = 2;
        return one;
      }, EINVAL);
    });

    it('more than 72 KiB', () => {
      refuses(raw(C.FUSE_SETXATTR, new Uint8Array(72 * 1024 - 39)), E2BIG);
      refuses(raw(C.FUSE_LOOKUP, new Uint8Array(72 * 1024 - 39)), E2BIG);
    });

    it('that need memory which there is none of: ENOMEM, and the next one is served', () => {
      const mock = mockSys();
      const { client: poor, fs: files } = connect({ sys: mock });
      mock.failNext('mem.mmap', 12, 2);
      expect(poor.call(poor.request.setxattr(1, 'user.a', new Uint8Array(60000))).error).to.equal(12);
      expect(poor.call(poor.request.getxattr(1, 'user.a', 60000)).error).to.equal(12);
      expect(files.take()).to.deep.equal([]);
      expect(poor.call(poor.request.setxattr(1, 'user.a', new Uint8Array(60000))).error).to.equal(0);
      poor[Symbol.dispose]();
    });

    it('are logged at the first, second, fourth, ... only', () => {
      for (let index = 0; index < 100; index++) {
        client.call(request.raw(C.FUSE_GETATTR, 1, new Uint8Array(0), 200));
      }
      expect(warnings).to.have.length(7);
      expect(client.session.stats.malformed).to.equal(100);
    });
  });

  describe('lengths of arguments', () => {
    const fixed: readonly [string, number, number][] = [
      ['GETATTR', C.FUSE_GETATTR, 16],
      ['SETATTR', C.FUSE_SETATTR, 88],
      ['READLINK', C.FUSE_READLINK, 0],
      ['OPEN', C.FUSE_OPEN, 8],
      ['READ', C.FUSE_READ, 40],
      ['STATFS', C.FUSE_STATFS, 0],
      ['RELEASE', C.FUSE_RELEASE, 24],
      ['FSYNC', C.FUSE_FSYNC, 16],
      ['LISTXATTR', C.FUSE_LISTXATTR, 8],
      ['FLUSH', C.FUSE_FLUSH, 24],
      ['OPENDIR', C.FUSE_OPENDIR, 8],
      ['READDIR', C.FUSE_READDIR, 40],
      ['READDIRPLUS', C.FUSE_READDIRPLUS, 40],
      ['RELEASEDIR', C.FUSE_RELEASEDIR, 24],
      ['FSYNCDIR', C.FUSE_FSYNCDIR, 16],
      ['DESTROY', C.FUSE_DESTROY, 0],
      ['FALLOCATE', C.FUSE_FALLOCATE, 32],
      ['LSEEK', C.FUSE_LSEEK, 24],
      ['COPY_FILE_RANGE', C.FUSE_COPY_FILE_RANGE, 56],
      ['COPY_FILE_RANGE_64', C.FUSE_COPY_FILE_RANGE_64, 56],
      ['SETUPMAPPING', C.FUSE_SETUPMAPPING, 40],
      ['SYNCFS', C.FUSE_SYNCFS, 8],
    ];
    for (const [name, opcode, len] of fixed) {
      it(`${name}: ${len} bytes exactly`, () => {
        if (len > 0) {
          refuses(raw(opcode, new Uint8Array(len - 1)), EINVAL);
        }
        refuses(raw(opcode, new Uint8Array(len + 1)), EINVAL);
        expect(client.session.initialised).to.equal(true);
      });
    }

    const least: readonly [string, number, number][] = [
      ['MKNOD', C.FUSE_MKNOD, 16],
      ['MKDIR', C.FUSE_MKDIR, 8],
      ['RENAME', C.FUSE_RENAME, 8],
      ['RENAME2', C.FUSE_RENAME2, 16],
      ['LINK', C.FUSE_LINK, 8],
      ['CREATE', C.FUSE_CREATE, 16],
      ['TMPFILE', C.FUSE_TMPFILE, 16],
      ['WRITE', C.FUSE_WRITE, 40],
      ['SETXATTR', C.FUSE_SETXATTR, 16],
      ['GETXATTR', C.FUSE_GETXATTR, 8],
      ['INIT', C.FUSE_INIT, 16],
      ['REMOVEMAPPING', C.FUSE_REMOVEMAPPING, 4],
    ];
    for (const [name, opcode, len] of least) {
      it(`${name}: ${len} bytes at least`, () => {
        refuses(raw(opcode, new Uint8Array(len - 1)), EINVAL);
        refuses(raw(opcode, ''), EINVAL);
      });
    }

    it('FORGET and BATCH_FORGET with wrong lengths are dropped', () => {
      for (const body of ['', '00000000', `${ZERO}00`]) {
        client.call(request.raw(C.FUSE_FORGET, 1, hex(body), 0));
      }
      for (const body of [`02000000 00000000 ${ZERO}${ZERO}`, 'ffffffff 00000000', `00000000 00000000 ${ZERO}`]) {
        client.call(request.raw(C.FUSE_BATCH_FORGET, 1, hex(body), 0));
      }
      expect(fs.take()).to.deep.equal([]);
    });
  });

  describe('names', () => {
    const long = '78'.repeat(256);
    const bad: readonly [string, string, number][] = [
      ['no NUL', '616263', EINVAL],
      ['empty', '00', EINVAL],
      ['nothing', '', EINVAL],
      ['a slash', '612f6200', EINVAL],
      ['only a slash', '2f00', EINVAL],
      ['.', '2e00', EINVAL],
      ['..', '2e2e00', EINVAL],
      ['bytes behind the NUL', '610062', EINVAL],
      ['two NULs', '610000', EINVAL],
      ['256 bytes', `${long}00`, ENAMETOOLONG],
      ['256 bytes without NUL', long, EINVAL],
    ];
    const named: readonly [string, number, string][] = [
      ['LOOKUP', C.FUSE_LOOKUP, ''],
      ['MKNOD', C.FUSE_MKNOD, '00'.repeat(16)],
      ['MKDIR', C.FUSE_MKDIR, '00'.repeat(8)],
      ['UNLINK', C.FUSE_UNLINK, ''],
      ['RMDIR', C.FUSE_RMDIR, ''],
      ['LINK', C.FUSE_LINK, '00'.repeat(8)],
      ['CREATE', C.FUSE_CREATE, '00'.repeat(16)],
      ['RENAME (second)', C.FUSE_RENAME, `${'00'.repeat(8)}6100`],
      ['RENAME2 (second)', C.FUSE_RENAME2, `${'00'.repeat(16)}6100`],
    ];
    for (const [name, opcode, prefix] of named) {
      it(`${name}: ${bad.map(([what]) => what).join(', ')}`, () => {
        for (const [what, text, errno] of bad) {
          expect(client.call(raw(opcode, prefix + text)(request)).error, what).to.equal(errno);
          expect(fs.take(), what).to.deep.equal([]);
        }
      });
    }

    it('RENAME: a bad first name', () => {
      refuses(raw(C.FUSE_RENAME, `${ZERO} 00 6100`), EINVAL);
      refuses(raw(C.FUSE_RENAME, `${ZERO} 2e2e00 6100`), EINVAL);
      refuses(raw(C.FUSE_RENAME, `${ZERO} ${long}00 6100`), ENAMETOOLONG);
    });

    it('255 bytes, "...", ".a" and bytes that are no UTF-8 are names', () => {
      fs.answers['lookup'] = (op) => (op.entry.nodeid = 2);
      for (const text of ['78'.repeat(255), '2e2e2e', '2e61', 'fffe80']) {
        expect(client.call(raw(C.FUSE_LOOKUP, `${text}00`)(request)).error).to.equal(0);
        expect(toHex(Buffer.from(fs.take()[0]![2] as string, 'latin1'))).to.equal(text);
      }
    });

    it('SYMLINK: a target that is empty, unterminated, too long; 4095 bytes with slashes are one', () => {
      fs.answers['symlink'] = (op) => (op.entry.nodeid = 2);
      refuses(raw(C.FUSE_SYMLINK, '6100 00'), EINVAL);
      refuses(raw(C.FUSE_SYMLINK, '6100 62'), EINVAL);
      refuses(raw(C.FUSE_SYMLINK, '6100'), EINVAL);
      refuses(raw(C.FUSE_SYMLINK, '6100 6200 63'), EINVAL);
      refuses(raw(C.FUSE_SYMLINK, '2f00 6200'), EINVAL);
      refuses((r) => r.symlink(1, 'a', 'x'.repeat(4096)), ENAMETOOLONG);
      const target = '/..'.repeat(1365);
      expect(client.call(request.symlink(1, 'a', target)).error).to.equal(0);
      expect(fs.take()[0]).to.deep.equal(['symlink', 1, 'a', target]);
    });

    it('attributes: no name, no NUL, 256 bytes, wrong value length', () => {
      refuses(raw(C.FUSE_GETXATTR, '0800000000000000'), EINVAL);
      refuses(raw(C.FUSE_GETXATTR, '0800000000000000 00'), EINVAL);
      refuses(raw(C.FUSE_GETXATTR, '0800000000000000 61'), EINVAL);
      refuses(raw(C.FUSE_GETXATTR, '0800000000000000 610062'), EINVAL);
      refuses((r) => r.getxattr(1, 'x'.repeat(256), 8), ERANGE);
      refuses((r) => r.setxattr(1, 'x'.repeat(256), new Uint8Array(1)), ERANGE);
      refuses((r) => r.removexattr(1, 'x'.repeat(256)), ERANGE);
      refuses(raw(C.FUSE_REMOVEXATTR, '61'), EINVAL);
      refuses(raw(C.FUSE_REMOVEXATTR, '610061'), EINVAL);
      refuses(raw(C.FUSE_SETXATTR, '02000000 00000000 0000000000000000 6100 62'), EINVAL);
      refuses(raw(C.FUSE_SETXATTR, 'ffffffff 00000000 0000000000000000 6100 62'), EINVAL);
      refuses(raw(C.FUSE_SETXATTR, '01000000 04000000 0000000000000000 6100 62'), EINVAL);
    });

    it('TMPFILE: a name without NUL; any other is not looked at', () => {
      fs.answers['tmpfile'] = (op) => (op.entry.nodeid = 2);
      refuses(raw(C.FUSE_TMPFILE, `${ZERO}${ZERO} 2f`), EINVAL);
      expect(client.call(raw(C.FUSE_TMPFILE, `${ZERO}${ZERO} 2e2f00`)(request)).error).to.equal(0);
    });
  });

  describe('values', () => {
    it('handles that are not safe: EBADF', () => {
      for (const fh of UNSAFE) {
        refuses(raw(C.FUSE_GETATTR, `01000000 00000000 ${fh}`), EBADF);
        refuses(raw(C.FUSE_SETATTR, `40000000 00000000 ${fh} ${'00'.repeat(72)}`), EBADF);
        refuses(raw(C.FUSE_READ, `${fh} ${ZERO} 08000000 00000000 ${ZERO} ${ZERO}`), EBADF);
        refuses(raw(C.FUSE_WRITE, `${fh} ${ZERO} 00000000 00000000 ${ZERO} ${ZERO}`), EBADF);
        refuses(raw(C.FUSE_RELEASE, `${fh} ${ZERO} ${ZERO}`), EBADF);
        refuses(raw(C.FUSE_RELEASEDIR, `${fh} ${ZERO} ${ZERO}`), EBADF);
        refuses(raw(C.FUSE_FLUSH, `${fh} ${ZERO} ${ZERO}`), EBADF);
        refuses(raw(C.FUSE_FSYNC, `${fh} ${ZERO}`), EBADF);
        refuses(raw(C.FUSE_FSYNCDIR, `${fh} ${ZERO}`), EBADF);
        refuses(raw(C.FUSE_READDIR, `${fh} ${ZERO} 08000000 00000000 ${ZERO} ${ZERO}`), EBADF);
        refuses(raw(C.FUSE_FALLOCATE, `${fh} ${ZERO} 01${'00'.repeat(7)} ${ZERO}`), EBADF);
        refuses(raw(C.FUSE_LSEEK, `${fh} ${ZERO} ${ZERO}`), EBADF);
        refuses(raw(C.FUSE_COPY_FILE_RANGE, `${fh} ${ZERO.repeat(6)}`), EBADF);
        refuses(raw(C.FUSE_COPY_FILE_RANGE_64, `${ZERO.repeat(3)} ${fh} ${ZERO.repeat(3)}`), EBADF);
      }
    });

    it('offsets, sizes and lengths that are not safe: EINVAL, EFBIG where a file would grow, ENXIO for data', () => {
      for (const value of UNSAFE) {
        refuses(raw(C.FUSE_SETATTR, `08000000 00000000 ${ZERO} ${value} ${'00'.repeat(64)}`), EFBIG);
        refuses(raw(C.FUSE_READ, `${ZERO} ${value} 08000000 00000000 ${ZERO} ${ZERO}`), EINVAL);
        refuses(raw(C.FUSE_WRITE, `${ZERO} ${value} 00000000 00000000 ${ZERO} ${ZERO}`), EFBIG);
        refuses(raw(C.FUSE_FALLOCATE, `${ZERO} ${value} 0100000000000000 ${ZERO}`), EFBIG);
        refuses(raw(C.FUSE_FALLOCATE, `${ZERO} ${ZERO} ${value} ${ZERO}`), EFBIG);
        refuses(raw(C.FUSE_LSEEK, `${ZERO} ${value} 02000000 00000000`), EINVAL);
        refuses(raw(C.FUSE_LSEEK, `${ZERO} ${value} 03000000 00000000`), ENXIO);
        refuses(raw(C.FUSE_LSEEK, `${ZERO} ${value} 04000000 00000000`), ENXIO);
        for (const at of [1, 4, 5]) {
          const words = new Array(7).fill(ZERO);
          words[at] = value;
          refuses(raw(C.FUSE_COPY_FILE_RANGE, words.join('')), EINVAL);
        }
      }
    });

    it('nodeids in arguments that are not safe: ENOENT', () => {
      for (const value of UNSAFE) {
        refuses(raw(C.FUSE_RENAME, `${value} 6100 6200`), ENOENT);
        refuses(raw(C.FUSE_RENAME2, `${value} ${ZERO} 6100 6200`), ENOENT);
        refuses(raw(C.FUSE_LINK, `${value} 6100`), ENOENT);
        refuses(raw(C.FUSE_COPY_FILE_RANGE, `${ZERO}${ZERO}${value}${ZERO.repeat(4)}`), ENOENT);
      }
    });

    it('sums that are not safe', () => {
      const last = 'ffffffffffff1f00';
      refuses(raw(C.FUSE_READ, `${ZERO} ${last} 01000000 00000000 ${ZERO} ${ZERO}`), EINVAL);
      refuses(raw(C.FUSE_WRITE, `${ZERO} ${last} 01000000 00000000 ${ZERO} ${ZERO} 00`), EFBIG);
      refuses(raw(C.FUSE_FALLOCATE, `${ZERO} ${last} 0100000000000000 ${ZERO}`), EFBIG);
      refuses(raw(C.FUSE_COPY_FILE_RANGE, `${ZERO} ${last} ${ZERO} ${ZERO} ${ZERO} 0100000000000000 ${ZERO}`), EFBIG);
      refuses(raw(C.FUSE_COPY_FILE_RANGE, `${ZERO} ${ZERO} ${ZERO} ${ZERO} ${last} 0100000000000000 ${ZERO}`), EFBIG);
    });

    it('a WRITE whose size is not that of its data', () => {
      for (const size of ['00000000', '04000000', '06000000', 'ffffffff']) {
        refuses(raw(C.FUSE_WRITE, `${ZERO} ${ZERO} ${size} 00000000 ${ZERO} ${ZERO} 0102030405`), EINVAL);
      }
    });

    it('a READ or READDIR that asks for more than there is room for', () => {
      const body = `${ZERO} ${ZERO} b9000000 00000000 ${ZERO} ${ZERO}`;
      refuses(raw(C.FUSE_READ, body), EINVAL);
      refuses(raw(C.FUSE_READDIR, body), EINVAL);
      refuses(raw(C.FUSE_READDIRPLUS, body), EINVAL);
      refuses(raw(C.FUSE_READ, `${ZERO} ${ZERO} ffffffff 00000000 ${ZERO} ${ZERO}`), EINVAL);
    });

    it('flags and modes that do not exist', () => {
      refuses(raw(C.FUSE_SETATTR, `00100000 00000000 ${'00'.repeat(80)}`), EINVAL);
      refuses(raw(C.FUSE_RENAME2, `${ZERO} 08000000 00000000 6100 6200`), EINVAL);
      refuses(raw(C.FUSE_FALLOCATE, `${ZERO} ${ZERO} 0100000000000000 08000000 00000000`), EOPNOTSUPP);
      refuses(raw(C.FUSE_FALLOCATE, `${ZERO} ${ZERO} ${ZERO} ${ZERO}`), EINVAL);
      refuses(raw(C.FUSE_LSEEK, `${ZERO} ${ZERO} 05000000 00000000`), EINVAL);
      refuses(raw(C.FUSE_COPY_FILE_RANGE, `${ZERO.repeat(6)} 0100000000000000`), EINVAL);
      refuses(raw(C.FUSE_COPY_FILE_RANGE, `${ZERO.repeat(6)} 0000000001000000`), EINVAL);
    });

    it('nanoseconds that utimensat would take for a command', () => {
      const times = (valid: string, ns: string): string =>
        `${valid}000000 00000000 ${'00'.repeat(48)} ${ns} ${ns} 00000000 ${'00'.repeat(20)}`;
      refuses(raw(C.FUSE_SETATTR, times('10', 'ffffff3f')), EINVAL);
      refuses(raw(C.FUSE_SETATTR, times('20', '00ca9a3b')), EINVAL);
      expect(client.call(raw(C.FUSE_SETATTR, times('30', 'ffc99a3b'))(request)).error).to.equal(0);
      expect(client.call(raw(C.FUSE_SETATTR, times('90', 'ffffff3f'))(request)).error).to.equal(0);
    });

    it('mappings: offsets, lengths and flags', () => {
      const calls: unknown[] = [];
      const note = (): number => calls.push(1) * 0;
      const { client: mapper } = connect({ hooks: { setupMapping: note, removeMapping: note } });
      const error = (opcode: number, body: string): number => mapper.call(raw(opcode, body)(mapper.request)).error;
      const one = '0100000000000000';
      const last = 'ffffffffffff1f00';
      for (const value of UNSAFE) {
        expect(error(48, `${ZERO} ${value} ${one} ${one} ${ZERO}`)).to.equal(EINVAL);
        expect(error(48, `${ZERO} ${ZERO} ${value} ${one} ${ZERO}`)).to.equal(EINVAL);
        expect(error(48, `${ZERO} ${ZERO} ${one} ${value} ${ZERO}`)).to.equal(EINVAL);
        expect(error(48, `${ZERO} ${ZERO} ${one} ${one} ${value}`)).to.equal(EINVAL);
        expect(error(49, `01000000 ${value} ${one}`)).to.equal(EINVAL);
        expect(error(49, `01000000 ${ZERO} ${value}`)).to.equal(EINVAL);
      }
      expect(error(48, `${ZERO} ${last} ${one} ${one} ${ZERO}`)).to.equal(EINVAL);
      expect(error(48, `${ZERO} ${ZERO} ${one} ${one} ${last}`)).to.equal(EINVAL);
      expect(error(48, `${ZERO} ${ZERO} ${ZERO} ${one} ${ZERO}`)).to.equal(EINVAL);
      expect(error(48, `${ZERO} ${ZERO} ${one} 0400000000000000 ${ZERO}`)).to.equal(EINVAL);
      expect(error(49, `01000000 ${last} ${one}`)).to.equal(EINVAL);
      expect(error(49, `02000000 ${ZERO} ${one}`)).to.equal(EINVAL);
      expect(error(49, `00000000 ${ZERO} ${one}`)).to.equal(EINVAL);
      expect(error(49, '01000000')).to.equal(EINVAL);
      expect(error(49, 'ffffffff')).to.equal(EINVAL);
      expect(mapper.call(mapper.request.removemapping(1, new Array(8194).fill(0))).error).to.equal(EINVAL);
      expect(calls).to.deep.equal([]);
      mapper[Symbol.dispose]();
    });
  });

  describe('IOCTL', () => {
    const ioctl = (flags: string, inSize: string, outSize: string, data = ''): Make =>
      raw(C.FUSE_IOCTL, `${ZERO} ${flags} 01668040 ${ZERO} ${inSize} ${outSize} ${data}`);
    it('sizes that are not those of what follows, or of any ioctl', () => {
      refuses(ioctl('00000000', '04000000', '00000000'), EINVAL);
      refuses(ioctl('00000000', '00000000', '00000000', '00000000'), EINVAL);
      refuses(ioctl('00000000', 'ffffffff', '00000000', '00000000'), EINVAL);
      refuses(ioctl('00000000', '00000000', '01800000'), EINVAL);
    });
    it('an answer for which there is no room', () => {
      const one = request.ioctl(1, 1, 0x8008_6601, new Uint8Array(0), 8);
      one.room -= 1;
      expect(client.call(one).error).to.equal(5);
      expect(fs.take()).to.deep.equal([]);
    });
    it('structures of other widths', () => {
      for (const flags of ['01000000', '02000000', '20000000']) refuses(ioctl(flags, '00000000', '00000000'), 25);
    });
    it('a handle above 2^53', () => {
      refuses(raw(C.FUSE_IOCTL, `0000000000002000 00000000 01668040 ${ZERO} 00000000 00000000`), 9);
    });
  });

  describe('extensions', () => {
    const mkdir = (extlen: number, extension: string): Make => {
      return (r) => {
        const one = raw(C.FUSE_MKDIR, `${ZERO} 616200 ${extension}`)(r);
        one.bytes[36] = extlen;
        return one;
      };
    };
    it('sizes that do not fit', () => {
      refuses(mkdir(1, '00000000 20000000'), EINVAL);
      refuses(mkdir(1, '08000000 20000000'), EINVAL);
      refuses(mkdir(2, '18000000 20000000 01000000 00000000'), EINVAL);
      refuses(mkdir(2, '0c000000 20000000 01000000 00000000'), EINVAL);
      refuses(mkdir(2, 'f8ffffff 20000000 01000000 00000000'), EINVAL);
    });
    it('group counts other than 1, two group records, unknown types', () => {
      refuses(mkdir(2, '10000000 20000000 00000000 00000000'), EINVAL);
      refuses(mkdir(2, '10000000 20000000 02000000 00000000'), EINVAL);
      refuses(mkdir(4, '10000000 20000000 01000000 01000000 10000000 20000000 01000000 01000000'), EINVAL);
      refuses(mkdir(1, '08000000 21000000'), EINVAL);
      refuses(mkdir(1, '08000000 ffffffff'), EINVAL);
    });
    it('a security context is refused, an empty one passed over', () => {
      fs.answers['mkdir'] = (op) => (op.entry.nodeid = 2);
      refuses(mkdir(1, '08000000 01000000'), EOPNOTSUPP);
      refuses(mkdir(1, '08000000 1f000000'), EOPNOTSUPP);
      expect(client.call(mkdir(3, '08000000 00000000 10000000 20000000 01000000 2a000000')(request)).error).to.equal(0);
      expect(fs.op!.supplementaryGroup).to.equal(42);
    });
    it('a security context that does not fit, where one was agreed', () => {
      Object.defineProperty(fs, 'features', { value: { securityContexts: true } });
      client[Symbol.dispose]();
      client = new TestClient({ sys, fs });
      client.init();
      fs.take();
      const name = '61006262 00000000';
      fs.answers['mkdir'] = (op) => (op.entry.nodeid = 2);
      expect(client.call(mkdir(3, `18000000 01000000 02000000 00000000 ${name}`)(request)).error).to.equal(0);
      fs.take();
      refuses(mkdir(3, `18000000 02000000 02000000 00000000 ${name}`), EINVAL);
      refuses(mkdir(3, `18000000 01000000 07000000 00000000 ${name}`), EINVAL);
      refuses(mkdir(3, `18000000 01000000 ffffffff 00000000 ${name}`), EINVAL);
      refuses(mkdir(3, `18000000 01000000 02000000 00000000 61616161 61616161`), EINVAL);
      refuses(mkdir(3, `18000000 01000000 02000000 00000000 00616161 61616161`), EINVAL);
      refuses(mkdir(1, '08000000 01000000'), EINVAL);
      const twice = `18000000 01000000 02000000 00000000 ${name}`;
      refuses(mkdir(6, `${twice} ${twice}`), EINVAL);
    });
    it('bad ones behind SYMLINK and TMPFILE', () => {
      for (const [opcode, body] of [
        [C.FUSE_SYMLINK, '6100 6200'],
        [C.FUSE_TMPFILE, `${ZERO}${ZERO} 2f00`],
      ] as const) {
        refuses((r) => {
          const one = raw(opcode, `${body} 08000000 21000000`)(r);
          one.bytes[36] = 1;
          return one;
        }, EINVAL);
      }
    });
    it('a string that runs into them', () => {
      refuses((r) => {
        const one = raw(C.FUSE_MKDIR, `${ZERO} 6162 0800000000000000`)(r);
        one.bytes[36] = 1;
        return one;
      }, EINVAL);
    });
  });

  describe('room for the reply', () => {
    const rooms: readonly [string, Make][] = [
      ['LOOKUP', (r) => r.lookup(1, 'a')],
      ['GETATTR', (r) => r.getattr(1)],
      ['SETATTR', (r) => r.setattr(1, {})],
      ['SYMLINK', (r) => r.symlink(1, 'a', 'b')],
      ['MKNOD', (r) => r.mknod(1, 'a', 0)],
      ['MKDIR', (r) => r.mkdir(1, 'a', 0)],
      ['LINK', (r) => r.link(2, 1, 'a')],
      ['OPEN', (r) => r.open(1, 0)],
      ['OPENDIR', (r) => r.opendir(1)],
      ['CREATE', (r) => r.create(1, 'a', 0, 0)],
      ['TMPFILE', (r) => r.tmpfile(1, 0, 0)],
      ['WRITE', (r) => r.write(1, 1, 0, 0)],
      ['STATFS', (r) => r.statfs(1)],
      ['LSEEK', (r) => r.lseek(1, 1, 0, 3)],
      ['INIT', (r) => r.init()],
    ];
    for (const [name, make] of rooms) {
      it(`${name}: one byte less is EIO, and nothing is executed`, () => {
        refuses((r) => {
          const one = make(r);
          one.room--;
          return one;
        }, EIO);
        expect(client.session.initialised).to.equal(true);
      });
    }

    it('GETXATTR: a value has what room there is; none is EINVAL', () => {
      fs.answers['getxattr'] = (_op, ...args: unknown[]) => args[3] as number;
      refuses((r) => {
        const one = r.getxattr(1, 'a', 8);
        one.room = 16;
        return one;
      }, EINVAL);
      refuses((r) => {
        const one = r.getxattr(1, 'a', 0);
        one.room = 23;
        return one;
      }, EINVAL);
      refuses((r) => {
        const one = r.listxattr(1, 8);
        one.room = 16;
        return one;
      }, EINVAL);
      const one = request.getxattr(1, 'a', 0xffff_ffff);
      one.room = 20;
      expect(client.call(one).bodyLen).to.equal(4);
    });

    it('READLINK: a target that does not fit is EIO, never cut', () => {
      fs.answers['readlink'] = () => 100;
      const one = request.readlink(1);
      one.room = 16 + 99;
      expect(client.call(one).error).to.equal(EIO);
      one.room = 16 + 100;
      expect(client.call(one).error).to.equal(0);
    });
  });
});
