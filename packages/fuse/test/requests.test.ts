import { expect } from 'chai';
import { RequestEncoder } from '../src/client/index.ts';
import * as C from '../src/constants.ts';
import type { DirSink, IoVector } from '../src/index.ts';
import { TestClient } from '../src/testing/index.ts';
import { connect, sys, toHex } from './harness.ts';
import type { RecordingFilesystem } from './recording-filesystem.ts';

type Make = (r: RequestEncoder) => RequestEncoder;

/** Request bytes behind the 40 of the header, and the call that comes of them. */
const GOLDEN: readonly [name: string, opcode: number, make: Make, body: string, call: readonly unknown[]][] = [
  ['LOOKUP', 1, (r) => r.lookup(9, 'abc'), '61626300', ['lookup', 9, 'abc']],
  ['GETATTR without a handle', 3, (r) => r.getattr(9), '00000000000000000000000000000000', ['getattr', 9, -1]],
  ['GETATTR with one', 3, (r) => r.getattr(9, 5), '01000000000000000500000000000000', ['getattr', 9, 5]],
  ['STATX without a handle', 52, (r) => r.statx(9), `${'00'.repeat(20)}ff0f0000`, ['statx', 9, -1]],
  [
    'STATX with one',
    52,
    (r) => r.statx(9, 5, 0x800),
    `01000000000000000500000000000000${'00'.repeat(4)}00080000`,
    ['statx', 9, 5],
  ],
  [
    'IOCTL',
    39,
    (r) => r.ioctl(9, 5, 0x4008_6602, Buffer.from('abcdefgh'), 0, 0x10),
    '0500000000000000 10000000 02660840 0000000000000000 08000000 00000000 6162636465666768',
    ['ioctl', 9, 5, 0x4008_6602],
  ],
  ['READLINK', 5, (r) => r.readlink(9), '', ['readlink', 9]],
  ['SYMLINK', 6, (r) => r.symlink(9, 'n', '/a/b'), '6e002f612f6200', ['symlink', 9, 'n', '/a/b']],
  [
    'MKNOD',
    8,
    (r) => r.mknod(9, 'n', 0o20644, 0x103, 0o22),
    'a4210000 03010000 12000000 00000000 6e00',
    ['mknod', 9, 'n', 0o20644, 0x103],
  ],
  ['MKDIR', 9, (r) => r.mkdir(9, 'n', 0o755, 0o22), 'ed010000 12000000 6e00', ['mkdir', 9, 'n', 0o755]],
  ['UNLINK', 10, (r) => r.unlink(9, 'n'), '6e00', ['unlink', 9, 'n']],
  ['RMDIR', 11, (r) => r.rmdir(9, 'n'), '6e00', ['rmdir', 9, 'n']],
  ['RENAME', 12, (r) => r.rename(9, 'a', 8, 'b'), '0800000000000000 6100 6200', ['rename', 9, 'a', 8, 'b', 0]],
  [
    'RENAME2',
    45,
    (r) => r.rename2(9, 'a', 8, 'b', 4),
    '0800000000000000 04000000 00000000 6100 6200',
    ['rename', 9, 'a', 8, 'b', 4],
  ],
  ['LINK', 13, (r) => r.link(8, 9, 'n'), '0800000000000000 6e00', ['link', 8, 9, 'n']],
  ['OPEN', 14, (r) => r.open(9, 0x8002), '02800000 00000000', ['open', 9, 0x8002, false]],
  ['OPEN that kills set-id bits', 14, (r) => r.open(9, 0x200, 1), '00020000 01000000', ['open', 9, 0x200, true]],
  ['OPENDIR', 27, (r) => r.opendir(9, 0x1_0000), '00000100 00000000', ['opendir', 9, 0x1_0000]],
  [
    'CREATE',
    35,
    (r) => r.create(9, 'n', 0xc2, 0o100644, 0o22, 1),
    'c2000000 a4810000 12000000 01000000 6e00',
    ['create', 9, 'n', 0xc2, 0o100644, true],
  ],
  [
    'TMPFILE',
    51,
    (r) => r.tmpfile(9, 2, 0o100600, 0o22),
    '02000000 80810000 12000000 00000000 2f00',
    ['tmpfile', 9, 2, 0o100600],
  ],
  ['STATFS', 17, (r) => r.statfs(9), '', ['statfs', 9]],
  ['RELEASE', 18, (r) => r.release(9, 5), `0500000000000000${'00'.repeat(16)}`, ['release', 9, 5]],
  ['RELEASEDIR', 29, (r) => r.releasedir(9, 5), `0500000000000000${'00'.repeat(16)}`, ['releasedir', 9, 5]],
  ['FLUSH', 25, (r) => r.flush(9, 5), `0500000000000000${'00'.repeat(16)}`, ['flush', 9, 5]],
  ['FSYNC', 20, (r) => r.fsync(9, 5), '0500000000000000 00000000 00000000', ['fsync', 9, 5, false]],
  ['FSYNC of data', 20, (r) => r.fsync(9, 5, 1), '0500000000000000 01000000 00000000', ['fsync', 9, 5, true]],
  ['FSYNCDIR', 30, (r) => r.fsyncdir(9, 5, 1), '0500000000000000 01000000 00000000', ['fsyncdir', 9, 5, true]],
  [
    'FALLOCATE',
    43,
    (r) => r.fallocate(9, 5, 0x1_0000_0000, 0x1000, 3),
    '0500000000000000 0000000001000000 0010000000000000 03000000 00000000',
    ['fallocate', 9, 5, 0x1_0000_0000, 0x1000, 3],
  ],
  [
    'LSEEK',
    46,
    (r) => r.lseek(9, 5, 7, 3),
    '0500000000000000 0700000000000000 03000000 00000000',
    ['lseek', 9, 5, 7, 3],
  ],
  [
    'COPY_FILE_RANGE',
    47,
    (r) => r.copyFileRange({ nodeid: 9, fh: 5, offset: 1 }, { nodeid: 8, fh: 6, offset: 2 }, 3, false),
    '0500000000000000 0100000000000000 0800000000000000 0600000000000000 0200000000000000 0300000000000000 0000000000000000',
    ['copyFileRange', 9, 5, 1, 8, 6, 2, 3],
  ],
  ['SYNCFS', 50, (r) => r.syncfs(9), '0000000000000000', ['syncfs', 9]],
  ['REMOVEXATTR', 24, (r) => r.removexattr(9, 'user.a/b'), '757365722e612f6200', ['removexattr', 9, 'user.a/b']],
];

describe('requests', () => {
  let client: TestClient;
  let fs: RecordingFilesystem;
  let request: RequestEncoder;
  beforeEach(() => {
    ({ client, fs } = connect());
    request = client.request;
  });
  afterEach(() => client[Symbol.dispose]());

  it('have a header of 40 bytes', () => {
    Object.assign(request, { uid: 1000, gid: 100, pid: 77, uniqueLo: 0xffff_fffe, uniqueHi: 1 });
    const one = request.lookup(0x12_3456_789a, 'a');
    expect(toHex(one.bytes.subarray(0, 40))).to.equal(
      '2a000000 01000000 0000000002000000 9a78563412000000 e8030000 64000000 4d000000 0000 0000'.replaceAll(' ', ''),
    );
    client.call(one);
    const { opcode, nodeid, uid, gid, pid } = fs.op!;
    expect({ opcode, nodeid, uid, gid, pid }).to.deep.equal({
      opcode: 1,
      nodeid: 0x12_3456_789a,
      uid: 1000,
      gid: 100,
      pid: 77,
    });
  });

  for (const [name, opcode, make, body, call] of GOLDEN) {
    it(`${name}: bytes and call`, () => {
      const one = make(request);
      expect(one.opcode).to.equal(opcode);
      expect(toHex(one.bytes.subarray(40, one.len))).to.equal(body.replaceAll(' ', ''));
      fs.answers['lookup'] = fs.answers['symlink'] = fs.answers['mknod'] = (op) => (op.entry.nodeid = 2);
      fs.answers['mkdir'] = fs.answers['link'] = fs.answers['create'] = fs.answers['tmpfile'] = fs.answers['lookup'];
      expect(client.call(one).error).to.equal(0);
      expect(fs.take()[0]!.slice(0, call.length)).to.deep.equal(call);
    });
  }

  it('creating ones bring umask and supplementary group', () => {
    request.supplementaryGroup = 4242;
    fs.answers['symlink'] = fs.answers['mkdir'] = (op) => (op.entry.nodeid = 2);
    const one = request.mkdir(1, 'abc', 0o755, 0o27);
    expect(toHex(one.bytes.subarray(36, one.len))).to.equal(
      '02000000 ed010000 17000000 61626300 10000000 20000000 01000000 92100000'.replaceAll(' ', ''),
    );
    client.call(one);
    expect([fs.op!.umask, fs.op!.supplementaryGroup]).to.deep.equal([0o27, 4242]);
    request.supplementaryGroup = -1;
    client.call(request.mkdir(1, 'abc', 0o755));
    expect([fs.op!.umask, fs.op!.supplementaryGroup]).to.deep.equal([0, -1]);
    request.supplementaryGroup = 0;
    client.call(request.symlink(1, 'a', 'bb'));
    expect(fs.op!.supplementaryGroup).to.equal(0);
  });

  it('SETATTR brings what is valid', () => {
    const one = request.setattr(9, {
      fh: 5,
      size: 0x1_0000_0000,
      mode: 0o644,
      uid: 1,
      gid: 2,
      atime: -1,
      atimeNs: 3,
      mtime: 'now',
      killSuidgid: true,
    });
    expect(toHex(one.bytes.subarray(40, one.len))).to.equal(
      `7f090000 00000000 0500000000000000 0000000001000000 ${'00'.repeat(8)} ffffffffffffffff ${'00'.repeat(16)}
       03000000 00000000 00000000 a4010000 00000000 01000000 02000000 00000000`.replace(/\s/g, ''),
    );
    client.call(one);
    expect(fs.take()).to.deep.equal([
      [
        'setattr',
        9,
        {
          valid:
            C.FATTR_FH |
            C.FATTR_SIZE |
            C.FATTR_MODE |
            C.FATTR_UID |
            C.FATTR_GID |
            C.FATTR_ATIME |
            C.FATTR_MTIME |
            C.FATTR_MTIME_NOW |
            C.FATTR_KILL_SUIDGID,
          fh: 5,
          size: 0x1_0000_0000,
          mode: 0o644,
          uid: 1,
          gid: 2,
          atimeLo: 0xffff_ffff,
          atimeHi: 0xffff_ffff,
          atimeNs: 3,
          mtimeLo: 0,
          mtimeHi: 0,
          mtimeNs: 0,
        },
      ],
    ]);
    client.call(request.setattr(9, { mode: 0 }));
    expect(fs.take()[0]![2]).to.include({ valid: C.FATTR_MODE, fh: -1, size: 0 });
  });

  it('READ brings an iovec over the room behind the header', () => {
    let io: IoVector | undefined;
    fs.answers['read'] = (_op, ...args: unknown[]) => {
      io = args[3] as IoVector;
      return 0;
    };
    const one = request.read(9, 5, 0x1f_ffff_ffff_0000, 0x1000);
    expect(toHex(one.bytes.subarray(40, one.len))).to.equal(
      `0500000000000000 0000ffffffff1f00 00100000 00000000 ${'00'.repeat(16)}`.replaceAll(' ', ''),
    );
    client.call(one);
    expect(fs.take()[0]!.slice(0, 4)).to.deep.equal(['read', 9, 5, 0x1f_ffff_ffff_0000]);
    expect([io!.count, io!.len]).to.deep.equal([1, 0x1000]);
  });

  it('WRITE brings flags and the data, which stays in the message', () => {
    let data = '';
    fs.answers['write'] = (_op, ...args: unknown[]) => {
      const io = args[3] as IoVector;
      const bytes = new Uint8Array(io.len);
      io.read(0, bytes, 0, io.len);
      data = Buffer.from(bytes).toString();
      return io.len;
    };
    const one = request.write(9, 5, 7, 11, 0x8401, C.FUSE_WRITE_KILL_SUIDGID);
    expect(toHex(one.bytes.subarray(0, 4))).to.equal('5b000000');
    expect(toHex(one.bytes.subarray(40, one.len))).to.equal(
      '0500000000000000 0700000000000000 0b000000 04000000 0000000000000000 01840000 00000000'.replaceAll(' ', ''),
    );
    expect(client.call(one, Buffer.from('hello world')).count).to.equal(11);
    expect(data).to.equal('hello world');
    expect(fs.take()[0]!.slice(-2)).to.deep.equal([0x8401, 4]);
  });

  it('READDIR brings the cookie in all 64 bits, and the room', () => {
    let room = 0;
    fs.answers['readdir'] = (_op, ...args: unknown[]) => {
      room = (args[4] as DirSink).room;
      return 0;
    };
    client.call(request.readdir(9, 5, 0xffff_ffff, 0xfedc_ba98, 4096));
    expect(fs.take()[0]!.slice(0, 5)).to.deep.equal(['readdir', 9, 5, 0xffff_ffff, 0xfedc_ba98]);
    expect(room).to.equal(4096);
    client.call(request.readdirplus(9, 5, 0, 0, 1 << 20));
    expect(fs.take()[0]![6]).to.equal(true);
    expect(room).to.equal(1 << 20);
  });

  it('creating ones bring a label where that was agreed', () => {
    const label = { name: 'security.selinux', value: Buffer.from('a_u:b_r:c_t:s0\0') };
    request.security = label;
    fs.answers['mkdir'] = fs.answers['symlink'] = (op) => (op.entry.nodeid = 2);
    expect(client.call(request.mkdir(1, 'abc', 0o755)).error, 'not agreed').to.equal(95);
    Object.defineProperty(fs, 'features', { value: { securityContexts: true } });
    using labelled = new TestClient({ sys, fs });
    expect(labelled.init().readInit().flagsHi & C.flags2(C.FUSE_SECURITY_CTX)).not.to.equal(0);
    let seen: unknown[] = [];
    fs.answers['mkdir'] = fs.answers['symlink'] = (op) => {
      const { security } = op;
      seen = security === null ? [] : [security.name.key(), Buffer.from(op.bytes(security.value, security.size))];
      return (op.entry.nodeid = 2);
    };
    labelled.request.security = label;
    labelled.request.supplementaryGroup = 42;
    const one = labelled.request.mkdir(1, 'abc', 0o755);
    expect(one.bytes[36]).to.equal((8 + 8 + 17 + 15 + 16) / 8);
    expect(labelled.call(one).error).to.equal(0);
    expect(seen).to.deep.equal([label.name, label.value]);
    expect(fs.op!.supplementaryGroup).to.equal(42);
    labelled.request.security = null;
    expect(labelled.call(labelled.request.symlink(1, 'abc', 'x')).error).to.equal(0);
    expect(seen).to.deep.equal([]);
  });

  it('SETXATTR in both forms', () => {
    let value = '';
    fs.answers['setxattr'] = (op, ...args: unknown[]) => {
      value = Buffer.from(op.bytes(args[2] as number, args[3] as number)).toString();
      return 0;
    };
    const long = request.setxattr(9, 'user.a', Buffer.from('val'), 1, C.FUSE_SETXATTR_ACL_KILL_SGID);
    expect(toHex(long.bytes.subarray(40, long.len))).to.equal(
      '03000000 01000000 01000000 00000000 757365722e6100 76616c'.replaceAll(' ', ''),
    );
    client.call(long);
    const [method, nodeid, name, , ...rest] = fs.take()[0]!;
    expect([method, nodeid, name, ...rest, value]).to.deep.equal(['setxattr', 9, 'user.a', 3, 1, true, 'val']);

    client.call(request.init({ flagsLo: 0, flagsHi: 0 }));
    fs.take();
    request.setxattrExt = false;
    const short = request.setxattr(9, 'user.b', Buffer.from('v'), 2);
    expect(toHex(short.bytes.subarray(40, short.len))).to.equal(
      '01000000 02000000 757365722e6200 76'.replaceAll(' ', ''),
    );
    client.call(short);
    expect(fs.take()[0]!.slice(4)).to.deep.equal([1, 2, false]);
    expect(value).to.equal('v');
  });

  it('SETXATTR of 64 KiB makes the memory grow, and the value arrives whole', () => {
    const big = new Uint8Array(65536).map((_, index) => index * 7);
    let same = false;
    fs.answers['setxattr'] = (op, ...args: unknown[]) => {
      same = Buffer.compare(op.bytes(args[2] as number, args[3] as number), big) === 0;
      return 0;
    };
    expect(client.call(request.setxattr(9, 'user.big', big)).error).to.equal(0);
    expect(same).to.equal(true);
  });

  it('SETUPMAPPING and REMOVEMAPPING, whose array starts at byte 44', () => {
    const calls: unknown[] = [];
    const { client: mapper } = connect({
      hooks: {
        setupMapping: (_op, ...args) => calls.push(args) * 0,
        removeMapping: (_op, nodeid, count, moffsets, lens) =>
          calls.push([nodeid, count, [...moffsets.subarray(0, count)], [...lens.subarray(0, count)]]) * 0,
      },
    });
    const setup = mapper.request.setupmapping(9, 0x20_0000, 0x20_0000, 3, 0x1_0000_0000);
    expect(toHex(setup.bytes.subarray(40, setup.len))).to.equal(
      'ffffffffffffffff 0000200000000000 0000200000000000 0300000000000000 0000000001000000'.replaceAll(' ', ''),
    );
    mapper.call(setup);
    const remove = mapper.request.removemapping(9, [0x1_0000_0000, 0x20_0000, 0x40_0000, 0x20_0000]);
    expect(remove.len).to.equal(44 + 32);
    expect(toHex(remove.bytes.subarray(40, remove.len))).to.equal(
      '02000000 0000000001000000 0000200000000000 0000400000000000 0000200000000000'.replaceAll(' ', ''),
    );
    mapper.call(remove);
    const many = Array.from({ length: 8192 }, (_, index) => index * 4096);
    expect(mapper.call(mapper.request.removemapping(9, many)).error).to.equal(0);
    expect(calls.slice(0, 2)).to.deep.equal([
      [9, 0x20_0000, 0x20_0000, 3, 0x1_0000_0000],
      [9, 2, [0x1_0000_0000, 0x40_0000], [0x20_0000, 0x20_0000]],
    ]);
    expect((calls[2] as unknown[])[1]).to.equal(4096);
    mapper[Symbol.dispose]();
  });

  it('show READ and WRITE piece by piece where the message is cut', () => {
    const { client: cut, fs: files } = connect({ message: { pieceBytes: 100 } });
    const seen: number[] = [];
    files.answers['read'] = files.answers['write'] = (_op, ...args: unknown[]) =>
      seen.push((args[3] as IoVector).count) * 0;
    cut.call(cut.request.read(9, 5, 0, 1000));
    cut.call(cut.request.write(9, 5, 0, 1000), new Uint8Array(1000));
    expect(seen).to.deep.equal([11, 11]);
    cut[Symbol.dispose]();
  });

  it('refuse more pieces than preadv2 takes', () => {
    const { client: cut } = connect({ message: { pieceBytes: 16 } });
    expect(cut.call(cut.request.read(9, 5, 0, 65536)).error).to.equal(7);
    expect(cut.call(cut.request.write(9, 5, 0, 65536), new Uint8Array(65536)).error).to.equal(7);
    cut[Symbol.dispose]();
  });

  it('not served give ENOSYS', () => {
    for (const opcode of [0, 7, 31, 32, 33, 34, 37, 40, 41, 54, 63, 64, 4096, 0xffff_ffff]) {
      expect(client.call(request.raw(opcode, 1, new Uint8Array(48), 1000)).error, `opcode ${opcode}`).to.equal(38);
    }
    expect(fs.take()).to.deep.equal([]);
    expect(client.session.stats.malformed).to.equal(0);
  });

  it('without a method give ENOSYS', () => {
    const methods = [
      'statx',
      'ioctl',
      'tmpfile',
      'copyFileRange',
      'syncfs',
      'getxattr',
      'setxattr',
      'listxattr',
      'removexattr',
    ];
    for (const method of methods) {
      Object.defineProperty(fs, method, { value: undefined });
    }
    const from = { nodeid: 1, fh: 1, offset: 0 };
    const makes: Make[] = [
      (r) => r.statx(1),
      (r) => r.ioctl(1, 1, 0x8008_6601, new Uint8Array(0), 8),
      (r) => r.tmpfile(1, 0, 0),
      (r) => r.copyFileRange(from, from, 1),
      (r) => r.copyFileRange(from, from, 1, false),
      (r) => r.syncfs(1),
      (r) => r.getxattr(1, 'a', 0),
      (r) => r.setxattr(1, 'a', new Uint8Array(1)),
      (r) => r.listxattr(1, 0),
      (r) => r.removexattr(1, 'a'),
      (r) => r.setupmapping(1, 0, 1, 1, 0),
      (r) => r.removemapping(1, []),
    ];
    for (const make of makes) {
      expect(client.call(make(request)).error).to.equal(38);
    }
  });
});

describe('RequestEncoder', () => {
  it('carries unique over into its high word', () => {
    const request = new RequestEncoder();
    request.uniqueLo = 0xffff_fffe;
    request.getattr(1);
    expect([request.uniqueLo, request.uniqueHi]).to.deep.equal([0, 1]);
  });

  it('says how much room each reply needs', () => {
    const request = new RequestEncoder();
    expect(request.lookup(1, 'a').room).to.equal(144);
    expect(request.read(1, 1, 0, 4096).room).to.equal(4112);
    expect(request.getxattr(1, 'a', 0).room).to.equal(24);
    expect(request.forget(1, 1).room).to.equal(0);
  });
});
