/** A virtio-gpu device with tight budgets, served on a socket by the loop of this process. */
import { join } from 'node:path';
import { GpuDevice, MemoryContextType } from '@oriel/gpu-blob';
import { type BlockingLoop, type Logger, openOffload, type Sys } from '@oriel/sys';
import { tempDir } from '@oriel/sys/testing';
import { GPU_FEATURES, LoopbackVm } from '@oriel/test-vm-loopback';
import { type FrontendProfile, profileFor } from '@oriel/vhost-user';
import { type DeviceServer, serve } from '@oriel/virtio-device';
import { must, SoakError, same } from '../errors.ts';
import { HeldContexts } from './held-contexts.ts';
import { SlowSink } from './slow-sink.ts';

const MIB = 1 << 20;
/** What the device is given, for the model, too. */
export const BUDGET = {
  hostVisible: 4 * MIB,
  maxHostmem: 8 * MIB,
  maxResources: 64,
  maxContexts: 8,
  maxMappings: 24,
} as const;
export const OUTPUTS = [
  { width: 640, height: 480 },
  { width: 320, height: 200 },
] as const;
export const RAM = 8 * MIB;
const RING = 128;
const MOST_TURNS = 20_000;
const MOST_WARNINGS = 10;
const MOST_WAIT_MS = 10_000;

export class GpuServer implements Disposable {
  readonly loop: BlockingLoop;
  readonly profile: FrontendProfile;
  readonly memory: MemoryContextType;
  readonly held = new HeldContexts();
  readonly sink = new SlowSink();
  readonly device: GpuDevice;
  /** Lines of the log that tell of errors of the device itself. */
  readonly errors: string[] = [];
  /** Its last warnings. */
  readonly warnings: string[] = [];
  readonly #sys: Sys;
  readonly #stack = new DisposableStack();
  readonly #server: DeviceServer;
  readonly #socketPath: string;

  constructor(sys: Sys, loop: BlockingLoop, frontend: FrontendProfile['name']) {
    this.#sys = sys;
    this.loop = loop;
    this.profile = profileFor(frontend, sys.mem.pageSize);
    const dir = this.#stack.use(tempDir('oriel-soak-'));
    this.#socketPath = join(dir.path, 'socket');
    this.memory = new MemoryContextType({ sys });
    const { memory, held, sink } = this;
    const log = this.#log();
    const contextTypes = [memory, held];
    this.device = this.#stack.use(new GpuDevice({ ...BUDGET, sys, sink, log, contextTypes, outputs: OUTPUTS }));
    const offload = this.#stack.use(openOffload(sys, loop));
    const { profile } = this;
    const served = { sys, loop, log, offload, profile, socketPath: this.#socketPath };
    this.#server = this.#stack.use(serve(this.device, served));
  }

  boot(): LoopbackVm {
    const options = { sys: this.#sys, loop: this.loop, ramSize: RAM, queueSize: RING, timeoutMs: MOST_WAIT_MS };
    const keepsMappings = !this.profile.resetClears;
    const socket = this.#socketPath;
    const vm = LoopbackVm.connect({ ...options, socket, deviceFeatures: GPU_FEATURES, keepsMappings });
    try {
      vm.start();
    } catch (error) {
      vm[Symbol.dispose]();
      throw error;
    }
    return vm;
  }

  /** The VM has ended: nothing of it is left here. */
  expectIdle(): void {
    const end = performance.now() + MOST_WAIT_MS;
    while (this.#server.connected) {
      must(performance.now() < end, 'the server does not notice that the front-end left');
      this.loop.runOnce(5);
    }
    this.settle();
    const { resources, contexts, mappings, hostmem, waiting } = this.device.stats;
    same('what a gone guest left', [resources, contexts, mappings, hostmem, waiting].join(' '), '0 0 0 0 0');
    same('objects of a gone guest', this.memory.objects().length, 0);
    same('contexts of a gone guest', this.held.live.size, 0);
    same('errors in the log', this.errors.join('\n'), '');
  }

  /** Lets the loop do what is at hand. @throws SoakError ERR_SOAK_ENDLESS when it never rests */
  settle(): void {
    for (let turns = 0; turns < MOST_TURNS; turns++) if (this.loop.runOnce(0) === 0) return;
    throw new SoakError('ERR_SOAK_ENDLESS', `the loop does not rest after ${MOST_TURNS} turns`);
  }

  [Symbol.dispose](): void {
    this.#stack[Symbol.dispose]();
    this.settle();
  }

  #log(): Logger {
    const quiet = (): void => {};
    return {
      error: (message) => {
        this.errors.push(message);
      },
      warn: (message, fields) => {
        this.warnings.push(`${message} ${JSON.stringify(fields ?? {})}`);
        if (this.warnings.length > MOST_WARNINGS) this.warnings.shift();
      },
      info: quiet,
      debug: quiet,
      trace: quiet,
    };
  }
}
