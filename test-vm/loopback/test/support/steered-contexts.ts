/** A context type whose fences and submits end when the guest says so: timelines get out of order on purpose. */
import {
  type Context,
  type ContextHost,
  type ContextType,
  type GpuStatus,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
  VIRTIO_GPU_RESP_ERR_UNSPEC,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '@oriel/gpu-blob';

export const STEERED_CAPSET_ID = 29;

/** First byte of a SUBMIT_3D; what follows is an argument. An empty submit does nothing. */
export const STEER = {
  /** Ends all held fences of ring `argument`; GLOBAL: of the global timeline. */
  release: 1,
  /** Is answered with ERR_UNSPEC + `argument`. */
  fail: 2,
  /** Is answered at the next `unpark`. */
  park: 3,
  unpark: 4,
  /** Fences of the global timeline are held from now on, too. */
  holdGlobal: 5,
  /** Puts byte 2 into every guest page byte of the attached resource `argument`. */
  fill: 6,
} as const;

export const GLOBAL = 255;

class SteeredContext implements Context {
  readonly #host: ContextHost;
  readonly #held = new Map<number, (() => void)[]>();
  #parked: ((status: GpuStatus) => void)[] = [];
  #holdGlobal = false;

  constructor(host: ContextHost) {
    this.#host = host;
  }

  submit(commands: Uint8Array, done: (status: GpuStatus) => void): void {
    const [op = 0, argument = 0, value = 0] = commands;
    switch (op) {
      case 0:
        done(VIRTIO_GPU_RESP_OK_NODATA);
        return;
      case STEER.release:
        this.#release(argument === GLOBAL ? -1 : argument);
        done(VIRTIO_GPU_RESP_OK_NODATA);
        return;
      case STEER.fail:
        done((VIRTIO_GPU_RESP_ERR_UNSPEC + argument) as GpuStatus);
        return;
      case STEER.park:
        this.#parked.push(done);
        return;
      case STEER.unpark:
        for (const parked of this.#parked.splice(0)) parked(VIRTIO_GPU_RESP_OK_NODATA);
        done(VIRTIO_GPU_RESP_OK_NODATA);
        return;
      case STEER.holdGlobal:
        this.#holdGlobal = true;
        done(VIRTIO_GPU_RESP_OK_NODATA);
        return;
      case STEER.fill:
        done(this.#fill(argument, value));
        return;
      default:
        done(VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
    }
  }

  fence(ring: number, done: () => void): void {
    if (ring < 0 && !this.#holdGlobal) {
      done();
      return;
    }
    const held = this.#held.get(ring);
    if (held === undefined) this.#held.set(ring, [done]);
    else held.push(done);
  }

  createBlob(): GpuStatus {
    return VIRTIO_GPU_RESP_ERR_UNSPEC;
  }

  [Symbol.dispose](): void {
    this.#held.clear();
    this.#parked = [];
  }

  #release(ring: number): void {
    const held = this.#held.get(ring) ?? [];
    this.#held.delete(ring);
    for (const done of held) done();
  }

  #fill(resourceId: number, value: number): GpuStatus {
    const resource = this.#host.resource(resourceId);
    if (resource === null) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    const bytes = new Uint8Array(resource.backingSize).fill(value);
    return resource.writeBacking(0, bytes, 0, bytes.length) === 0
      ? VIRTIO_GPU_RESP_OK_NODATA
      : VIRTIO_GPU_RESP_ERR_UNSPEC;
  }
}

export class SteeredContexts implements ContextType {
  readonly capsetId = STEERED_CAPSET_ID;
  readonly name = 'steered';
  readonly maxVersion = 3;
  readonly capset = Uint8Array.of(1, 2, 3, 4, 5);

  create(host: ContextHost): Context {
    return new SteeredContext(host);
  }
}
