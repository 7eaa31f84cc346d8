/** The host's side for tests: what was sent, memory in memfds, messages delivered one for each poll. */
import {
  type EventLoop,
  F_SEAL_SHRINK,
  Fd,
  Mapping,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  openSys,
  PROT_READ,
  PROT_WRITE,
} from '@oriel/sys';
import { type ArgumentValue, encodeMessage, interfaceOf, MessageStream } from '@oriel/wl';
import type { ChannelHandler, HostChannel, HostMemory, Identifier } from '../../src/channel/host-channel.ts';
import { ProxyError } from '../../src/errors.ts';

/** A request as the compositor reads it. */
export interface SeenRequest {
  readonly objectId: number;
  readonly opcode: number;
  /** Behind the header. */
  readonly words: readonly number[];
  readonly bytes: Uint8Array;
}

class FakeMemory implements HostMemory {
  readonly resourceId: number;
  readonly mapping: Mapping;
  readonly #all: Map<number, FakeMemory>;
  readonly #fd: Fd;

  constructor(resourceId: number, len: number, all: Map<number, FakeMemory>) {
    const sys = openSys();
    this.resourceId = resourceId;
    this.#fd = new Fd(sys.fd, sys.mem.memfdCreate('fake-host', MFD_CLOEXEC | MFD_ALLOW_SEALING));
    sys.file.ftruncate(this.#fd.fd, Math.ceil(len / 4096) * 4096);
    sys.mem.addSeals(this.#fd.fd, F_SEAL_SHRINK);
    this.mapping = Mapping.shared(sys.mem, this.#fd.fd, Math.ceil(len / 4096) * 4096, 0, PROT_READ | PROT_WRITE);
    this.#all = all;
    all.set(resourceId, this);
  }

  get addr(): number {
    return this.mapping.addr;
  }

  get len(): number {
    return this.mapping.len;
  }

  [Symbol.dispose](): void {
    this.#all.delete(this.resourceId);
    this.mapping[Symbol.dispose]();
    this.#fd.close();
  }
}

export class FakeHost implements HostChannel {
  readonly sent: { readonly data: Uint8Array; readonly identifiers: readonly Identifier[] }[] = [];
  readonly writes: { readonly pipe: number; readonly data: Uint8Array; readonly hangUp: boolean }[] = [];
  /** What is mapped now, by resource id. */
  readonly memories = new Map<number, FakeMemory>();
  /** Contents of files that identifiers name. */
  readonly files = new Map<number, Uint8Array>();
  /** Keeps what waits to be called "taken" until `takeAll`. */
  slow = false;
  /** Bytes that `allocate` gives at most. */
  room = Number.POSITIVE_INFINITY;
  disposed = false;
  polls = 0;
  readonly #loop: EventLoop;
  readonly #handler: ChannelHandler;
  readonly #messages: (() => void)[] = [];
  readonly #taken: (() => void)[] = [];
  readonly #stream = new MessageStream();
  readonly #seen: SeenRequest[] = [];
  #nextResource = 10;
  #nextPipe = 0x8000_0001;
  #polled = false;

  constructor(loop: EventLoop, handler: ChannelHandler) {
    this.#loop = loop;
    this.#handler = handler;
  }

  send(data: Uint8Array, identifiers: readonly Identifier[], taken?: () => void): void {
    this.sent.push({ data: data.slice(), identifiers });
    this.#stream.room(data.length).set(data);
    this.#stream.filled(data.length);
    while (this.#stream.next()) this.#see();
    this.#take(taken);
  }

  write(pipe: number, data: Uint8Array, hangUp: boolean, taken?: () => void): void {
    this.writes.push({ pipe, data: data.slice(), hangUp });
    this.#take(taken);
  }

  allocate(len: number): HostMemory {
    if (len > this.room) throw new ProxyError('ERR_PROXY_MEMORY', `no room for ${len} bytes`);
    return new FakeMemory(this.#nextResource++, len, this.memories);
  }

  openFile(id: number, len: number): HostMemory {
    const content = this.files.get(id);
    if (content === undefined) throw new ProxyError('ERR_PROXY_MEMORY', `no file ${id}`);
    const memory = new FakeMemory(this.#nextResource++, len, this.memories);
    memory.mapping.u8.set(content);
    return memory;
  }

  nextReadPipe(): number {
    return this.#nextPipe++;
  }

  poll(): void {
    this.#polled = true;
    this.polls++;
    this.#loop.defer(() => this.#deliver());
  }

  [Symbol.dispose](): void {
    this.disposed = true;
    for (const memory of [...this.memories.values()]) memory[Symbol.dispose]();
  }

  /** The requests since the last call. */
  requests(): SeenRequest[] {
    return this.#seen.splice(0);
  }

  /** All descriptors that came with requests. */
  get identifiers(): Identifier[] {
    return this.sent.flatMap(({ identifiers }) => identifiers);
  }

  /** The compositor's event; it comes when the proxy asks. */
  event(
    objectId: number,
    interfaceName: string,
    name: string,
    values: ArgumentValue[],
    identifiers: Identifier[] = [],
  ): void {
    const { events } = interfaceOf(interfaceName)!;
    const opcode = events.findIndex((event) => event.name === name);
    this.receive(encodeMessage(objectId, opcode, events[opcode]!, values), identifiers);
  }

  receive(data: Uint8Array, identifiers: Identifier[] = []): void {
    this.#message(() => this.#handler.onReceive(data, identifiers));
  }

  read(pipe: number, data: Uint8Array, hangUp: boolean): void {
    this.#message(() => this.#handler.onRead(pipe, data, hangUp));
  }

  end(): void {
    this.#message(() => this.#handler.onEnd('the compositor ended the connection'));
  }

  /** Messages that the proxy has not asked for. */
  get waiting(): number {
    return this.#messages.length;
  }

  takeAll(): void {
    for (const taken of this.#taken.splice(0)) taken();
  }

  #message(give: () => void): void {
    this.#messages.push(give);
    this.#loop.defer(() => this.#deliver());
  }

  #deliver(): void {
    if (!this.#polled || this.#messages.length === 0 || this.disposed) return;
    this.#polled = false;
    this.#messages.shift()!();
  }

  #take(taken: (() => void) | undefined): void {
    if (taken === undefined) return;
    this.#taken.push(taken);
    if (!this.slow) this.#loop.defer(() => this.takeAll());
  }

  #see(): void {
    const bytes = this.#stream.message.slice();
    const view = new DataView(bytes.buffer);
    const words: number[] = [];
    for (let at = 8; at < bytes.length; at += 4) words.push(view.getUint32(at, true));
    this.#seen.push({ objectId: this.#stream.objectId, opcode: this.#stream.opcode, words, bytes });
  }
}
