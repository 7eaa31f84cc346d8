/** One open file of the guest's GPU: a context of its own, with objects by handle. */
import { constants, openSync } from 'node:fs';
import { Fd, Mapping, PROT_READ, PROT_WRITE, type Sys } from '@oriel/sys';
import {
  DRM_IOCTL_GEM_CLOSE,
  DRM_IOCTL_VIRTGPU_CONTEXT_INIT,
  DRM_IOCTL_VIRTGPU_EXECBUFFER,
  DRM_IOCTL_VIRTGPU_GET_CAPS,
  DRM_IOCTL_VIRTGPU_MAP,
  DRM_IOCTL_VIRTGPU_RESOURCE_CREATE_BLOB,
  DRM_IOCTL_VIRTGPU_WAIT,
  DrmEvent,
  DrmGemClose,
  DrmVirtgpu3dWait,
  DrmVirtgpuContextInit,
  DrmVirtgpuContextSetParam,
  DrmVirtgpuExecbuffer,
  DrmVirtgpuGetCaps,
  DrmVirtgpuMap,
  DrmVirtgpuResourceCreateBlob,
  VIRTGPU_BLOB_FLAG_USE_MAPPABLE,
  VIRTGPU_BLOB_FLAG_USE_SHAREABLE,
  VIRTGPU_BLOB_MEM_HOST3D,
  VIRTGPU_EXECBUF_FENCE_FD_OUT,
  VIRTGPU_EXECBUF_RING_IDX,
} from './layouts.ts';

/** The slices of `Sys` that a render node takes. */
export type DrmSys = Pick<Sys, 'drm' | 'fd' | 'mem'>;

/** An object of the device: its handle here, its number for the host. */
export interface Blob {
  readonly handle: number;
  readonly resourceId: number;
}

export interface SubmitOptions {
  /** Whose fences this one follows; the device's own timeline where it is not given. */
  readonly ring?: number;
  /** An object whose `wait` waits for this. */
  readonly handle?: number;
  /** Gives a descriptor that becomes readable when the host is done. */
  readonly fence?: boolean;
}

/** Room for the largest structure, and one for what it points to. */
const ARGUMENT_LEN = 64;
const LIST_LEN = 64;
/** Events of one read. */
const EVENTS_LEN = 1024;

export class RenderNode implements Disposable {
  readonly #sys: DrmSys;
  readonly #fd: Fd;
  readonly #scratch: Mapping;
  readonly #view: DataView;
  readonly #list: number;
  readonly #events = new DataView(new ArrayBuffer(EVENTS_LEN));

  /** Takes over an open device. @throws SysError ENOMEM */
  constructor(sys: DrmSys, fd: Fd) {
    this.#sys = sys;
    this.#fd = fd;
    this.#scratch = Mapping.anonymous(sys.mem, sys.mem.pageSize);
    this.#view = new DataView(this.#scratch.u8.buffer, 0, ARGUMENT_LEN + LIST_LEN);
    this.#list = this.#scratch.addr + ARGUMENT_LEN;
  }

  /** Opens a device. @throws Node's error of `open` */
  static open(sys: DrmSys, path: string): RenderNode {
    const fd = new Fd(sys.fd, openSync(path, constants.O_RDWR | constants.O_NONBLOCK));
    try {
      return new RenderNode(sys, fd);
    } catch (error) {
      fd.close();
      throw error;
    }
  }

  /** For the event loop: readable when a fence of a polled ring is reached. */
  get fd(): number {
    return this.#fd.fd;
  }

  /** Makes the context what `params` say: pairs of VIRTGPU_CONTEXT_PARAM_* and value. @returns 0 or a negative errno */
  initContext(params: readonly (readonly [number, number])[]): number {
    const view = this.#cleared();
    params.forEach(([param, value], index) => {
      const at = ARGUMENT_LEN + index * DrmVirtgpuContextSetParam.byteLength;
      DrmVirtgpuContextSetParam.param.set(view, at, param);
      DrmVirtgpuContextSetParam.value.set(view, at, value);
    });
    DrmVirtgpuContextInit.numParams.set(view, 0, params.length);
    DrmVirtgpuContextInit.ctxSetParams.set(view, 0, this.#list);
    return this.#ioctl(DRM_IOCTL_VIRTGPU_CONTEXT_INIT);
  }

  /** The data of a capset. @param data - filled @returns 0 or a negative errno */
  capset(id: number, version: number, data: Mapping): number {
    const view = this.#cleared();
    DrmVirtgpuGetCaps.capSetId.set(view, 0, id);
    DrmVirtgpuGetCaps.capSetVer.set(view, 0, version);
    DrmVirtgpuGetCaps.addr.set(view, 0, data.addr);
    DrmVirtgpuGetCaps.size.set(view, 0, data.len);
    return this.#ioctl(DRM_IOCTL_VIRTGPU_GET_CAPS);
  }

  /**
   * Makes a mappable object.
   * @param mem - VIRTGPU_BLOB_MEM_*
   * @param len - bytes, whole pages
   * @returns a negative errno where the device refuses; -ENOSPC when its window is full
   */
  createBlob(mem: number, len: number, blobId: number): Blob | number {
    const view = this.#cleared();
    DrmVirtgpuResourceCreateBlob.blobMem.set(view, 0, mem);
    const shared = mem === VIRTGPU_BLOB_MEM_HOST3D ? VIRTGPU_BLOB_FLAG_USE_SHAREABLE : 0;
    DrmVirtgpuResourceCreateBlob.blobFlags.set(view, 0, VIRTGPU_BLOB_FLAG_USE_MAPPABLE | shared);
    DrmVirtgpuResourceCreateBlob.size.set(view, 0, len);
    DrmVirtgpuResourceCreateBlob.blobId.set(view, 0, blobId);
    const error = this.#ioctl(DRM_IOCTL_VIRTGPU_RESOURCE_CREATE_BLOB);
    if (error < 0) return error;
    return {
      handle: DrmVirtgpuResourceCreateBlob.boHandle.get(view, 0),
      resourceId: DrmVirtgpuResourceCreateBlob.resHandle.get(view, 0),
    };
  }

  /** Maps an object; waits until the host has mapped it. @throws SysError */
  map(handle: number, len: number): Mapping | number {
    const view = this.#cleared();
    DrmVirtgpuMap.handle.set(view, 0, handle);
    const error = this.#ioctl(DRM_IOCTL_VIRTGPU_MAP);
    if (error < 0) return error;
    return Mapping.shared(this.#sys.mem, this.#fd.fd, len, DrmVirtgpuMap.offset.get(view, 0), PROT_READ | PROT_WRITE);
  }

  /** Gives up an object; what the host still holds of it lives on there. */
  closeHandle(handle: number): void {
    const view = this.#cleared();
    DrmGemClose.handle.set(view, 0, handle);
    this.#ioctl(DRM_IOCTL_GEM_CLOSE);
  }

  /**
   * Hands a command to the device, which has its own copy afterwards.
   * @param command - address
   * @returns 0, the descriptor of the fence where one was asked for, or a negative errno
   */
  submit(command: number, len: number, options: SubmitOptions): number {
    const { ring, handle, fence = false } = options;
    const view = this.#cleared();
    const flags = (ring === undefined ? 0 : VIRTGPU_EXECBUF_RING_IDX) | (fence ? VIRTGPU_EXECBUF_FENCE_FD_OUT : 0);
    DrmVirtgpuExecbuffer.flags.set(view, 0, flags);
    DrmVirtgpuExecbuffer.size.set(view, 0, len);
    DrmVirtgpuExecbuffer.command.set(view, 0, command);
    DrmVirtgpuExecbuffer.fenceFd.set(view, 0, -1);
    DrmVirtgpuExecbuffer.ringIdx.set(view, 0, ring ?? 0);
    if (handle !== undefined) {
      view.setUint32(ARGUMENT_LEN, handle, true);
      DrmVirtgpuExecbuffer.boHandles.set(view, 0, this.#list);
      DrmVirtgpuExecbuffer.numBoHandles.set(view, 0, 1);
    }
    const error = this.#ioctl(DRM_IOCTL_VIRTGPU_EXECBUFFER);
    return error === 0 && fence ? DrmVirtgpuExecbuffer.fenceFd.get(view, 0) : error;
  }

  /** Waits, blocking, until the host is done with what was submitted with the object. @returns -EBUSY after 15 s */
  wait(handle: number): number {
    const view = this.#cleared();
    DrmVirtgpu3dWait.handle.set(view, 0, handle);
    return this.#ioctl(DRM_IOCTL_VIRTGPU_WAIT);
  }

  /** Takes the events that are there. @returns how many fences of polled rings were reached */
  takeEvents(): number {
    const len = this.#sys.fd.read(this.#fd.fd, this.#events, EVENTS_LEN);
    let reached = 0;
    for (let at = 0; at + DrmEvent.byteLength <= len; at += Math.max(8, DrmEvent.length.get(this.#events, at))) {
      reached++;
    }
    return reached;
  }

  /** Ends the context, with all its objects that nobody else holds. */
  [Symbol.dispose](): void {
    this.#scratch[Symbol.dispose]();
    this.#fd.close();
  }

  #cleared(): DataView {
    this.#scratch.u8.fill(0, 0, ARGUMENT_LEN + LIST_LEN);
    return this.#view;
  }

  #ioctl(request: number): number {
    return this.#sys.drm.ioctl(this.#fd.fd, request, this.#scratch.addr);
  }
}
