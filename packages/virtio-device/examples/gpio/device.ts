/** A GPIO controller (VIRTIO 1.3, 5.18) for play: four lamps to switch, and four keys to look at. */
import { FeatureSet } from '@oriel/vhost-user';
import type { VirtioDevice } from '@oriel/virtio-device';
import type { Chain, DeviceQueue } from '@oriel/virtqueue';
import { Interrupts } from './interrupts.ts';
import * as gpio from './layout.ts';

/** Lamp n is line n, and key n is line LAMPS + n. */
export const LAMPS = 4;
const LINES = 2 * LAMPS;
const NAMES = new TextEncoder().encode(
  Array.from({ length: LINES }, (_, line) => (line < LAMPS ? `lamp${line}\0` : `key${line - LAMPS}\0`)).join(''),
);
const REQUEST = 0;
const EVENT = 1;

export interface GpioOptions {
  /** Called when a lamp goes on or off. */
  readonly onLamp?: (lamp: number, on: boolean) => void;
}

/** Eight lines, with interrupts on the edges of the keys. */
export class GpioDevice implements VirtioDevice {
  readonly name = 'gpio';
  readonly deviceId = gpio.VIRTIO_ID_GPIO;
  readonly features = FeatureSet.of(gpio.VIRTIO_GPIO_F_IRQ);
  readonly queueCount = 2;
  readonly maxQueueSize = 64;
  readonly config = new Uint8Array(gpio.VirtioGpioConfig.byteLength);
  readonly #options: GpioOptions;
  readonly #bytes = new Uint8Array(gpio.VirtioGpioRequest.byteLength);
  readonly #request = new DataView(this.#bytes.buffer);
  readonly #reply = new Uint8Array(1 + NAMES.length);
  readonly #directions = new Uint8Array(LINES);
  /** What the driver wants of each lamp, which shines once its line is an output; and how each key stands. */
  readonly #levels = new Uint8Array(LINES);
  readonly #shining = new Uint8Array(LAMPS);
  readonly #interrupts = new Interrupts(LINES);
  readonly #queues: (DeviceQueue | null)[] = [null, null];

  constructor(options: GpioOptions = {}) {
    this.#options = options;
    const config = new DataView(this.config.buffer);
    gpio.VirtioGpioConfig.ngpio.set(config, 0, LINES);
    gpio.VirtioGpioConfig.gpioNamesSize.set(config, 0, NAMES.length);
  }

  /** Presses a key, or lets it go. */
  setKey(key: number, down: boolean): void {
    const line = LAMPS + key;
    const level = down ? 1 : 0;
    if (this.#levels[line] === level) return;
    this.#levels[line] = level;
    this.#interrupts.edge(line, level);
  }

  attach(): void {}

  startQueue(index: number, queue: DeviceQueue, fresh: boolean): void {
    this.#queues[index] = queue;
    if (index === EVENT) this.#interrupts.start(queue, fresh);
  }

  process(index: number, budget: number): boolean {
    for (let taken = 0; taken < budget; taken++) {
      const chain = this.#queues[index]?.next();
      if (!chain) return false;
      if (index === REQUEST) this.#serve(chain);
      else this.#interrupts.take(chain);
    }
    return true;
  }

  stopQueue(index: number): void {
    this.#queues[index] = null;
    if (index === EVENT) this.#interrupts.stop();
  }

  reset(): void {
    this.#interrupts.reset();
    this.#directions.fill(gpio.VIRTIO_GPIO_DIRECTION_NONE);
    for (let lamp = 0; lamp < LAMPS; lamp++) {
      this.#levels[lamp] = 0;
      this.#update(lamp);
    }
  }

  detach(): void {
    this.reset();
  }

  [Symbol.dispose](): void {}

  #serve(chain: Chain): void {
    const len = this.#execute(chain);
    chain.queue.complete(chain, Math.max(chain.write(0, this.#reply, 0, len), 0));
  }

  /** @returns bytes of the answer in `#reply`: the status, then what was asked for */
  #execute(chain: Chain): number {
    this.#reply.fill(0);
    this.#reply[0] = gpio.VIRTIO_GPIO_STATUS_ERR;
    const { length } = this.#bytes;
    if (chain.read(0, this.#bytes, 0, length) !== length) return gpio.VirtioGpioResponse.byteLength;
    const type = gpio.VirtioGpioRequest.type.get(this.#request, 0);
    if (type === gpio.VIRTIO_GPIO_MSG_GET_NAMES) {
      this.#reply[0] = gpio.VIRTIO_GPIO_STATUS_OK;
      this.#reply.set(NAMES, 1);
      return this.#reply.length;
    }
    const line = gpio.VirtioGpioRequest.gpio.get(this.#request, 0);
    const answer = line < LINES ? this.#line(type, line, gpio.VirtioGpioRequest.value.get(this.#request, 0)) : -1;
    if (answer >= 0) {
      this.#reply[0] = gpio.VIRTIO_GPIO_STATUS_OK;
      this.#reply[1] = answer;
    }
    return gpio.VirtioGpioResponse.byteLength;
  }

  /** @returns the value of the answer, or -1 for an error */
  #line(type: number, line: number, value: number): number {
    const isLamp = line < LAMPS;
    switch (type) {
      case gpio.VIRTIO_GPIO_MSG_GET_DIRECTION:
        return this.#directions[line]!;
      case gpio.VIRTIO_GPIO_MSG_SET_DIRECTION: {
        const possible = isLamp ? gpio.VIRTIO_GPIO_DIRECTION_OUT : gpio.VIRTIO_GPIO_DIRECTION_IN;
        if (value !== possible && value !== gpio.VIRTIO_GPIO_DIRECTION_NONE) return -1;
        this.#directions[line] = value;
        if (isLamp) this.#update(line);
        return 0;
      }
      case gpio.VIRTIO_GPIO_MSG_GET_VALUE:
        return this.#directions[line] === gpio.VIRTIO_GPIO_DIRECTION_NONE ? -1 : this.#levels[line]!;
      case gpio.VIRTIO_GPIO_MSG_SET_VALUE:
        if (!isLamp || value > 1) return -1;
        this.#levels[line] = value;
        this.#update(line);
        return 0;
      case gpio.VIRTIO_GPIO_MSG_IRQ_TYPE:
        return !isLamp && this.#interrupts.setType(line, value) ? 0 : -1;
      default:
        return -1;
    }
  }

  #update(lamp: number): void {
    const shines = this.#directions[lamp] === gpio.VIRTIO_GPIO_DIRECTION_OUT ? this.#levels[lamp]! : 0;
    if (this.#shining[lamp] === shines) return;
    this.#shining[lamp] = shines;
    this.#options.onLamp?.(lamp, shines === 1);
  }
}
