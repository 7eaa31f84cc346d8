import { expect } from 'chai';
import fc from 'fast-check';
import { RequestEncoder } from '../src/client/index.ts';
import { FuseOutHeader, PENDING } from '../src/index.ts';
import { MemoryFilesystem, TestClient } from '../src/testing/index.ts';
import { connect, sys } from './harness.ts';

const SEED = 746;

/** Every request with small numbers, so that many of them mean something. */
const MAKERS: readonly ((r: RequestEncoder, a: number, b: number, name: string) => RequestEncoder)[] = [
  (r, a, _b, name) => r.lookup(a, name),
  (r, a, b) => r.forget(a, b),
  (r, a, b) => r.batchForget([a, b, b, a]),
  (r, a, b) => r.getattr(a, b - 1),
  (r, a, b) => r.setattr(a, { size: b, mode: b, atime: -b, fh: b }),
  (r, a) => r.readlink(a),
  (r, a, _b, name) => r.symlink(a, name, name),
  (r, a, b, name) => r.mknod(a, name, 0o100000 + b, b),
  (r, a, b, name) => r.mkdir(a, name, b),
  (r, a, _b, name) => r.unlink(a, name),
  (r, a, _b, name) => r.rmdir(a, name),
  (r, a, b, name) => r.rename(a, name, b, `${name}x`),
  (r, a, b, name) => r.rename2(a, name, b, name, b),
  (r, a, b, name) => r.link(a, b, name),
  (r, a, b) => r.open(a, b),
  (r, a, b) => r.opendir(a, b),
  (r, a, b, name) => r.create(a, name, b, 0o644),
  (r, a, b) => r.tmpfile(a, b, 0o600),
  (r, a, b) => r.read(a, b, a, 100 * b),
  (r, a, b) => r.write(a, b, a, 0),
  (r, a) => r.statfs(a),
  (r, a, b) => r.release(a, b),
  (r, a, b) => r.releasedir(a, b),
  (r, a, b) => r.flush(a, b),
  (r, a, b) => r.fsync(a, b),
  (r, a, b) => r.fsyncdir(a, b),
  (r, a, b, name) => r.setxattr(a, name, new Uint8Array(b)),
  (r, a, b, name) => r.getxattr(a, name, b),
  (r, a, b) => r.listxattr(a, b),
  (r, a, _b, name) => r.removexattr(a, name),
  (r, a, b) => r.readdir(a, b, a, 0, 500),
  (r, a, b) => r.readdirplus(a, b, 0, 0, 1000),
  (r, a, b) => r.fallocate(a, b, a, b, 0),
  (r, a, b) => r.lseek(a, b, 0, 3),
  (r, a, b) => r.copyFileRange({ nodeid: a, fh: b, offset: 0 }, { nodeid: b, fh: a, offset: 9 }, 9, b > 3),
  (r, a) => r.syncfs(a),
  (r, a, b) => r.setupmapping(a, 0, b, 3, 0),
  (r, a, b) => r.removemapping(a, [b, b, a, a]),
  (r, a, b) => r.interrupt(a, b),
  (r) => r.destroy(),
  (r) => r.init(),
  (r, a, b) => r.raw(a * b, a, new Uint8Array(b), 4096),
];

/** One of them with some bytes changed, cut off, or given too little room. */
const request = fc.record({
  maker: fc.nat(MAKERS.length - 1),
  a: fc.integer({ min: 0, max: 8 }),
  b: fc.integer({ min: 0, max: 8 }),
  name: fc.constantFrom('a', 'b', 'd', 'f', 'name', '.', 'x/y', 'x'.repeat(255), 'x'.repeat(300)),
  group: fc.constantFrom(-1, -1, 7),
  changes: fc.oneof(
    { weight: 2, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(fc.tuple(fc.nat(120), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }) },
  ),
  cut: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, fc.integer({ min: 0, max: 60 })),
  fewer: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, fc.integer({ min: 0, max: 200 })),
});
type Request = typeof request extends fc.Arbitrary<infer T> ? T : never;

function encode({ maker, a, b, name, group, changes, cut, fewer }: Request): { bytes: Uint8Array; room: number } {
  const encoder = new RequestEncoder(1024);
  encoder.supplementaryGroup = group;
  MAKERS[maker]!(encoder, a, b, name);
  const bytes = encoder.bytes.slice(0, encoder.len);
  for (const [at, byte] of changes) {
    // The length stays true: a lie about it is found before anything else.
    if (at >= 4 && at < bytes.length) {
      bytes[at] = byte;
    }
  }
  return { bytes: bytes.subarray(0, Math.max(0, bytes.length - cut)), room: Math.max(0, encoder.room - fewer) };
}

/** Sends bytes; wants an answer that Linux would take, or none where none can be given. */
function survives(client: TestClient, bytes: Uint8Array, room: number): void {
  client.message.load(bytes, bytes.length, room);
  client.session.handle(client.message);
  const { written, reply } = client.message;
  expect(written).to.be.within(0, Math.max(0, room));
  expect(client.session.inFlight).to.equal(0);
  if (written > 0) {
    const view = new DataView(reply.buffer, reply.byteOffset);
    const error = FuseOutHeader.error.get(view, 0);
    expect(FuseOutHeader.len.get(view, 0)).to.equal(written);
    expect(FuseOutHeader.unique.lo(view, 0)).to.equal(new DataView(bytes.buffer, bytes.byteOffset).getUint32(8, true));
    expect(error).to.be.within(-511, 0);
    if (error !== 0) {
      expect(written).to.equal(16);
    }
  }
  expect(reply.subarray(Math.max(written, room), room + 16).every((byte) => byte === 0xee)).to.equal(true);
}

describe('any bytes', () => {
  it('never make a session throw, hang or answer wrongly (random bytes)', () => {
    const { client } = connect();
    const bytes = fc.uint8Array({ maxLength: 400 });
    fc.assert(
      fc.property(bytes, fc.integer({ min: 0, max: 300 }), (one, room) => survives(client, one, room)),
      { seed: SEED, numRuns: 2000 },
    );
    client[Symbol.dispose]();
  });

  it('never make a session on the memory file system throw, hang or answer wrongly (changed requests)', () => {
    const fs = new MemoryFilesystem();
    const client = new TestClient({ sys, fs });
    const r = client.request;
    const served = new Set<number>();
    client.init();
    fc.assert(
      fc.property(request, (one) => {
        if (!client.session.initialised) {
          client.init();
        }
        if (fs.handleCount === 0) {
          client.call(r.mkdir(1, 'd', 0o755));
          client.call(r.create(1, 'f', 2, 0o100644));
          client.call(r.opendir(1));
        }
        const { bytes, room } = encode(one);
        survives(client, bytes, room);
        if (client.message.written > 0 && client.message.reply[4] === 0) {
          served.add(one.maker);
        }
      }),
      { seed: SEED, numRuns: 10_000 },
    );
    expect(served.size).to.be.above(30);
    client[Symbol.dispose]();
    expect(fs.handleCount).to.equal(0);
  });

  it('never lose count of operations when everything is PENDING', () => {
    const { client, fs } = connect();
    fc.assert(
      fc.property(request, fc.integer({ min: -600, max: 100 }), (one, result) => {
        if (!client.session.initialised) {
          client.init();
        }
        for (const method of Object.getOwnPropertyNames(Object.getPrototypeOf(fs))) {
          fs.answers[method] = () => PENDING;
        }
        delete fs.answers['init'];
        const { bytes, room } = encode(one);
        client.message.load(bytes, bytes.length, room);
        client.session.handle(client.message);
        for (const op of client.session.operations()) {
          fs.answers = {};
          op.entry.nodeid = 3;
          op.complete(result);
        }
        expect(client.session.inFlight).to.equal(0);
        expect(client.message.written).to.be.at.least(0);
      }),
      { seed: SEED, numRuns: 2000 },
    );
    client[Symbol.dispose]();
  });
});
