/** How the tours print, and what they throw when bytes differ. */

const NAME_WIDTH = 12;

/** Prints one line of a tour. */
export type Print = (line: string) => void;

/** Prints a step by its name. */
export function stepPrinter(print: Print): (name: string, text: string) => void {
  return (name, text) => print(`${name.padEnd(NAME_WIDTH)}${text}`);
}

/** A byte differs between the guest's view and the host's. */
export class MismatchError extends Error {
  override readonly name = 'MismatchError';
}

/** @param what - which bytes, for the message. @throws MismatchError unless all are equal */
export function sameBytes(what: string, guest: Uint8Array, host: Uint8Array): void {
  if (Buffer.compare(guest, host) === 0) return;
  const at = host.findIndex((byte, index) => byte !== guest[index]);
  const where = at < 0 ? `${guest.length} bytes in the guest, ${host.length} on the host` : `byte ${at} differs`;
  throw new MismatchError(`${what}: guest and host do not agree: ${where}`);
}

/** `4 MiB`, `64 KiB`, `123 bytes`. */
export function bytes(count: number): string {
  if (count < 10_000) return `${count} bytes`;
  return count % (1 << 20) === 0 ? `${count >> 20} MiB` : `${Math.round(count / 1024)} KiB`;
}
