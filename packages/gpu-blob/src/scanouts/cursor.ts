/** The cursor queue: UPDATE_CURSOR and MOVE_CURSOR (VIRTIO 1.3, 5.7.6.10). */
import type { DisplaySink } from '../display/sink.ts';
import { UpdateCursor } from '../protocol/layout.ts';
import {
  CURSOR_BYTES,
  CURSOR_SIZE,
  type GpuStatus,
  VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM,
  VIRTIO_GPU_MAX_SCANOUTS,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
  VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
  VIRTIO_GPU_RESP_ERR_UNSPEC,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '../protocol/values.ts';
import { checkFramebuffer, type Framebuffer, pixelsOf } from '../resources/pixels.ts';
import type { Resource } from '../resources/resource.ts';
import type { ResourceTable } from '../resources/table.ts';

/** How a cursor image lies in a blob, which has no format of its own. */
const BLOB_CURSOR: Framebuffer = {
  format: VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM,
  width: CURSOR_SIZE,
  height: CURSOR_SIZE,
  stride: CURSOR_SIZE * 4,
  offset: 0,
};
const WHOLE = { x: 0, y: 0, width: CURSOR_SIZE, height: CURSOR_SIZE };

/** What was shown last, for a display that comes later. */
export interface CursorShown {
  x: number;
  y: number;
  hotX: number;
  hotY: number;
  image: Uint8Array;
}

/** Cursors of all scanouts. */
export class Cursors {
  #sink: DisplaySink | null = null;
  readonly #shown = new Map<number, CursorShown>();
  readonly #image = new Uint8Array(CURSOR_BYTES);

  setSink(sink: DisplaySink | null): void {
    this.#sink = sink;
    for (const [scanout, { x, y, hotX, hotY, image }] of this.#shown) {
      sink?.updateCursor(scanout, x, y, hotX, hotY, image);
    }
  }

  /** The image is copied: the resource may change afterwards. A resource id of 0 hides the cursor. */
  update(view: DataView, resources: ResourceTable): GpuStatus {
    const resourceId = UpdateCursor.resourceId.get(view, 0);
    if (resourceId === 0) {
      this.#hide(view);
      return VIRTIO_GPU_RESP_OK_NODATA;
    }
    const resource = resources.get(resourceId);
    if (resource === undefined) return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    const status = this.#copy(resource);
    if (status !== VIRTIO_GPU_RESP_OK_NODATA) return status;
    const scanout = UpdateCursor.scanoutId.get(view, 0);
    const x = UpdateCursor.x.get(view, 0);
    const y = UpdateCursor.y.get(view, 0);
    const hotX = UpdateCursor.hotX.get(view, 0);
    const hotY = UpdateCursor.hotY.get(view, 0);
    if (hotX >= CURSOR_SIZE || hotY >= CURSOR_SIZE) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    this.#shown.set(scanout, { x, y, hotX, hotY, image: this.#image.slice() });
    this.#sink?.updateCursor(scanout, x, y, hotX, hotY, this.#image);
    return VIRTIO_GPU_RESP_OK_NODATA;
  }

  /** Moves; the image stays. A resource id of 0 hides the cursor. */
  move(view: DataView): GpuStatus {
    if (UpdateCursor.resourceId.get(view, 0) === 0) {
      this.#hide(view);
      return VIRTIO_GPU_RESP_OK_NODATA;
    }
    const scanout = UpdateCursor.scanoutId.get(view, 0);
    const x = UpdateCursor.x.get(view, 0);
    const y = UpdateCursor.y.get(view, 0);
    const shown = this.#shown.get(scanout);
    if (shown !== undefined) {
      shown.x = x;
      shown.y = y;
    }
    this.#sink?.moveCursor(scanout, x, y);
    return VIRTIO_GPU_RESP_OK_NODATA;
  }

  /** What a scanout shows; null: no cursor. */
  shown(scanout: number): CursorShown | null {
    return this.#shown.get(scanout) ?? null;
  }

  /** Shows what a process before showed, when the sink is set next. @returns false for what cannot be */
  takeUp(scanout: number, shown: CursorShown): boolean {
    const { image, hotX, hotY } = shown;
    if (scanout >= VIRTIO_GPU_MAX_SCANOUTS || image.length !== CURSOR_BYTES) return false;
    if (hotX >= CURSOR_SIZE || hotY >= CURSOR_SIZE) return false;
    this.#shown.set(scanout, shown);
    return true;
  }

  /** Hides all: a reset. */
  clear(): void {
    for (const [scanout, { x, y }] of this.#shown) this.#sink?.hideCursor(scanout, x, y);
    this.#shown.clear();
  }

  #hide(view: DataView): void {
    const scanout = UpdateCursor.scanoutId.get(view, 0);
    this.#shown.delete(scanout);
    this.#sink?.hideCursor(scanout, UpdateCursor.x.get(view, 0), UpdateCursor.y.get(view, 0));
  }

  #copy(resource: Resource): GpuStatus {
    const framebuffer = resource.kind === 'blob' ? BLOB_CURSOR : null;
    if (framebuffer === null) {
      if (resource.width < CURSOR_SIZE || resource.height < CURSOR_SIZE) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    } else {
      const status = checkFramebuffer(resource, framebuffer);
      if (status !== VIRTIO_GPU_RESP_OK_NODATA) return status;
    }
    const failed = (pixelsOf(resource, WHOLE, framebuffer)?.copyRows(0, CURSOR_SIZE, this.#image, 0) ?? -1) < 0;
    return failed ? VIRTIO_GPU_RESP_ERR_UNSPEC : VIRTIO_GPU_RESP_OK_NODATA;
  }
}
