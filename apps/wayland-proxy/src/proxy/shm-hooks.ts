/** The messages of wl_shm, its pools and buffers, and of those who look at buffers. */
import { type Argument, encodeMessage, interfaceOf } from '@oriel/wl';
import type { HostMemory } from '../channel/host-channel.ts';
import { CROSS_DOMAIN_ID_TYPE_VIRTGPU_BLOB } from '../channel/protocol.ts';
import { ProxyError } from '../errors.ts';
import { inspectFile } from '../files/client-file.ts';
import type { Hook, Hooks, Passing, WlObject } from './objects.ts';
import {
  Pool,
  PoolBuffer,
  PoolFile,
  placeBuffer,
  Shm,
  WL_SHM_ERROR_INVALID_FD,
  WL_SHM_ERROR_INVALID_STRIDE,
} from './shm.ts';
import { Surface } from './surface.ts';
import type { Translation } from './translation.ts';

const CREATE_POOL = 0;
const CREATE_BUFFER = 0;
const DESTROY_POOL = 1;
const shmRequests = interfaceOf('wl_shm')!.requests;
const poolRequests = interfaceOf('wl_shm_pool')!.requests;

function wrong(object: WlObject, code: number, why: string): ProxyError {
  return new ProxyError('ERR_PROXY_CLIENT', why, { objectId: object.id, code });
}

function blob(memory: HostMemory): { readonly id: number; readonly type: number; readonly size: number } {
  return { id: memory.resourceId, type: CROSS_DOMAIN_ID_TYPE_VIRTGPU_BLOB, size: memory.len };
}

function createPool(translation: Translation, { object, args, bytes, view, fds }: Passing): void {
  const shm = (object.data ??= new Shm()) as Shm;
  const [id, size] = [args.uint(0), args.int(2)];
  const fd = fds.shift()!;
  const file = new PoolFile(fd);
  const made = translation.objects.get(id)!;
  made.data = new Pool(file, object.id, shm, size);
  if (size <= 0) throw wrong(object, WL_SHM_ERROR_INVALID_STRIDE, `a pool of ${size} bytes`);
  const { kind, writeOnly } = inspectFile(translation.sys, fd);
  if (kind !== 'memory' || writeOnly) throw wrong(object, WL_SHM_ERROR_INVALID_FD, `a pool in a file of kind ${kind}`);
  // The host's pool holds the place of the id until a buffer needs one.
  const memory = translation.placeholder();
  view.setInt32(args.offset(2), memory.len, true);
  translation.toHost.add(bytes, [blob(memory)]);
}

function createBuffer(translation: Translation, { object, args, bytes }: Passing): void {
  const pool = object.data as Pool;
  const [offset, width, height] = [args.int(1), args.int(2), args.int(3)];
  const [stride, format] = [args.int(4), args.uint(5)];
  const place = placeBuffer(pool.size, offset, width, height, stride, format);
  if (place === undefined) {
    throw wrong(
      object,
      WL_SHM_ERROR_INVALID_STRIDE,
      `a buffer of ${width}x${height}, ${stride} bytes a row, at ${offset}`,
    );
  }
  const id = args.uint(0);
  const memory = translation.channel.allocate(place.len);
  translation.objects.get(id)!.data = new PoolBuffer(translation.sys, id, pool.file, place, memory);
  pool.replaced++;
  const { toHost } = translation;
  toHost.add(encodeMessage(object.id, DESTROY_POOL, poolRequests[DESTROY_POOL]!, []));
  const poolAgain = encodeMessage(pool.shmId, CREATE_POOL, shmRequests[CREATE_POOL]!, [object.id, place.len]);
  toHost.add(poolAgain, [blob(memory)]);
  const made = [id, 0, width, height, stride, format];
  toHost.add(encodeMessage(object.id, CREATE_BUFFER, poolRequests[CREATE_BUFFER]!, made));
  translation.log.trace('buffer', { id, len: place.len, bytes: bytes.length });
}

function destroyPool(translation: Translation, { object, bytes }: Passing): void {
  const pool = object.data as Pool;
  if (!pool.destroy()) return;
  translation.toHost.add(bytes);
  const { shm } = pool;
  if (shm.pools === 0 && shm.heldRelease !== undefined) translation.toHost.add(shm.heldRelease);
}

function resizePool(_translation: Translation, { object, args }: Passing): void {
  const pool = object.data as Pool;
  const size = args.int(0);
  if (size < pool.size) throw wrong(object, WL_SHM_ERROR_INVALID_FD, `a pool shrinks to ${size} bytes`);
  pool.size = size;
}

function releaseShm(translation: Translation, { object, bytes }: Passing): void {
  const shm = object.data as Shm | undefined;
  if (shm !== undefined && shm.pools > 0) shm.heldRelease ??= bytes.slice();
  else translation.toHost.add(bytes);
}

function destroyBuffer(translation: Translation, { object, bytes }: Passing): void {
  const buffer = object.data;
  translation.toHost.add(bytes);
  if (buffer instanceof PoolBuffer && buffer.isLive) {
    buffer.release();
    translation.toHost.disposeAfterwards(buffer.memory);
  }
}

/** Does something with a surface, then passes the request on. */
function onSurface(work: (surface: Surface, passing: Passing, translation: Translation) => void): Hook {
  return (translation, passing) => {
    work((passing.object.data ??= new Surface()) as Surface, passing, translation);
    translation.toHost.add(passing.bytes);
  };
}

function bufferAt(translation: Translation, id: number): PoolBuffer | null {
  const data = translation.objects.get(id)?.data;
  return data instanceof PoolBuffer ? data : null;
}

function getViewport(translation: Translation, { args, bytes }: Passing): void {
  const surface = translation.objects.get(args.uint(1));
  if (surface?.kind.interface.name === 'wl_surface') ((surface.data ??= new Surface()) as Surface).setViewport();
  translation.toHost.add(bytes);
}

/** Requests about memory. */
export const shmHooks: Hooks = {
  'wl_shm.create_pool': createPool,
  'wl_shm.release': releaseShm,
  'wl_shm_pool.create_buffer': createBuffer,
  'wl_shm_pool.destroy': destroyPool,
  'wl_shm_pool.resize': resizePool,
  'wl_buffer.destroy': destroyBuffer,
  'wl_surface.attach': onSurface((surface, { args }, translation) =>
    surface.attach(bufferAt(translation, args.uint(0))),
  ),
  'wl_surface.damage': onSurface((surface, { args }) => surface.damageSurface(args.int(1), args.int(3))),
  'wl_surface.damage_buffer': onSurface((surface, { args }) => surface.damageBuffer(args.int(1), args.int(3))),
  'wl_surface.set_buffer_scale': onSurface((surface, { args }) => surface.setScale(args.int(0))),
  'wl_surface.set_buffer_transform': onSurface((surface, { args }) => surface.setTransform(args.int(0))),
  'wl_surface.commit': onSurface((surface) => surface.commit()),
  'wp_viewporter.get_viewport': getViewport,
};

/** Any other request that names a buffer: the compositor looks at it at once, or will write into it. */
export function copyNamedBuffers(translation: Translation, { object, message, args }: Passing): void {
  message.args.forEach(({ interfaceName, kind }: Argument, index) => {
    if (kind !== 'o' || interfaceName !== 'wl_buffer') return;
    const buffer = bufferAt(translation, args.uint(index));
    buffer?.copyAll();
    object.data = buffer;
  });
}

function copyBack(translation: Translation, { object, bytes }: Passing): void {
  if (object.data instanceof PoolBuffer) object.data.copyBack();
  translation.toClient.queue(bytes);
}

/** The compositor has written into the buffer that a request of the object named. */
export const captureEvents: Hooks = {
  'zwlr_screencopy_frame_v1.ready': copyBack,
  'ext_image_copy_capture_frame_v1.ready': copyBack,
  'weston_capture_source_v1.complete': copyBack,
};
