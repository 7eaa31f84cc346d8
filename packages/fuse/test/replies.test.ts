import type { Address } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import type { RequestEncoder } from '../src/client/index.ts';
import * as C from '../src/constants.ts';
import type { DirSink, IoVector, Operation, StatfsOut, StatxOut } from '../src/index.ts';
import type { TestClient } from '../src/testing/index.ts';
import { connect, toHex } from './harness.ts';
import { fillAttributes, fillEntry, type RecordingFilesystem } from './recording-filesystem.ts';

const UNIQUE = '0000000000000000';
/** What `fillAttributes` gives. */
const ATTR =
  'efcdab8998badcfe ffffffffffff1f00 0100000010000000 ffffffffffffffff 00f1536500000000 0000000001000000' +
  '01000000 02000000 ffc99a3b a4810000 03000000 e8030000 feffffff 45bc3a12 00100000 00000000';
const ENTRY = `6655443322110000 0700000000000000 100e000000000000 3c00000000000000 0065cd1d 80b2e60e ${ATTR}`;

/** A reply with the unique zeroed, since each request has another. */
function reply(client: TestClient): string {
  const bytes = Buffer.from(client.message.reply.subarray(0, client.message.written));
  bytes.fill(0, 8, 16);
  return toHex(bytes);
}

function plain(text: string): string {
  return text.replace(/\s/g, '');
}

describe('replies', () => {
  let client: TestClient;
  let fs: RecordingFilesystem;
  let request: RequestEncoder;
  let leaks: ReturnType<typeof leakCheck>;
  beforeEach(() => {
    leaks = leakCheck();
    ({ client, fs } = connect());
    request = client.request;
  });
  afterEach(() => {
    client[Symbol.dispose]();
    leaks.check();
  });

  it('STATX: attributes and more, 304 bytes', () => {
    fs.answers['statx'] = (op, _nodeid: number, _fh: number, out: StatxOut) => {
      fillAttributes(op);
      return (
        Object.assign(out, {
          mask: 0xfff,
          attributesLo: 0x10,
          attributesHi: 0x20,
          attributesMaskLo: 0x30,
          attributesMaskHi: 0x40,
          btime: -2,
          btimeNs: 5,
          devMajor: 8,
          devMinor: 9,
        }) && 0
      );
    };
    expect(client.call(request.statx(1)).error).to.equal(0);
    expect(client.message.written).to.equal(304);
    expect(reply(client)).to.equal(
      plain(`30010000 00000000 ${UNIQUE} 3c00000000000000 80b2e60e 00000000 ${'00'.repeat(16)}
        ff0f0000 00100000 1000000020000000 03000000 e8030000 feffffff a4810000 efcdab8998badcfe
        ffffffffffff1f00 0100000010000000 3000000040000000
        ffffffffffffffff 01000000 00000000 feffffffffffffff 05000000 00000000
        0000000001000000 ffc99a3b 00000000 00f1536500000000 02000000 00000000
        bc0a0000 45230100 08000000 09000000 ${'00'.repeat(112)}`),
    );
  });

  it('STATX tells the size that a window corrects', () => {
    const { client: other, fs: files } = connect({
      hooks: { attributes: (nodeid, attr) => Boolean(Object.assign(attr, { size: nodeid * 100 })) },
    });
    files.answers['statx'] = fillAttributes;
    expect(other.call(other.request.statx(7)).readStatx().attr.size).to.equal(700);
    other[Symbol.dispose]();
  });

  it('IOCTL: a header, a result of 0 and the answer', () => {
    fs.answers['ioctl'] = (op, ...args: unknown[]) => {
      op.bytes(args[5] as number, 8).set(Buffer.from('answer'));
      return 6;
    };
    const asked = client.call(request.ioctl(1, 1, 0x8008_6601, new Uint8Array(0), 8));
    expect(asked.readIoctl()).to.deep.equal({ result: 0, data: Buffer.from('answer') });
    expect(reply(client)).to.equal(plain(`26000000 00000000 ${UNIQUE} ${'00'.repeat(16)} 616e73776572`));
    fs.answers['ioctl'] = () => -25;
    expect(client.call(request.ioctl(1, 1, 0x1234, new Uint8Array(4), 0)).error).to.equal(25);
  });

  const entryLike: readonly [string, string, (r: RequestEncoder) => RequestEncoder][] = [
    ['LOOKUP', 'lookup', (r) => r.lookup(1, 'a')],
    ['MKNOD', 'mknod', (r) => r.mknod(1, 'a', 0o10644)],
    ['MKDIR', 'mkdir', (r) => r.mkdir(1, 'a', 0o755)],
    ['SYMLINK', 'symlink', (r) => r.symlink(1, 'a', 'b/c')],
    ['LINK', 'link', (r) => r.link(2, 1, 'a')],
  ];
  for (const [name, method, make] of entryLike) {
    it(`${name}: a header and an entry, 144 bytes`, () => {
      fs.answers[method] = (op: Operation) => {
        fillEntry(op);
        return 0;
      };
      expect(client.call(make(request)).error).to.equal(0);
      expect(client.message.written).to.equal(144);
      expect(reply(client)).to.equal(plain(`90000000 00000000 ${UNIQUE} ${ENTRY}`));
    });
  }

  it('LOOKUP: nodeid 0 is a negative entry, all zero but its validity', () => {
    fs.answers['lookup'] = (op: Operation) => {
      fillEntry(op, 0);
      return 0;
    };
    client.call(request.lookup(1, 'a'));
    expect(reply(client)).to.equal(
      plain(`90000000 00000000 ${UNIQUE} ${'00'.repeat(16)} 100e000000000000 ${'00'.repeat(8)} 0065cd1d`) +
        '00'.repeat(92),
    );
    expect(fs.take().map(([method]) => method)).to.deep.equal(['lookup']);
  });

  for (const [name, method, make] of [
    ['CREATE', 'create', (r: RequestEncoder) => r.create(1, 'a', 2, 0o644)],
    ['TMPFILE', 'tmpfile', (r: RequestEncoder) => r.tmpfile(1, 2, 0o644)],
  ] as const) {
    it(`${name}: a header, an entry and a handle, 160 bytes`, () => {
      fs.answers[method] = (op: Operation) => {
        fillEntry(op);
        op.fh = 0x1f_ffff_ffff_fffe;
        op.openFlags = C.FOPEN_KEEP_CACHE;
        return 0;
      };
      client.call(make(request));
      expect(reply(client)).to.equal(plain(`a0000000 00000000 ${UNIQUE} ${ENTRY} feffffffffff1f00 02000000 00000000`));
    });
  }

  for (const [name, method, make] of [
    ['GETATTR', 'getattr', (r: RequestEncoder) => r.getattr(1)],
    ['SETATTR', 'setattr', (r: RequestEncoder) => r.setattr(1, { mode: 0o600 })],
  ] as const) {
    it(`${name}: a header and attributes, 120 bytes`, () => {
      fs.answers[method] = (op: Operation) => {
        fillAttributes(op);
        return 0;
      };
      client.call(make(request));
      expect(reply(client)).to.equal(plain(`78000000 00000000 ${UNIQUE} 3c00000000000000 80b2e60e 00000000 ${ATTR}`));
    });
  }

  for (const [name, method, make] of [
    ['OPEN', 'open', (r: RequestEncoder) => r.open(2, 0)],
    ['OPENDIR', 'opendir', (r: RequestEncoder) => r.opendir(2)],
  ] as const) {
    it(`${name}: a header and a handle, 32 bytes; flags of the request before are gone`, () => {
      fs.answers[method] = (op: Operation) => {
        op.fh = 9;
        op.openFlags = C.FOPEN_NOFLUSH;
        return 0;
      };
      client.call(make(request));
      expect(reply(client)).to.equal(plain(`20000000 00000000 ${UNIQUE} 0900000000000000 20000000 00000000`));
      delete fs.answers[method];
      client.call(make(request));
      expect(reply(client)).to.equal(plain(`20000000 00000000 ${UNIQUE} 0000000000000000 00000000 00000000`));
    });
  }

  const headerOnly: readonly [string, string, (r: RequestEncoder) => RequestEncoder][] = [
    ['UNLINK', 'unlink', (r) => r.unlink(1, 'a')],
    ['RMDIR', 'rmdir', (r) => r.rmdir(1, 'a')],
    ['RENAME', 'rename', (r) => r.rename(1, 'a', 2, 'b')],
    ['RENAME2', 'rename', (r) => r.rename2(1, 'a', 2, 'b', 1)],
    ['RELEASE', 'release', (r) => r.release(1, 2)],
    ['RELEASEDIR', 'releasedir', (r) => r.releasedir(1, 2)],
    ['FLUSH', 'flush', (r) => r.flush(1, 2)],
    ['FSYNC', 'fsync', (r) => r.fsync(1, 2)],
    ['FSYNCDIR', 'fsyncdir', (r) => r.fsyncdir(1, 2)],
    ['FALLOCATE', 'fallocate', (r) => r.fallocate(1, 2, 0, 1)],
    ['SYNCFS', 'syncfs', (r) => r.syncfs(1)],
    ['SETXATTR', 'setxattr', (r) => r.setxattr(1, 'user.a', new Uint8Array(2))],
    ['REMOVEXATTR', 'removexattr', (r) => r.removexattr(1, 'user.a')],
  ];
  for (const [name, method, make] of headerOnly) {
    it(`${name}: a header, 16 bytes, also when the method gives a count`, () => {
      fs.answers[method] = () => 5;
      client.call(make(request));
      expect(reply(client)).to.equal(plain(`10000000 00000000 ${UNIQUE}`));
      expect(fs.take().map((call) => call[0])).to.deep.equal([method]);
    });
  }

  it('SETUPMAPPING and REMOVEMAPPING: a header, 16 bytes', () => {
    const hooks = { setupMapping: () => 0, removeMapping: () => 0 };
    const { client: mapper } = connect({ hooks });
    mapper.call(mapper.request.setupmapping(2, 0, 0x20_0000, 3, 0x40_0000));
    expect(reply(mapper)).to.equal(plain(`10000000 00000000 ${UNIQUE}`));
    mapper.call(mapper.request.removemapping(2, [0, 0x20_0000]));
    expect(reply(mapper)).to.equal(plain(`10000000 00000000 ${UNIQUE}`));
    mapper[Symbol.dispose]();
  });

  it('STATFS: a header and kstatfs, 96 bytes', () => {
    fs.answers['statfs'] = (_op: Operation, _nodeid: number, out: StatfsOut) => {
      Object.assign(out, { blocks: 0x1_0000_0002, bfree: 3, bavail: 4, files: 5, ffree: 6 });
      Object.assign(out, { bsize: 7, namelen: 8, frsize: 9 });
      return 0;
    };
    client.call(request.statfs(1));
    const body = '0200000001000000 0300000000000000 0400000000000000 0500000000000000 0600000000000000';
    expect(reply(client)).to.equal(
      plain(`60000000 00000000 ${UNIQUE} ${body} 07000000 08000000 09000000 ${'00'.repeat(28)}`),
    );
  });

  it('LSEEK: a header and the offset, 24 bytes', () => {
    fs.answers['lseek'] = (op: Operation) => {
      op.offset = 0x12_3456_789a;
      return 0;
    };
    client.call(request.lseek(1, 2, 3, 4));
    expect(reply(client)).to.equal(plain(`18000000 00000000 ${UNIQUE} 9a78563412000000`));
  });

  it('WRITE: a header and the count, 24 bytes', () => {
    fs.answers['write'] = () => 3;
    client.call(request.write(1, 2, 0, 5), Buffer.from('hello'));
    expect(reply(client)).to.equal(plain(`18000000 00000000 ${UNIQUE} 03000000 00000000`));
  });

  it('COPY_FILE_RANGE and COPY_FILE_RANGE_64: a header and the count, 24 bytes', () => {
    fs.answers['copyFileRange'] = () => 0x3fff_f000;
    const from = { nodeid: 1, fh: 2, offset: 3 };
    const to = { nodeid: 4, fh: 5, offset: 6 };
    for (const wide of [false, true]) {
      client.call(request.copyFileRange(from, to, 0x7fff_ffff_ffff, wide));
      expect(reply(client)).to.equal(plain(`18000000 00000000 ${UNIQUE} 00f0ff3f 00000000`));
      expect(fs.take()).to.deep.equal([['copyFileRange', 1, 2, 3, 4, 5, 6, 0x3fff_f000]]);
    }
  });

  it('READ: a header behind which the Filesystem put the data, as long as the data', () => {
    fs.answers['read'] = (_op: Operation, _nodeid: number, _fh: number, _offset: number, io: IoVector) =>
      io.write(0, Buffer.from('hello'), 0, 5);
    client.call(request.read(1, 2, 0, 4096));
    expect(reply(client)).to.equal(plain(`15000000 00000000 ${UNIQUE} 68656c6c6f`));
  });

  it('READ at the end of the file: 16 bytes', () => {
    client.call(request.read(1, 2, 0, 4096));
    expect(reply(client)).to.equal(plain(`10000000 00000000 ${UNIQUE}`));
  });

  it('READLINK: the target without NUL', () => {
    fs.answers['readlink'] = (op: Operation, _nodeid: number, to: Address, len: number) => {
      op.bytes(to, len).set(Buffer.from('../x'));
      return 4;
    };
    client.call(request.readlink(1));
    expect(reply(client)).to.equal(plain(`14000000 00000000 ${UNIQUE} 2e2e2f78`));
  });

  for (const [name, method, make] of [
    ['GETXATTR', 'getxattr', (r: RequestEncoder, size: number) => r.getxattr(1, 'user.a', size)],
    ['LISTXATTR', 'listxattr', (r: RequestEncoder, size: number) => r.listxattr(1, size)],
  ] as const) {
    it(`${name}: the length (24 bytes) for size 0, else the value`, () => {
      fs.answers[method] = (op: Operation, ...args: never[]) => {
        const [to, size] = args.slice(-2) as readonly number[] as [Address, number];
        if (size > 0) {
          op.bytes(to, size).set(Buffer.from('value'));
        }
        return 5;
      };
      client.call(make(request, 0));
      expect(reply(client)).to.equal(plain(`18000000 00000000 ${UNIQUE} 05000000 00000000`));
      client.call(make(request, 64));
      expect(reply(client)).to.equal(plain(`15000000 00000000 ${UNIQUE} 76616c7565`));
      // The operation's memory has to grow for this one.
      client.call(make(request, 65536));
      expect(reply(client)).to.equal(plain(`15000000 00000000 ${UNIQUE} 76616c7565`));
    });
  }

  it('READDIR: records with padding, zero bytes at the end of the directory', () => {
    fs.answers['readdir'] = (_op: Operation, _n: number, _fh: number, lo: number, _hi: number, sink: DirSink) => {
      if (lo === 0) {
        sink.add(Buffer.from('xab'), 1, 2, 0x89ab_cdef, 1, 7, 0x8000_0000, 8, null);
        sink.add(Buffer.from('12345678'), 0, 8, 2, 0, 9, 0, 4, null);
      }
      return 0;
    };
    client.call(request.readdir(1, 2, 0, 0, 4096));
    expect(reply(client)).to.equal(
      plain(`50000000 00000000 ${UNIQUE}
        efcdab8901000000 0700000000000080 02000000 08000000 6162000000000000
        0200000000000000 0900000000000000 08000000 04000000 3132333435363738`),
    );
    client.call(request.readdir(1, 2, 9, 0, 4096));
    expect(reply(client)).to.equal(plain(`10000000 00000000 ${UNIQUE}`));
  });

  it('READDIRPLUS: an entry before each record', () => {
    fs.answers['readdir'] = (op: Operation, _n: number, _fh: number, _lo: number, _hi: number, sink: DirSink) => {
      fillEntry(op);
      sink.add(Buffer.from('a'), 0, 1, 5, 0, 1, 0, 8, op.entry);
      sink.add(Buffer.from('b'), 0, 1, 6, 0, 2, 0, 4, null);
      return 0;
    };
    client.call(request.readdirplus(1, 2, 0, 0, 4096));
    expect(reply(client)).to.equal(
      plain(`50010000 00000000 ${UNIQUE}
        ${ENTRY} 0500000000000000 0100000000000000 01000000 08000000 6100000000000000
        ${'00'.repeat(128)} 0600000000000000 0200000000000000 01000000 04000000 6200000000000000`),
    );
  });

  it('READDIR: a record that does not fit is refused, and the room is told exactly', () => {
    const seen: unknown[] = [];
    for (const plus of [false, true]) {
      fs.answers['readdir'] = (op: Operation, ...args: unknown[]) => {
        const sink = args[4] as DirSink;
        fillEntry(op, 7);
        const put = (name: string): boolean =>
          sink.add(Buffer.from(name), 0, name.length, 1, 0, 1, 0, 8, plus ? op.entry : null);
        seen.push(sink.need(1), sink.need(8), sink.need(9), put('12345678'), sink.room, put('1'), sink.room);
        return 0;
      };
      const size = plus ? 160 + 159 : 32 + 31;
      client.call(plus ? request.readdirplus(1, 2, 0, 0, size) : request.readdir(1, 2, 0, 0, size));
      expect(client.message.written).to.equal(16 + (plus ? 160 : 32));
    }
    expect(seen).to.deep.equal([32, 32, 40, true, 31, false, 31, 160, 160, 168, true, 159, false, 159]);
    expect(fs.take().map(([method]) => method)).to.deep.equal(['readdir', 'readdir']);
  });

  it('READDIRPLUS: padding is zero also where an older reply was longer', () => {
    fs.answers['readdir'] = (_op: Operation, ...args: unknown[]) => {
      const sink = args[4] as DirSink;
      const name = Buffer.from('x'.repeat((args[2] as number) || 255));
      for (let index = 0; index < 3; index++) {
        sink.add(name, 0, name.length, 0xffff_ffff, 0xffff_ffff, 0xffff_ffff, 0xffff_ffff, 0xffff_ffff, null);
      }
      return 0;
    };
    for (let len = 0; len <= 16; len++) {
      client.call(request.readdir(1, 2, 0, 0, 4096));
      client.call(request.readdir(1, 2, len, 0, 4096));
      if (len > 0) {
        const one = `${'ff'.repeat(16)}${len.toString(16).padStart(2, '0')}000000ffffffff${'78'.repeat(len)}`;
        const padded = one.padEnd(Math.ceil(one.length / 16) * 16, '0');
        expect(toHex(client.message.reply.subarray(16, client.message.written))).to.equal(padded.repeat(3));
      }
    }
  });

  it('DESTROY: a header', () => {
    client.call(request.destroy());
    expect(reply(client)).to.equal(plain(`10000000 00000000 ${UNIQUE}`));
  });

  it('FORGET, BATCH_FORGET, INTERRUPT: nothing at all', () => {
    for (const one of [
      () => request.forget(2, 3),
      () => request.batchForget([4, 5, 6, 7]),
      () => request.interrupt(8, 0),
    ]) {
      client.call(one());
      expect(client.message.written).to.equal(0);
    }
    expect(fs.take()).to.deep.equal([
      ['forget', 2, 3],
      ['forget', 4, 5],
      ['forget', 6, 7],
    ]);
  });

  it("an error: 16 bytes, with the request's unique in all 64 bits", () => {
    fs.answers['lookup'] = () => -2;
    request.uniqueLo = 0xffff_fffe;
    request.uniqueHi = 0xffff_ffff;
    const one = request.lookup(1, 'a');
    new DataView(one.bytes.buffer).setUint32(12, 0xfedc_ba98, true);
    client.send(one);
    expect(toHex(client.message.reply.subarray(0, client.message.written))).to.equal(
      '10000000feffffff0000000098badcfe',
    );
  });

  for (const [given, told] of [
    [-38, 95],
    [-511, 511],
    [-512, 5],
    [-4096, 5],
    [Number.NaN, 5],
  ] as const) {
    it(`a Filesystem's ${given} becomes ${told}`, () => {
      fs.answers['getattr'] = () => given;
      expect(client.call(request.getattr(1)).error).to.equal(told);
    });
  }

  it('a READ that claims more than was asked for becomes EIO', () => {
    fs.answers['read'] = () => 4097;
    expect(client.call(request.read(1, 2, 0, 4096)).error).to.equal(5);
  });

  it('nothing is written behind the reply', () => {
    client.call(request.getattr(1));
    expect(toHex(client.message.reply.subarray(120, 136))).to.equal('ee'.repeat(16));
  });
});
