/** One round: a guest that sends anything, a machine that pauses, resets and dies under it, and the book that knows better. */
import { fstatSync, readSync } from 'node:fs';
import { CONTROL_QUEUE, CURSOR_QUEUE } from '@oriel/gpu-blob';
import { EPERM } from '@oriel/sys';
import type { LoopbackVm } from '@oriel/test-vm-loopback';
import { must, SoakError, same } from '../errors.ts';
import { Xorshift } from '../random.ts';
import type { Tally } from '../soak.ts';
import { FULL_ROOM, ROOMS, Sent } from './batch.ts';
import type { BatchFacts } from './blob-rules.ts';
import { Commands } from './commands.ts';
import type { GpuServer } from './gpu-server.ts';
import { GpuModel, type ModelResource, mappedLen } from './model.ts';
import { mutated, noise } from './mutation.ts';
import { RequestView } from './request-view.ts';
import { judge, mapsResource, nameOf } from './rules.ts';

const STEPS = 250;
const MOST_COMMANDS = 100;
const MOST_CURSOR = 6;
const MOST_WAIT_MS = 10_000;
const STAMP = 16;
const MOST_DELAY_MS = 3;

/** What happens in a step. */
const WEIGHTS = { batch: 200, pause: 6, reset: 2, unload: 1, crash: 1, outputs: 4, temper: 6, stamp: 20 } as const;
export const STEP_NAMES: readonly string[] = Object.keys(WEIGHTS);
/** Where a batch is cut short. */
const ENDS = { answered: 160, pause: 10, reset: 1, crash: 1 } as const;

export class GpuRound implements Disposable {
  readonly #server: GpuServer;
  readonly #random: Xorshift;
  readonly #tally: Tally;
  readonly #model = new GpuModel();
  readonly #commands: Commands;
  #vm: LoopbackVm;

  constructor(server: GpuServer, random: Xorshift, tally: Tally) {
    this.#server = server;
    this.#random = random;
    this.#tally = tally;
    this.#commands = new Commands(this.#model, random);
    this.#vm = server.boot();
  }

  run(): void {
    for (let step = 0; step < STEPS; step++) this.#step(this.#random.weighted(WEIGHTS));
  }

  [Symbol.dispose](): void {
    this.#vm[Symbol.dispose]();
  }

  #step(name: keyof typeof WEIGHTS): void {
    this.#tally.saw(name);
    switch (name) {
      case 'batch':
        this.#batch();
        break;
      case 'pause':
        this.#vm.pause();
        this.#vm.resume();
        break;
      case 'reset':
        this.#reset();
        this.#expectEmptyWindow();
        break;
      case 'unload':
        this.#vm.unload();
        this.#vm.start();
        this.#model.clear();
        this.#expectEmptyWindow();
        break;
      case 'crash':
        this.#crash();
        break;
      case 'outputs':
        this.#changeOutputs();
        break;
      case 'temper':
        this.#temper();
        break;
      case 'stamp':
        this.#stamp();
        break;
    }
  }

  /** Many commands at a time, each answered as the rules say, and the device in the state that the book says. */
  #batch(): void {
    const random = this.#random;
    const refusing = random.once(40);
    this.#vm.window.behaviour.refuse = (kind) => (refusing && kind === 'map' ? -EPERM : 0);
    const sent = this.#send(refusing);
    const cursor = this.#sendCursor();
    const end = random.weighted(ENDS);
    if (end !== 'answered') {
      for (let turns = random.below(6); turns > 0; turns--) this.#vm.loop.runOnce(0);
      this.#tally.saw(`${end} in flight`);
    }
    if (end === 'crash') this.#crash();
    else if (end !== 'answered') this.#stopInFlight(end);
    if (end === 'reset' || end === 'crash') return;
    this.#await([...sent, ...cursor]);
    this.#judge(sent, refusing);
    for (const command of cursor) command.take();
    this.#compare();
  }

  #send(refusing: boolean): Sent[] {
    const random = this.#random;
    const queue = this.#vm.queues[CONTROL_QUEUE]!;
    this.#model.beginBatch();
    return Array.from({ length: random.from(1, MOST_COMMANDS) }, (_, index) => {
      const bytes = this.#bytes();
      const known = index === 0 && bytes.length > 0 && random.once(3) ? this.#sureStatus(bytes, refusing) : null;
      const sent = new Sent(queue, bytes, known === null ? FULL_ROOM : random.pick(ROOMS), random);
      sent.known = known;
      return sent;
    });
  }

  /**
   * What the device must answer to the first command of a batch; null where that is not sure. Only such a reply may be
   * hidden: what the device decided otherwise has to be seen.
   */
  #sureStatus(bytes: Uint8Array, refusing: boolean): number | null {
    const { allowed } = judge(this.#model, new RequestView(bytes), { entangled: NONE, refusing });
    return allowed.length === 1 ? allowed[0]! : null;
  }

  #bytes(): Uint8Array {
    const random = this.#random;
    if (random.once(40)) return noise(random);
    const command = this.#commands.next();
    return random.once(8) ? mutated(command, random) : command;
  }

  #sendCursor(): Sent[] {
    const random = this.#random;
    const queue = this.#vm.queues[CURSOR_QUEUE]!;
    return Array.from({ length: random.below(MOST_CURSOR) }, () => {
      const command = this.#commands.cursor();
      this.#tally.did('cursor');
      const bytes = random.once(8) ? mutated(command, random) : command;
      return new Sent(queue, bytes, bytes.length === 0 ? FULL_ROOM : random.pick(ROOMS), random);
    });
  }

  /** The back channel is not read until the rings run again: what was asked before is answered then. */
  #stopInFlight(end: 'pause' | 'reset'): void {
    const serve = this.#vm.holdBackChannel();
    this.#vm.pause();
    if (this.#random.once(2)) this.#server.held.releaseSome(this.#random);
    if (end === 'pause') this.#vm.resume();
    else this.#reset();
    serve();
    if (end === 'reset') this.#expectEmptyWindow();
  }

  /** Lets everything that waits for the host go on, in bits, until all is answered. */
  #await(sent: readonly Sent[]): void {
    // Of its own: how often it is asked depends on time, and what is sent must not.
    const random = new Xorshift(this.#random.u32());
    const { held, sink, loop } = this.#server;
    const deadline = performance.now() + MOST_WAIT_MS;
    let next = 0;
    while (next < sent.length) {
      if (sent[next]!.done) {
        next++;
        continue;
      }
      if (random.once(4)) held.releaseSome(random);
      if (random.once(3)) sink.finish();
      if (loop.runOnce(0) === 0 && !held.releaseAll() && !sink.finish()) loop.runOnce(1);
      if (performance.now() > deadline) throw new SoakError('ERR_SOAK_ENDLESS', this.#unanswered(sent));
    }
  }

  #unanswered(sent: readonly Sent[]): string {
    const commands = sent.filter(({ done }) => !done).map(({ request }) => Buffer.from(request.bytes).toString('hex'));
    return `${commands.length} commands are not answered, the first: ${commands[0]?.slice(0, 400)}`;
  }

  #judge(sent: readonly Sent[], refusing: boolean): void {
    const model = this.#model;
    const facts: BatchFacts = { entangled: entangled(sent), refusing };
    model.beginBatch();
    for (const id of facts.entangled) {
      const resource = model.resources.get(id);
      if (resource !== undefined && resource.offset >= 0) {
        model.unsure.push({ offset: resource.offset, len: mappedLen(resource) });
      }
    }
    for (const command of sent) {
      this.#tally.did(nameOf(command.request));
      command.judge(judge(model, command.request, facts));
    }
    this.#server.settle();
    const { device } = this.#server;
    for (const id of facts.entangled) {
      const [ours, theirs] = [model.resources.get(id), device.resources.get(id)];
      if (ours !== undefined && theirs !== undefined) ours.offset = device.mappings.offsetOf(theirs);
    }
  }

  /** Device, front-end and book agree. */
  #compare(): void {
    const model = this.#model;
    const { device, memory } = this.#server;
    const { resources, contexts, mappings, hostmem, waiting } = device.stats;
    const mapped = [...model.mapped(NONE)].sort((a, b) => a.offset - b.offset);
    const ours = [model.resources.size, model.contexts.size, mapped.length, model.hostmem, 0];
    const lost = [...model.resources.keys()].filter((id) => device.resources.get(id) === undefined);
    same('resources that the device has not', lost.join(' '), '');
    const names = 'resources, contexts, mappings, host memory and waiting commands';
    same(names, [resources, contexts, mappings, hostmem, waiting].join(' '), ours.join(' '));
    same('objects', memory.objects().length, model.objects);
    same('the window', this.#windowBy(text(mapped)), text(mapped));
    for (const object of model.named.values()) {
      const [hi, lo] = object.name.split(':').map(Number) as [number, number];
      const size = memory.find(lo, hi)?.size ?? -1;
      must(size >= object.least && size <= object.most, `object ${object.name} has ${size} bytes`);
      object.least = size;
      object.most = size;
    }
    same('mapping requests while stopped', this.#vm.requestsWhileStopped, 0);
    same('refused memory updates', this.#vm.window.updateErrors.join('\n'), '');
    this.#tally.saw(mapped.length > 20 ? 'many mapped' : 'compared');
  }

  /** The front-end's window, once it is `wanted`: what it mapped behind a reset is taken away without a command. */
  #windowBy(wanted: string): string {
    const deadline = performance.now() + MOST_WAIT_MS;
    const now = (): string =>
      this.#vm.window
        .entries()
        .map((one) => `${one.shmOffset}+${one.len}`)
        .join(' ');
    while (now() !== wanted && performance.now() < deadline) this.#server.loop.runOnce(1);
    return now();
  }

  /** Bytes that the guest stores are in the host's object, and the other way round is the same memory. */
  #stamp(): void {
    const random = this.#random;
    const live = [...this.#model.resources].filter(([, { offset }]) => offset >= 0);
    if (live.length === 0) return;
    const [id, { offset, size }] = random.pick(live);
    const { fd, fdOffset } = this.#server.device.resources.get(id)!.host!;
    const at = random.below(Math.max(1, size - STAMP));
    const stamp = random.fill(new Uint8Array(Math.min(STAMP, size - at)));
    same('bytes stored', this.#vm.window.write(offset + at, stamp), stamp.length);
    const found = new Uint8Array(stamp.length);
    readSync(fd, found, 0, found.length, fdOffset + at);
    same(`bytes of resource ${id} at ${at}`, Buffer.from(found).toString('hex'), Buffer.from(stamp).toString('hex'));
    must(fstatSync(fd).size >= fdOffset + size, `the object of resource ${id} is shorter than ${size}`);
    this.#tally.saw('stamped');
  }

  #changeOutputs(): void {
    const random = this.#random;
    const output = () => ({ width: random.from(16, 2000), height: random.from(16, 2000), enabled: !random.once(4) });
    this.#server.device.setOutputs([output(), output()]);
    this.#server.settle();
    this.#vm.writeConfig(random.below(20), Uint8Array.of(random.u32()));
    this.#vm.config(0, 20);
  }

  /** How front-end and display behave from now on. */
  #temper(): void {
    const random = this.#random;
    const { behaviour } = this.#vm.window;
    behaviour.update = random.pick(['after-reply', 'after-reply', 'before-reply']);
    // Where the answer itself means that the guest sees the mapping, it has to.
    const mayBeLate = this.#server.profile.visibility === 'memory-update';
    behaviour.changeDelayMs = mayBeLate && random.once(6) ? random.below(MOST_DELAY_MS) : 0;
    behaviour.updateDelayMs = random.once(6) ? random.below(MOST_DELAY_MS) : 0;
    this.#server.sink.slow = random.once(2);
  }

  #reset(): void {
    this.#vm.reset();
    this.#model.clear();
  }

  /** Where mappings outlive a reset the device takes them away, and gives their memory back then. */
  #expectEmptyWindow(): void {
    same('the window after a reset', this.#windowBy(''), '');
    this.#server.settle();
    same('host memory after a reset', this.#server.device.stats.hostmem, 0);
  }

  #crash(): void {
    this.#vm.crash();
    this.#server.expectIdle();
    this.#model.clear();
    this.#vm = this.#server.boot();
  }
}

const NONE: ReadonlySet<number> = new Set();

function text(mapped: readonly ModelResource[]): string {
  return mapped.map((one) => `${one.offset}+${mappedLen(one)}`).join(' ');
}

/** Resources that several commands map, unmap or end. */
function entangled(sent: readonly Sent[]): ReadonlySet<number> {
  const seen = new Set<number>();
  const found = new Set<number>();
  for (const { request } of sent) {
    const id = mapsResource(request);
    if (seen.has(id)) found.add(id);
    seen.add(id);
  }
  return found;
}
