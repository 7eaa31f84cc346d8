import { expect } from 'chai';
import { ReplyDecoder, RequestEncoder } from '../src/client/index.ts';
import { FuseError, FuseOutHeader } from '../src/index.ts';

/** A reply to `request` of `used` bytes. */
function answer(request: RequestEncoder, used: number, error = 0, len = used): Uint8Array {
  const bytes = new Uint8Array(8192);
  const view = new DataView(bytes.buffer);
  FuseOutHeader.len.set(view, 0, len);
  FuseOutHeader.error.set(view, 0, error);
  FuseOutHeader.unique.setParts(view, 0, request.uniqueLo, request.uniqueHi);
  return bytes;
}

describe('ReplyDecoder', () => {
  const request = new RequestEncoder();
  const reply = new ReplyDecoder();
  const refused = (used: number, code: string, error = 0, len = used): void => {
    const bytes = answer(request, used, error, len);
    expect(() => reply.take(request, bytes, used))
      .to.throw(FuseError)
      .with.property('code', code);
  };

  it('takes what Linux takes: exact lengths', () => {
    request.getattr(1);
    expect(reply.take(request, answer(request, 120), 120).bodyLen).to.equal(104);
    expect(reply.take(request, answer(request, 16, -2), 16).error).to.equal(2);
    for (const used of [16, 119, 121]) {
      refused(used, 'ERR_FUSE_REPLY_LENGTH');
    }
    request.unlink(1, 'a');
    expect(reply.take(request, answer(request, 16), 16).error).to.equal(0);
    refused(24, 'ERR_FUSE_REPLY_LENGTH');
  });

  it('takes less than there is room for where the length is free', () => {
    request.read(1, 1, 0, 100);
    for (const used of [16, 17, 116]) {
      expect(reply.take(request, answer(request, used), used).data.length).to.equal(used - 16);
    }
    refused(117, 'ERR_FUSE_REPLY_LENGTH');
  });

  it("refuses a used length that is not the header's, or has no header", () => {
    request.read(1, 1, 0, 100);
    refused(20, 'ERR_FUSE_REPLY_LENGTH', 0, 21);
    refused(15, 'ERR_FUSE_REPLY_LENGTH');
    refused(0, 'ERR_FUSE_REPLY_LENGTH');
  });

  it('refuses errors out of range, and errors with a body', () => {
    request.getattr(1);
    refused(16, 'ERR_FUSE_REPLY_ERROR', 1);
    refused(16, 'ERR_FUSE_REPLY_ERROR', -512);
    refused(120, 'ERR_FUSE_REPLY_LENGTH', -2);
  });

  it('refuses the reply to another request', () => {
    request.getattr(1);
    const bytes = answer(request, 120);
    request.getattr(1);
    expect(() => reply.take(request, bytes, 120))
      .to.throw(FuseError)
      .with.property('code', 'ERR_FUSE_REPLY_UNIQUE');
  });

  it('refuses any reply to a FORGET', () => {
    request.forget(1, 1);
    expect(reply.take(request, new Uint8Array(0), 0).error).to.equal(0);
    refused(16, 'ERR_FUSE_REPLY_LENGTH');
  });

  it('wants 8 bytes for the length of an attribute', () => {
    request.getxattr(1, 'user.a', 0);
    expect(reply.take(request, answer(request, 24), 24).count).to.equal(0);
    refused(20, 'ERR_FUSE_REPLY_LENGTH');
    request.getxattr(1, 'user.a', 4);
    expect(reply.take(request, answer(request, 20), 20).data.length).to.equal(4);
  });

  it('takes a shorter value where there is room for 8 bytes, as many as a length has', () => {
    for (const ask of [() => request.getxattr(1, 'user.a', 8), () => request.listxattr(1, 8)]) {
      ask();
      for (const used of [16, 21, 24]) {
        expect(reply.take(request, answer(request, used), used).data.length).to.equal(used - 16);
      }
      refused(25, 'ERR_FUSE_REPLY_LENGTH');
    }
  });

  it('refuses directory records that do not fit, or have no name or a slash', () => {
    const records = (used: number, nameLen: number, name: string): void => {
      request.readdir(1, 1, 0, 0, 4096);
      const bytes = answer(request, used);
      new DataView(bytes.buffer).setUint32(32, nameLen, true);
      bytes.set(Buffer.from(name), 40);
      reply.take(request, bytes, used).readRecords();
    };
    records(48, 3, 'abc');
    for (const [used, nameLen, name] of [
      [30, 3, 'abc'],
      [47, 3, 'abc'],
      [48, 9, 'abcdefghi'],
      [48, 0, ''],
      [48, 3, 'a/b'],
      [48, 0xffff_fff0, 'a'],
    ] as const) {
      expect(() => records(used, nameLen, name), `${used} ${nameLen} ${name}`)
        .to.throw(FuseError)
        .with.property('code', 'ERR_FUSE_REPLY_RECORD');
    }
  });

  it('reads seconds of any sign, to the last one', () => {
    for (const seconds of [0, 1, -1, -2, -(2 ** 31), -(2 ** 31) - 1, 2 ** 31, 2 ** 32, 2 ** 34 + 1, -(2 ** 40) - 3]) {
      request.getattr(1);
      const bytes = answer(request, 120);
      const view = new DataView(bytes.buffer);
      for (const at of [24, 32, 40]) {
        view.setBigInt64(16 + 16 + at, BigInt(seconds), true);
      }
      expect(reply.take(request, bytes, 120).readAttributes()).to.include({
        atime: seconds,
        mtime: seconds,
        ctime: seconds,
      });
    }
  });
});
