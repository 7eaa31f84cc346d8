import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import type { RequestEncoder } from '../src/client/index.ts';
import { RequestEncoder as Encoder, ReplyDecoder } from '../src/client/index.ts';
import {
  type DirSink,
  type Entry,
  FuseError,
  type Operation,
  PENDING,
  type ReplyTrace,
  type SessionHooks,
} from '../src/index.ts';
import { MemoryMessage, type TestClient } from '../src/testing/index.ts';
import { connect, sys } from './harness.ts';
import { fillAttributes, fillEntry, type RecordingFilesystem } from './recording-filesystem.ts';

/** Messages of their own for requests that are in flight at the same time. */
class Flight {
  readonly #messages: MemoryMessage[] = [];
  readonly #client: TestClient;

  constructor(client: TestClient) {
    this.#client = client;
  }

  send(make: (r: RequestEncoder) => RequestEncoder): { message: MemoryMessage; request: RequestEncoder } {
    const request = make(new Encoder());
    const message = new MemoryMessage(sys.mem, { capacity: 16384 });
    this.#messages.push(message);
    this.#client.session.handle(message.load(request.bytes, request.len, request.room));
    return { message, request };
  }

  [Symbol.dispose](): void {
    for (const message of this.#messages) {
      message[Symbol.dispose]();
    }
  }
}

describe('operations in flight', () => {
  let client: TestClient;
  let fs: RecordingFilesystem;
  let request: RequestEncoder;
  let flight: Flight;
  let leaks: ReturnType<typeof leakCheck>;
  const start = (hooks: SessionHooks = {}, maxOperations = 1024): void => {
    leaks = leakCheck();
    ({ client, fs } = connect({ hooks, maxOperations }));
    request = client.request;
    flight = new Flight(client);
  };
  afterEach(() => {
    client[Symbol.dispose]();
    flight[Symbol.dispose]();
    leaks.check();
  });

  describe('PENDING', () => {
    it('is answered by complete, in any order, with the names still there', () => {
      start();
      const ops: Operation[] = [];
      fs.answers['lookup'] = (op) => {
        ops.push(op);
        return PENDING;
      };
      const first = flight.send((r) => r.lookup(1, 'first'));
      const second = flight.send((r) => r.lookup(1, 'second'));
      expect([first.message.written, second.message.written, client.session.inFlight]).to.deep.equal([-1, -1, 2]);
      expect(client.session.operations()).to.deep.equal(ops);
      expect(ops.map((op) => op.name.toString())).to.deep.equal(['first', 'second']);
      expect(client.session.messageOf(ops[0]!)).to.equal(first.message);
      fillEntry(ops[1]!, 7);
      ops[1]!.complete(0);
      expect([first.message.written, second.message.written]).to.deep.equal([-1, 144]);
      ops[0]!.complete(-2);
      expect(first.message.written).to.equal(16);
      expect(client.session.inFlight).to.equal(0);
      expect(client.session.operations()).to.deep.equal([]);
    });

    it('lists operations in order of arrival, whatever memory they got', () => {
      start();
      fs.answers['getattr'] = () => PENDING;
      flight.send((r) => r.getattr(1));
      const first = fs.op!;
      flight.send((r) => r.getattr(2));
      first.complete(0);
      flight.send((r) => r.getattr(3));
      expect(fs.op).to.equal(first);
      expect(client.session.operations().map(({ nodeid }) => nodeid)).to.deep.equal([2, 3]);
      for (const op of client.session.operations()) {
        op.complete(0);
      }
    });

    it('may be completed before the method returns', () => {
      start();
      fs.answers['getattr'] = (op) => {
        fillAttributes(op);
        op.complete(0);
        return PENDING;
      };
      expect(client.call(request.getattr(1)).readAttributes().uid).to.equal(1000);
    });

    it('completed twice is a bug', () => {
      start();
      fs.answers['getattr'] = () => PENDING;
      client.send(request.getattr(1));
      fs.op!.complete(0);
      expect(() => fs.op!.complete(0))
        .to.throw(FuseError)
        .with.property('code', 'ERR_FUSE_STATE');
    });

    it('with every operation in flight the session is not ready', () => {
      start({}, 2);
      fs.answers['getattr'] = () => PENDING;
      flight.send((r) => r.getattr(1));
      expect(client.session.ready).to.equal(true);
      flight.send((r) => r.getattr(1));
      expect(client.session.ready).to.equal(false);
      expect(() => client.send(request.getattr(1)))
        .to.throw(FuseError)
        .with.property('code', 'ERR_FUSE_BUSY');
      fs.op!.complete(0);
      expect(client.session.ready).to.equal(true);
    });

    it('keeps context until the end, and gives a clean one to the next request', () => {
      start();
      fs.answers['getattr'] = (op) => {
        expect(op.context).to.equal(undefined);
        op.context = 'mine';
        return PENDING;
      };
      client.send(request.getattr(1));
      expect(fs.op!.context).to.equal('mine');
      fs.op!.complete(0);
      client.send(request.getattr(1));
    });

    it('READDIR of more than 16 at once still answers each', () => {
      start();
      const sinks: [Operation, DirSink][] = [];
      fs.answers['readdir'] = (op, ...args: unknown[]) => {
        sinks.push([op, args[4] as DirSink]);
        return PENDING;
      };
      const sent = Array.from({ length: 20 }, () => flight.send((r) => r.readdir(1, 1, 0, 0, 8192)));
      const rooms = sinks.map(([, sink]) => sink.room);
      expect(rooms.slice(0, 16).every((room) => room === 8192)).to.equal(true);
      expect(rooms.slice(16).every((room) => room > 4096 && room < 8192)).to.equal(true);
      for (const [op, sink] of sinks) {
        sink.add(Buffer.from('name'), 0, 4, 1, 0, 1, 0, 8, null);
        op.complete(0);
      }
      expect(sent.every(({ message }) => message.written === 48)).to.equal(true);
      flight.send((r) => r.readdir(1, 1, 0, 0, 8192));
      expect(sinks[20]![1].room).to.equal(8192);
    });
  });

  describe('hold', () => {
    it('keeps a request with its header, until resume', () => {
      const held: Operation[] = [];
      start({ hold: (op) => op.nodeid === 7 && held.push(op) > 0 });
      fs.answers['getattr'] = (op) => {
        fillAttributes(op);
        return 0;
      };
      expect(client.call(request.getattr(6)).error).to.equal(0);
      fs.take();
      const one = request.getattr(7);
      expect(client.send(one)).to.equal(false);
      expect(fs.take()).to.deep.equal([]);
      expect([held[0]!.opcode, held[0]!.nodeid]).to.deep.equal([3, 7]);
      client.session.resume(held[0]!);
      expect(client.take(one).error).to.equal(0);
      expect(fs.take()).to.deep.equal([['getattr', 7, -1]]);
      expect(() => client.session.resume(held[0]!)).to.throw('ERR_FUSE_STATE');
    });

    it('may end a request with an error, unexecuted', () => {
      const held: Operation[] = [];
      start({ hold: (op) => held.push(op) > 0 });
      const one = request.getattr(7);
      client.send(one);
      client.session.replyError(held[0]!, -11);
      expect(client.take(one).error).to.equal(11);
      client.send(one);
      client.session.abandon(held[1]!);
      client.session.replyError(held[1]!, -11);
      expect([client.message.written, client.session.inFlight]).to.deep.equal([-1, 0]);
      expect(fs.take()).to.deep.equal([]);
    });

    it('is not asked about INIT, DESTROY, FORGET and mappings', () => {
      const asked: number[] = [];
      start({
        hold: (op) => asked.push(op.opcode) < 0,
        setupMapping: () => 0,
        removeMapping: () => 0,
      });
      client.call(request.forget(2, 1));
      client.call(request.batchForget([2, 1]));
      client.call(request.setupmapping(2, 0, 4096, 2, 0));
      client.call(request.removemapping(2, [0, 4096]));
      client.call(request.lookup(1, 'a'));
      client.call(request.destroy());
      client.init();
      expect(asked).to.deep.equal([1]);
    });

    it('ends with EIO when the session ended meanwhile', () => {
      const held: Operation[] = [];
      start({ hold: (op) => op.nodeid === 7 && held.push(op) > 0 });
      const one = request.getattr(7);
      client.send(one);
      flight.send((r) => r.destroy());
      client.session.resume(held[0]!);
      expect(client.take(one).error).to.equal(5);
    });
  });

  describe('beforeReply', () => {
    it('keeps a reply, which then goes unchanged or as an error', () => {
      const kept: [Operation, number][] = [];
      start({ beforeReply: (op, result) => op.opcode === 16 && kept.push([op, result]) > 0 });
      fs.answers['write'] = (_op, ...args: unknown[]) => (args[3] as { len: number }).len;
      const one = request.write(9, 1, 100, 3);
      expect(client.send(one, Buffer.from('abc'))).to.equal(false);
      const [op, result] = kept[0]!;
      expect([op.nodeid, op.targetNodeid, op.offset, op.size, result]).to.deep.equal([9, 9, 100, 3, 3]);
      client.session.reply(op);
      expect(client.take(one).count).to.equal(3);
      client.send(one, Buffer.from('abc'));
      client.session.replyError(kept[1]![0], -28);
      expect(client.take(one).error).to.equal(28);
      expect(() => client.session.reply(op)).to.throw('ERR_FUSE_STATE');
      expect(() => client.session.replyError(op, -5)).to.throw('ERR_FUSE_STATE');
    });

    it('sees attributes and the target of COPY_FILE_RANGE, and no failed request', () => {
      const seen: unknown[] = [];
      start({
        beforeReply: (op, result) => {
          seen.push([op.opcode, op.targetNodeid, op.offset, op.entry.attr.size, result]);
          return false;
        },
      });
      fs.answers['setattr'] = (op) => (op.entry.attr.size = 4096) * 0;
      fs.answers['copyFileRange'] = () => 10;
      client.call(request.setattr(9, { size: 4096 }));
      client.call(request.copyFileRange({ nodeid: 9, fh: 1, offset: 0 }, { nodeid: 8, fh: 2, offset: 77 }, 10));
      fs.answers['getattr'] = () => -2;
      client.call(request.getattr(9));
      expect(seen).to.deep.equal([
        [4, 9, 0, 4096, 0],
        [53, 8, 77, 4096, 10],
      ]);
    });

    it('comes after a PENDING method too', () => {
      const kept: Operation[] = [];
      start({ beforeReply: (op) => kept.push(op) > 0 });
      fs.answers['getattr'] = () => PENDING;
      const one = request.getattr(9);
      client.send(one);
      fs.op!.complete(0);
      expect(client.message.written).to.equal(-1);
      client.session.reply(kept[0]!);
      expect(client.take(one).error).to.equal(0);
    });

    it('may reply at once and still say it kept the reply', () => {
      start({
        beforeReply: (op) => {
          client.session.reply(op);
          return true;
        },
      });
      expect(client.call(request.getattr(9)).error).to.equal(0);
      expect(client.session.inFlight).to.equal(0);
    });
  });

  describe('attributes', () => {
    it('are corrected in every record; flags do not leak into the next request', () => {
      const seen: [number, boolean][] = [];
      let flag = 2;
      start({
        attributes: (nodeid, attr, inDirectory) => {
          seen.push([nodeid, inDirectory]);
          attr.flags |= flag;
          attr.size = 4096;
          return false;
        },
      });
      fs.answers['getattr'] = fs.answers['setattr'] = (op) => {
        op.entry.attr.size = 1;
        return 0;
      };
      fs.answers['lookup'] = (op) => {
        op.entry.nodeid = 7;
        return 0;
      };
      expect(client.call(request.getattr(3)).readAttributes()).to.include({ flags: 2, size: 4096 });
      flag = 0;
      expect(client.call(request.setattr(4, {})).readAttributes()).to.include({ flags: 0, size: 4096 });
      expect(client.call(request.lookup(1, 'a')).readEntry().attr).to.include({ flags: 0, size: 4096 });
      fs.answers['lookup'] = (op) => (op.entry.nodeid = 0);
      client.call(request.lookup(1, 'a'));
      expect(seen).to.deep.equal([
        [3, false],
        [4, false],
        [7, false],
      ]);
    });

    it('refused in READDIRPLUS: the record stays without them, and the count is taken back', () => {
      start({ attributes: (nodeid) => nodeid !== 8 });
      fs.answers['readdir'] = (op, ...args: unknown[]) => {
        const sink = args[4] as DirSink;
        for (const [index, nodeid] of [7, 8, 9].entries()) {
          fillEntry(op, nodeid);
          sink.add(Buffer.from(`n${nodeid}`), 0, 2, nodeid, 0, index + 1, 0, 8, op.entry);
        }
        return 0;
      };
      const records = client.call(request.readdirplus(1, 1, 0, 0, 4096)).readRecords();
      expect(records.map(({ name, entry }) => [name, entry?.nodeid ?? 0])).to.deep.equal([
        ['n7', 7],
        ['n8', 0],
        ['n9', 9],
      ]);
      expect(fs.take().slice(1)).to.deep.equal([['forget', 8, 1]]);
    });
  });

  it('forgotten hears of each nodeid', () => {
    const gone: number[] = [];
    start({ forgotten: (nodeid) => void gone.push(nodeid) });
    client.call(request.forget(5, 1));
    client.call(request.batchForget([6, 1, 7, 2]));
    expect(gone).to.deep.equal([5, 6, 7]);
  });

  it('a FORGET with a count that cannot be is saturated', () => {
    start();
    const one = request.forget(5, 1);
    one.bytes.fill(0xff, 40, 48);
    client.call(one);
    expect(fs.take()).to.deep.equal([['forget', 5, Number.MAX_SAFE_INTEGER]]);
  });

  describe('a reply that cannot be delivered', () => {
    const lost = (make: (r: RequestEncoder) => RequestEncoder): void => {
      const one = make(request);
      client.message.load(one.bytes, one.len, one.room).broken = true;
      client.session.handle(client.message);
      expect(client.message.written).to.equal(0);
    };

    it('takes lookups back', () => {
      start();
      fs.answers['lookup'] = fs.answers['mkdir'] = (op) => fillEntry(op, 7);
      lost((r) => r.lookup(1, 'a'));
      expect(fs.take().slice(1)).to.deep.equal([['forget', 7, 1]]);
      lost((r) => r.mkdir(1, 'a', 0));
      expect(fs.take().slice(1)).to.deep.equal([['forget', 7, 1]]);
      fs.answers['lookup'] = (op) => fillEntry(op, 0);
      lost((r) => r.lookup(1, 'a'));
      expect(fs.take().slice(1)).to.deep.equal([]);
      expect(client.session.inFlight).to.equal(0);
    });

    it('closes handles, also when that takes time', () => {
      start();
      fs.answers['open'] = fs.answers['opendir'] = (op) => (op.fh = 3) * 0;
      fs.answers['create'] = (op) => fillEntry(op, 7, 4);
      lost((r) => r.open(2, 0));
      lost((r) => r.opendir(2));
      expect(fs.take()).to.deep.equal([
        ['open', 2, 0, false],
        ['release', 2, 3],
        ['opendir', 2, 0],
        ['releasedir', 2, 3],
      ]);
      fs.answers['release'] = () => PENDING;
      lost((r) => r.create(1, 'a', 0, 0));
      expect(fs.take().slice(1)).to.deep.equal([['release', 7, 4]]);
      expect([client.session.inFlight, client.session.operations().length]).to.deep.equal([0, 0]);
      fs.op!.complete(0);
      expect(fs.take()).to.deep.equal([['forget', 7, 1]]);
    });

    it('takes the lookups of READDIRPLUS back, those of its records with attributes', () => {
      start();
      fs.answers['readdir'] = (op, ...args: unknown[]) => {
        const sink = args[4] as DirSink;
        const put = (name: string, entry: Entry | null): boolean =>
          sink.add(Buffer.from(name), 0, name.length, 1, 0, 1, 0, 4, entry);
        fillEntry(op, 7);
        put('.', op.entry);
        put('long name', op.entry);
        put('without', null);
        fillEntry(op, 9);
        put('x', op.entry);
        return 0;
      };
      lost((r) => r.readdirplus(1, 1, 0, 0, 4096));
      // "." is never counted by the driver, so its count goes at once.
      expect(fs.take().slice(1)).to.deep.equal([
        ['forget', 7, 1],
        ['forget', 7, 1],
        ['forget', 9, 1],
      ]);
    });

    it('so does an error of READDIRPLUS after some records', () => {
      start();
      fs.answers['readdir'] = (op, ...args: unknown[]) => {
        fillEntry(op, 9);
        (args[4] as DirSink).add(Buffer.from('x'), 0, 1, 1, 0, 1, 0, 4, op.entry);
        return -5;
      };
      expect(client.call(request.readdirplus(1, 1, 0, 0, 4096)).error).to.equal(5);
      expect(fs.take().slice(1)).to.deep.equal([['forget', 9, 1]]);
    });

    it('an error in place of it, by replyError, takes back as well', () => {
      start({
        beforeReply: (op) => {
          client.session.replyError(op, -12);
          return true;
        },
      });
      fs.answers['create'] = (op) => fillEntry(op, 7, 4);
      expect(client.call(request.create(1, 'a', 0, 0)).error).to.equal(12);
      expect(fs.take().slice(1)).to.deep.equal([
        ['release', 7, 4],
        ['forget', 7, 1],
      ]);
    });

    it('a creating method without a nodeid gives EIO', () => {
      start();
      fs.answers['mkdir'] = (op) => fillEntry(op, 0);
      expect(client.call(request.mkdir(1, 'a', 0)).error).to.equal(5);
      fs.answers['create'] = (op) => fillEntry(op, 0);
      expect(client.call(request.create(1, 'a', 0, 0)).error).to.equal(5);
    });
  });

  describe('abandon', () => {
    it('forgets the message; the late result is taken back, and only then the operation is free', () => {
      start({}, 1);
      fs.answers['create'] = () => PENDING;
      client.send(request.create(1, 'a', 0, 0));
      const op = fs.op!;
      client.session.abandon(op);
      client.session.abandon(op);
      expect([client.session.inFlight, client.session.ready]).to.deep.equal([0, false]);
      expect(client.session.operations()).to.deep.equal([]);
      expect(() => client.session.messageOf(op)).to.throw('ERR_FUSE_STATE');
      fs.take();
      fillEntry(op, 7);
      op.fh = 4;
      op.complete(0);
      expect(fs.take()).to.deep.equal([
        ['release', 7, 4],
        ['forget', 7, 1],
      ]);
      expect(client.message.written).to.equal(-1);
      expect(client.session.ready).to.equal(true);
      client.session.abandon(op);
      expect(client.session.inFlight).to.equal(0);
    });

    it('of a held request: resume only frees it', () => {
      const held: Operation[] = [];
      start({ hold: (op) => held.push(op) > 0 }, 1);
      client.send(request.getattr(7));
      client.session.abandon(held[0]!);
      client.session.resume(held[0]!);
      expect(fs.take()).to.deep.equal([]);
      expect(client.session.ready).to.equal(true);
    });

    it('of a kept reply: reply takes the result back', () => {
      const kept: Operation[] = [];
      start({ beforeReply: (op) => kept.push(op) > 0 }, 1);
      fs.answers['lookup'] = (op) => fillEntry(op, 7);
      client.send(request.lookup(1, 'a'));
      client.session.abandon(kept[0]!);
      client.session.reply(kept[0]!);
      expect(fs.take().slice(1)).to.deep.equal([['forget', 7, 1]]);
      client.send(request.lookup(1, 'a'));
      client.session.abandon(kept[1]!);
      client.session.replyError(kept[1]!, -5);
      expect(fs.take().slice(1)).to.deep.equal([['forget', 7, 1]]);
      expect([client.message.written, client.session.ready]).to.deep.equal([-1, true]);
    });
  });

  describe('a session that ended meanwhile', () => {
    it('lets a kept reply go as EIO, whatever the hook says', () => {
      const kept: Operation[] = [];
      start({ beforeReply: (op) => kept.push(op) > 0 });
      fs.answers['lookup'] = (op) => fillEntry(op, 7);
      const sent = [flight.send((r) => r.lookup(1, 'a')), flight.send((r) => r.lookup(1, 'b'))];
      flight.send((r) => r.destroy());
      fs.take();
      client.session.reply(kept[0]!);
      client.session.replyError(kept[1]!, -12);
      expect(
        sent.map(({ message, request: one }) => new ReplyDecoder().take(one, message.reply, message.written).error),
      ).to.deep.equal([5, 5]);
      expect(fs.take()).to.deep.equal([]);
    });

    it('does not mind a hook that resets it', () => {
      let action: 'hold' | 'beforeReply' | 'none' = 'none';
      const end = (name: string): boolean => {
        if (action === name) {
          client.session.reset();
        }
        return false;
      };
      start({ hold: () => end('hold'), beforeReply: () => end('beforeReply') });
      for (const one of ['hold', 'beforeReply'] as const) {
        action = 'none';
        client.init();
        action = one;
        expect(client.send(request.getattr(1))).to.equal(false);
        expect([client.session.inFlight, client.session.initialised]).to.deep.equal([0, false]);
      }
    });
  });

  it('an error that comes after abandon frees the operation, and takes records back', () => {
    start({}, 1);
    fs.answers['readdir'] = (op, ...args: unknown[]) => {
      fillEntry(op, 9);
      (args[4] as DirSink).add(Buffer.from('x'), 0, 1, 1, 0, 1, 0, 4, op.entry);
      return PENDING;
    };
    client.send(request.readdirplus(1, 1, 0, 0, 4096));
    client.session.abandon(fs.op!);
    fs.take();
    fs.op!.complete(-5);
    expect(fs.take()).to.deep.equal([['forget', 9, 1]]);
    expect(client.session.ready).to.equal(true);
  });

  it("bytes outside of an operation's memory are refused", () => {
    start();
    fs.answers['readlink'] = (op, ...args: unknown[]) => {
      const to = args[1] as number;
      expect(() => op.bytes(to, 8192)).to.throw(RangeError);
      expect(() => op.bytes(to - 4096, 1)).to.throw(RangeError);
      expect(() => op.bytes(to, -1)).to.throw(RangeError);
      return 0;
    };
    client.call(request.readlink(1));
    expect(fs.take()).to.have.length(1);
  });

  it('replies can be watched', () => {
    start();
    const seen: ReplyTrace[] = [];
    const note = (message: unknown): void => void seen.push(message as ReplyTrace);
    subscribe('oriel:fuse:reply', note);
    client.call(request.getattr(9));
    fs.answers['lookup'] = () => -2;
    client.call(request.lookup(1, 'a'));
    unsubscribe('oriel:fuse:reply', note);
    client.call(request.getattr(9));
    const unique = request.uniqueLo;
    expect(seen).to.deep.equal([
      { opcode: 3, name: 'GETATTR', nodeid: 9, unique: [unique - 4, 0], error: 0, written: 120 },
      { opcode: 1, name: 'LOOKUP', nodeid: 1, unique: [unique - 2, 0], error: 2, written: 16 },
    ]);
  });
});
