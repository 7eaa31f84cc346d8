/** A renderer whose textures are their bytes, and a display that takes them as dma-bufs. */
import {
  type Box,
  type DisplaySink,
  type DmaBufFrame,
  type GuestPages,
  type PixelSource,
  type Renderer,
  type RendererResource,
  type Resource3dRequest,
  type Transfer3dRequest,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
  VIRTIO_GPU_RESP_ERR_UNSPEC,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '../../src/index.ts';

const OK = VIRTIO_GPU_RESP_OK_NODATA;
const UNSPEC = VIRTIO_GPU_RESP_ERR_UNSPEC;
/** Pixels of each side. */
export const SIZE = 32;
const BYTES = SIZE * SIZE * 4;
/** What a texture is shared as. */
export const frame: DmaBufFrame = {
  ...{ fd: 0, width: SIZE, height: SIZE, stride: SIZE * 4, fourcc: 0x34325258 },
  ...{ modifierLo: 0, modifierHi: 0, bottomUp: false },
};

/** A texture that is its bytes. */
export class Texture implements RendererResource {
  readonly hostBytes = BYTES;
  readonly width = SIZE;
  readonly height = SIZE;
  readonly bytes = new Uint8Array(BYTES);
  readonly transfers: Transfer3dRequest[] = [];
  readonly pages: (number | null)[] = [];
  disposals = 0;
  canShare = false;

  transferToHost(request: Transfer3dRequest, pages: GuestPages): typeof OK | typeof UNSPEC {
    this.transfers.push(request);
    return pages.read(request.offset, this.bytes, 0, BYTES) === 0 ? OK : UNSPEC;
  }

  transferFromHost(request: Transfer3dRequest, pages: GuestPages): typeof OK | typeof UNSPEC {
    this.transfers.push(request);
    return pages.write(request.offset, this.bytes, 0, BYTES) === 0 ? OK : UNSPEC;
  }

  pagesChanged(pages: GuestPages | null): void {
    this.pages.push(pages?.size ?? null);
  }

  pixels(part: Box): PixelSource {
    const { bytes } = this;
    return {
      width: part.width,
      height: part.height,
      direct: null,
      copyRows(first, count, to, toOffset) {
        for (let row = 0; row < count; row++) {
          const start = ((part.y + first + row) * SIZE + part.x) * 4;
          to.set(bytes.subarray(start, start + part.width * 4), toOffset + row * part.width * 4);
        }
        return 0;
      },
    };
  }

  dmaBuf(): DmaBufFrame | null {
    return this.canShare ? frame : null;
  }

  [Symbol.dispose](): void {
    this.disposals++;
  }
}

/** Makes them, of one size. */
export class TextureRenderer implements Renderer {
  readonly name = 'textures';
  readonly requests: Resource3dRequest[] = [];
  readonly made: Texture[] = [];

  create(request: Resource3dRequest): RendererResource | typeof VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER {
    this.requests.push(request);
    if (request.width !== SIZE) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    const texture = new Texture();
    this.made.push(texture);
    return texture;
  }
}

/** Takes dma-bufs, and notes all that it hears. */
export class DmaBufSink implements DisplaySink {
  readonly name = 'dma-buf';
  readonly calls: unknown[][] = [];
  readonly owed: (() => void)[] = [];
  setScanout(...call: unknown[]): void {
    this.calls.push(['scanout', ...call]);
  }
  update(scanout: number, x: number, y: number, source: PixelSource, done: () => void): void {
    this.calls.push(['update', scanout, x, y, source.width, source.height]);
    done();
  }
  setScanoutDmaBuf(scanout: number, part: Box, of: DmaBufFrame): boolean {
    this.calls.push(['dma-buf', scanout, part, of]);
    return true;
  }
  updateDmaBuf(scanout: number, part: Box, done: () => void): void {
    this.calls.push(['changed', scanout, part]);
    this.owed.push(done);
  }
  updateCursor(): void {}
  moveCursor(): void {}
  hideCursor(): void {}
  [Symbol.dispose](): void {}
}
