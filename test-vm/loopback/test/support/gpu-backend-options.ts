/** What the gpu back-end of the tests is told, as JSON on its command line, and what it is asked on its standard input. */
import type { GpuDeviceOptions, GpuStats, OutputSize } from '@oriel/gpu-blob';
import type { FrontendProfile } from '@oriel/vhost-user';

/** Limits of the device. */
export type GpuBudgets = Pick<GpuDeviceOptions, 'maxHostmem' | 'maxResources' | 'maxContexts' | 'maxMappings'>;

export interface GpuBackendOptions extends GpuBudgets {
  readonly socketPath: string;
  readonly logPath: string;
  /** Bytes; 0: no window. */
  readonly hostVisible: number;
  readonly outputs: readonly OutputSize[];
  readonly frontend: FrontendProfile['name'];
}

/** One line of JSON each. */
export type GpuAsk =
  | { readonly ask: 'stats' }
  | { readonly ask: 'outputs'; readonly outputs: readonly OutputSize[] }
  | { readonly ask: 'picture'; readonly scanout: number }
  | { readonly ask: 'object'; readonly blobId: number };

export interface GpuBackendStats {
  /** Counters of the server: see `DeviceServer.stats`. */
  readonly server: Readonly<Record<string, number>>;
  readonly device: GpuStats;
  /** Objects of the context type `memory`. */
  readonly objects: number;
}

/** What a display shows. */
export interface GpuPicture {
  /** Pixels; 0 x 0: it is off. */
  readonly width: number;
  readonly height: number;
  /** B, G, R, X; base64. */
  readonly pixels: string;
  /** Of all displays since the start. */
  readonly updates: number;
  /** Null: hidden. `image`: 64 x 64 pixels B, G, R, A; base64. */
  readonly cursor: {
    readonly x: number;
    readonly y: number;
    readonly hotX: number;
    readonly hotY: number;
    readonly image: string;
  } | null;
}

/** A descriptor of the back-end; -1: there is no such object. */
export interface GpuObjectPlace {
  readonly fd: number;
}
