/** Handles whose descriptor somebody uses for longer than a request may last: it stays open, whatever becomes of the table. */
import type { Device } from './devices.ts';
import type { Handles } from './handles.ts';

interface Pin {
  count: number;
  readonly fd: number;
  readonly device: Device;
  /** The table has let go of it. */
  left: boolean;
}

/** The pins of a handle table. */
export class HandlePins {
  readonly #handles: Handles;
  readonly #close: (fd: number, device: Device) => void;
  readonly #pins = new Map<number, Pin>();

  /** @param close - closes a descriptor that the table has let go of */
  constructor(handles: Handles, close: (fd: number, device: Device) => void) {
    this.#handles = handles;
    this.#close = close;
  }

  /** Keeps a handle's descriptor open. @returns ends that, once */
  add(slot: number): () => void {
    const handles = this.#handles;
    const pin = this.#pins.get(slot) ?? { count: 0, fd: handles.fd(slot), device: handles.device(slot), left: false };
    this.#pins.set(slot, pin);
    pin.count++;
    handles.beginCall(slot);
    return () => {
      pin.count--;
      if (pin.left) {
        if (pin.count === 0) this.#close(pin.fd, pin.device);
        return;
      }
      if (pin.count === 0) this.#pins.delete(slot);
      handles.endCall(slot);
    };
  }

  /** The table lets go of every handle. @returns the slots of those whose descriptors stay open, and are the pins' now */
  letGo(): number[] {
    const slots = [...this.#pins.keys()];
    for (const pin of this.#pins.values()) pin.left = true;
    this.#pins.clear();
    return slots;
  }
}
