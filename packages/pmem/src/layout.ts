/** The virtio-pmem device (VIRTIO 1.3, 5.19; linux/virtio_pmem.h), little-endian. */
import { struct, U32, U64 } from '@oriel/layout';

export const VIRTIO_ID_PMEM = 27;

/** Feature bit: the memory is shared memory region 0, and the configuration does not say where it is. */
export const VIRTIO_PMEM_F_SHMEM_REGION = 0;
export const VIRTIO_PMEM_SHMEM_REGION_ID = 0;

/** `struct virtio_pmem_config`; `start` is not looked at with SHMEM_REGION. Bytes. */
export const VirtioPmemConfig = struct('virtio_pmem_config', { start: U64, size: U64 });

/** `struct virtio_pmem_req` and `struct virtio_pmem_resp`. */
export const VirtioPmemReq = struct('virtio_pmem_req', { type: U32 });
export const VirtioPmemResp = struct('virtio_pmem_resp', { ret: U32 });

export const VIRTIO_PMEM_REQ_TYPE_FLUSH = 0;
/** What `ret` says: Linux makes EIO of anything but 0. */
export const FLUSH_DONE = 0;
export const FLUSH_FAILED = 1;
