/** What the rules say of one command. */
import {
  VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
  VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
  VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID,
  VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
  VIRTIO_GPU_RESP_ERR_UNSPEC,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '@oriel/gpu-blob';

/** The replies that are right, and what each changes in the book. */
export interface Verdict {
  /** Types; more than one where it depends on what was under way at that moment. */
  readonly allowed: readonly number[];
  /** Called with the one that came. */
  readonly apply: (status: number) => void;
}

const nothing = (): void => {};

/** A command that changes nothing. */
export function plain(...allowed: number[]): Verdict {
  return { allowed, apply: nothing };
}

export const OK = VIRTIO_GPU_RESP_OK_NODATA;
export const UNSPEC = VIRTIO_GPU_RESP_ERR_UNSPEC;
export const NO_MEMORY = VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
export const NO_SCANOUT = VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID;
export const NO_RESOURCE = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
export const NO_CONTEXT = VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
export const BAD = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;

/** Changes the book when the command succeeds. */
export function change(allowed: readonly number[], success: number, apply: () => void): Verdict {
  return {
    allowed,
    apply: (status) => {
      if (status === success) apply();
    },
  };
}
