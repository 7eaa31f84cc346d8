/** Host blobs and renderer resources for the tests of resources. */
import { check, Fd, MFD_ALLOW_SEALING, MFD_CLOEXEC, type Sys } from '@oriel/sys';
import type { HostBlob } from '../../../src/contexts/context-type.ts';
import type { Box, PixelSource } from '../../../src/display/sink.ts';
import { type GpuStatus, VIRTIO_GPU_RESP_OK_NODATA } from '../../../src/protocol/values.ts';
import type { GuestPages, RendererResource, Transfer3dRequest } from '../../../src/render/renderer.ts';

/** A memfd as a HOST3D blob. */
export class FileBlob implements HostBlob {
  readonly mapInfo = 1;
  readonly label = 'test';
  readonly size: number;
  readonly fdOffset: number;
  disposals = 0;
  readonly #sys: Sys;
  readonly #file: Fd;

  constructor(sys: Sys, content: Uint8Array, fdOffset = 0) {
    this.#sys = sys;
    this.#file = new Fd(
      sys.fd,
      check(sys.mem.memfdCreate('oriel-test-blob', MFD_CLOEXEC | MFD_ALLOW_SEALING), 'memfd_create'),
    );
    this.size = content.length;
    this.fdOffset = fdOffset;
    check(sys.fd.pwrite(this.#file.fd, content, content.length, fdOffset), 'pwrite');
  }

  get fd(): number {
    return this.#file.fd;
  }

  truncate(len: number): void {
    check(this.#sys.file.ftruncate(this.#file.fd, len), 'ftruncate');
  }

  [Symbol.dispose](): void {
    this.disposals++;
    this.#file.close();
  }
}

/** A renderer's resource of 32 x 16 pixels that notes what it is asked. */
export class NotedResource implements RendererResource {
  readonly width = 32;
  readonly height = 16;
  readonly hostBytes: number;
  readonly calls: unknown[] = [];
  disposals = 0;

  constructor(hostBytes = 0) {
    this.hostBytes = hostBytes;
  }

  transferToHost(request: Transfer3dRequest, pages: GuestPages): GpuStatus {
    this.calls.push([request, pages.size]);
    return VIRTIO_GPU_RESP_OK_NODATA;
  }

  transferFromHost(): GpuStatus {
    return VIRTIO_GPU_RESP_OK_NODATA;
  }

  pixels(part: Box): PixelSource {
    return { width: part.width, height: part.height, direct: null, copyRows: () => 0 };
  }

  [Symbol.dispose](): void {
    this.disposals++;
  }
}
