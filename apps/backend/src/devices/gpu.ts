/** Makes the virtio-gpu device: loaded by a device's thread. */
import { CrossDomainContextType } from '@oriel/cross-domain';
import { type ContextType, GpuDevice, HeadlessSink, MemoryContextType, type OutputSize } from '@oriel/gpu-blob';
import { formatSize } from '../cli/size.ts';
import type { DeviceContext, DeviceInstance, Frame } from '../device-module.ts';
import { ScreenshotFeed } from '../screenshots/screenshot-feed.ts';
import { ScreenshotSink } from '../screenshots/screenshot-sink.ts';
import { type ChannelSettings, makeCrossDomain } from './cross-domain.ts';
import { GpuControl } from './gpu-control.ts';

const NS_PER_MS = 1e6;

/** Settings of `oriel gpu`, checked. */
export interface GpuDeviceSettings {
  /** Bytes; 0: no window. */
  readonly hostVisible: number;
  /** None: a render node. */
  readonly outputs: readonly OutputSize[];
  /** Names of context types. */
  readonly capsets: readonly string[];
  /** For `cross-domain`. */
  readonly channels: ChannelSettings;
  /** Bytes. */
  readonly maxHostmem: number;
  readonly maxResources: number;
  readonly maxContexts: number;
  readonly queueSize: number;
  /** Pictures of the displays are given to the main thread. */
  readonly screenshots: boolean;
}

/** Context types by the names of `contextTypeNames`. */
const makers: Readonly<Record<string, (context: DeviceContext, settings: GpuDeviceSettings) => ContextType>> = {
  memory: ({ sys }) => new MemoryContextType({ sys }),
  'cross-domain': ({ sys, log }, { channels }) => makeCrossDomain(sys, log, channels),
};

/** A display's picture as the main thread takes it. */
function frameOf(sink: HeadlessSink, scanout: number, cursor: boolean): Frame | null {
  const shown = sink.snapshot(scanout, { cursor });
  // A snapshot is a copy, so its buffer is its own.
  return shown === null ? null : { ...shown, scanout, pixels: shown.pixels as Uint8Array<ArrayBuffer> };
}

/** What is held for guest programs that reach sockets of the host. */
function channelStats({ stats }: CrossDomainContextType): Readonly<Record<string, number>> {
  return { channelFds: stats.fds, channelBytes: stats.bytes, lingeringPipes: stats.lingering };
}

function tellLimit({ log, maxMappings }: DeviceContext, hostVisible: number): void {
  if (hostVisible > 0) {
    const size = formatSize(hostVisible);
    log.info(`host-visible window of ${size}: at most ${maxMappings} blobs are mapped at a time (--max-mappings)`);
  }
}

/** Makes the device with a display that nobody sees, which counts while the front-end gives no display of its own. */
export function createDevice(context: DeviceContext, options: unknown): DeviceInstance {
  const settings = options as GpuDeviceSettings;
  const { sys, loop, log, showFrame } = context;
  const feed = new ScreenshotFeed({
    loop,
    nowMs: () => sys.loop.nowNs() / NS_PER_MS,
    capture: (scanout) => frameOf(sink, scanout, false),
    showFrame,
  });
  const sink: HeadlessSink = settings.screenshots ? new ScreenshotSink(feed, { log }) : new HeadlessSink({ log });
  const contextTypes = settings.capsets.map((name) => makers[name]!(context, settings));
  const crossDomain = contextTypes.find((type) => type instanceof CrossDomainContextType) ?? null;
  const device = new GpuDevice({
    sys,
    sink,
    contextTypes,
    log,
    outputs: settings.outputs,
    hostVisible: settings.hostVisible,
    maxHostmem: settings.maxHostmem,
    maxResources: settings.maxResources,
    maxContexts: settings.maxContexts,
    queueSize: settings.queueSize,
    survive: context.survives,
  });
  tellLimit(context, settings.hostVisible);
  const control = new GpuControl({
    device,
    sink,
    memory: contextTypes.find((type) => type instanceof MemoryContextType) ?? null,
    outputs: settings.outputs,
    frame: (scanout, cursor) => frameOf(sink, scanout, cursor),
  });
  return {
    device,
    stats: () => ({ ...device.stats, ...(crossDomain === null ? {} : channelStats(crossDomain)) }),
    control: (request) => control.carryOut(request),
    [Symbol.dispose]() {
      device[Symbol.dispose]();
      crossDomain?.[Symbol.dispose]();
      feed[Symbol.dispose]();
      sink[Symbol.dispose]();
    },
  };
}
