/** The configuration space of a virtio-fs device (VIRTIO 1.3, 5.11.4; linux/virtio_fs.h). */
import { bytes, struct, U32 } from '@oriel/layout';

/** `struct virtio_fs_config`. `notify_buf_size` exists only with VIRTIO_FS_F_NOTIFICATION, which is never offered. */
export const VirtioFsConfig = struct('virtio_fs_config', { tag: bytes(36), numRequestQueues: U32 });

/** The device's virtio id. */
export const VIRTIO_ID_FS = 26;

/** The shared memory region that is the DAX window. */
export const VIRTIO_FS_SHMCAP_ID_CACHE = 0;

/** Linux asks for mappings in pieces of this size (FUSE_DAX_SHIFT 21), aligned to it in the file and in the window. */
export const DAX_RANGE = 2 << 20;
export const DAX_RANGE_SHIFT = 21;
