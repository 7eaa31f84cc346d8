/** What `oriel ctl` can ask of a GPU: carried out on the device's loop. */
import { type GpuDevice, GpuError, type HeadlessSink, type MemoryContextType, type OutputSize } from '@oriel/gpu-blob';
import { type ControlAnswer, ControlError, type ControlRequest, type Frame } from '../device-module.ts';

/** What requests work on. */
export interface GpuControlOptions {
  readonly device: GpuDevice;
  readonly sink: HeadlessSink;
  /** Knows the names of its blobs. */
  readonly memory: MemoryContextType | null;
  /** As the device was made with. */
  readonly outputs: readonly OutputSize[];
  /** A copy of what a scanout shows; null when it is off. */
  readonly frame: (scanout: number, cursor: boolean) => Frame | null;
}

/** A word of a request that the command does not know is a mistake, not a wish to be ignored. */
function checkFields(request: ControlRequest, known: readonly string[]): void {
  const unknown = Object.keys(request).find((field) => !['command', 'device', ...known].includes(field));
  if (unknown !== undefined) {
    throw new ControlError(`${request.command}: unknown field '${unknown}': known are ${known.join(', ') || 'none'}`);
  }
}

/** One output of a request; null: unplugged, with the size that it had. */
function outputOf(given: unknown, before: OutputSize): OutputSize {
  if (given === null) {
    return { ...before, enabled: false };
  }
  const { width, height } = (typeof given === 'object' ? given : {}) as { width?: unknown; height?: unknown };
  if (typeof width !== 'number' || typeof height !== 'number') {
    throw new ControlError('outputs: give a list of {width, height}, or null for an output that is off');
  }
  return { width, height, enabled: true };
}

/** Requests of one device. */
export class GpuControl {
  readonly #options: GpuControlOptions;
  #outputs: readonly OutputSize[];

  constructor(options: GpuControlOptions) {
    this.#options = options;
    this.#outputs = options.outputs;
  }

  /** @throws ControlError */
  carryOut(request: ControlRequest): ControlAnswer {
    switch (request.command) {
      case 'outputs':
        return this.#changeOutputs(request);
      case 'screenshot':
        return this.#screenshot(request);
      case 'blobs':
        checkFields(request, []);
        return { kind: 'entries', entries: this.#blobs() };
      default:
        throw new ControlError(`a gpu has no command '${request.command}'`);
    }
  }

  /** The first outputs get new sizes, the others stay as they are. */
  #changeOutputs(request: ControlRequest): ControlAnswer {
    checkFields(request, ['outputs']);
    const { outputs } = request;
    this.#checkOwnDisplays();
    if (outputs !== undefined) {
      this.#setOutputs(outputs);
    }
    const entries = this.#outputs.map(({ width, height, enabled }, scanout) => {
      const shown = this.#options.sink.frame(scanout);
      const shows = shown === null ? null : `${shown.width}x${shown.height}`;
      return { scanout, width, height, enabled: enabled ?? true, shows };
    });
    return { kind: 'entries', entries };
  }

  #setOutputs(given: unknown): void {
    const before = this.#outputs;
    if (!Array.isArray(given) || given.length > before.length) {
      throw new ControlError(`outputs: this device has ${before.length}: give at most so many sizes`);
    }
    const next = before.map((output, index) => (index < given.length ? outputOf(given[index], output) : output));
    try {
      this.#options.device.setOutputs(next);
    } catch (error) {
      throw error instanceof GpuError ? new ControlError(error.message) : error;
    }
    this.#outputs = next;
  }

  #screenshot(request: ControlRequest): ControlAnswer {
    checkFields(request, ['scanout', 'cursor']);
    const { scanout = 0, cursor = false } = request;
    if (typeof scanout !== 'number' || typeof cursor !== 'boolean') {
      throw new ControlError('screenshot: scanout is a number, cursor is true or false');
    }
    this.#checkOwnDisplays();
    const frame = this.#options.frame(scanout, cursor);
    if (frame === null) {
      throw new ControlError(`scanout ${scanout} shows nothing: the guest has not switched it on, or it is too large`);
    }
    return { kind: 'frame', frame };
  }

  #checkOwnDisplays(): void {
    const { device, sink } = this.#options;
    if (device.sink !== sink) {
      throw new ControlError('the front-end shows the displays itself: ask it');
    }
  }

  /** Host memory that the guest has blobs of; `path` can be opened while the blob lives. */
  #blobs(): object[] {
    const { device, memory } = this.#options;
    const names = new Map(
      (memory?.objects() ?? []).map(({ fd, blobIdLo, blobIdHi }) => [fd, (BigInt(blobIdHi) << 32n) | BigInt(blobIdLo)]),
    );
    return [...device.resources.values()].flatMap((resource) => {
      const { host } = resource;
      if (host === null || host.fd < 0) {
        return [];
      }
      const shmOffset = device.mappings.offsetOf(resource);
      return {
        blobId: String(names.get(host.fd) ?? 0n),
        resource: resource.id,
        size: resource.size,
        ...(shmOffset < 0 ? {} : { shmOffset }),
        path: `/proc/${process.pid}/fd/${host.fd}`,
        ...(host.fdOffset === 0 ? {} : { offset: host.fdOffset }),
      };
    });
  }
}
