import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { RequestEncoder } from '../src/client/index.ts';
import * as C from '../src/constants.ts';
import { FuseSession, type Operation, PENDING, type SessionFeatures, type SessionHooks } from '../src/index.ts';
import { TestClient } from '../src/testing/index.ts';
import { connect, sys, toHex } from './harness.ts';
import { RecordingFilesystem } from './recording-filesystem.ts';

const EIO = 5;
const EPROTO = 71;
/** What is agreed with a driver that offers everything: see init.ts. */
const FLAGS =
  C.FUSE_ASYNC_READ |
  C.FUSE_ATOMIC_O_TRUNC |
  C.FUSE_BIG_WRITES |
  C.FUSE_HAS_IOCTL_DIR |
  C.FUSE_AUTO_INVAL_DATA |
  C.FUSE_DO_READDIRPLUS |
  C.FUSE_READDIRPLUS_AUTO |
  C.FUSE_ASYNC_DIO |
  C.FUSE_PARALLEL_DIROPS |
  C.FUSE_MAX_PAGES |
  C.FUSE_HANDLE_KILLPRIV_V2 |
  C.FUSE_SETXATTR_EXT |
  C.FUSE_INIT_EXT;
const FLAGS2 = C.flags2(C.FUSE_CREATE_SUPP_GROUP) | C.flags2(C.FUSE_ALLOW_IDMAP);

/** A client whose session has seen no INIT. */
function fresh(
  hooks: SessionHooks = {},
  options: { maxPages?: number; readdirplus?: boolean; invalidation?: 'auto' | 'explicit' } = {},
): { client: TestClient; fs: RecordingFilesystem } {
  const fs = new RecordingFilesystem();
  return { client: new TestClient({ sys, fs, hooks, ...options }), fs };
}

describe('INIT', () => {
  let leaks: ReturnType<typeof leakCheck>;
  const clients: TestClient[] = [];
  const open = (...args: Parameters<typeof fresh>): ReturnType<typeof fresh> => {
    const made = fresh(...args);
    clients.push(made.client);
    return made;
  };
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => {
    for (const client of clients.splice(0)) {
      client[Symbol.dispose]();
    }
    leaks.check();
  });

  it('agrees what the Filesystem wants, and tells it', () => {
    const { client, fs } = open();
    const wanted: readonly [SessionFeatures, lo: number, hi: number][] = [
      [{}, FLAGS, FLAGS2],
      [{ killprivV2: false }, FLAGS & ~(C.FUSE_HANDLE_KILLPRIV_V2 | C.FUSE_ATOMIC_O_TRUNC), FLAGS2],
      [{ readdirplus: false }, FLAGS & ~(C.FUSE_DO_READDIRPLUS | C.FUSE_READDIRPLUS_AUTO), FLAGS2],
      [{ writebackCache: true }, FLAGS | C.FUSE_WRITEBACK_CACHE, FLAGS2],
      [{ posixAcl: true }, FLAGS | C.FUSE_POSIX_ACL | C.FUSE_DONT_MASK, FLAGS2],
      [{ submounts: true }, FLAGS | C.FUSE_SUBMOUNTS, FLAGS2],
      [{ securityContexts: true }, FLAGS, FLAGS2 | C.flags2(C.FUSE_SECURITY_CTX)],
      [{ directIoMmap: true }, FLAGS, FLAGS2 | C.flags2(C.FUSE_DIRECT_IO_ALLOW_MMAP)],
    ];
    for (const [features, flagsLo, flagsHi] of wanted) {
      using other = new TestClient({ sys, fs: Object.assign(fs, { features }) });
      expect(other.init().readInit(), JSON.stringify(features)).to.include({ flagsLo, flagsHi });
      expect(fs.agreed).to.deep.equal([flagsLo, flagsHi]);
    }
    client.init();
  });

  it('agrees on OPEN with O_TRUNC only where that clears set-id bits', () => {
    using client = new TestClient({ sys, fs: new RecordingFilesystem() });
    const offer = 0x7fff_fffb & ~C.FUSE_HANDLE_KILLPRIV_V2;
    expect(client.call(client.request.init({ flagsLo: offer })).readInit().flagsLo & C.FUSE_ATOMIC_O_TRUNC).to.equal(0);
  });

  it('agrees access lists with all that they need, or not at all', () => {
    const { fs } = open();
    Object.assign(fs, { features: { posixAcl: true } });
    using client = new TestClient({ sys, fs });
    for (const missing of [C.FUSE_POSIX_ACL, C.FUSE_DONT_MASK, C.FUSE_SETXATTR_EXT]) {
      const reply = client.call(client.request.init({ flagsLo: 0x7fff_fffb & ~missing }));
      expect(reply.readInit().flagsLo & (C.FUSE_POSIX_ACL | C.FUSE_DONT_MASK)).to.equal(0);
    }
  });

  it('as Linux 7.3 sends it gives 80 bytes with everything agreed', () => {
    const { client, fs } = open();
    const reply = client.init();
    expect(client.message.written).to.equal(80);
    expect(reply.readInit()).to.deep.equal({
      major: 7,
      minor: 46,
      maxReadahead: 131072,
      flagsLo: FLAGS,
      flagsHi: FLAGS2,
      maxBackground: 65535,
      congestionThreshold: 49151,
      maxWrite: 1 << 20,
      timeGran: 1,
      maxPages: 256,
      mapAlignment: 0,
    });
    expect(toHex(client.message.reply.subarray(16, 80))).to.equal(
      `07000000 2e000000 00000200 29f84470 ffff ffbf 00001000 01000000 0001 0000 04010000 ${'00'.repeat(28)}`.replaceAll(
        ' ',
        '',
      ),
    );
    expect(client.session.initialised).to.equal(true);
    expect(fs.take()).to.deep.equal([['init']]);
  });

  it('sets only what is offered', () => {
    const { client } = open();
    const reply = client.call(client.request.init({ flagsLo: C.FUSE_BIG_WRITES | C.FUSE_POSIX_LOCKS, flagsHi: 0 }));
    expect(reply.readInit()).to.include({ flagsLo: C.FUSE_BIG_WRITES, flagsHi: 0, maxPages: 0 });
  });

  it('ignores flags2 without INIT_EXT', () => {
    const { client } = open();
    const reply = client.call(client.request.init({ flagsLo: 0x3fff_fffb, flagsHi: 0x5ff }));
    expect(reply.readInit()).to.include({ flagsLo: FLAGS & ~C.FUSE_INIT_EXT, flagsHi: 0 });
  });

  it('of 16 bytes, from a driver before 7.36, has no flags2, whatever its flags say', () => {
    const { client } = open();
    const one = client.request.init({ minor: 31, short: true });
    expect(one.len).to.equal(56);
    expect(client.call(one).readInit()).to.include({ minor: 31, flagsLo: FLAGS & ~C.FUSE_INIT_EXT, flagsHi: 0 });
    expect(client.session.initialised).to.equal(true);
  });

  it('with a newer minor gives ours', () => {
    const { client } = open();
    expect(client.call(client.request.init({ minor: 99 })).readInit().minor).to.equal(46);
  });

  it('with an older minor gives that, down to 27; below, and below major 7, EPROTO', () => {
    const { client } = open();
    expect(client.call(client.request.init({ minor: 26 })).error).to.equal(EPROTO);
    expect(client.call(client.request.init({ major: 6 })).error).to.equal(EPROTO);
    expect(client.session.initialised).to.equal(false);
    expect(client.call(client.request.init({ minor: 27 })).readInit().minor).to.equal(27);
  });

  it('with a newer major gives {7, 46} alone, and waits for another INIT', () => {
    const { client, fs } = open();
    client.call(client.request.init({ major: 8 }));
    expect(client.message.written).to.equal(24);
    expect(toHex(client.message.reply.subarray(16, 24))).to.equal('070000002e000000');
    expect(client.session.initialised).to.equal(false);
    expect(fs.take()).to.deep.equal([]);
    expect(client.init().error).to.equal(0);
  });

  it('follows the options', () => {
    const { client } = open({}, { maxPages: 32, readdirplus: false, invalidation: 'explicit' });
    const { flagsLo, maxPages, maxWrite } = client.init().readInit();
    expect({ maxPages, maxWrite }).to.deep.equal({ maxPages: 32, maxWrite: 131072 });
    expect(flagsLo).to.equal(
      (FLAGS & ~(C.FUSE_DO_READDIRPLUS | C.FUSE_READDIRPLUS_AUTO | C.FUSE_AUTO_INVAL_DATA)) |
        C.FUSE_EXPLICIT_INVAL_DATA,
    );
  });

  it('adds the flags of a window where they are offered, and tells it what was', () => {
    const offered: number[][] = [];
    const { client } = open({
      initFlagsLo: C.FUSE_MAP_ALIGNMENT,
      initFlagsHi: C.flags2(C.FUSE_HAS_INODE_DAX),
      mapAlignment: 12,
      initialised: (lo, hi) => offered.push([lo, hi]),
    });
    expect(client.init().readInit()).to.include({
      flagsLo: FLAGS | C.FUSE_MAP_ALIGNMENT,
      flagsHi: FLAGS2 | C.flags2(C.FUSE_HAS_INODE_DAX),
      mapAlignment: 12,
    });
    client.call(client.request.init({ flagsLo: 0x7bff_fffb, flagsHi: 0x5fd }));
    expect(client.message.reply.subarray(16 + 30, 16 + 32)).to.deep.equal(new Uint8Array(2));
    expect(offered).to.deep.equal([
      [0x7fff_fffb, 0x5ff],
      [0x7bff_fffb, 0x5fd],
    ]);
  });

  it('must come first: EIO before, and nothing for a FORGET', () => {
    const { client, fs } = open();
    expect(client.call(client.request.lookup(1, 'a')).error).to.equal(EIO);
    expect(client.call(client.request.destroy()).error).to.equal(EIO);
    client.call(client.request.forget(2, 1));
    expect(fs.take()).to.deep.equal([]);
  });

  it('a second one is a new session: mappings, then inodes, then the answer', () => {
    const order: string[] = [];
    const { client, fs } = open({
      dropMappings: (done) => {
        order.push(`drop after ${fs.calls.length} calls`);
        done();
      },
    });
    client.init();
    client.init();
    expect(order).to.deep.equal(['drop after 0 calls', 'drop after 1 calls']);
    expect(fs.take()).to.deep.equal([['init'], ['destroy'], ['init']]);
    expect(client.session.initialised).to.equal(true);
  });

  it('waits for the mappings; meanwhile other requests are EIO', () => {
    let done = (): void => {};
    const { client, fs } = open({
      dropMappings: (then) => {
        done = then;
      },
    });
    expect(client.send(client.request.init())).to.equal(false);
    expect([client.session.initialised, client.session.inFlight]).to.deep.equal([false, 1]);
    const { client: other } = fresh();
    const one = other.request.getattr(1);
    other.message.load(one.bytes, one.len, one.room);
    client.session.handle(other.message);
    expect(other.take(one).error).to.equal(EIO);
    other[Symbol.dispose]();
    expect(fs.take()).to.deep.equal([]);
    done();
    expect(client.message.written).to.equal(80);
    expect(client.session.initialised).to.equal(true);
    expect(() => done()).to.throw('ERR_FUSE_STATE');
  });

  it('overtaken by another INIT while the mappings go is EIO, and the later one wins', () => {
    const waiting: (() => void)[] = [];
    const { client, fs } = open({ dropMappings: (then) => void waiting.push(then) });
    const { client: other } = open();
    const first = client.request.init();
    client.send(first);
    const second = new RequestEncoder().init();
    other.message.load(second.bytes, second.len, second.room);
    client.session.handle(other.message);
    for (const done of waiting.reverse()) {
      done();
    }
    expect(client.take(first).error).to.equal(EIO);
    expect(other.take(second).error).to.equal(0);
    expect(client.session.initialised).to.equal(true);
    expect(fs.take()).to.deep.equal([['init']]);
  });

  it('overtaken by a reset while the mappings go is never answered', () => {
    const waiting: (() => void)[] = [];
    const { client, fs } = open({ dropMappings: (then) => void waiting.push(then) });
    client.send(client.request.init());
    client.session.reset();
    for (const done of waiting) {
      done();
    }
    expect(client.message.written).to.equal(-1);
    expect(fs.take()).to.deep.equal([]);
    expect(client.session.inFlight).to.equal(0);
  });

  for (const result of [-12, 0]) {
    it(`may be PENDING in the Filesystem, and end with ${result}`, () => {
      const { client, fs } = open();
      fs.answers['init'] = () => PENDING;
      const one = client.request.init();
      expect(client.send(one)).to.equal(false);
      expect(client.session.initialised).to.equal(false);
      fs.op!.complete(result);
      expect(client.take(one).error).to.equal(-result);
      expect(client.session.initialised).to.equal(result === 0);
    });
  }

  it('may complete before it returns PENDING', () => {
    const { client, fs } = open();
    fs.answers['init'] = (op) => {
      op.complete(0);
      return PENDING;
    };
    expect(client.init().error).to.equal(0);
  });
});

describe('DESTROY, reset and disposal', () => {
  it('DESTROY drops mappings, then inodes, then answers; a new INIT follows', () => {
    const order: string[] = [];
    const dropMappings = (done: () => void): void => {
      order.push('drop');
      done();
    };
    const { client, fs } = connect({ hooks: { dropMappings } });
    fs.destroy = () => void order.push('destroy');
    order.length = 0;
    expect(client.call(client.request.destroy()).error).to.equal(0);
    expect(client.message.written).to.equal(16);
    expect(order).to.deep.equal(['drop', 'destroy']);
    expect(client.session.initialised).to.equal(false);
    expect(client.call(client.request.getattr(1)).error).to.equal(EIO);
    expect(client.init().error).to.equal(0);
    client[Symbol.dispose]();
  });

  it('DESTROY waits for the mappings', () => {
    const waiting: (() => void)[] = [];
    const dropMappings = (then: () => void): void => {
      if (waiting.push(then) === 1) {
        then();
      }
    };
    const { client, fs } = connect({ hooks: { dropMappings } });
    const one = client.request.destroy();
    expect(client.send(one)).to.equal(false);
    expect(fs.take()).to.deep.equal([]);
    waiting[1]!();
    expect(client.take(one).error).to.equal(0);
    expect(fs.take()).to.deep.equal([['destroy']]);
    client[Symbol.dispose]();
  });

  it('a request in flight at DESTROY ends with EIO and leaves nothing behind', () => {
    const { client, fs } = connect();
    const { client: other } = fresh();
    fs.answers['lookup'] = () => PENDING;
    const one = client.request.lookup(1, 'a');
    client.send(one);
    const op = fs.op!;
    const destroy = new RequestEncoder().destroy();
    other.message.load(destroy.bytes, destroy.len, destroy.room);
    client.session.handle(other.message);
    expect(other.message.written).to.equal(16);
    fs.take();
    op.entry.nodeid = 5;
    op.complete(0);
    expect(client.take(one).error).to.equal(EIO);
    expect(fs.take()).to.deep.equal([]);
    client[Symbol.dispose]();
    other[Symbol.dispose]();
  });

  it('reset answers nothing more, drops mappings and inodes, and late results are void', () => {
    let drops = 0;
    const dropMappings = (done: () => void): void => {
      drops++;
      done();
    };
    const { client, fs } = connect({ hooks: { dropMappings } });
    fs.answers['open'] = () => PENDING;
    client.send(client.request.open(2, 0));
    const op = fs.op as Operation;
    client.session.reset();
    expect(fs.take().map((call) => call[0])).to.deep.equal(['open', 'destroy']);
    expect([drops, client.session.inFlight, client.session.initialised]).to.deep.equal([2, 0, false]);
    op.complete(0);
    expect(client.message.written).to.equal(-1);
    expect(fs.take()).to.deep.equal([]);
    client.session.reset();
    expect(fs.take()).to.deep.equal([]);
    client[Symbol.dispose]();
  });

  it('disposal frees all memory and destroys the Filesystem once', () => {
    const leaks = leakCheck();
    const { client, fs } = connect();
    client.call(client.request.getattr(1));
    client[Symbol.dispose]();
    expect(fs.take().map((call) => call[0])).to.deep.equal(['getattr', 'destroy']);
    client[Symbol.dispose]();
    leaks.check();
  });

  it('options out of range are refused', () => {
    const fs = new RecordingFilesystem();
    const finish = (): void => {};
    for (const maxPages of [0, 1025, 1.5, Number.NaN]) {
      expect(() => new FuseSession({ sys, fs, finish, maxPages })).to.throw(RangeError, 'maxPages');
    }
    expect(() => new FuseSession({ sys, fs, finish, maxOperations: 0 })).to.throw(RangeError, 'maxOperations');
  });
});
