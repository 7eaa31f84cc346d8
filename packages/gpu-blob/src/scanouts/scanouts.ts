/** Which resource each scanout shows, and how its pixels reach the display sink. */
import type { Box, DisplaySink } from '../display/sink.ts';
import { VIRTIO_GPU_MAX_SCANOUTS } from '../protocol/values.ts';
import { type Framebuffer, pixelsOf } from '../resources/pixels.ts';
import type { Resource } from '../resources/resource.ts';

/** What a scanout shows. */
interface Scanout {
  readonly resource: Resource;
  /** The part of the resource (of its framebuffer) that is shown. */
  readonly part: Box;
  /** Where the pixels lie inside a blob; null for other resources. */
  readonly framebuffer: Framebuffer | null;
  /** The sink has the resource as a dma-buf. */
  dmaBuf: boolean;
}

/** The scanouts of a device. */
export class Scanouts {
  readonly #scanouts = new Array<Scanout | null>(VIRTIO_GPU_MAX_SCANOUTS).fill(null);
  #sink: DisplaySink | null = null;

  /** Pixels go to `sink` from now on, which is told everything anew. */
  setSink(sink: DisplaySink | null): void {
    this.#sink = sink;
    this.#scanouts.forEach((scanout, index) => {
      if (scanout === null) return;
      this.#announce(index, scanout);
      this.#push(index, scanout, scanout.part, () => {});
    });
  }

  /** The sink knows by now which dma-bufs it takes: those that it was not given are offered again. */
  offerDmaBufs(): void {
    this.#scanouts.forEach((scanout, index) => {
      if (scanout === null || scanout.dmaBuf || scanout.resource.renderer?.dmaBuf === undefined) return;
      this.#announce(index, scanout);
      if (scanout.dmaBuf) this.#push(index, scanout, scanout.part, () => {});
    });
  }

  show(index: number, resource: Resource, part: Box, framebuffer: Framebuffer | null): void {
    const scanout = { resource, part, framebuffer, dmaBuf: false };
    this.#scanouts[index] = scanout;
    this.#announce(index, scanout);
  }

  off(index: number): void {
    this.#scanouts[index] = null;
    this.#sink?.setScanout(index, 0, 0);
  }

  /** True when some scanout shows the resource. */
  shows(resource: Resource): boolean {
    return this.#scanouts.some((scanout) => scanout?.resource === resource);
  }

  /** A resource goes: scanouts that show it are switched off. */
  forget(resource: Resource): void {
    this.#scanouts.forEach((scanout, index) => {
      if (scanout?.resource === resource) this.off(index);
    });
  }

  /**
   * Pushes a part of a resource to every scanout that shows it.
   * @param done - comes once, when no sink reads the pixels any more
   * @returns false when pixels could not be read (guest pages are missing)
   */
  flush(resource: Resource, part: Box, done: () => void): boolean {
    let open = 1;
    let good = true;
    const close = (): void => {
      open--;
      if (open === 0) done();
    };
    /** For one sink: it counts once, whatever it does. */
    const closeOnce = (): (() => void) => {
      let closed = false;
      return () => {
        if (!closed) close();
        closed = true;
      };
    };
    this.#scanouts.forEach((scanout, index) => {
      if (scanout?.resource !== resource) return;
      const seen = intersection(part, scanout.part);
      if (seen === null) return;
      open++;
      if (!this.#push(index, scanout, seen, closeOnce())) good = false;
    });
    close();
    return good;
  }

  /** Switches everything off: a reset. */
  clear(): void {
    this.#scanouts.forEach((scanout, index) => {
      if (scanout !== null) this.off(index);
    });
  }

  #announce(index: number, scanout: Scanout): void {
    const sink = this.#sink;
    if (sink === null) return;
    const frame = scanout.resource.renderer?.dmaBuf?.() ?? null;
    scanout.dmaBuf = frame !== null && sink.setScanoutDmaBuf?.(index, scanout.part, frame) === true;
    if (!scanout.dmaBuf) sink.setScanout(index, scanout.part.width, scanout.part.height);
  }

  /** Sends `seen`, which lies in what the scanout shows. `done` comes in any case. @returns false when it cannot be read */
  #push(index: number, scanout: Scanout, seen: Box, done: () => void): boolean {
    const sink = this.#sink;
    const { part, resource, framebuffer } = scanout;
    if (sink === null) {
      done();
      return true;
    }
    const x = seen.x - part.x;
    const y = seen.y - part.y;
    if (scanout.dmaBuf && sink.updateDmaBuf !== undefined) {
      sink.updateDmaBuf(index, { x, y, width: seen.width, height: seen.height }, done);
      return true;
    }
    const source = pixelsOf(resource, seen, framebuffer);
    if (source === null) {
      done();
      return false;
    }
    sink.update(index, x, y, source, done);
    return true;
  }
}

/** What two boxes share, or null. */
function intersection(a: Box, b: Box): Box | null {
  const x = Math.max(a.x, b.x);
  const y = Math.max(a.y, b.y);
  const width = Math.min(a.x + a.width, b.x + b.width) - x;
  const height = Math.min(a.y + a.height, b.y + b.height) - y;
  return width > 0 && height > 0 ? { x, y, width, height } : null;
}
