/** The virtio-gpu device (VIRTIO 1.3, 5.7). */
import type { RegionFile } from '@oriel/guest-memory';
import { type Fd, type Logger, type Sys, silentLogger } from '@oriel/sys';
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
import { gpuChannel, publish } from './diagnostics.ts';
import { DisplayChannel } from './display/channel.ts';
import { Outputs } from './display/outputs.ts';
import type { DisplaySink } from './display/sink.ts';
import { GpuError } from './errors.ts';
import { BlobMappings } from './mapping/blob-mappings.ts';
import { checkOptions, type GpuDeviceOptions, type OutputSize } from './options.ts';
import { statusName } from './protocol/status-name.ts';
import {
  CONTROL_QUEUE,
  VIRTIO_GPU_EVENT_DISPLAY,
  VIRTIO_GPU_F_BLOB_ALIGNMENT,
  VIRTIO_GPU_F_CONTEXT_INIT,
  VIRTIO_GPU_F_EDID,
  VIRTIO_GPU_F_RESOURCE_BLOB,
  VIRTIO_GPU_F_RESOURCE_UUID,
  VIRTIO_GPU_F_VIRGL,
  VIRTIO_GPU_MAX_SCANOUTS,
  VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
  VIRTIO_GPU_RESP_ERR_UNSPEC,
  VIRTIO_GPU_RESP_OK_NODATA,
  VIRTIO_GPU_SHM_ID_HOST_VISIBLE,
  VIRTIO_ID_GPU,
} from './protocol/values.ts';
import type { Renderer } from './render/renderer.ts';
import { ResourceTable } from './resources/table.ts';
import { Cursors } from './scanouts/cursor.ts';
import { Scanouts } from './scanouts/scanouts.ts';

const QUEUES = 2;
/** Linux pages of 4 KiB fit every mapping; a host with larger ones must tell the guest. */
const GUEST_PAGE = 4096;
/** How long mapping requests wait before they are tried again, ms. */
const RESUME_MS = 20;
/** Errors begin here. */
const FIRST_ERROR = VIRTIO_GPU_RESP_ERR_UNSPEC;

/** Figures of a device. */
export interface GpuStats {
  readonly resources: number;
  readonly contexts: number;
  readonly mappings: number;
  /** Host memory that resources hold, bytes. */
  readonly hostmem: number;
  /** Requests without an answer. */
  readonly waiting: number;
  readonly commands: number;
  /** Commands answered with an error. */
  readonly errors: number;
  readonly flushes: number;
}

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
  readonly outputs: Outputs;
  readonly scanouts = new Scanouts();
  readonly cursors = new Cursors();
  readonly capsets: Capsets;
  readonly contexts: Contexts;
  readonly resources: ResourceTable;
  readonly mappings: BlobMappings;
  readonly renderer: Renderer | null;
  readonly buffer = new RequestBuffer();
  readonly #sys: Sys;
  readonly #space: ConfigSpace;
  readonly #ownSink: DisplaySink | null;
  readonly #requests: Requests;
  #channel: DisplayChannel | null = null;
  #host: DeviceHost | null = null;
  /** Displays that read pixels now; no command is taken meanwhile. */
  #holds = 0;
  /** Changes at each reset, so that what was held before does not count. */
  #epoch = 0;
  #deferred = false;
  #resuming = false;
  #commands = 0;
  #errors = 0;
  #flushes = 0;

  /** @throws GpuError ERR_GPU_OPTION, ERR_GPU_CAPSET */
  constructor(options: GpuDeviceOptions) {
    const settings = checkOptions(options);
    const { sys, hostVisible, contextTypes } = settings;
    this.#sys = sys;
    this.log = options.log ?? silentLogger;
    this.complaints = new Complaints(this.log, sys.loop);
    this.maxQueueSize = settings.queueSize;
    this.#ownSink = options.sink ?? null;
    this.renderer = options.renderer ?? null;
    this.outputs = new Outputs(settings.outputs);
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
    this.shmRegions = hostVisible > 0 ? [{ shmid: VIRTIO_GPU_SHM_ID_HOST_VISIBLE, size: hostVisible }] : [];
    const aligned = hostVisible > 0 && sys.mem.pageSize > GUEST_PAGE;
    this.#space = new ConfigSpace({
      numScanouts: this.outputs.numScanouts,
      numCapsets: this.capsets.count,
      blobAlignment: aligned ? sys.mem.pageSize : 0,
    });
    // Linux wants VIRGL for contexts and HOST3D blobs, whatever renders.
    const bits = [VIRTIO_GPU_F_EDID, VIRTIO_GPU_F_RESOURCE_UUID, VIRTIO_GPU_F_RESOURCE_BLOB];
    if (this.capsets.count > 0 || this.renderer !== null) bits.push(VIRTIO_GPU_F_VIRGL, VIRTIO_GPU_F_CONTEXT_INIT);
    if (aligned) bits.push(VIRTIO_GPU_F_BLOB_ALIGNMENT);
    this.features = FeatureSet.of(...bits);
    this.scanouts.setSink(this.#ownSink);
    this.cursors.setSink(this.#ownSink);
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
    return this.#channel ?? this.#ownSink;
  }

  /** A front-end that has its own displays also knows their number. */
  get scanoutCount(): number {
    return this.#channel === null ? this.outputs.numScanouts : VIRTIO_GPU_MAX_SCANOUTS;
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
    if (this.#channel !== null) {
      throw new GpuError('ERR_GPU_DISPLAY', 'the front-end decides about its displays: resize them there');
    }
    if (!this.outputs.set(sizes)) return;
    this.#space.raise(VIRTIO_GPU_EVENT_DISPLAY);
    this.#host?.configChanged();
  }

  attach(host: DeviceHost): void {
    this.#host = host;
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
    this.#closeChannel();
    const { loop } = this.host;
    const channel: DisplayChannel = new DisplayChannel({
      sys: this.#sys,
      loop,
      socket,
      log: this.log,
      onClosed: (reason) => {
        this.log.debug(`gpu: the display channel ended: ${reason}`);
        if (this.#channel === channel) this.#closeChannel();
      },
    });
    this.#channel = channel;
    this.#setSink(channel);
  }

  startQueue(index: number, queue: DeviceQueue, fresh: boolean): void {
    this.#requests.start(index, queue, fresh);
    if (index === CONTROL_QUEUE) this.mappings.resume();
  }

  process(index: number, budget: number): boolean {
    const queue = this.#requests.queue(index);
    if (queue === null) return false;
    return this.#requests.turn(queue, () => {
      for (let taken = 0; taken < budget; taken++) {
        if (this.#holds > 0 && index === CONTROL_QUEUE) return false;
        const chain = queue.next();
        if (chain === null) return false;
        this.#take(index, chain);
      }
      return true;
    });
  }

  stopQueue(index: number): void {
    this.#requests.stop(index);
  }

  reset(): void {
    this.#epoch++;
    this.#holds = 0;
    this.#channel?.settle();
    this.#requests.clear();
    this.scanouts.clear();
    this.cursors.clear();
    this.contexts.clear();
    this.mappings.clear();
    this.resources.clear();
    this.#space.reset();
  }

  detach(): void {
    this.reset();
    this.#closeChannel();
    this.mappings.attach(null);
    this.#host = null;
  }

  [Symbol.dispose](): void {
    this.reset();
    this.#closeChannel();
    this.resources[Symbol.dispose]();
  }

  finish(request: Request, serial: number, status: number): void {
    if (request.serial !== serial) return;
    if (request.replyType !== 0) return;
    request.replyType = status;
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
    const epoch = this.#epoch;
    this.#holds++;
    return () => {
      if (this.#epoch !== epoch) return;
      this.#holds--;
      if (this.#holds === 0) this.#later();
    };
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
    return command.handle(this, request, view);
  }

  #setSink(sink: DisplaySink | null): void {
    this.scanouts.setSink(sink);
    this.cursors.setSink(sink);
  }

  #closeChannel(): void {
    const channel = this.#channel;
    if (channel === null) return;
    this.#channel = null;
    this.#setSink(this.#ownSink);
    channel[Symbol.dispose]();
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

  /** Commands that waited for a display are taken behind the events at hand. */
  #later(): void {
    if (this.#deferred || this.#host === null) return;
    this.#deferred = true;
    this.#host.loop.defer(() => {
      this.#deferred = false;
      if (this.process(CONTROL_QUEUE, this.maxQueueSize)) this.#later();
    });
  }
}

function commandName(type: number): string {
  return COMMANDS.get(type)?.name ?? `0x${type.toString(16)}`;
}
