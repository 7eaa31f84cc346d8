/** The virtio-gpu device (VIRTIO 1.3, 5.7). */
import type { RegionFile } from '@oriel/guest-memory';
import { type Fd, type Logger, silentLogger } from '@oriel/sys';
import { FeatureSet } from '@oriel/vhost-user';
import type { DeviceHost, RegionDeclaration, VirtioDevice } from '@oriel/virtio-device';
import type { Chain, DeviceQueue } from '@oriel/virtqueue';
import { Complaints } from './complaints.ts';
import { ConfigSpace } from './config.ts';
import { Capsets } from './contexts/capsets.ts';
import { Contexts } from './contexts/contexts.ts';
import { COMMANDS } from './control/commands.ts';
import { handleCursor } from './control/cursor-commands.ts';
import { type Gpu, PENDING } from './control/gpu.ts';
import type { Request } from './control/request.ts';
import { RequestBuffer } from './control/request-buffer.ts';
import { Requests } from './control/requests.ts';
import { Turns } from './control/turns.ts';
import { gpuChannel, publish } from './diagnostics.ts';
import type { DisplaySink } from './display/sink.ts';
import { blobAlignmentFor, offeredFeatures } from './features.ts';
import { forAll } from './for-all.ts';
import { BlobMappings } from './mapping/blob-mappings.ts';
import { checkOptions, type GpuDeviceOptions, type OutputSize } from './options.ts';
import { statusName } from './protocol/status-name.ts';
import {
  CONTROL_QUEUE,
  VIRTIO_GPU_CMD_RESOURCE_FLUSH,
  VIRTIO_GPU_EVENT_DISPLAY,
  VIRTIO_GPU_MAX_RINGS,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
  VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
  VIRTIO_GPU_RESP_ERR_UNSPEC,
  VIRTIO_GPU_RESP_OK_NODATA,
  VIRTIO_GPU_SHM_ID_HOST_VISIBLE,
  VIRTIO_ID_GPU,
} from './protocol/values.ts';
import type { Renderer } from './render/renderer.ts';
import { ResourceTable } from './resources/table.ts';
import { Displays } from './scanouts/displays.ts';
import type { GpuStats } from './stats.ts';

const QUEUES = 2;
/** How long mapping requests wait before they are tried again, ms. */
const RESUME_MS = 20;
/** Errors begin here. */
const FIRST_ERROR = VIRTIO_GPU_RESP_ERR_UNSPEC;

export class GpuDevice implements VirtioDevice, Gpu {
  readonly name = 'gpu';
  readonly deviceId = VIRTIO_ID_GPU;
  readonly queueCount = QUEUES;
  readonly maxQueueSize: number;
  readonly shmRegions: readonly RegionDeclaration[];
  /** What is offered. */
  readonly features: FeatureSet;
  /** What the driver accepted of it. */
  accepted = new FeatureSet();
  readonly log: Logger;
  readonly complaints: Complaints;
  readonly displays: Displays;
  readonly capsets: Capsets;
  readonly contexts: Contexts;
  readonly resources: ResourceTable;
  readonly mappings: BlobMappings;
  readonly renderer: Renderer | null;
  readonly buffer = new RequestBuffer();
  readonly #space: ConfigSpace;
  readonly #requests: Requests;
  readonly #turns: Turns;
  #host: DeviceHost | null = null;
  #resuming = false;
  #commands = 0;
  #errors = 0;
  #flushes = 0;

  /** @throws GpuError ERR_GPU_OPTION, ERR_GPU_CAPSET */
  constructor(options: GpuDeviceOptions) {
    const settings = checkOptions(options);
    const { sys, hostVisible, contextTypes } = settings;
    this.log = options.log ?? silentLogger;
    this.complaints = new Complaints(this.log, sys.loop);
    this.maxQueueSize = settings.queueSize;
    this.renderer = options.renderer ?? null;
    this.displays = new Displays({ sys, log: this.log, outputs: settings.outputs, sink: options.sink ?? null });
    this.capsets = new Capsets(contextTypes);
    this.contexts = new Contexts(this.capsets, settings.maxContexts);
    this.resources = new ResourceTable({
      sys,
      maxHostmem: settings.maxHostmem,
      maxResources: settings.maxResources,
    });
    this.mappings = new BlobMappings({
      sys,
      complaints: this.complaints,
      maxMappings: settings.maxMappings,
      onDue: () => this.#resumeLater(),
    });
    this.#requests = new Requests(QUEUES, this.complaints);
    this.#turns = new Turns({
      clock: sys.loop,
      requests: this.#requests,
      take: (index, chain) => this.#take(index, chain),
      budget: settings.queueSize,
    });
    this.shmRegions = hostVisible > 0 ? [{ shmid: VIRTIO_GPU_SHM_ID_HOST_VISIBLE, size: hostVisible }] : [];
    const blobAlignment = blobAlignmentFor(hostVisible, sys.mem.pageSize);
    this.#space = new ConfigSpace({
      numScanouts: this.displays.outputs.numScanouts,
      numCapsets: this.capsets.count,
      blobAlignment,
    });
    this.features = offeredFeatures(this.capsets.count > 0 || this.renderer !== null, blobAlignment);
  }

  /** The configuration space now: `struct virtio_gpu_config`. */
  get config(): Uint8Array {
    return this.#space.bytes;
  }

  get stats(): GpuStats {
    return {
      resources: this.resources.size,
      contexts: this.contexts.size,
      mappings: this.mappings.size,
      hostmem: this.resources.hostmem.used,
      waiting: this.#requests.size,
      commands: this.#commands,
      errors: this.#errors,
      flushes: this.#flushes,
    };
  }

  /** What shows the displays now: the front-end's channel, else the sink of the options. */
  get sink(): DisplaySink | null {
    return this.displays.sink;
  }

  /** @throws Error while no front-end is there: a bug */
  get host(): DeviceHost {
    if (this.#host === null) throw new Error('no front-end is attached');
    return this.#host;
  }

  /**
   * Changes the displays: the guest is told, if it would see a difference. Fewer sizes unplug the rest.
   * @throws GpuError ERR_GPU_OPTION for more displays than there were at the start, or a size out of range;
   * ERR_GPU_DISPLAY while the front-end's display channel decides
   */
  setOutputs(sizes: readonly OutputSize[]): void {
    if (!this.displays.setOutputs(sizes)) return;
    this.#space.raise(VIRTIO_GPU_EVENT_DISPLAY);
    this.#host?.configChanged();
  }

  attach(host: DeviceHost): void {
    this.#host = host;
    this.#turns.attach(host.loop);
    this.mappings.attach(this.shmRegions.length > 0 ? host.region(VIRTIO_GPU_SHM_ID_HOST_VISIBLE) : null);
  }

  /**
   * Guest RAM in a sealed memfd is what backings lie in. Files of other devices' windows are not sealed, and the device's own
   * blobs are reached by their own descriptors.
   */
  needsMemory({ sealed, dev, ino }: RegionFile): boolean {
    return sealed && !this.mappings.owns(dev, ino);
  }

  writeConfig(offset: number, bytes: Uint8Array): void {
    this.#space.write(offset, bytes);
  }

  setFeatures(features: FeatureSet): void {
    this.accepted = features;
  }

  setDisplaySocket(socket: Fd): void {
    this.displays.openChannel(socket, this.host.loop);
  }

  startQueue(index: number, queue: DeviceQueue, fresh: boolean): void {
    this.#requests.start(index, queue, fresh);
    if (index !== CONTROL_QUEUE) return;
    this.mappings.resume();
    this.contexts.resume();
  }

  process(index: number, budget: number): boolean {
    return this.#turns.run(index, budget);
  }

  stopQueue(index: number): void {
    if (index === CONTROL_QUEUE) this.contexts.suspend();
    this.#requests.stop(index);
  }

  reset(): void {
    this.#requests.clear();
    this.#turns.reset();
    this.#space.reset();
    forAll(
      [
        () => this.displays.reset(),
        () => this.contexts.clear(),
        () => this.mappings.clear(),
        () => this.resources.clear((resource) => this.mappings.retire(resource)),
      ],
      (end) => end(),
    );
  }

  detach(): void {
    this.reset();
    this.displays.closeChannel();
    this.mappings.attach(null);
    this.#turns.attach(null);
    this.#host = null;
  }

  [Symbol.dispose](): void {
    this.reset();
    this.displays.closeChannel();
    this.mappings.attach(null);
  }

  finish(request: Request, serial: number, status: number): void {
    if (request.serial !== serial) return;
    if (request.replyType !== 0) return;
    request.replyType = status;
    if (request.type === VIRTIO_GPU_CMD_RESOURCE_FLUSH && status < FIRST_ERROR) this.#flushes++;
    if (status >= FIRST_ERROR) {
      this.#errors++;
      this.complaints.say(`${commandName(request.type)} of context ${request.ctxId} is refused: ${statusName(status)}`);
      request.reply = null;
      request.replyLength = 0;
    }
    if (gpuChannel.hasSubscribers) publish({ type: 'finished', command: commandName(request.type), status });
    const context = request.fenced && status < FIRST_ERROR ? this.contexts.get(request.ctxId) : null;
    if (context === null) {
      this.#requests.over(request);
      return;
    }
    request.inContext = true;
    context.fence(request.ring, () => {
      if (request.serial === serial && !request.over) this.#requests.over(request);
    });
  }

  hold(): () => void {
    return this.#turns.hold();
  }

  contextGone(ctxId: number): void {
    for (const request of this.#requests.waiting((r) => r.inContext && r.ctxId === ctxId && !r.over)) {
      if (request.replyType === 0) request.replyType = VIRTIO_GPU_RESP_OK_NODATA;
      this.#requests.over(request);
    }
  }

  /** Handles one chain. */
  #take(index: number, chain: Chain): void {
    const length = this.buffer.load(chain);
    const request = this.#requests.open(chain, this.buffer.view, Math.max(length, 0));
    const { serial } = request;
    this.#commands++;
    const status = length === chain.readBytes ? this.#handle(index, request) : VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
    this.buffer.trim();
    if (gpuChannel.hasSubscribers) {
      const { type, ctxId, fenced } = request;
      publish({ type: 'command', command: commandName(type), ctxId, fenced, status });
    }
    if (request.serial !== serial) return;
    if (request.fenced) this.#requests.line(request);
    if (status !== PENDING) this.finish(request, serial, status);
  }

  /** @returns the type of the reply, or PENDING */
  #handle(index: number, request: Request): number {
    const { view } = this.buffer;
    if (index !== CONTROL_QUEUE) return handleCursor(this, request, view);
    const command = COMMANDS.get(request.type);
    if (command === undefined || request.length < command.length) return VIRTIO_GPU_RESP_ERR_UNSPEC;
    if (request.fenced && request.ring >= VIRTIO_GPU_MAX_RINGS) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    return command.handle(this, request, view);
  }

  /**
   * Mapping requests wait while it is not known whether the driver is a new one; that ends without a sign to the device.
   * While the queue is stopped, its next start resumes them.
   */
  #resumeLater(): void {
    if (this.#resuming || this.#host === null) return;
    this.#resuming = true;
    this.#host.loop.timer(RESUME_MS, () => {
      this.#resuming = false;
      if (this.#requests.queue(CONTROL_QUEUE) !== null) this.mappings.resume();
    });
  }
}

function commandName(type: number): string {
  return COMMANDS.get(type)?.name ?? `0x${type.toString(16)}`;
}
