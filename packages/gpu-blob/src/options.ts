/** What a virtio-gpu device is made of. */
import type { Logger, Sys } from '@oriel/sys';
import type { ContextType } from './contexts/context-type.ts';
import type { DisplaySink } from './display/sink.ts';
import { GpuError } from './errors.ts';
import type { Renderer } from './render/renderer.ts';

/** Size of an output, pixels; `enabled` false: nothing is plugged in. */
export interface OutputSize {
  readonly width: number;
  readonly height: number;
  readonly enabled?: boolean;
}

export interface GpuDeviceOptions {
  readonly sys: Sys;
  /** 0 to 16; each 16 x 16 to 16384 x 16384. None: a render node without displays. Default one of 1280 x 800. */
  readonly outputs?: readonly OutputSize[];
  /** Size of the host-visible region, bytes, a multiple of the page size; 0 (the default): none. */
  readonly hostVisible?: number;
  /** What contexts there can be, in the order of GET_CAPSET_INFO. The first is what a context without a choice gets. */
  readonly contextTypes?: readonly ContextType[];
  /** For 3D resources; absent: they are refused. */
  readonly renderer?: Renderer;
  /** Shows the displays while the front-end gives no display channel; not owned. Absent: nobody looks. */
  readonly sink?: DisplaySink;
  /** Host memory for 2D resources and HOST3D blobs together, bytes; default 256 MiB. */
  readonly maxHostmem?: number;
  /** Default 16384. */
  readonly maxResources?: number;
  /** Default 256. */
  readonly maxContexts?: number;
  /** Blobs mapped at a time; default: what the region bears. */
  readonly maxMappings?: number;
  /** Largest ring accepted, a power of two from 16; default 256. */
  readonly queueSize?: number;
  readonly log?: Logger;
  /**
   * Keep what another process needs to go on with the session, where the server gives memory for it (`serve`'s `survive`): see
   * docs/design/survival.md. Default false.
   */
  readonly survive?: boolean;
  /** Bytes of that memory, from 64 KiB; a session that wants more ends with the process. Default 8 MiB. */
  readonly stateBytes?: number;
}

/** Options with their defaults. */
export interface GpuSettings {
  readonly sys: Sys;
  readonly outputs: readonly OutputSize[];
  readonly hostVisible: number;
  readonly contextTypes: readonly ContextType[];
  readonly maxHostmem: number;
  readonly maxResources: number;
  readonly maxContexts: number;
  readonly maxMappings: number;
  readonly queueSize: number;
  /** 0: nothing outlives the process. */
  readonly stateBytes: number;
}

const DEFAULT_OUTPUT: OutputSize = { width: 1280, height: 800 };
const DEFAULT_MAX_HOSTMEM = 256 * 1024 * 1024;
const DEFAULT_MAX_RESOURCES = 16384;
const DEFAULT_MAX_CONTEXTS = 256;
const DEFAULT_QUEUE_SIZE = 256;
const DEFAULT_STATE_BYTES = 8 * 1024 * 1024;
const LEAST_STATE_BYTES = 64 * 1024;
const LEAST_QUEUE_SIZE = 16;
const MOST_QUEUE_SIZE = 32768;

/** @throws GpuError ERR_GPU_OPTION */
export function checkOptions(options: GpuDeviceOptions): GpuSettings {
  const { sys, hostVisible = 0, queueSize = DEFAULT_QUEUE_SIZE } = options;
  const { pageSize } = sys.mem;
  if (!Number.isSafeInteger(hostVisible) || hostVisible < 0 || hostVisible % pageSize !== 0) {
    throw new GpuError('ERR_GPU_OPTION', `hostVisible ${hostVisible}, want a multiple of ${pageSize}, or 0 for none`);
  }
  if (!Number.isInteger(Math.log2(queueSize)) || queueSize < LEAST_QUEUE_SIZE || queueSize > MOST_QUEUE_SIZE) {
    throw new GpuError('ERR_GPU_OPTION', `queueSize ${queueSize}, want a power of two from 16 to 32768`);
  }
  return {
    sys,
    hostVisible,
    queueSize,
    stateBytes: options.survive === true ? stateBytes(options.stateBytes) : 0,
    outputs: options.outputs ?? [DEFAULT_OUTPUT],
    contextTypes: options.contextTypes ?? [],
    maxHostmem: count('maxHostmem', options.maxHostmem ?? DEFAULT_MAX_HOSTMEM),
    maxResources: count('maxResources', options.maxResources ?? DEFAULT_MAX_RESOURCES),
    maxContexts: count('maxContexts', options.maxContexts ?? DEFAULT_MAX_CONTEXTS),
    maxMappings:
      options.maxMappings === undefined ? Number.MAX_SAFE_INTEGER : count('maxMappings', options.maxMappings),
  };
}

function stateBytes(bytes = DEFAULT_STATE_BYTES): number {
  if (!Number.isSafeInteger(bytes) || bytes < LEAST_STATE_BYTES || bytes % 4 !== 0) {
    throw new GpuError('ERR_GPU_OPTION', `stateBytes ${bytes}, want a multiple of 4 from ${LEAST_STATE_BYTES}`);
  }
  return bytes;
}

function count(name: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new GpuError('ERR_GPU_OPTION', `${name} ${value}, want a whole number from 1`);
  }
  return value;
}
