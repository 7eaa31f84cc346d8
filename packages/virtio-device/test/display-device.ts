/** A device for tests that has a display. */
import type { Fd } from '@oriel/sys';
import { EchoDevice } from './echo-device.ts';
import { sys } from './machine.ts';

/** What the device says to a display when it gets it. */
export const GREETING = 0x42;

/** Greets each display that it is given, and says so in the log. */
export class DisplayDevice extends EchoDevice {
  display: Fd | null = null;

  setDisplaySocket(socket: Fd): void {
    this.display?.close();
    this.display = socket;
    this.log.push('display');
    sys.fd.write(socket.fd, Uint8Array.of(GREETING), 1);
  }

  override detach(): void {
    this.display?.close();
    this.display = null;
    super.detach();
  }
}

/** What the display at `fd` heard. */
export function heard(fd: Fd): number[] {
  const buffer = new Uint8Array(4);
  return [...buffer.subarray(0, sys.fd.read(fd.fd, buffer, buffer.length))];
}
