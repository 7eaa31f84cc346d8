/** The virtio-gpu device (VIRTIO 1.3, 5.7). */
import type { RegionFile } from '@oriel/guest-memory';
import { type Fd, type Logger, silentLogger } from '@oriel/sys';
import { FeatureSet } from '@oriel/vhost-user';
import type { DeviceHost, RegionDeclaration, VirtioDevice } from '@oriel/virtio-device';
import type { DeviceQueue } from '@oriel/virtqueue';
import { Complaints } from './complaints.ts';
import { ConfigSpace } from './config.ts';
import { Capsets } from './contexts/capsets.ts';
import { Contexts } from './contexts/contexts.ts';
import { Execution } from './control/execution.ts';
import type { Request } from './control/request.ts';
import { RequestBuffer } from './control/request-buffer.ts';
import { Requests } from './control/requests.ts';
import { Turns } from './control/turns.ts';
import type { DisplaySink } from './display/sink.ts';
import { GpuError } from './errors.ts';
import { blobAlignmentFor, offeredFeatures } from './features.ts';
import { forAll } from './for-all.ts';
import { BlobMappings } from './mapping/blob-mappings.ts';
import { checkOptions, type GpuDeviceOptions, type OutputSize } from './options.ts';
import {
  CONTROL_QUEUE,
  VIRTIO_GPU_EVENT_DISPLAY,
  VIRTIO_GPU_SHM_ID_HOST_VISIBLE,
  VIRTIO_ID_GPU,
} from './protocol/values.ts';
import type { Renderer } from './render/renderer.ts';
import { ResourceTable } from './resources/table.ts';
import { Displays } from './scanouts/displays.ts';
import type { GpuStats } from './stats.ts';
import type { Remaking } from './survival/remaking.ts';
import type { RestoreGpu } from './survival/restore.ts';
import { Survival } from './survival/survival.ts';

const QUEUES = 2;
/** How long mapping requests wait before they are tried again, ms. */
const RESUME_MS = 20;

export class GpuDevice implements VirtioDevice, RestoreGpu {
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
  readonly stateBytes?: number;
  remaking: Remaking | null = null;
  readonly #space: ConfigSpace;
  readonly #requests: Requests;
  readonly #survival: Survival;
  readonly #execution: Execution;
  readonly #turns: Turns;
  #host: DeviceHost | null = null;
  #resuming = false;

  /** @throws GpuError ERR_GPU_OPTION, ERR_GPU_CAPSET */
  constructor(options: GpuDeviceOptions) {
    const settings = checkOptions(options);
    const { sys, hostVisible, contextTypes } = settings;
    this.log = options.log ?? silentLogger;
    this.complaints = new Complaints(this.log, sys.loop);
    this.maxQueueSize = settings.queueSize;
    if (settings.stateBytes > 0) this.stateBytes = settings.stateBytes;
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
      onAsk: (resource, shmOffset) => this.#survival.mappingAsked(resource, shmOffset),
    });
    this.#requests = new Requests(QUEUES, this.complaints);
    this.#survival = new Survival(this, this.#requests, this.log);
    this.#execution = new Execution(this, this.#requests, this.#survival);
    this.#turns = new Turns({
      clock: sys.loop,
      requests: this.#requests,
      take: (index, chain) => {
        this.#execution.take(index, chain);
        this.buffer.trim();
      },
      none: (index) => this.#survival.settle(index),
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
      commands: this.#execution.commands,
      errors: this.#execution.errors,
      flushes: this.#execution.flushes,
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
    this.#survival.outputsSet(sizes);
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

  /** @returns false when the session of the process before is lost */
  restore(): boolean {
    if (!this.#survival.restore(this.host)) {
      this.reset();
      return false;
    }
    const outputs = this.#survival.takeOutputs();
    // Not in the middle of the front-end's start.
    if (outputs !== null) this.host.loop.defer(() => this.#plugAgain(outputs));
    return true;
  }

  startQueue(index: number, queue: DeviceQueue, fresh: boolean): void {
    this.#survival.open(this.host);
    this.#requests.start(index, queue, fresh);
    if (index === CONTROL_QUEUE) {
      this.mappings.resume();
      this.contexts.resume();
    }
    if (!fresh) this.#execution.takeKept(index, queue);
  }

  save(): void {
    this.#survival.save();
  }

  process(index: number, budget: number): boolean {
    return this.#turns.run(index, budget);
  }

  stopQueue(index: number): void {
    if (index === CONTROL_QUEUE) this.contexts.suspend();
    this.#requests.stop(index);
  }

  reset(): void {
    const dropped = this.#survival.close();
    this.#requests.clear();
    this.#turns.reset();
    this.#space.reset();
    forAll(
      [
        () => this.displays.reset(),
        () => this.contexts.clear(),
        () => this.mappings.clear(),
        () => forAll(dropped, (resource) => this.mappings.retire(resource)),
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
    this.#execution.finish(request, serial, status);
  }

  hold(): () => void {
    return this.#turns.hold();
  }

  contextGone(ctxId: number): void {
    this.#execution.contextGone(ctxId);
  }

  /** The displays of a process before: the guest is told, since it may not have looked since. */
  #plugAgain(outputs: readonly OutputSize[]): void {
    if (this.#host === null || this.displays.hasChannel) return;
    try {
      this.setOutputs(outputs);
    } catch (error) {
      if (!(error instanceof GpuError)) throw error;
      this.log.warn(`gpu: the displays of the process before cannot be: ${error.message}`);
    }
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
