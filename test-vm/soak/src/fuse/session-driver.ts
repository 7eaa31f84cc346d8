/** A driver at a session over a share: sends, takes replies as they come, and remembers what it was told. */

import type { PassthroughFilesystem } from '@oriel/fs-passthrough';
import {
  type Entry,
  FUSE_CREATE,
  FUSE_DESTROY,
  FUSE_INIT,
  FUSE_LINK,
  FUSE_LOOKUP,
  FUSE_MKDIR,
  FUSE_MKNOD,
  FUSE_OPEN,
  FUSE_OPENDIR,
  FUSE_READDIRPLUS,
  FUSE_SYMLINK,
  FUSE_TMPFILE,
  FuseInHeader,
  FuseSession,
} from '@oriel/fuse';
import { type ReplyDecoder, RequestEncoder } from '@oriel/fuse/client';
import { MemoryMessage } from '@oriel/fuse/testing';
import { type EventLoop, O_RDWR, type Offload, type Sys } from '@oriel/sys';
import { must, SoakError, same } from '../errors.ts';
import type { Xorshift } from '../random.ts';
import type { Tally } from '../soak.ts';
import { intact, mutated, type SentBytes } from './mutation.ts';
import { askedBy, checkReply } from './reply-check.ts';
import { encodeRequest } from './requests.ts';
import { FuseWorld, ROOT } from './world.ts';

const MESSAGES = 5;
const CAPACITY = (1 << 20) + 65536;
/** A reply from a helper thread takes no longer, ms. */
const MOST_WAIT_MS = 10_000;

/** What a driver works with. */
export interface DriverParts {
  readonly sys: Sys;
  readonly loop: EventLoop;
  readonly offload: Offload;
  readonly fs: PassthroughFilesystem;
  readonly random: Xorshift;
  readonly tally: Tally;
}

interface Flight {
  readonly sent: SentBytes;
  readonly message: MemoryMessage;
}

/** Native memory for messages, kept from round to round. */
export class MessagePool implements Disposable {
  readonly messages: readonly MemoryMessage[];

  constructor(sys: Sys) {
    this.messages = Array.from(
      { length: MESSAGES },
      () => new MemoryMessage(sys.mem, { capacity: CAPACITY, pieceBytes: 4096 }),
    );
  }

  [Symbol.dispose](): void {
    for (const message of this.messages) message[Symbol.dispose]();
  }
}

/** One session. */
export class SessionDriver implements Disposable {
  readonly world: FuseWorld;
  readonly encoder = new RequestEncoder();
  readonly session: FuseSession;
  readonly #parts: DriverParts;
  readonly #free: MemoryMessage[];
  readonly #flights = new Set<Flight>();
  readonly #euid: number;

  constructor(parts: DriverParts, pool: MessagePool) {
    const { sys, fs, random } = parts;
    this.#parts = parts;
    this.#free = [...pool.messages];
    this.#euid = sys.cred.geteuid();
    this.world = new FuseWorld(random);
    this.session = new FuseSession({
      sys,
      fs,
      finish: (message, written) => {
        same('times that a message was finished', (message as MemoryMessage).written, -1);
        (message as MemoryMessage).finished(written);
      },
      ...(random.once(3) ? { maxOperations: random.from(1, 4) } : {}),
    });
  }

  /** Sends a request of any kind. @param mayBreak - it may break rules, and so leave the world unknown */
  sendSome(mayBreak: boolean): void {
    const { random, tally } = this.#parts;
    const { name, data } = encodeRequest(this.encoder, this.world, random);
    const good = intact(this.encoder, data);
    const breaks = mayBreak && random.once(3);
    tally.did(name);
    if (breaks) tally.saw('mutated');
    this.send(breaks ? mutated(good, random) : good);
  }

  /** INIT with all that Linux offers, and a first look around. */
  init(): void {
    this.encoder.init();
    this.send(intact(this.encoder, undefined));
    must(this.session.initialised, 'a session is initialised by INIT');
    this.encoder.setxattrExt = true;
    for (const name of ['a', 'dir', 'b', 'link']) this.send(intact(this.encoder.lookup(ROOT, name), undefined));
    this.send(intact(this.encoder.opendir(ROOT), undefined));
    for (const nodeid of this.world.lookups.keys()) this.send(intact(this.encoder.open(nodeid, O_RDWR), undefined));
  }

  destroy(): void {
    this.settle();
    this.encoder.destroy();
    this.send(intact(this.encoder, undefined));
  }

  /** Gives back every lookup and every handle that the world knows of. */
  giveAllBack(): void {
    this.settle();
    for (const { nodeid, fh } of this.world.files.splice(0))
      this.send(intact(this.encoder.release(nodeid, fh), undefined));
    for (const { nodeid, fh } of this.world.directories.splice(0)) {
      this.send(intact(this.encoder.releasedir(nodeid, fh), undefined));
    }
    const pairs = [...this.world.lookups].flat();
    if (pairs.length > 0) this.send(intact(this.encoder.batchForget(pairs), undefined));
    this.world.lookups.clear();
    this.settle();
  }

  send(sent: SentBytes): void {
    const { random, sys } = this.#parts;
    while (this.#free.length === 0 || !this.session.ready) this.#wait();
    const message = this.#free.pop()!;
    message.load(sent.bytes, sent.bytes.length, sent.room);
    message.broken = random.once(60);
    const flight = { sent, message };
    this.#flights.add(flight);
    this.session.handle(message);
    same('effective user', sys.cred.geteuid(), this.#euid);
    this.#reap();
  }

  /** Waits for every reply. */
  settle(): void {
    while (this.#flights.size > 0) this.#wait();
    same('requests in flight', this.session.inFlight, 0);
  }

  /** As a device does it at a reset: helper threads end first, then nothing is answered any more. */
  reset(): void {
    this.#parts.offload.drain();
    this.#reap();
    this.session.reset();
    for (const { message } of this.#flights) same('a reply after a reset', message.written, -1);
    for (const { message } of this.#flights) this.#free.push(message);
    this.#flights.clear();
    this.world.forgetAll();
  }

  [Symbol.dispose](): void {
    this.#parts.offload.drain();
    this.session[Symbol.dispose]();
  }

  #wait(): void {
    const start = performance.now();
    const before = this.#flights.size;
    must(before > 0, 'a session that is not ready has requests in flight');
    while (this.#flights.size === before) {
      if (performance.now() - start > MOST_WAIT_MS)
        throw new SoakError('ERR_SOAK_ENDLESS', 'a request is not answered');
      this.#parts.loop.runOnce(10);
      this.#reap();
    }
  }

  #reap(): void {
    for (const flight of this.#flights) {
      if (flight.message.written < 0) continue;
      this.#flights.delete(flight);
      const reply = checkReply(flight.sent, flight.message);
      this.#parts.tally.saw(reply === null ? 'refused' : 'succeeded');
      if (reply !== null) this.#learn(flight.sent, reply);
      this.#free.push(flight.message);
    }
  }

  #learn(sent: SentBytes, reply: ReplyDecoder): void {
    const { opcode } = askedBy(sent)!;
    const { world } = this;
    const nodeid = FuseInHeader.nodeid.get(new DataView(sent.bytes.buffer, sent.bytes.byteOffset), 0);
    switch (opcode) {
      case FUSE_LOOKUP:
      case FUSE_MKNOD:
      case FUSE_MKDIR:
      case FUSE_SYMLINK:
      case FUSE_LINK:
        lookedUp(world, reply.readEntry());
        break;
      case FUSE_CREATE:
      case FUSE_TMPFILE: {
        const entry = reply.readEntry();
        lookedUp(world, entry);
        world.files.push({ nodeid: entry.nodeid, fh: reply.fh });
        break;
      }
      case FUSE_OPEN:
        world.files.push({ nodeid, fh: reply.fh });
        break;
      case FUSE_OPENDIR:
        world.directories.push({ nodeid, fh: reply.fh });
        break;
      case FUSE_READDIRPLUS:
        for (const { entry } of reply.readRecords()) if (entry !== null) lookedUp(world, entry);
        break;
      case FUSE_INIT:
      case FUSE_DESTROY:
        world.forgetAll();
        break;
    }
  }
}

function lookedUp(world: FuseWorld, { nodeid, attr }: Entry): void {
  world.lookedUp(nodeid, attr.mode);
}
