/** Places in C from the names of the layouts, which are flat where C nests. */

const HEADER = new Set(['type', 'flags', 'fenceId', 'ctxId', 'ringIdx', 'padding']);
const RECT = new Set(['x', 'y', 'width', 'height']);
/** Structures with no header of their own. */
const BARE = new Set([
  'virtio_gpu_config',
  'virtio_gpu_ctrl_hdr',
  'virtio_gpu_rect',
  'virtio_gpu_mem_entry',
  'virtio_gpu_display_one',
]);
/** Structures with a rectangle in it. */
const WITH_RECT = new Set([
  'virtio_gpu_set_scanout',
  'virtio_gpu_resource_flush',
  'virtio_gpu_transfer_to_host_2d',
  'virtio_gpu_set_scanout_blob',
  'virtio_gpu_display_one',
]);
const PARTICULAR: Readonly<Record<string, string>> = {
  'virtio_gpu_update_cursor.scanoutId': 'pos.scanout_id',
  'virtio_gpu_update_cursor.x': 'pos.x',
  'virtio_gpu_update_cursor.y': 'pos.y',
  'virtio_gpu_update_cursor.posPadding': 'pos.padding',
  'virtio_gpu_set_scanout_blob.fbWidth': 'width',
  'virtio_gpu_set_scanout_blob.fbHeight': 'height',
  'virtio_gpu_resource_create_3d.resourceFlags': 'flags',
};
const BOX = new Set(['x', 'y', 'z', 'w', 'h', 'd']);

/** `virtio_gpu_set_scanout`, `scanoutId` -> `scanout_id`; `width` -> `r.width`; `ctxId` -> `hdr.ctx_id`. */
export function cName(struct: string, field: string): string {
  const particular = PARTICULAR[`${struct}.${field}`];
  if (particular !== undefined) return particular;
  if (!BARE.has(struct) && HEADER.has(field)) return `hdr.${snake(field)}`;
  if (WITH_RECT.has(struct) && RECT.has(field)) return `r.${field}`;
  if (struct === 'virtio_gpu_transfer_host_3d' && BOX.has(field)) return `box.${field}`;
  return field === 'tail' || field === 'gap' ? 'padding' : snake(field);
}

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** True for a constant that linux/virtio_gpu.h or virtio_ids.h defines; the others are from the driver's source or ours. */
export function isInC(constant: string): boolean {
  return constant.startsWith('VIRTIO_') && constant !== 'VIRTIO_GPU_MAX_RINGS';
}

/** Structures for which one of the same shape stands in: C's name, and ours. */
export const SAME_SHAPE: Readonly<Record<string, string>> = {
  virtio_gpu_resource_detach_backing: 'virtio_gpu_resource_unref',
  virtio_gpu_resource_unmap_blob: 'virtio_gpu_resource_unref',
  virtio_gpu_resource_assign_uuid: 'virtio_gpu_resource_unref',
  virtio_gpu_ctx_resource: 'virtio_gpu_resource_unref',
};
