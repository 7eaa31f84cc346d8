/** The displays of a device: what they show, and who shows it. */
import type { EventLoop, Fd, Logger, Sys } from '@oriel/sys';
import { DisplayChannel } from '../display/channel.ts';
import { Outputs } from '../display/outputs.ts';
import type { DisplaySink } from '../display/sink.ts';
import { GpuError } from '../errors.ts';
import type { OutputSize } from '../options.ts';
import { VIRTIO_GPU_MAX_SCANOUTS } from '../protocol/values.ts';
import { Cursors } from './cursor.ts';
import { Scanouts } from './scanouts.ts';

/** Settings. */
export interface DisplaysOptions {
  readonly sys: Pick<Sys, 'fd' | 'socket'>;
  readonly log: Logger;
  readonly outputs: readonly OutputSize[];
  /** Shows what no channel does; not owned. */
  readonly sink: DisplaySink | null;
}

/** Outputs, scanouts and cursors, with the sink that has them now. */
export class Displays {
  readonly outputs: Outputs;
  readonly scanouts = new Scanouts();
  readonly cursors = new Cursors();
  readonly #options: DisplaysOptions;
  #channel: DisplayChannel | null = null;

  /** @throws GpuError ERR_GPU_OPTION */
  constructor(options: DisplaysOptions) {
    this.#options = options;
    this.outputs = new Outputs(options.outputs);
    this.#setSink();
  }

  /** What shows the displays now: the front-end's channel, else the sink of the options. */
  get sink(): DisplaySink | null {
    return this.#channel ?? this.#options.sink;
  }

  /** True while the front-end decides about the outputs. */
  get hasChannel(): boolean {
    return this.#channel !== null;
  }

  /** Scanouts that may be used. A front-end that has its own displays also knows their number. */
  get scanoutCount(): number {
    return this.#channel === null ? this.outputs.numScanouts : VIRTIO_GPU_MAX_SCANOUTS;
  }

  /**
   * Changes the outputs.
   * @returns true when the guest would see a difference
   * @throws GpuError ERR_GPU_OPTION; ERR_GPU_DISPLAY while a channel decides
   */
  setOutputs(sizes: readonly OutputSize[]): boolean {
    if (this.#channel !== null) {
      throw new GpuError('ERR_GPU_DISPLAY', 'the front-end decides about its displays: resize them there');
    }
    return this.outputs.set(sizes);
  }

  /**
   * The front-end's channel, instead of the one before.
   * @param socket - given away
   * @throws SysError when the loop cannot watch it
   */
  openChannel(socket: Fd, loop: EventLoop): void {
    this.closeChannel();
    const { sys, log } = this.#options;
    const channel: DisplayChannel = new DisplayChannel({
      sys,
      loop,
      socket,
      log,
      onReady: () => {
        if (this.#channel === channel) this.scanouts.offerDmaBufs();
      },
      onClosed: (reason) => {
        log.debug(`gpu: the display channel ended: ${reason}`);
        if (this.#channel === channel) this.closeChannel();
      },
    });
    this.#channel = channel;
    this.#setSink();
  }

  /** Shows everything on the sink of the options again. Harmless without a channel. */
  closeChannel(): void {
    const channel = this.#channel;
    if (channel === null) return;
    this.#channel = null;
    this.#setSink();
    channel[Symbol.dispose]();
  }

  /** Shows everything anew: it came from a process before. */
  refresh(): void {
    this.#setSink();
  }

  /** Switches everything off, and lets go of all pixels: a reset. */
  reset(): void {
    this.#channel?.settle();
    this.scanouts.clear();
    this.cursors.clear();
  }

  #setSink(): void {
    this.scanouts.setSink(this.sink);
    this.cursors.setSink(this.sink);
  }
}
